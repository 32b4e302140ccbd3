// Reads a PNG of any colour type, depth and interlace into RGBA (W3C PNG 7 to 9). Rows are unfiltered while they are inflated, so that at no time
// more than the picture itself and two rows stand in memory: an isolate has 128 MB.
import type { Decoded, Picture } from "./picture.ts";
import { readChunks, textChunks } from "./png-chunks.ts";
import type { Chunk } from "./png-chunks.ts";

export type PngPicture = Picture & { text: Chunk[] };

type Header = { width: number; height: number; depth: number; colour: number; interlaced: boolean };
type Source = Header & { channels: number; palette: Uint8Array | null; transparency: Uint8Array | null };
/** One pass of Adam7, or the whole picture: first pixel and distance to the next. */
type Pass = { x: number; y: number; dx: number; dy: number };

const CHANNELS: { readonly [colour: number]: number } = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };
const WHOLE: Pass[] = [{ x: 0, y: 0, dx: 1, dy: 1 }];
const ADAM7: Pass[] = [
  { x: 0, y: 0, dx: 8, dy: 8 }, { x: 4, y: 0, dx: 8, dy: 8 }, { x: 0, y: 4, dx: 4, dy: 8 }, { x: 2, y: 0, dx: 4, dy: 4 },
  { x: 0, y: 2, dx: 2, dy: 4 }, { x: 1, y: 0, dx: 2, dy: 2 }, { x: 0, y: 1, dx: 1, dy: 2 },
];

/** Width and height without decoding; null when it is no PNG. */
export function pngHeader(bytes: Uint8Array): Header | null {
  if (bytes.byteLength < 33) return null;
  const chunks = readChunks(bytes);
  const header = chunks?.[0];
  if (!header || header.type !== "IHDR" || header.data.byteLength < 13) return null;
  const view = new DataView(header.data.buffer, header.data.byteOffset, header.data.byteLength);
  return { width: view.getUint32(0), height: view.getUint32(4), depth: view.getUint8(8), colour: view.getUint8(9), interlaced: view.getUint8(12) === 1 };
}

/** Decodes a PNG of at most `maxPixels`. */
export async function decodePng(bytes: Uint8Array, maxPixels: number): Promise<Decoded<PngPicture>> {
  const header = pngHeader(bytes);
  const chunks = readChunks(bytes);
  const channels = header === null ? undefined : CHANNELS[header.colour];
  if (header === null || chunks === null || channels === undefined || header.width === 0 || header.height === 0 || ![1, 2, 4, 8, 16].includes(header.depth)) return { ok: false, fault: "no_picture" };
  if (header.width * header.height > maxPixels) return { ok: false, fault: "too_many_pixels" };
  const find = (type: string) => chunks.find((chunk) => chunk.type === type)?.data ?? null;
  const source: Source = { ...header, channels, palette: find("PLTE"), transparency: find("tRNS") };
  const rgba = new Uint8ClampedArray(header.width * header.height * 4);
  try {
    await inflateRows(chunks.filter((chunk) => chunk.type === "IDAT").map((chunk) => chunk.data), source, rgba);
  } catch {
    // What DecompressionStream throws at broken or cut data.
    return { ok: false, fault: "no_picture" };
  }
  return { ok: true, picture: { width: header.width, height: header.height, rgba, text: textChunks(chunks) } };
}

async function inflateRows(parts: Uint8Array[], source: Source, rgba: Uint8ClampedArray): Promise<void> {
  const rows = new RowReader(source, rgba);
  const stream = new ReadableStream<Uint8Array>({
    pull(controller) {
      const part = parts.shift();
      if (part) controller.enqueue(part);
      else controller.close();
    },
  });
  for await (const chunk of stream.pipeThrough(new DecompressionStream("deflate") as ReadableWritablePair<Uint8Array, Uint8Array>)) rows.add(chunk);
}

/** Takes inflated bytes as they come, puts whole rows in their place. */
class RowReader {
  readonly #source: Source;
  readonly #rgba: Uint8ClampedArray;
  readonly #passes: Pass[];
  readonly #step: number;
  #pass = -1;
  #line = 0;
  #lines = 0;
  #columns = 0;
  #row = new Uint8Array(0);
  #above = new Uint8Array(0);
  #filled = 0;

  constructor(source: Source, rgba: Uint8ClampedArray) {
    this.#source = source;
    this.#rgba = rgba;
    this.#step = Math.max(1, (source.channels * source.depth) >> 3);
    this.#passes = (source.interlaced ? ADAM7 : WHOLE).filter((pass) => pass.x < source.width && pass.y < source.height);
    this.#nextPass();
  }

  add(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.byteLength && this.#pass < this.#passes.length; ) {
      const taken = chunk.subarray(at, at + this.#row.byteLength - this.#filled);
      this.#row.set(taken, this.#filled);
      this.#filled += taken.byteLength;
      at += taken.byteLength;
      if (this.#filled === this.#row.byteLength) this.#finishRow();
    }
  }

  #finishRow(): void {
    const pass = this.#passes[this.#pass] ?? { x: 0, y: 0, dx: 1, dy: 1 };
    unfilter(this.#row, this.#above, this.#step);
    placeRow(this.#row, this.#columns, this.#source, this.#rgba, pass, pass.y + this.#line * pass.dy);
    [this.#row, this.#above] = [this.#above, this.#row];
    this.#filled = 0;
    this.#line += 1;
    if (this.#line === this.#lines) this.#nextPass();
  }

  #nextPass(): void {
    this.#pass += 1;
    const pass = this.#passes[this.#pass];
    if (pass === undefined) return;
    this.#columns = Math.ceil((this.#source.width - pass.x) / pass.dx);
    this.#lines = Math.ceil((this.#source.height - pass.y) / pass.dy);
    const size = 1 + Math.ceil((this.#columns * this.#source.channels * this.#source.depth) / 8);
    this.#row = new Uint8Array(size);
    this.#above = new Uint8Array(size);
    this.#line = 0;
    this.#filled = 0;
  }
}

/** PNG 9: the first byte of `row` names the filter; `step` is the distance in bytes to the pixel on the left. */
function unfilter(row: Uint8Array, above: Uint8Array, step: number): void {
  const filter = row[0];
  for (let at = 1; at < row.byteLength; at += 1) {
    const left = at > step ? (row[at - step] ?? 0) : 0;
    const up = above[at] ?? 0;
    const value = row[at] ?? 0;
    if (filter === 1) row[at] = value + left;
    else if (filter === 2) row[at] = value + up;
    else if (filter === 3) row[at] = value + ((left + up) >> 1);
    else if (filter === 4) row[at] = value + paeth(left, up, at > step ? (above[at - step] ?? 0) : 0);
  }
}

/** PNG 9.4. */
export function paeth(left: number, up: number, corner: number): number {
  const guess = left + up - corner;
  const [a, b, c] = [Math.abs(guess - left), Math.abs(guess - up), Math.abs(guess - corner)];
  return a <= b && a <= c ? left : b <= c ? up : corner;
}

function placeRow(row: Uint8Array, columns: number, source: Source, rgba: Uint8ClampedArray, pass: Pass, y: number): void {
  for (let column = 0; column < columns; column += 1) {
    const target = (y * source.width + pass.x + column * pass.dx) * 4;
    if (source.colour === 3) placeIndexed(sample(row, column, source), source, rgba, target);
    else placeDirect(row, column, source, rgba, target);
  }
}

function placeIndexed(index: number, source: Source, rgba: Uint8ClampedArray, target: number): void {
  for (let channel = 0; channel < 3; channel += 1) rgba[target + channel] = source.palette?.[index * 3 + channel] ?? 0;
  rgba[target + 3] = source.transparency?.[index] ?? 255;
}

function placeDirect(row: Uint8Array, column: number, source: Source, rgba: Uint8ClampedArray, target: number): void {
  const first = column * source.channels;
  const grey = source.colour === 0 || source.colour === 4;
  for (let channel = 0; channel < 3; channel += 1) rgba[target + channel] = eight(sample(row, first + (grey ? 0 : channel), source), source.depth);
  if (source.colour === 4 || source.colour === 6) rgba[target + 3] = eight(sample(row, first + source.channels - 1, source), source.depth);
  else rgba[target + 3] = isTransparent(row, first, source) ? 0 : 255;
}

/** The `index`th sample of a row, at its own depth. */
function sample(row: Uint8Array, index: number, source: Source): number {
  if (source.depth === 8) return row[1 + index] ?? 0;
  if (source.depth === 16) return ((row[1 + index * 2] ?? 0) << 8) | (row[2 + index * 2] ?? 0);
  const bit = index * source.depth;
  return ((row[1 + (bit >> 3)] ?? 0) >> (8 - source.depth - (bit & 7))) & ((1 << source.depth) - 1);
}

function eight(value: number, depth: number): number {
  return depth === 8 ? value : depth === 16 ? value >> 8 : (value * 255) / ((1 << depth) - 1);
}

/** tRNS of grey and RGB pictures names one colour that is clear (PNG 11.3.2.1). */
function isTransparent(row: Uint8Array, first: number, source: Source): boolean {
  const clear = source.transparency;
  if (clear === null || clear.byteLength < source.channels * 2) return false;
  for (let channel = 0; channel < source.channels; channel += 1) {
    if (sample(row, first + channel, source) !== (((clear[channel * 2] ?? 0) << 8) | (clear[channel * 2 + 1] ?? 0))) return false;
  }
  return true;
}
