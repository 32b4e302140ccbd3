// GET /view: a file of the seat, or a picture made of it. Invariant: a file is found by asking the workshop's object for this seat's name; nothing a client
// sends becomes a key. Order of the checks and their bare statuses as recorded [R http-upload-view].
import { both, seatRouter } from "./context.ts";
import type { SeatContext, SeatRequest } from "./context.ts";
import { bare, crashed, matches } from "./answers.ts";
import { locate } from "./file-names.ts";
import { decodePicture, encodeLossy, encodePng } from "./pictures/index.ts";
import type { LossyFormat } from "./pictures/index.ts";
import type { StoredFile } from "../../durable-objects/contract.ts";
import { dispositionName } from "../../r2/http.ts";
import { serveObject } from "../../r2/serve.ts";

/** Pixels that are decoded for a channel or a mask: 4096 x 2160, 35 MB as RGBA. An isolate has 128 MB, and other requests beside this one. */
export const MAX_PIXELS = 4096 * 2160;
/** Pixels that are re-encoded for a preview: the encoder's own copy comes on top. */
const MAX_PREVIEW_PIXELS = 2048 * 2048;
/** Bytes of a file that is read whole to be decoded. */
const MAX_PICTURE_BYTES = 24 * 1024 * 1024;
const DEFAULT_QUALITY = 90;

export const viewRoutes = seatRouter();

viewRoutes.on("GET", both("/view"), async (c) => {
  const asked = c.req.query("filename");
  if (asked === undefined) return bare(404);
  const located = locate(asked, c.req.query("type") ?? "output", c.req.query("subfolder") ?? "");
  if (!located.ok) return bare(located.status);
  const seat = c.env.seat;
  const file = await seat.rpc.resolveFile(seat.seat, { type: located.type, subfolder: located.subfolder, filename: located.filename });
  if (file === null) return bare(404);
  const wanted = readWish(c);
  const made = wanted === null ? null : await makePicture(c, file, wanted);
  return made ?? (await serveObject(seat.files, file.key, c.req.raw, { filename: file.filename, content_type: file.content_type })) ?? bare(404);
});

type Wish = { kind: "preview"; format: LossyFormat; quality: number } | { kind: "channel"; channel: "rgb" | "a" };

/** `preview=webp;90` and `channel=rgb|a`; null for the file as it is. Anything but webp and jpeg becomes webp, and so does jpeg if alpha is asked for. */
function readWish(c: SeatRequest): Wish | null {
  const preview = c.req.query("preview");
  const channel = c.req.query("channel");
  if (preview) {
    const [format = "", quality = ""] = preview.split(";");
    const lossy = format === "jpeg" && !(channel ?? "").includes("a") ? "jpeg" : "webp";
    return { kind: "preview", format: lossy, quality: /^\d+$/.test(quality) ? Math.min(100, Number(quality)) : DEFAULT_QUALITY };
  }
  return channel === "rgb" || channel === "a" ? { kind: "channel", channel } : null;
}

/** The picture asked for, under a validator of its own; null when it has more pixels than can be decoded here, where the file itself is the better answer. */
async function makePicture(c: SeatRequest, file: StoredFile, wish: Wish): Promise<Response | null> {
  const etag = `"${file.sha256.slice(0, 32)}-${wish.kind === "preview" ? `${wish.format}${wish.quality}` : wish.channel}"`;
  const headers = {
    "content-type": wish.kind === "channel" ? "image/png" : `image/${wish.format}`, "content-disposition": dispositionName(file.filename),
    "x-content-type-options": "nosniff", "cache-control": "private, no-cache", etag,
  };
  if (matches(c.req.header("if-none-match"), etag)) return new Response(null, { status: 304, headers });
  const bytes = await readWhole(c.env.seat, file);
  if (bytes === null) return null;
  const decoded = await decodePicture(bytes, wish.kind === "preview" ? MAX_PREVIEW_PIXELS : MAX_PIXELS);
  if (!decoded.ok) return decoded.fault === "too_many_pixels" ? null : crashed();
  const { picture } = decoded;
  if (wish.kind === "preview") return new Response(await encodeLossy(picture, wish.format, wish.quality), { headers });
  if (wish.channel === "rgb") return new Response(await encodePng(picture, "rgb"), { headers });
  // The mask editor wants the alpha as the alpha of a black picture.
  for (let at = 0; at < picture.rgba.length; at += 4) picture.rgba.fill(0, at, at + 3);
  return new Response(await encodePng(picture, "rgba"), { headers });
}

/** The bytes of a stored file; null when it is gone or too large to be held. */
export async function readWhole(seat: SeatContext, file: StoredFile): Promise<Uint8Array | null> {
  if (file.size > MAX_PICTURE_BYTES) return null;
  const object = await seat.files.get(file.key);
  return object === null ? null : await object.bytes();
}
