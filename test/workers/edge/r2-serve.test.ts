import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { serveObject } from "../../../r2/serve.ts";

const KEY = "o/demo/job/1/lease/0-film.mp4";
const BYTES = new Uint8Array(1000).map((_, index) => index % 251);
let etag = "";

async function get(key: string, headers: Record<string, string> = {}, method = "GET", options = { filename: "film.mp4" }): Promise<Response> {
  const answer = await serveObject(env.FILES, key, new Request("https://host/view", { method, headers }), options);
  if (answer === null) throw new Error("no such object");
  return answer;
}

async function bytesOf(answer: Response): Promise<Uint8Array> {
  return new Uint8Array(await answer.arrayBuffer());
}

beforeAll(async () => {
  etag = (await env.FILES.put(KEY, BYTES, { httpMetadata: { contentType: "video/mp4" } }))!.httpEtag;
  for (const [key, type] of [["t/html", "text/html; charset=utf-8"], ["t/svg", "image/svg+xml"], ["t/js", "text/javascript"], ["t/odd", "image/png\nx: y"]] as const) await env.FILES.put(key, "<svg/>", { httpMetadata: { contentType: type } });
});

describe("serving stored files", () => {
  it("[CF22] the whole file comes with its type, length, validators and name", async () => {
    const answer = await get(KEY);
    expect(answer.status).toBe(200);
    expect(Object.fromEntries(answer.headers)).toMatchObject({ "content-type": "video/mp4", "content-length": "1000", etag, "accept-ranges": "bytes", "content-disposition": 'filename="film.mp4"', "x-content-type-options": "nosniff", "cache-control": "private, no-cache" });
    expect(await bytesOf(answer)).toEqual(BYTES);
  });

  it.each([
    ["bytes=0-9", 0, 10],
    ["bytes=990-", 990, 10],
    ["bytes=-1", 999, 1],
    ["bytes=500-5000", 500, 500],
  ])("[CF22] %s is answered with 206 and those bytes", async (range, offset, length) => {
    const answer = await get(KEY, { range });
    expect(answer.status).toBe(206);
    expect(answer.headers.get("content-range")).toBe(`bytes ${offset}-${offset + length - 1}/1000`);
    expect(answer.headers.get("content-length")).toBe(String(length));
    expect(await bytesOf(answer)).toEqual(BYTES.slice(offset, offset + length));
  });

  it("[CF22] a range past the end is 416 and says how long the file is", async () => {
    const answer = await get(KEY, { range: "bytes=1000-" });
    expect([answer.status, answer.headers.get("content-range"), answer.body]).toEqual([416, "bytes */1000", null]);
  });

  it("[CF22] If-Range gives the part of the same bytes and the whole of others", async () => {
    expect((await get(KEY, { range: "bytes=0-1", "if-range": etag })).status).toBe(206);
    expect((await get(KEY, { range: "bytes=0-1", "if-range": '"other"' })).status).toBe(200);
  });

  it("[CF22] what the client has already is 304 without a body, also by range and HEAD", async () => {
    for (const [method, headers] of [["GET", {}], ["GET", { range: "bytes=0-1" }], ["HEAD", {}]] as const) {
      const answer = await get(KEY, { ...headers, "if-none-match": `W/${etag}` }, method);
      expect([answer.status, answer.body, answer.headers.get("etag")]).toEqual([304, null, etag]);
    }
    expect((await get(KEY, { "if-match": '"other"' })).status).toBe(412);
  });

  it("HEAD tells the same as GET, without the bytes", async () => {
    const answer = await get(KEY, {}, "HEAD");
    expect([answer.status, answer.headers.get("content-length"), answer.body]).toEqual([200, "1000", null]);
  });

  it("[CF23] what could act is a download without a type of its own", async () => {
    for (const key of ["t/html", "t/js"]) {
      const answer = await get(key);
      expect(answer.headers.get("content-type")).toBe("application/octet-stream");
      expect(answer.headers.get("content-disposition")).toMatch(/^attachment; /);
      expect(answer.headers.get("content-security-policy")).toContain("sandbox");
    }
  });

  it("[CF23] an SVG is a picture to a picture element and a download to everything else", async () => {
    const picture = await get("t/svg", { "sec-fetch-dest": "image" });
    expect([picture.headers.get("content-type"), picture.headers.get("content-disposition"), picture.headers.get("vary")]).toEqual(["image/svg+xml", 'filename="film.mp4"', "Sec-Fetch-Dest"]);
    for (const dest of ["document", "iframe", "empty"]) expect((await get("t/svg", { "sec-fetch-dest": dest })).headers.get("content-disposition")).toMatch(/^attachment; /);
  });

  it("a stored type that is none is served as bytes", async () => {
    expect((await get("t/odd")).headers.get("content-type")).toBe("application/octet-stream");
  });

  it("a file that is not there is the caller's to answer", async () => {
    for (const [method, headers] of [["GET", {}], ["GET", { range: "bytes=0-" }], ["HEAD", {}]] as const) {
      expect(await serveObject(env.FILES, "o/none", new Request("https://host/", { method, headers: headers as Record<string, string> }), { filename: "x" })).toBeNull();
    }
  });
});
