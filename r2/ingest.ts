// Brings a request's body into the bucket without ever holding more than one part of it. Size and checksum are of the bytes that really arrived.
// Invariant: nothing half-written stays. A refused, broken or over-long body leaves no object and no open multipart upload behind.
import { createHash } from "node:crypto";

/** R2 wants parts of one size, at least 5 MiB each but the last. Also all that is ever held in memory of one body. */
export const PART_BYTES = 8 * 1024 * 1024;

export type Ingested = { ok: true; size: number; sha256: string } | { ok: false; reason: "too_large" };
export type IngestOptions = { /** Bytes; one more is refused. */ max_bytes: number; content_type?: string; metadata?: Record<string, string> };

/** Stores a body of unknown length under `key`: one put when it fits a part, else a multipart upload. Throws when the body or the store breaks. */
export async function ingest(bucket: R2Bucket, key: string, body: ReadableStream<Uint8Array> | null, options: IngestOptions): Promise<Ingested> {
  const settings: R2PutOptions = { httpMetadata: options.content_type === undefined ? {} : { contentType: options.content_type }, customMetadata: options.metadata ?? {} };
  const hash = createHash("sha256");
  const parts = new Parts();
  let upload: R2MultipartUpload | undefined;
  const uploaded: R2UploadedPart[] = [];
  try {
    // An async iterator that is left early cancels the body, so a refusal does not go on reading it.
    for await (const chunk of body ?? []) {
      hash.update(chunk);
      for (const part of parts.add(chunk)) {
        upload ??= await bucket.createMultipartUpload(key, settings);
        uploaded.push(await upload.uploadPart(uploaded.length + 1, part));
      }
      if (parts.total > options.max_bytes) {
        await upload?.abort();
        return { ok: false, reason: "too_large" };
      }
    }
    const rest = parts.rest();
    if (upload === undefined) await bucket.put(key, rest, settings);
    else {
      if (rest.byteLength > 0) uploaded.push(await upload.uploadPart(uploaded.length + 1, rest));
      await upload.complete(uploaded);
    }
    return { ok: true, size: parts.total, sha256: hash.digest("hex") };
  } catch (error) {
    await upload?.abort().catch(() => undefined);
    throw error;
  }
}

/** Cuts a stream of chunks into full parts and a rest. */
class Parts {
  total = 0;
  // Grows by doubling: most uploads are small, and an isolate has 128 MB for all of them.
  #buffer = new Uint8Array(64 * 1024);
  #filled = 0;

  /** Yields each part as it fills; a yielded part is valid until the next one is asked for. */
  *add(chunk: Uint8Array): Generator<Uint8Array> {
    this.total += chunk.byteLength;
    for (let at = 0; at < chunk.byteLength; ) {
      // Kept back until more comes: an exact multiple of the part size must not end in an empty part, and a body of one part is a plain put.
      if (this.#filled === PART_BYTES) {
        yield this.#buffer;
        this.#filled = 0;
      }
      const taken = chunk.subarray(at, at + PART_BYTES - this.#filled);
      this.#makeRoom(this.#filled + taken.byteLength);
      this.#buffer.set(taken, this.#filled);
      this.#filled += taken.byteLength;
      at += taken.byteLength;
    }
  }

  rest(): Uint8Array {
    return this.#buffer.subarray(0, this.#filled);
  }

  #makeRoom(bytes: number): void {
    if (bytes <= this.#buffer.byteLength) return;
    const larger = new Uint8Array(Math.min(PART_BYTES, Math.max(bytes, this.#buffer.byteLength * 2)));
    larger.set(this.rest());
    this.#buffer = larger;
  }
}

export type Exact = { size: number; sha256?: string; content_type?: string };
export type Stored = { ok: true } | { ok: false; reason: "exists" | "length" | "checksum" };

/**
 * Stores a body whose length and checksum are known beforehand, if nothing stands under `key` yet [CF21]. R2 itself checks the sha256.
 * `exists` also when the very same bytes stand there: the caller knows what a repeat means.
 */
export async function storeExact(bucket: R2Bucket, key: string, request: Request, exact: Exact): Promise<Stored> {
  const body = knownLength(request, exact.size);
  if (body === null) return { ok: false, reason: "length" };
  try {
    const stored = await bucket.put(key, body, {
      onlyIf: { etagDoesNotMatch: "*" },
      ...(exact.sha256 === undefined ? {} : { sha256: exact.sha256 }),
      httpMetadata: exact.content_type === undefined ? {} : { contentType: exact.content_type },
    });
    return stored === null ? { ok: false, reason: "exists" } : { ok: true };
  } catch (error) {
    return refusal(error);
  }
}

export type StoredPart = { ok: true; etag: string } | { ok: false; reason: "length" | "no_upload" };

/** One part of a multipart upload, of exactly `size` bytes. */
export async function storePart(bucket: R2Bucket, key: string, request: Request, part: { upload_id: string; number: number; size: number }): Promise<StoredPart> {
  const body = knownLength(request, part.size);
  if (body === null) return { ok: false, reason: "length" };
  try {
    const stored = await bucket.resumeMultipartUpload(key, part.upload_id).uploadPart(part.number, body);
    return { ok: true, etag: stored.etag };
  } catch (error) {
    if (codeOf(error) === NO_SUCH_UPLOAD) return { ok: false, reason: "no_upload" };
    const refused = refusal(error);
    return { ok: false, reason: refused.reason === "length" ? "length" : "no_upload" };
  }
}

/**
 * Makes one object of stored parts. A repeat finds it made already, which is the same. `parts_unknown`: the store has other parts than these;
 * `gone`: the store knows neither the upload nor the object. Throws what the store throws otherwise.
 */
export async function completeParts(bucket: R2Bucket, key: string, uploadId: string, parts: { part: number; etag: string }[]): Promise<"complete" | "parts_unknown" | "gone"> {
  try {
    await bucket.resumeMultipartUpload(key, uploadId).complete(parts.map(({ part, etag }) => ({ partNumber: part, etag })));
    return "complete";
  } catch (error) {
    const code = codeOf(error);
    if (code === INVALID_PART || code === BAD_UPLOAD) return "parts_unknown";
    if (code !== NO_SUCH_UPLOAD) throw error;
    return (await bucket.head(key)) === null ? "gone" : "complete";
  }
}

/** The sha256 (lower-case hex) of a stored object, read as a stream; null when it is not there. For objects that came in parts, where R2 keeps none. */
export async function digestOf(bucket: R2Bucket, key: string): Promise<string | null> {
  const object = await bucket.get(key);
  if (object === null) return null;
  const digest = new crypto.DigestStream("SHA-256");
  await object.body.pipeTo(digest);
  return [...new Uint8Array(await digest.digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** R2 takes a stream only when its length is known: a `Content-Length` says it, and a body without one is given one that breaks when it lies. */
function knownLength(request: Request, size: number): ReadableStream<Uint8Array> | Uint8Array | null {
  const declared = request.headers.get("content-length");
  if (declared !== null && Number(declared) !== size) return null;
  if (request.body === null) return size === 0 ? new Uint8Array(0) : null;
  if (size === 0) return null;
  const { readable, writable } = new FixedLengthStream(size);
  // A line that breaks or lies surfaces where the readable half is read; the writing half would only report it a second time, to nobody.
  request.body.pipeTo(writable).catch(() => undefined);
  return readable;
}

// Error codes of the R2 API (developers.cloudflare.com/r2/api/error-codes): checksum mismatch, a multipart upload that is gone, and parts it does not have.
const BAD_DIGEST = 10037;
const NO_SUCH_UPLOAD = 10024;
const INVALID_PART = 10025;
const BAD_UPLOAD = 10048;

function codeOf(error: unknown): number | null {
  const match = /\((\d{5})\)/.exec(error instanceof Error ? error.message : "");
  return match === null ? null : Number(match[1]);
}

function refusal(error: unknown): { ok: false; reason: "checksum" | "length" } {
  if (codeOf(error) === BAD_DIGEST) return { ok: false, reason: "checksum" };
  // What FixedLengthStream throws when more or fewer bytes came than were announced.
  if (error instanceof TypeError && /FixedLengthStream/.test(error.message)) return { ok: false, reason: "length" };
  throw error;
}
