// Files of a seat beyond what was recorded: large and broken uploads, masks to the pixel, views that cost nothing twice.
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { MAX_BODY_BYTES } from "../../frontend-shim/comfy-api/context.ts";
import { decodePng, encodeLossy, encodePng } from "../../frontend-shim/comfy-api/pictures/index.ts";
import type { Chunk } from "../../frontend-shim/comfy-api/pictures/index.ts";
import { openSeatOf } from "./seat-harness.ts";
import type { Seat } from "./seat-harness.ts";

type Rgba = (x: number, y: number) => [number, number, number, number];

function paint(width: number, height: number, rgba: Rgba) {
  const pixels = Uint8ClampedArray.from(Array.from({ length: width * height }, (_, at) => rgba(at % width, Math.floor(at / width))).flat());
  return { width, height, rgba: pixels };
}

async function png(width: number, height: number, rgba: Rgba, text: Chunk[] = []): Promise<Uint8Array<ArrayBuffer>> {
  return await encodePng(paint(width, height, rgba), "rgba", text);
}

async function upload(seat: Seat, name: string, bytes: Uint8Array<ArrayBuffer> | string, fields: Record<string, string> = {}, route = "image"): Promise<Response> {
  const form = new FormData();
  form.set("image", new File([bytes], name));
  for (const [field, value] of Object.entries(fields)) form.set(field, value);
  return await seat.get("POST", `/upload/${route}`, { body: form });
}

async function viewed(seat: Seat, query: string): Promise<Uint8Array> {
  const answer = await seat.get("GET", `/view?${query}`);
  expect(answer.status).toBe(200);
  return new Uint8Array(await answer.arrayBuffer());
}

async function objects(seat: Seat): Promise<number> {
  await seat.settle();
  return (await env.FILES.list({ prefix: `in/${seat.context.workshop}/` })).objects.length;
}

/** A form of one file of `size` bytes that is made while it is sent. */
function streamedForm(size: number, end = "\r\n--b--"): ReadableStream<Uint8Array> {
  const chunk = new Uint8Array(1024 * 1024).fill(7);
  let left = size;
  let begun = false;
  return new ReadableStream({
    pull(controller) {
      if (!begun) {
        begun = true;
        return controller.enqueue(new TextEncoder().encode('--b\r\nContent-Disposition: form-data; name="image"; filename="film.mp4"\r\nContent-Type: video/mp4\r\n\r\n'));
      }
      if (left === 0) {
        controller.enqueue(new TextEncoder().encode(end));
        return controller.close();
      }
      const part = chunk.subarray(0, Math.min(left, chunk.byteLength));
      left -= part.byteLength;
      controller.enqueue(part);
    },
  });
}

const FORM = { "content-type": "multipart/form-data; boundary=b" };

describe("uploads", () => {
  it("a film of 30 MB streams in parts and comes back whole, with its type and ranges", async () => {
    const seat = await openSeatOf();
    const size = 30 * 1024 * 1024 + 5;
    expect(await (await seat.get("POST", "/upload/image", { body: streamedForm(size), headers: FORM })).json()).toEqual({ name: "film.mp4", subfolder: "", type: "input" });
    const whole = await seat.get("HEAD", "/view?filename=film.mp4&type=input");
    expect([whole.headers.get("content-length"), whole.headers.get("content-type"), whole.headers.get("accept-ranges")]).toEqual([String(size), "video/mp4", "bytes"]);
    const last = await seat.get("GET", "/view?filename=film.mp4&type=input", { headers: { range: "bytes=-3" } });
    expect([last.status, last.headers.get("content-range")]).toEqual([206, `bytes ${size - 3}-${size - 1}/${size}`]);
    expect([...new Uint8Array(await last.arrayBuffer())]).toEqual([7, 7, 7]);
    expect((await seat.get("GET", "/view?filename=film.mp4&type=input", { headers: { range: `bytes=${size}-` } })).status).toBe(416);
  });

  it("over 100 MB is 413 with ComfyUI's text and the command that takes it, announced or not, and nothing stays", async () => {
    const seat = await openSeatOf();
    const announced = await seat.get("POST", "/upload/image", { body: "x", headers: { ...FORM, "content-length": String(MAX_BODY_BYTES + 1) } });
    const streamed = await seat.get("POST", "/upload/image", { body: streamedForm(MAX_BODY_BYTES), headers: FORM });
    for (const answer of [announced, streamed]) expect([answer.status, await answer.text()]).toEqual([413, expect.stringMatching(/^Maximum request body size 104857600 exceeded\. .*npm run upload -- http:\/\/seat\.test\/seat-test-\S+\/ada\/ FILE$/)]);
    expect(await objects(seat)).toBe(0);
  });

  it("a form that breaks off is refused with a sentence and leaves nothing", async () => {
    const seat = await openSeatOf();
    for (const body of [streamedForm(10, ""), streamedForm(9 * 1024 * 1024, ""), streamedForm(10, '\r\n--b\r\nContent-Disposition: form-data; name="type"')]) {
      const answer = await seat.get("POST", "/upload/image", { body, headers: FORM });
      expect([answer.status, await answer.text()]).toEqual([400, expect.stringContaining("Nothing was stored")]);
    }
    expect((await seat.get("POST", "/upload/image", { body: "{}", headers: { "content-type": "application/json" } })).status).toBe(400);
    expect(await objects(seat)).toBe(0);
    expect(await (await seat.get("GET", "/internal/files/input")).json()).toEqual([]);
  });

  it("equal bytes under one name are kept once, other bytes are numbered, refused ones are not kept", async () => {
    const seat = await openSeatOf();
    await upload(seat, "a.png", "one");
    await upload(seat, "a.png", "one");
    expect(await objects(seat)).toBe(1);
    expect(await (await upload(seat, "a.png", "two")).json()).toEqual({ name: "a (1).png", subfolder: "", type: "input" });
    expect((await upload(seat, "a.png", "three", { subfolder: "../up" })).status).toBe(400);
    expect((await upload(seat, "a.png", "three", { type: "nonsense" })).status).toBe(500);
    expect(await objects(seat)).toBe(2);
  });

  it("an overwritten picture stays readable for a job that waits with it", async () => {
    const seat = await openSeatOf();
    await upload(seat, "a.png", "old");
    const before = await seat.context.rpc.resolveFile("ada", { type: "input", subfolder: "", filename: "a.png" });
    await upload(seat, "a.png", "new", { overwrite: "true" });
    expect(new TextDecoder().decode(await viewed(seat, "filename=a.png&type=input"))).toBe("new");
    expect(await (await env.FILES.get(before?.key ?? ""))?.text()).toBe("old");
  });

  it("twenty tabs uploading different pictures under one name get twenty names", async () => {
    const seat = await openSeatOf();
    const names = await Promise.all(Array.from({ length: 20 }, async (_, at) => ((await (await upload(seat, "p.png", `picture ${at}`)).json()) as { name: string }).name));
    expect(new Set(names).size).toBe(20);
    expect(await objects(seat)).toBe(20);
  });

  it.each([
    ["a bare boundary without quotes and a preamble", 'before\r\n--b\r\nContent-Disposition: form-data; name="image"; filename="a.txt"\r\n\r\nhello\r\n--b--\r\nafter', "hello"],
    ["a boundary-like line inside the file", '--b\r\nContent-Disposition: form-data; name="image"; filename="a.txt"\r\n\r\n\r\n--\r\n--c\r\n--\r\n--b--', "\r\n--\r\n--c\r\n--"],
    ["an empty file", '--b\r\nContent-Disposition: form-data; name="image"; filename="a.txt"\r\n\r\n\r\n--b--\r\n', ""],
    ["the file after its fields, and a second file", '--b\r\ncontent-disposition: form-data; name=subfolder\r\n\r\n\r\n--b\r\nContent-Disposition: form-data; name="image"; filename="a.txt"\r\n\r\nfirst\r\n--b\r\nContent-Disposition: form-data; name="image"; filename="b.txt"\r\n\r\nsecond\r\n--b--', "first"],
  ])("reads %s", async (_name, body, content) => {
    const seat = await openSeatOf();
    expect(await (await seat.get("POST", "/upload/image", { body, headers: FORM })).json()).toEqual({ name: "a.txt", subfolder: "", type: "input" });
    expect(new TextDecoder().decode(await viewed(seat, "filename=a.txt&type=input"))).toBe(content);
  });

  it("takes names as browsers, Python and curl write them", async () => {
    const seat = await openSeatOf();
    for (const [header, name] of [['filename="a%22b.png"', 'a"b.png'], ["filename=\"x.png\"; filename*=UTF-8''%E5%9B%BE.png", "图.png"], ['filename="c\\"d.png"', 'c"d.png']] as const) {
      const body = `--b\r\nContent-Disposition: form-data; name="image"; ${header}\r\n\r\n${name}\r\n--b--\r\n`;
      expect(await (await seat.get("POST", "/upload/image", { body, headers: FORM })).json()).toEqual({ name, subfolder: "", type: "input" });
    }
  });
});

const original: Rgba = (x, y) => [x * 9, y * 13, 200, 255];
const mask: Rgba = (x, y) => [1, 2, 3, (x * 20 + y) % 256];
const fading: Rgba = (x, y) => [x * 30, y * 30, 99, 255 - x * 10];

describe("masks", () => {
  const reference = { original_ref: JSON.stringify({ filename: "o.png", subfolder: "", type: "input" }), type: "input", subfolder: "clipspace" };
  const workflow: Chunk = { type: "tEXt", data: new TextEncoder().encode('workflow\0{"id":1}') };

  it("lays the uploaded alpha onto the original's colours and keeps its workflow", async () => {
    const seat = await openSeatOf();
    await upload(seat, "o.png", await png(12, 9, original, [workflow]));
    expect(await (await upload(seat, "m.png", await png(12, 9, mask), reference, "mask")).json()).toEqual({ name: "m.png", subfolder: "clipspace", type: "input" });
    const made = await decodePng(await viewed(seat, "filename=m.png&type=input&subfolder=clipspace"), 1e6);
    if (!made.ok) throw new Error(made.fault);
    expect([...made.picture.rgba]).toEqual([...paint(12, 9, (x, y) => [...(original(x, y).slice(0, 3) as [number, number, number]), mask(x, y)[3]]).rgba]);
    expect(made.picture.text.map((chunk) => new TextDecoder().decode(chunk.data))).toEqual(['workflow\0{"id":1}']);
  });

  it("takes JPEG and WebP originals too", async () => {
    const seat = await openSeatOf();
    for (const format of ["jpeg", "webp"] as const) {
      await upload(seat, `o.${format}`, await encodeLossy(paint(16, 16, original), format, 95));
      const answer = await upload(seat, `m-${format}.png`, await png(16, 16, mask), { ...reference, original_ref: JSON.stringify({ filename: `o.${format}`, type: "input" }) }, "mask");
      expect(answer.status).toBe(200);
      const made = await decodePng(await viewed(seat, `filename=m-${format}.png&type=input&subfolder=clipspace`), 1e6);
      expect(made.ok && [...made.picture.rgba].filter((_, at) => at % 4 === 3)).toEqual([...paint(16, 16, mask).rgba].filter((_, at) => at % 4 === 3));
    }
  });

  it("says what is wrong when it cannot: other size, no picture, a way out", async () => {
    const seat = await openSeatOf();
    await upload(seat, "o.png", await png(12, 9, original));
    await upload(seat, "t.txt", "text");
    const cases: [Uint8Array<ArrayBuffer> | string, object, number, string][] = [
      [await png(5, 5, mask), { filename: "o.png", type: "input" }, 400, "same size"],
      ["no picture", { filename: "o.png", type: "input" }, 400, "PNG, JPEG or WebP"],
      [await png(12, 9, mask), { filename: "t.txt", type: "input" }, 400, "t.txt"],
      [await png(12, 9, mask), { filename: "../o.png", type: "input" }, 400, ""],
      [await png(12, 9, mask), { filename: "o.png", type: "input", subfolder: "../.." }, 403, ""],
    ];
    for (const [bytes, original_ref, status, words] of cases) {
      const answer = await upload(seat, "m.png", bytes, { ...reference, original_ref: JSON.stringify(original_ref) }, "mask");
      expect(answer.status).toBe(status);
      expect(await answer.text()).toContain(words);
    }
    expect((await (await seat.get("GET", "/internal/files/input")).json()) as string[]).toHaveLength(2);
  });
});

describe("views", () => {
  it("channel=a is black with the alpha, channel=rgb has no alpha, to the pixel", async () => {
    const seat = await openSeatOf();
    await upload(seat, "p.png", await png(8, 6, fading));
    const alpha = await decodePng(await viewed(seat, "filename=p.png&type=input&channel=a"), 1e6);
    const rgb = await decodePng(await viewed(seat, "filename=p.png&type=input&channel=rgb"), 1e6);
    expect(alpha.ok && [...alpha.picture.rgba]).toEqual([...paint(8, 6, (x, y) => [0, 0, 0, fading(x, y)[3]]).rgba]);
    expect(rgb.ok && [...rgb.picture.rgba]).toEqual([...paint(8, 6, (x, y) => [...(fading(x, y).slice(0, 3) as [number, number, number]), 255]).rgba]);
  });

  it("a preview has a validator of its own and is not made twice for who has it", async () => {
    const seat = await openSeatOf();
    await upload(seat, "p.png", await png(8, 6, () => [1, 2, 3, 255]));
    const first = await seat.get("GET", "/view?filename=p.png&type=input&preview=webp;90");
    const etag = first.headers.get("etag") ?? "";
    expect(first.headers.get("content-type")).toBe("image/webp");
    expect((await seat.get("GET", "/view?filename=p.png&type=input&preview=webp;90", { headers: { "if-none-match": etag } })).status).toBe(304);
    expect((await seat.get("GET", "/view?filename=p.png&type=input&preview=webp;50", { headers: { "if-none-match": etag } })).status).toBe(200);
    await upload(seat, "p.png", await png(8, 6, () => [9, 2, 3, 255]), { overwrite: "true" });
    expect((await seat.get("GET", "/view?filename=p.png&type=input&preview=webp;90", { headers: { "if-none-match": etag } })).status).toBe(200);
  });

  it("more pixels than can be decoded here are shown as they are", async () => {
    const seat = await openSeatOf();
    const bytes = await png(16, 12, () => [1, 2, 3, 255]);
    new DataView(bytes.buffer).setUint32(16, 60_000);
    new DataView(bytes.buffer).setUint32(20, 60_000);
    await upload(seat, "huge.png", bytes);
    const answer = await seat.get("GET", "/view?filename=huge.png&type=input&preview=webp;90");
    expect([answer.status, answer.headers.get("content-type")]).toEqual([200, "image/png"]);
  });

  it("[CF23] html, svg and scripts never open as a page", async () => {
    const seat = await openSeatOf();
    for (const name of ["a.html", "a.svg", "a.js", "a.xml", "a.css", "a.xhtml"]) {
      await upload(seat, name, "<script>alert(1)</script>");
      const answer = await seat.get("GET", `/view?filename=${name}&type=input`);
      expect([answer.headers.get("content-disposition")?.startsWith("attachment; "), answer.headers.get("x-content-type-options")]).toEqual([true, "nosniff"]);
    }
  });
});
