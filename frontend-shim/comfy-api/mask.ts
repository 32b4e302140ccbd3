// The mask editor's save: the alpha of the uploaded picture laid onto the original, as PNG with the original's own text chunks (its workflow).
// Decoded one after the other, the mask reduced to its alpha before the original is opened: two pictures in RGBA would not leave room for encoding.
import { isRecord } from "./context.ts";
import type { SeatContext } from "./context.ts";
import { locate } from "./file-names.ts";
import { decodePicture, decodePng, encodePng, sniff } from "./pictures/index.ts";
import type { Chunk, Picture } from "./pictures/index.ts";
import { MAX_PIXELS, readWhole } from "./view.ts";

export type Composed =
  | { ok: true; png: Uint8Array<ArrayBuffer> }
  | { ok: false; fault: "no_reference" | "bad_reference" | "outside" | "no_original" }
  | { ok: false; fault: "refused"; message: string };

const UNREADABLE = "is not a PNG, JPEG or WebP picture that can be read. Nothing was saved; save it as PNG and upload it again.";
const TOO_LARGE = `has more than ${MAX_PIXELS} pixels, which is more than a mask can be laid onto here. Nothing was saved; scale it down first.`;

/** `reference` is the form's `original_ref`: `{filename, subfolder, type}` as JSON. */
export async function composeMask(seat: SeatContext, uploaded: Uint8Array, reference: string | undefined): Promise<Composed> {
  const original = readReference(reference);
  if (original === null) return { ok: false, fault: "no_reference" };
  const located = locate(original.filename, original.type, original.subfolder);
  if (!located.ok) return { ok: false, fault: located.status === 403 ? "outside" : "bad_reference" };
  const file = await seat.rpc.resolveFile(seat.seat, { type: located.type, subfolder: located.subfolder, filename: located.filename });
  if (file === null) return { ok: false, fault: "no_original" };
  const mask = await readAlpha(uploaded);
  if (!mask.ok) return { ok: false, fault: "refused", message: `The uploaded mask ${mask.message}` };
  const bytes = await readWhole(seat, file);
  const source = bytes === null ? null : await decodeOriginal(bytes);
  if (source === null || !source.ok) return { ok: false, fault: "refused", message: `The picture “${file.filename}” ${source === null || source.tooLarge ? TOO_LARGE : UNREADABLE}` };
  const { picture, text } = source;
  if (picture.width !== mask.width || picture.height !== mask.height) {
    return { ok: false, fault: "refused", message: `The mask is ${mask.width} x ${mask.height}, the picture ${picture.width} x ${picture.height}. Nothing was saved; they must have the same size.` };
  }
  for (let pixel = 0; pixel < mask.alpha.length; pixel += 1) picture.rgba[pixel * 4 + 3] = mask.alpha[pixel] ?? 255;
  return { ok: true, png: await encodePng(picture, "rgba", text) };
}

function readReference(text: string | undefined): { filename: string; subfolder: string; type: string } | null {
  try {
    const value: unknown = JSON.parse(text ?? "");
    if (!isRecord(value) || typeof value["filename"] !== "string") return null;
    const { subfolder, type } = value;
    return { filename: value["filename"], subfolder: typeof subfolder === "string" ? subfolder : "", type: typeof type === "string" ? type : "output" };
  } catch {
    return null;
  }
}

async function readAlpha(bytes: Uint8Array): Promise<{ ok: true; width: number; height: number; alpha: Uint8Array } | { ok: false; message: string }> {
  const decoded = await decodePicture(bytes, MAX_PIXELS);
  if (!decoded.ok) return { ok: false, message: decoded.fault === "too_many_pixels" ? TOO_LARGE : UNREADABLE };
  const { width, height, rgba } = decoded.picture;
  const alpha = new Uint8Array(width * height);
  for (let pixel = 0; pixel < alpha.length; pixel += 1) alpha[pixel] = rgba[pixel * 4 + 3] ?? 255;
  return { ok: true, width, height, alpha };
}

async function decodeOriginal(bytes: Uint8Array): Promise<{ ok: true; picture: Picture; text: Chunk[] } | { ok: false; tooLarge: boolean }> {
  const decoded = sniff(bytes) === "png" ? await decodePng(bytes, MAX_PIXELS) : await decodePicture(bytes, MAX_PIXELS);
  if (!decoded.ok) return { ok: false, tooLarge: decoded.fault === "too_many_pixels" };
  return { ok: true, picture: decoded.picture, text: "text" in decoded.picture ? (decoded.picture.text as Chunk[]) : [] };
}
