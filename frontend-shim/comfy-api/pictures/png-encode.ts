// Writes 8-bit PNGs, RGB or RGBA, with the text chunks it is given. Rows are filtered while they are deflated, as in png-decode.ts.
import type { Picture } from "./picture.ts";
import { paeth } from "./png-decode.ts";
import { writeChunks } from "./png-chunks.ts";
import type { Chunk } from "./png-chunks.ts";

export type PngChannels = "rgb" | "rgba";

/** The picture as PNG bytes; `text` chunks stand between header and pixels. */
export async function encodePng(picture: Picture, channels: PngChannels, text: readonly Chunk[] = []): Promise<Uint8Array<ArrayBuffer>> {
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, picture.width);
  view.setUint32(4, picture.height);
  header.set([8, channels === "rgb" ? 2 : 6, 0, 0, 0], 8);
  const data = await deflateRows(picture, channels === "rgb" ? 3 : 4);
  return writeChunks([{ type: "IHDR", data: header }, ...text, { type: "IDAT", data }, { type: "IEND", data: new Uint8Array(0) }]);
}

async function deflateRows(picture: Picture, channels: 3 | 4): Promise<Uint8Array> {
  let line = 0;
  const rows = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (line === picture.height) controller.close();
      else controller.enqueue(filteredRow(picture, channels, line));
      line += 1;
    },
  });
  return await new Response(rows.pipeThrough(new CompressionStream("deflate") as ReadableWritablePair<Uint8Array, Uint8Array>)).bytes();
}

/** Paeth for every row: within a few per cent of choosing per row for painted and photographed pictures, at a fifth of the work. */
function filteredRow(picture: Picture, channels: 3 | 4, line: number): Uint8Array {
  const row = new Uint8Array(1 + picture.width * channels);
  row[0] = 4;
  const stride = picture.width * 4;
  const base = line * stride;
  const { rgba } = picture;
  let out = 1;
  for (let x = 0; x < stride; x += 4) {
    for (let channel = 0; channel < channels; channel += 1) {
      const at = base + x + channel;
      const left = x > 0 ? (rgba[at - 4] ?? 0) : 0;
      const up = line > 0 ? (rgba[at - stride] ?? 0) : 0;
      const corner = x > 0 && line > 0 ? (rgba[at - stride - 4] ?? 0) : 0;
      row[out] = (rgba[at] ?? 0) - paeth(left, up, corner);
      out += 1;
    }
  }
  return row;
}
