// The bytes of one produced file, hashed once: small ones in memory, large ones on disk, so that a 300 MB film does not become 300 MB of runner.
import { createHash, randomUUID } from "node:crypto";
import { createReadStream, createWriteStream, openAsBlob } from "node:fs";
import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { ReadableStream as WebStream } from "node:stream/web";
import type { FileName } from "../contract.ts";
import { type Comfy, ComfyError } from "./comfy.ts";
import type { ComfyFolders } from "./disk.ts";
import { untagged } from "./untag.ts";

export type Content = { size: number; sha256: string; contentType: string; body: Blob; dispose(): Promise<void> };
/** Where to read from, the seat tag to take out, and how large a file may be. */
export type Source = { comfy: Comfy; folders: ComfyFolders; spoolDir: string; seatTag: string; maxBytes: number; signal: AbortSignal };

/** The file has more bytes than it may. */
export class TooLarge extends Error {}

/** Files up to this many bytes are kept in memory between download and upload; in larger ones the seat tag is not looked for. */
const IN_MEMORY_BYTES = 32 * 1024 * 1024;

const TYPES: Record<string, string> = {
  png: "image/png", jpg: "image/jpeg", jpeg: "image/jpeg", webp: "image/webp", gif: "image/gif", avif: "image/avif", bmp: "image/bmp", tif: "image/tiff", tiff: "image/tiff", svg: "image/svg+xml", exr: "image/x-exr",
  mp4: "video/mp4", webm: "video/webm", mov: "video/quicktime", mkv: "video/x-matroska", avi: "video/x-msvideo",
  wav: "audio/wav", mp3: "audio/mpeg", flac: "audio/flac", ogg: "audio/ogg", opus: "audio/ogg", m4a: "audio/mp4",
  glb: "model/gltf-binary", gltf: "model/gltf+json", obj: "model/obj", stl: "model/stl", json: "application/json", txt: "text/plain; charset=utf-8",
};

/** MIME type by extension; unknown ones are bytes. */
export function contentTypeOf(filename: string): string {
  return TYPES[filename.slice(filename.lastIndexOf(".") + 1).toLowerCase()] ?? "application/octet-stream";
}

const nothing = async (): Promise<void> => {};

/** null: ComfyUI has no such file (any more). Throws ComfyError when it does not answer, TooLarge before a file over `maxBytes` was read whole. */
export async function readContent(file: FileName, source: Source): Promise<Content | null> {
  const contentType = contentTypeOf(file.filename);
  const local = await source.folders.find(file);
  if (local !== null && local.size > source.maxBytes) throw new TooLarge();
  if (local !== null) return local.size <= IN_MEMORY_BYTES ? inMemory(await readFile(local.path), contentType, source.seatTag) : fromDisk(local.path, contentType);
  const answer = await source.comfy.view(file, "GET", source.signal).catch((error: unknown) => {
    if (error instanceof ComfyError && (error.status === 404 || error.status === 400 || error.status === 403)) return null;
    throw error;
  });
  if (answer === null) return null;
  const length = Number(answer.headers.get("Content-Length") ?? Number.NaN);
  if (length > source.maxBytes) {
    await answer.body?.cancel();
    throw new TooLarge();
  }
  return length <= IN_MEMORY_BYTES ? inMemory(Buffer.from(await answer.arrayBuffer()), contentType, source.seatTag) : spool(answer, contentType, source);
}

function inMemory(read: Buffer, contentType: string, seatTag: string): Content {
  const bytes = untagged(read, seatTag);
  return { size: bytes.byteLength, sha256: createHash("sha256").update(bytes).digest("hex"), contentType, body: new Blob([Uint8Array.from(bytes)]), dispose: nothing };
}

async function fromDisk(path: string, contentType: string): Promise<Content> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk as Uint8Array);
  const body = await openAsBlob(path);
  return { size: body.size, sha256: hash.digest("hex"), contentType, body, dispose: nothing };
}

async function spool(answer: Response, contentType: string, { spoolDir, maxBytes }: Source): Promise<Content> {
  await mkdir(spoolDir, { recursive: true });
  const path = join(spoolDir, randomUUID());
  const hash = createHash("sha256");
  const dispose = async (): Promise<void> => rm(path, { force: true });
  try {
    if (answer.body === null) throw new ComfyError("ComfyUI answered with an empty body", answer.status, "");
    const stream = Readable.fromWeb(answer.body as WebStream);
    let bytes = 0;
    stream.on("data", (chunk: Uint8Array) => {
      hash.update(chunk);
      bytes += chunk.byteLength;
      // A length is not always announced.
      if (bytes > maxBytes) stream.destroy(new TooLarge());
    });
    await pipeline(stream, createWriteStream(path));
    const body = await openAsBlob(path);
    return { size: body.size, sha256: hash.digest("hex"), contentType, body, dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}
