// The seat's user files in the bucket: one object per file, folders are what stands before a slash. Invariant: every key comes from r2/keys.ts with the
// seat of the session, so another seat's file has no name here.
import { userdataKey, userdataPath, userdataPrefix } from "../../r2/keys.ts";
import { MAX_BODY_BYTES, readBytes } from "./context.ts";
import type { SeatContext } from "./context.ts";
import { typeByName } from "./media-types.ts";

/** Times in ms since the epoch; `modified` outlives a move, `created` does not, as on a disk. */
export type UserFile = { path: string; size: number; modified: number; created: number };
/** Bytes of a body without `Content-Length`, which has to be held to be stored: R2 wants to know a length beforehand. */
export const MAX_UNANNOUNCED_BYTES = 16 * 1024 * 1024;

export type Written = { ok: true; file: UserFile } | { ok: false; reason: "exists" | "too_large" | "bad_name" };

export async function findFile(seat: SeatContext, path: string): Promise<UserFile | null> {
  const key = keyOf(seat, path);
  const object = key === null ? null : await seat.files.head(key);
  return object === null ? null : describe(path, object);
}

/** Whether anything stands below `path`: then it is a folder. */
export async function isFolder(seat: SeatContext, path: string): Promise<boolean> {
  const prefix = path === "" ? userdataPrefix(seat.workshop, seat.seat) : keyOf(seat, path)?.concat("/");
  return prefix !== undefined && (await seat.files.list({ prefix, limit: 1 })).objects.length > 0;
}

/** Every file below `folder` ("" for all), paths from the user's root, in key order. `deep` false: its direct files only. */
export async function listFiles(seat: SeatContext, folder: string, deep: boolean): Promise<UserFile[]> {
  const prefix = folder === "" ? userdataPrefix(seat.workshop, seat.seat) : keyOf(seat, folder)?.concat("/");
  if (prefix === undefined) return [];
  const files: UserFile[] = [];
  for (let cursor: string | undefined, more = true; more; ) {
    const page = await seat.files.list({ prefix, include: ["customMetadata"], ...(cursor === undefined ? {} : { cursor }), ...(deep ? {} : { delimiter: "/" }) });
    for (const object of page.objects) {
      const path = userdataPath(seat.workshop, seat.seat, object.key);
      if (path !== null) files.push(describe(path, object));
    }
    more = page.truncated;
    cursor = page.truncated ? page.cursor : undefined;
  }
  return files;
}

/** Stores a request's body. Without `overwrite` the store itself sees to it that nothing is written over, also when two tabs save at once. */
export async function writeFile(seat: SeatContext, path: string, request: Request, overwrite: boolean): Promise<Written> {
  const key = keyOf(seat, path);
  if (key === null) return { ok: false, reason: "bad_name" };
  const announced = request.headers.get("content-length");
  const length = announced === null ? null : Number(announced);
  if (length !== null && length > MAX_BODY_BYTES) return { ok: false, reason: "too_large" };
  const streamed = length !== null && length > 0 && request.body !== null;
  const body = streamed ? request.body.pipeThrough(new FixedLengthStream(length)) : await readBytes(request, MAX_UNANNOUNCED_BYTES);
  return body === null ? { ok: false, reason: "too_large" } : await put(seat, path, key, body, overwrite, {});
}

export async function writeText(seat: SeatContext, path: string, text: string, overwrite: boolean): Promise<Written> {
  const key = keyOf(seat, path);
  return key === null ? { ok: false, reason: "bad_name" } : await put(seat, path, key, text, overwrite, {});
}

/** Moves a file; the new one is complete before the old one goes. Null when there is no source. */
export async function moveFile(seat: SeatContext, from: string, to: string, overwrite: boolean): Promise<Written | null> {
  const [source, target] = [keyOf(seat, from), keyOf(seat, to)];
  const object = source === null ? null : await seat.files.get(source);
  if (object === null || source === null) return null;
  if (target === null) return { ok: false, reason: "bad_name" };
  if (source === target) return overwrite ? { ok: true, file: describe(from, object) } : { ok: false, reason: "exists" };
  const body = object.size > 0 ? object.body.pipeThrough(new FixedLengthStream(object.size)) : new Uint8Array(0);
  const written = await put(seat, to, target, body, overwrite, { modified: String(describe(from, object).modified) });
  if (written.ok) await seat.files.delete(source);
  return written;
}

export async function deleteFile(seat: SeatContext, path: string): Promise<void> {
  const key = keyOf(seat, path);
  if (key !== null) await seat.files.delete(key);
}

export function keyOf(seat: SeatContext, path: string): string | null {
  return userdataKey(seat.workshop, seat.seat, path);
}

async function put(seat: SeatContext, path: string, key: string, body: ReadableStream | Uint8Array | string, overwrite: boolean, metadata: Record<string, string>): Promise<Written> {
  const stored = await seat.files.put(key, body, {
    ...(overwrite ? {} : { onlyIf: { etagDoesNotMatch: "*" } }),
    httpMetadata: { contentType: typeByName(path) },
    customMetadata: metadata,
  });
  return stored === null ? { ok: false, reason: "exists" } : { ok: true, file: describe(path, stored, metadata) };
}

function describe(path: string, object: R2Object, metadata: Record<string, string> = object.customMetadata ?? {}): UserFile {
  const created = object.uploaded.getTime();
  const modified = Number(metadata["modified"]);
  return { path, size: object.size, created, modified: Number.isFinite(modified) && modified > 0 ? modified : created };
}
