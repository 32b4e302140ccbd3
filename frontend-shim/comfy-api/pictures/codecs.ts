// JPEG and WebP through the libraries' own wasm builds (mozjpeg, libwebp by way of @jsquash). A Worker may not compile wasm at run time, so the modules are
// imported, and instantiated only when somebody asks for a preview.
import jpegDecoderFactory from "@jsquash/jpeg/codec/dec/mozjpeg_dec.js";
import jpegEncoderFactory from "@jsquash/jpeg/codec/enc/mozjpeg_enc.js";
import { defaultOptions as jpegDefaults } from "@jsquash/jpeg/meta.js";
import webpDecoderFactory from "@jsquash/webp/codec/dec/webp_dec.js";
import webpEncoderFactory from "@jsquash/webp/codec/enc/webp_enc.js";
import { defaultOptions as webpDefaults } from "@jsquash/webp/meta.js";
import jpegDecoderWasm from "@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm";
import jpegEncoderWasm from "@jsquash/jpeg/codec/enc/mozjpeg_enc.wasm";
import webpDecoderWasm from "@jsquash/webp/codec/dec/webp_dec.wasm";
import webpEncoderWasm from "@jsquash/webp/codec/enc/webp_enc.wasm";
import { isPng } from "./png-chunks.ts";
import { decodePng } from "./png-decode.ts";
import type { Decoded, Picture } from "./picture.ts";

export type PictureFormat = "png" | "jpeg" | "webp";
export type LossyFormat = "jpeg" | "webp";

/** What the bytes are, by their first bytes; names and types of uploads are the client's word. */
export function sniff(bytes: Uint8Array): PictureFormat | null {
  if (isPng(bytes)) return "png";
  if (bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff) return "jpeg";
  const ascii = (from: number, to: number) => String.fromCharCode(...bytes.subarray(from, to));
  return ascii(0, 4) === "RIFF" && ascii(8, 12) === "WEBP" ? "webp" : null;
}

/** Decodes PNG, JPEG or still WebP of at most `maxPixels`. */
export async function decodePicture(bytes: Uint8Array, maxPixels: number): Promise<Decoded<Picture>> {
  const format = sniff(bytes);
  if (format === "png") return await decodePng(bytes, maxPixels);
  if (format === null) return { ok: false, fault: "no_picture" };
  const size = format === "jpeg" ? jpegSize(bytes) : webpSize(bytes);
  if (size === null) return { ok: false, fault: "no_picture" };
  if (size.width * size.height > maxPixels) return { ok: false, fault: "too_many_pixels" };
  return await decodeLossy(format, bytes);
}

async function decodeLossy(format: LossyFormat, bytes: Uint8Array): Promise<Decoded<Picture>> {
  try {
    const image = format === "jpeg" ? (await jpegDecoder()).decode(bytes as BufferSource, false) : (await webpDecoder()).decode(bytes as BufferSource);
    return image ? { ok: true, picture: { width: image.width, height: image.height, rgba: image.data as Uint8ClampedArray<ArrayBuffer> } } : { ok: false, fault: "no_picture" };
  } catch {
    return { ok: false, fault: "no_picture" };
  }
}

/** Encodes with `quality` 0 to 100. JPEG has no alpha: what the colours under it are is what shows, as in ComfyUI's own conversion. */
export async function encodeLossy(picture: Picture, format: LossyFormat, quality: number): Promise<Uint8Array<ArrayBuffer>> {
  const { rgba, width, height } = picture;
  const bytes = format === "jpeg" ? (await jpegEncoder()).encode(rgba, width, height, { ...jpegDefaults, quality }) : (await webpEncoder()).encode(rgba, width, height, { ...webpDefaults, quality });
  if (!bytes) throw new Error(`the ${format} encoder gave nothing for ${width} x ${height}`);
  return new Uint8Array(bytes);
}

/** Dimensions from the first start-of-frame segment (ITU T.81 B.2.2). */
function jpegSize(bytes: Uint8Array): { width: number; height: number } | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 2; at + 9 < bytes.byteLength; ) {
    if (view.getUint8(at) !== 0xff) return null;
    const marker = view.getUint8(at + 1);
    if (marker === 0xff) at += 1;
    else if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) return { height: view.getUint16(at + 5), width: view.getUint16(at + 7) };
    else at += 2 + view.getUint16(at + 2);
  }
  return null;
}

/** Dimensions from the first chunk (WebP container specification: VP8, VP8L, VP8X). */
function webpSize(bytes: Uint8Array): { width: number; height: number } | null {
  if (bytes.byteLength < 30) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const kind = String.fromCharCode(...bytes.subarray(12, 16));
  if (kind === "VP8 ") return { width: view.getUint16(26, true) & 0x3fff, height: view.getUint16(28, true) & 0x3fff };
  if (kind === "VP8L") return { width: (view.getUint32(21, true) & 0x3fff) + 1, height: ((view.getUint32(21, true) >> 14) & 0x3fff) + 1 };
  if (kind !== "VP8X") return null;
  return { width: (view.getUint32(24, true) & 0xffffff) + 1, height: ((view.getUint32(26, true) >> 8) & 0xffffff) + 1 };
}

type Factory<T> = (options: { noInitialRun: boolean; instantiateWasm(imports: WebAssembly.Imports, done: (instance: WebAssembly.Instance) => void): WebAssembly.Exports }) => Promise<T>;

/** A new instance for each use (about a millisecond): the memory of one that is kept never shrinks again, and the isolate is everybody's. */
function codec<T>(factory: unknown, module: WebAssembly.Module): () => Promise<T> {
  return async () =>
    await (factory as Factory<T>)({
      noInitialRun: true,
      instantiateWasm(imports, done) {
        const built = new WebAssembly.Instance(module, imports);
        done(built);
        return built.exports;
      },
    });
}

type Image = { data: Uint8ClampedArray; width: number; height: number };
type JpegDecoder = { decode(data: BufferSource, preserveOrientation: boolean): Image | null };
type WebpDecoder = { decode(data: BufferSource): Image | null };
type Encoder = { encode(data: BufferSource, width: number, height: number, options: object): Uint8Array | null };

const jpegDecoder = codec<JpegDecoder>(jpegDecoderFactory, jpegDecoderWasm);
const jpegEncoder = codec<Encoder>(jpegEncoderFactory, jpegEncoderWasm);
const webpDecoder = codec<WebpDecoder>(webpDecoderFactory, webpDecoderWasm);
const webpEncoder = codec<Encoder>(webpEncoderFactory, webpEncoderWasm);
