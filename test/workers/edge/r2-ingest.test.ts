import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { digestOf, ingest, PART_BYTES, storeExact, storePart } from "../../../r2/ingest.ts";

const GENEROUS = 1024 * 1024 * 1024;

function pattern(size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  for (let index = 0; index < size; index += 1) bytes[index] = (index * 31 + (index >> 13)) % 256;
  return bytes;
}

/** A body whose length nobody announced, in chunks of uneven size. */
function stream(bytes: Uint8Array, chunk: number, failAt = Number.POSITIVE_INFINITY): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream<Uint8Array>({
    pull(controller) {
      if (at >= failAt) return controller.error(new Error("the line broke"));
      if (at >= bytes.byteLength) return controller.close();
      controller.enqueue(bytes.slice(at, at + chunk));
      at += chunk;
    },
  });
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return [...new Uint8Array(await crypto.subtle.digest("SHA-256", bytes))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function stored(key: string): Promise<Uint8Array | null> {
  const object = await env.FILES.get(key);
  return object === null ? null : new Uint8Array(await object.arrayBuffer());
}

const put = (bytes: Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}): Request => new Request("https://host/", { method: "PUT", body: bytes, headers });

describe("bodies of unknown length", () => {
  it.each([0, 1, 100_000, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 2 * PART_BYTES, 2 * PART_BYTES + 12_345])("%i bytes arrive whole, with their size and sha256", async (size) => {
    const bytes = pattern(size);
    const key = `t/ingest-${size}`;
    const outcome = await ingest(env.FILES, key, stream(bytes, 777_777), { max_bytes: GENEROUS, content_type: "image/png", metadata: { from: "test" } });
    expect(outcome).toEqual({ ok: true, size, sha256: await sha256(bytes) });
    const head = await env.FILES.head(key);
    expect([head?.size, head?.httpMetadata?.contentType, head?.customMetadata]).toEqual([size, "image/png", { from: "test" }]);
    expect(await digestOf(env.FILES, key)).toBe(await sha256(bytes));
  });

  it("no body is an empty file", async () => {
    expect(await ingest(env.FILES, "t/none", null, { max_bytes: 1 })).toMatchObject({ ok: true, size: 0 });
    expect(await stored("t/none")).toEqual(new Uint8Array(0));
  });

  it("the last byte allowed is taken, one more leaves nothing behind", async () => {
    expect(await ingest(env.FILES, "t/limit", stream(pattern(5000), 100), { max_bytes: 5000 })).toMatchObject({ ok: true, size: 5000 });
    expect(await ingest(env.FILES, "t/over", stream(pattern(5001), 100), { max_bytes: 5000 })).toEqual({ ok: false, reason: "too_large" });
    expect(await ingest(env.FILES, "t/over-parts", stream(pattern(PART_BYTES + 600_000), 500_000), { max_bytes: PART_BYTES + 1 })).toEqual({ ok: false, reason: "too_large" });
    expect([await stored("t/over"), await stored("t/over-parts")]).toEqual([null, null]);
  });

  it("a line that breaks leaves nothing behind, however far it came", async () => {
    for (const failAt of [0, 3_000_000, PART_BYTES + 3_000_000]) {
      await expect(ingest(env.FILES, "t/broken", stream(pattern(2 * PART_BYTES), 1_000_000, failAt), { max_bytes: GENEROUS })).rejects.toThrow("the line broke");
      expect(await stored("t/broken")).toBeNull();
    }
  });
});

describe("uploads in parts", () => {
  it("are closed when the line breaks or the body is too long: no part of them can be continued", async () => {
    const opened: R2MultipartUpload[] = [];
    // The real bucket, watched: it has no way to list open uploads.
    const watched = new Proxy(env.FILES, {
      get: (bucket, name: keyof R2Bucket) =>
        name === "createMultipartUpload"
          ? async (key: string, options: R2MultipartOptions) => {
              const upload = await bucket.createMultipartUpload(key, options);
              opened.push(upload);
              return upload;
            }
          : bucket[name].bind(bucket),
    });
    await expect(ingest(watched, "t/closed", stream(pattern(2 * PART_BYTES), 1_000_000, PART_BYTES + 3_000_000), { max_bytes: GENEROUS })).rejects.toThrow("the line broke");
    await ingest(watched, "t/closed", stream(pattern(2 * PART_BYTES), 1_000_000), { max_bytes: PART_BYTES + 1 });
    expect(opened).toHaveLength(2);
    for (const { uploadId } of opened) await expect(env.FILES.resumeMultipartUpload("t/closed", uploadId).uploadPart(1, "x")).rejects.toThrow("10024");
  });
});

describe("bodies of known length", () => {
  it("[CF21] a file is written once; the second writer is told so and changes nothing", async () => {
    const bytes = pattern(3000);
    const exact = { size: 3000, sha256: await sha256(bytes), content_type: "image/webp" };
    expect(await storeExact(env.FILES, "t/exact", put(bytes), exact)).toEqual({ ok: true });
    expect(await storeExact(env.FILES, "t/exact", put(pattern(10)), { size: 10 })).toEqual({ ok: false, reason: "exists" });
    expect(await stored("t/exact")).toEqual(bytes);
    expect((await env.FILES.head("t/exact"))?.checksums.toJSON().sha256).toBe(exact.sha256);
  });

  it("other bytes than announced are refused by the store", async () => {
    expect(await storeExact(env.FILES, "t/bad-sum", put(pattern(3000)), { size: 3000, sha256: "0".repeat(64) })).toEqual({ ok: false, reason: "checksum" });
    expect(await stored("t/bad-sum")).toBeNull();
  });

  it.each([
    ["longer", 2999],
    ["shorter", 3001],
    ["nothing instead of something", 0],
  ])("a body %s than announced is refused", async (_, size) => {
    expect(await storeExact(env.FILES, "t/bad-length", put(pattern(3000)), { size })).toEqual({ ok: false, reason: "length" });
    expect(await storeExact(env.FILES, "t/bad-length", new Request("https://host/", { method: "PUT", body: stream(pattern(3000), 100) }), { size })).toEqual({ ok: false, reason: "length" });
    expect(await stored("t/bad-length")).toBeNull();
  });

  it("a body without an announced length is taken when it has the granted one", async () => {
    expect(await storeExact(env.FILES, "t/stream", new Request("https://host/", { method: "PUT", body: stream(pattern(3000), 100) }), { size: 3000 })).toEqual({ ok: true });
    expect(await storeExact(env.FILES, "t/empty", new Request("https://host/", { method: "PUT" }), { size: 0 })).toEqual({ ok: true });
  });

  it("[G21] a large file comes in parts, in any order", async () => {
    const bytes = pattern(6 * 1024 * 1024);
    const cut = 5 * 1024 * 1024;
    const upload = await env.FILES.createMultipartUpload("t/parts");
    const second = await storePart(env.FILES, "t/parts", put(bytes.slice(cut)), { upload_id: upload.uploadId, number: 2, size: bytes.byteLength - cut });
    const first = await storePart(env.FILES, "t/parts", put(bytes.slice(0, cut)), { upload_id: upload.uploadId, number: 1, size: cut });
    expect([first.ok, second.ok]).toEqual([true, true]);
    expect(await storePart(env.FILES, "t/parts", put(bytes.slice(0, 10)), { upload_id: upload.uploadId, number: 1, size: cut })).toEqual({ ok: false, reason: "length" });
    await upload.complete([first, second].map((part, index) => ({ partNumber: index + 1, etag: part.ok ? part.etag : "" })));
    expect(await digestOf(env.FILES, "t/parts")).toBe(await sha256(bytes));
    expect(await storePart(env.FILES, "t/parts", put(bytes.slice(cut)), { upload_id: upload.uploadId, number: 2, size: bytes.byteLength - cut })).toEqual({ ok: false, reason: "no_upload" });
  });

  it("the digest of what is not there is null", async () => {
    expect(await digestOf(env.FILES, "t/not-there")).toBeNull();
  });
});
