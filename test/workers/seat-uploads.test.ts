// Files in parts: what is there counts, what was cut is sent again, and at the end the file is called as any upload would be.
import { env } from "cloudflare:workers";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MAX_FILE_BYTES, partBytes } from "../../frontend-shim/comfy-api/uploads.ts";
import { openSeatOf, openWorkshop } from "./seat-harness.ts";
import type { Seat } from "./seat-harness.ts";

const HERE = "/api/comfyume/uploads";
const PART_BYTES = partBytes(1);
const SIZE = PART_BYTES + 5;

type Opened = { upload_id: string; part_bytes: number; parts: number; present: number[]; done: unknown };

/** `size` bytes of one value, made while they are read; ends early after `cut` bytes with an error. */
function bytes(size: number, value = 7, cut = Number.POSITIVE_INFINITY): ReadableStream<Uint8Array> {
  const chunk = new Uint8Array(1024 * 1024).fill(value);
  let sent = 0;
  return new ReadableStream({
    pull(controller) {
      if (sent >= cut) return controller.error(new Error("the line was cut"));
      if (sent === size) return controller.close();
      const part = chunk.subarray(0, Math.min(size - sent, chunk.byteLength));
      sent += part.byteLength;
      controller.enqueue(part);
    },
  });
}

async function sha256(size: number, value = 7): Promise<string> {
  const digest = new crypto.DigestStream("SHA-256");
  await bytes(size, value).pipeTo(digest);
  return [...new Uint8Array(await digest.digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function ask(seat: Seat, body: unknown): Promise<Response> {
  return await seat.get("POST", HERE, { body: JSON.stringify(body), headers: { "content-type": "application/json" } });
}

async function open(seat: Seat, body: Record<string, unknown> = {}): Promise<Opened> {
  const answer = await ask(seat, { name: "film.mp4", size: SIZE, ...body });
  expect([200, 201]).toContain(answer.status);
  return (await answer.json()) as Opened;
}

async function put(seat: Seat, upload: string, part: number, size: number, body: ReadableStream<Uint8Array> = bytes(size)): Promise<Response> {
  return await seat.get("PUT", `${HERE}/${upload}/parts/${part}`, { body, headers: { "content-length": String(size) } });
}

async function complete(seat: Seat, upload: string): Promise<Response> {
  return await seat.get("POST", `${HERE}/${upload}/complete`);
}

async function present(seat: Seat, upload: string): Promise<number[]> {
  return ((await (await seat.get("GET", `${HERE}/${upload}`)).json()) as Opened).present;
}

async function sendAll(seat: Seat, upload: string, value = 7): Promise<void> {
  expect((await put(seat, upload, 2, 5, bytes(5, value))).status).toBe(200);
  expect((await put(seat, upload, 1, PART_BYTES, bytes(PART_BYTES, value))).status).toBe(200);
}

async function reason(answer: Response): Promise<string> {
  return ((await answer.json()) as { error: { type: string } }).error.type;
}

describe("a file in parts", () => {
  it("arrives in any order, is told what is there, and comes back whole under the name any upload would get", async () => {
    const seat = await openSeatOf();
    const opened = await open(seat, { subfolder: "clips" });
    expect(opened).toMatchObject({ part_bytes: PART_BYTES, parts: 2, present: [], done: null });
    expect((await put(seat, opened.upload_id, 2, 5)).status).toBe(200);
    expect(await present(seat, opened.upload_id)).toEqual([2]);
    const early = await complete(seat, opened.upload_id);
    expect([early.status, await early.json()]).toMatchObject([409, { error: { type: "parts_missing", extra_info: { missing: [1] } } }]);
    expect((await put(seat, opened.upload_id, 1, PART_BYTES)).status).toBe(200);
    expect(await (await complete(seat, opened.upload_id)).json()).toEqual({ name: "film.mp4", subfolder: "clips", type: "input" });
    const head = await seat.get("HEAD", "/view?filename=film.mp4&subfolder=clips&type=input");
    expect([head.headers.get("content-length"), head.headers.get("content-type")]).toEqual([String(SIZE), "video/mp4"]);
    expect(await seat.context.rpc.resolveFile("ada", { type: "input", subfolder: "clips", filename: "film.mp4" })).toMatchObject({ sha256: await sha256(SIZE), size: SIZE });
  });

  it("goes on after a cut: the part that broke off does not count, the same file finds its upload again", async () => {
    const seat = await openSeatOf();
    const digest = await sha256(SIZE);
    const first = await open(seat, { sha256: digest });
    expect((await put(seat, first.upload_id, 2, 5)).status).toBe(200);
    await put(seat, first.upload_id, 1, PART_BYTES, bytes(PART_BYTES, 7, 3 * 1024 * 1024)).then((answer) => expect(answer.status).toBe(400), () => undefined);
    const again = await ask(seat, { name: "film.mp4", size: SIZE, sha256: digest });
    expect([again.status, await again.json()]).toMatchObject([200, { upload_id: first.upload_id, present: [2] }]);
    expect((await open(seat, { sha256: await sha256(SIZE, 8) })).upload_id).not.toBe(first.upload_id);
    expect((await open(seat)).upload_id).not.toBe(first.upload_id);
    expect((await put(seat, first.upload_id, 1, PART_BYTES)).status).toBe(200);
    expect((await complete(seat, first.upload_id)).status).toBe(200);
  });

  it("opened twice at the same moment is one upload", async () => {
    const seat = await openSeatOf();
    const digest = await sha256(SIZE);
    const opened = await Promise.all([1, 2, 3].map(async () => (await open(seat, { sha256: digest })).upload_id));
    expect(new Set(opened).size).toBe(1);
  });

  it("completed twice has one name, and says it again to a client that lost the answer", async () => {
    const seat = await openSeatOf();
    const { upload_id } = await open(seat);
    await sendAll(seat, upload_id);
    const answers = await Promise.all([complete(seat, upload_id), complete(seat, upload_id)]);
    for (const answer of [...answers, await complete(seat, upload_id)]) expect([answer.status, await answer.json()]).toEqual([200, { name: "film.mp4", subfolder: "", type: "input" }]);
    expect(await (await seat.get("GET", "/internal/files/input")).json()).toEqual(["film.mp4"]);
    expect(await (await seat.get("GET", `${HERE}/${upload_id}`)).json()).toMatchObject({ done: { name: "film.mp4", subfolder: "", type: "input" } });
    expect((await put(seat, upload_id, 2, 5)).status).toBe(404);
  });

  it("is numbered, kept once or replaced as any upload is", async () => {
    const seat = await openSeatOf();
    const names: unknown[] = [];
    for (const [value, overwrite] of [[7, false], [7, false], [8, false], [9, true]] as const) {
      const { upload_id } = await open(seat, { overwrite });
      await sendAll(seat, upload_id, value);
      names.push(((await (await complete(seat, upload_id)).json()) as { name: string }).name);
      await seat.settle();
    }
    expect(names).toEqual(["film.mp4", "film.mp4", "film (1).mp4", "film.mp4"]);
    expect(await seat.context.rpc.resolveFile("ada", { type: "input", subfolder: "", filename: "film.mp4" })).toMatchObject({ sha256: await sha256(SIZE, 9) });
  });

  it("whose bytes are not the announced ones is refused and not kept", async () => {
    const seat = await openSeatOf();
    const { upload_id } = await open(seat, { sha256: await sha256(SIZE, 1) });
    await sendAll(seat, upload_id, 2);
    const answer = await complete(seat, upload_id);
    expect([answer.status, await reason(answer)]).toEqual([422, "checksum"]);
    expect(await (await seat.get("GET", "/internal/files/input")).json()).toEqual([]);
    expect((await seat.get("GET", `${HERE}/${upload_id}`)).status).toBe(404);
  });

  it("is nobody else's: another seat finds, fills, completes and drops nothing of it", async () => {
    const { seats: [ada, bob] } = await openWorkshop("ada", "bob");
    if (!ada || !bob) throw new Error("two seats");
    const digest = await sha256(SIZE);
    const { upload_id } = await open(ada, { sha256: digest });
    expect((await open(bob, { sha256: digest })).upload_id).not.toBe(upload_id);
    for (const [method, path] of [["GET", ""], ["POST", "/complete"], ["DELETE", ""]] as const) expect((await bob.get(method, `${HERE}/${upload_id}${path}`)).status).toBe(404);
    expect((await put(bob, upload_id, 2, 5)).status).toBe(404);
    expect(await present(ada, upload_id)).toEqual([]);
  });

  it("given up is gone, and says so", async () => {
    const seat = await openSeatOf();
    const { upload_id } = await open(seat);
    expect((await put(seat, upload_id, 2, 5)).status).toBe(200);
    expect((await seat.get("DELETE", `${HERE}/${upload_id}`)).status).toBe(204);
    for (const answer of [await put(seat, upload_id, 1, PART_BYTES), await complete(seat, upload_id), await seat.get("DELETE", `${HERE}/${upload_id}`)]) expect([answer.status, await reason(answer)]).toEqual([404, "no_such_upload"]);
  });

  it("wrong lengths, parts and requests are refused with what would be right", async () => {
    const seat = await openSeatOf();
    const { upload_id } = await open(seat);
    const tell = async (answer: Promise<Response>) => [(await answer).status, await reason(await answer)];
    expect(await tell(put(seat, upload_id, 3, 5))).toEqual([400, "bad_request"]);
    expect(await tell(put(seat, upload_id, 0, 5))).toEqual([400, "bad_request"]);
    expect(await tell(put(seat, upload_id, 2, 6))).toEqual([400, "wrong_length"]);
    expect(await tell(seat.get("PUT", `${HERE}/${upload_id}/parts/2`, { body: bytes(5) }))).toEqual([411, "length_required"]);
    expect(await present(seat, upload_id)).toEqual([]);
    for (const body of [{}, { name: "x", size: 0 }, { name: "x", size: 1, sha256: "short" }, { name: "x", size: 1, type: "else" }, { name: "a/b", size: 1 }, { name: "x", size: 1, subfolder: "../../up" }, { name: "..", size: 1 }]) expect(await tell(ask(seat, body))).toEqual([400, "bad_request"]);
    expect(await tell(ask(seat, { name: "x", size: MAX_FILE_BYTES + 1 }))).toEqual([413, "payload_too_large"]);
    expect((await seat.get("PUT", HERE)).status).toBe(405);
  });

  it("takes any name as data: it is kept within the seat's own keys and folders, or refused, and never crashes", async () => {
    const seat = await openSeatOf();
    const name = fc.oneof(fc.string({ unit: "binary", maxLength: 20 }), fc.stringMatching(/^[./\\%a\0]{0,12}$/));
    await fc.assert(
      fc.asyncProperty(name, name, async (file, subfolder) => {
        const answer = await ask(seat, { name: file, subfolder, size: 1 });
        if (answer.status === 400) return;
        expect(answer.status).toBe(201);
        const { upload_id } = (await answer.json()) as Opened;
        const stored = (await seat.context.rpc.findUpload("ada", upload_id))!;
        expect(stored.key).toMatch(new RegExp(`^in/${seat.context.workshop}/ada/[0-9a-f-]{36}$`));
        expect(stored.filename).not.toMatch(/\/|^\.{0,2}$/);
        expect(stored.subfolder.split("/")).not.toContain("..");
        expect((await seat.get("DELETE", `${HERE}/${upload_id}`)).status).toBe(204);
      }),
      { numRuns: 60 },
    );
  });

  it("has parts that grow with it, from 8 to 64 MiB, and few of them", () => {
    const mib = 1024 ** 2;
    for (const [size, part] of [[1, 8], [512 * mib, 8], [512 * mib + 1, 16], [2048 * mib, 32], [MAX_FILE_BYTES, 64]] as const) expect(partBytes(size)).toBe(part * mib);
    expect(MAX_FILE_BYTES / partBytes(MAX_FILE_BYTES)).toBeLessThanOrEqual(128);
  });

  it("twenty unfinished ones are the most, and the refusal opens nothing in the bucket", async () => {
    const seat = await openSeatOf();
    for (let n = 0; n < 20; n++) await open(seat, { name: `film${n}.mp4` });
    const answer = await ask(seat, { name: "one more.mp4", size: SIZE });
    expect([answer.status, await answer.json()]).toMatchObject([409, { error: { type: "too_many_uploads", message: expect.stringContaining("film0.mp4"), extra_info: { limit: 20, current: 20 } } }]);
    await seat.settle();
    expect((await env.FILES.list({ prefix: `in/${seat.context.workshop}/` })).objects).toEqual([]);
  });
});
