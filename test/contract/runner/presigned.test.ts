// What a presigned address lets its holder do [G21], asked of two stores that check signatures each by its own code: nothing but the one write it was made for.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { MULTIPART_FROM_BYTES } from "../../../gpu-adapter/contract.ts";
import { presignPart, presignPut } from "../../../r2/presign.ts";
import { fileOf, HandRunner, put } from "./support/hand-runner.ts";
import { openStoreRoom, type StoreKind, type StoreRoom } from "./support/store-room.ts";

const KINDS: StoreKind[] = ["the R2 simulator", "wrangler's local S3 endpoint"];
const BYTES = Buffer.from("the bytes that were announced");
const OTHERS = Buffer.from("bytes nobody announced, alike");
const HOUR_MS = 3_600_000;

describe.each(KINDS)("[G21] %s", (kind) => {
  let box: StoreRoom;
  beforeAll(async () => {
    box = await openStoreRoom(kind);
  });
  afterAll(async () => {
    await box?.end();
  });

  test("takes what was signed, once; a repeat is 412 and the commit then holds", async () => {
    const hand = await HandRunner.take(box, 1);
    const file = fileOf(BYTES);
    const { url, headers, n } = await hand.target(file);
    expect(url.startsWith(`${box.store.endpoint}/${box.store.bucket}/o/demo/${hand.job}/1/${hand.lease}/`)).toBe(true);
    expect((await put(url, headers, BYTES)).status).toBe(200);
    expect(await put(url, headers, BYTES)).toMatchObject({ status: 412, code: "PreconditionFailed" });
    expect((await hand.commit([{ ...file, n }])).status).toBe(200);
    await hand.finish();
  });

  test("takes nothing else: another type, length, condition, sum, method, key or signature", async () => {
    const hand = await HandRunner.take(box, 2);
    const file = fileOf(BYTES);
    const { url, headers, n } = await hand.target(file);
    const mismatch = { status: 403, code: "SignatureDoesNotMatch" };
    expect(await put(url, { ...headers, "content-type": "text/html" }, BYTES)).toMatchObject(mismatch);
    expect(await put(url, headers, BYTES.subarray(1))).toMatchObject(mismatch);
    expect(await put(url, headers, Buffer.concat([BYTES, BYTES]))).toMatchObject(mismatch);
    for (const name of ["content-type", "if-none-match", "x-amz-checksum-sha256"]) {
      const { [name]: _left, ...rest } = headers;
      expect(await put(url, rest, BYTES), `without ${name}`).toMatchObject(mismatch);
    }
    expect(await put(url, { ...headers, "x-amz-checksum-sha256": fileOf(OTHERS).sha256 }, OTHERS)).toMatchObject(mismatch);
    for (const method of ["GET", "DELETE"]) expect((await fetch(url, { method })).status).toBe(403);
    const signature = new URL(url).searchParams.get("X-Amz-Signature") ?? "";
    const changes = [[signature, `${signature.startsWith("0") ? "1" : "0"}${signature.slice(1)}`], ["X-Amz-Expires=3600", "X-Amz-Expires=604800"], [`/${n}-by-hand`, `/${n + 1}-by-hand`]] as const;
    for (const [from, to] of changes) {
      expect(url).toContain(from);
      expect(await put(url.replace(from, to), headers, BYTES)).toMatchObject(mismatch);
    }
    const forged = await presignPut({ ...box.store, secret_access_key: "guessed" }, { ...file, key: `o/demo/${hand.job}/1/${hand.lease}/${n}-by-hand_00001_.png` }, { now: Date.now(), expires_s: 60 });
    expect(await put(forged.url, forged.headers, BYTES)).toMatchObject(mismatch);
    expect((await hand.commit([{ ...file, n }])).status).toBe(422);
    expect((await put(url, headers, BYTES)).status).toBe(200);
    await hand.finish();
  });

  test("an address that has ended is refused", async () => {
    const file = { ...fileOf(BYTES), key: "o/demo/j/1/l/0-late.png" };
    const ended = await presignPut(box.store, file, { now: Date.now() - 2 * HOUR_MS, expires_s: 3600 });
    expect(await put(ended.url, ended.headers, BYTES)).toMatchObject({ status: 403, code: "ExpiredRequest" });
    const open = await presignPut(box.store, file, { now: Date.now() - HOUR_MS / 2, expires_s: 3600 });
    expect((await put(open.url, open.headers, BYTES)).status).toBe(200);
  });

  test("bytes with another sha256 never become a file, whether or not the store looks at the sum", async () => {
    const hand = await HandRunner.take(box, 3);
    const file = fileOf(BYTES);
    expect(OTHERS.byteLength).toBe(BYTES.byteLength);
    const { url, headers, n } = await hand.target(file);
    // wrangler's endpoint does not compare sums; R2 and the simulator answer 400.
    expect(await put(url, headers, OTHERS)).toMatchObject(box.r2 === null ? { status: 200 } : { status: 400, code: "BadDigest" });
    const answer = await hand.commit([{ ...file, n }]);
    expect([answer.status, await answer.json()]).toMatchObject([422, { message: expect.stringContaining(box.r2 === null ? "another sha256" : "not in the store") }]);
    await hand.finish();
  });

  test("an address of one attempt writes no key of another, and outlives its run without power", async () => {
    const first = await HandRunner.take(box, 4);
    const file = fileOf(BYTES);
    const old = await first.target(file);
    expect((await put(old.url, old.headers, BYTES)).status).toBe(200);
    expect((await first.commit([{ ...file, n: old.n }])).status).toBe(200);
    await first.finish();
    const second = await HandRunner.take(box, 5);
    const fresh = await second.target(file);
    const pathOf = (url: string): string => new URL(url).pathname;
    expect(pathOf(fresh.url)).not.toBe(pathOf(old.url));
    const crossed = `${fresh.url.split("?")[0]}?${old.url.split("?")[1]}`;
    expect(await put(crossed, old.headers, BYTES)).toMatchObject({ status: 403, code: "SignatureDoesNotMatch" });
    expect(await put(old.url, old.headers, BYTES)).toMatchObject({ status: 412 });
    expect(await put(old.url, old.headers, OTHERS)).toMatchObject(box.r2 === null ? { status: 412 } : { status: 400 });
    expect((await first.ask("uploads", { files: [file] })).status).toBe(409);
    expect((await first.commit([{ ...file, n: old.n }])).status).toBe(409);
    await second.finish();
  });

  test("an address of a part is for that part and that length, until the upload was completed", async () => {
    const hand = await HandRunner.take(box, 6);
    const film = Buffer.alloc(MULTIPART_FROM_BYTES + 7, 0x5a);
    const file = fileOf(film, { filename: "film.mp4", content_type: "video/mp4" });
    const [target] = await hand.targets([file]);
    if (target?.kind !== "multipart") throw new Error("a large file goes up in parts");
    const cut = (index: number): Buffer => film.subarray(index * target.part_bytes, (index + 1) * target.part_bytes);
    expect(target.urls).toHaveLength(2);
    const mismatch = { status: 403, code: "SignatureDoesNotMatch" };
    for (const url of target.urls) expect(await put(url, {}, BYTES)).toMatchObject(mismatch);
    // Small enough for a server that answers before it has read.
    const key = new URL(target.urls[0] ?? "").pathname.split(`/${box.store.bucket}/`)[1] ?? "";
    const small = await presignPart(box.store, { key, upload_id: target.upload_id, number: 2, size: BYTES.byteLength }, { now: Date.now(), expires_s: 60 });
    expect(await put(small.replace("partNumber=2", "partNumber=1"), {}, BYTES)).toMatchObject(mismatch);
    const parts = [];
    for (const [index, url] of target.urls.entries()) {
      const stored = await put(url, {}, cut(index));
      expect(stored.status).toBe(200);
      parts.push({ part: index + 1, etag: stored.etag });
    }
    expect((await hand.commit([{ ...file, n: target.n, upload_id: target.upload_id, parts }])).status).toBe(200);
    expect(await put(small, {}, BYTES)).toMatchObject({ status: 404, code: "NoSuchUpload" });
    await hand.finish();
  });
});
