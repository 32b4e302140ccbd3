// Presigned addresses: AWS's own examples first, then the Worker's signer against a verifier that shares no code with it.
import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readUploads } from "../../../r2/presign-settings.ts";
import { presign, presignPart, presignPut, type PresignStore } from "../../../r2/presign.ts";
import { judgePresigned, signHeaders, type Wire } from "../../simulators/r2/sigv4.ts";

// docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html and sig-v4-header-based-auth.html, with the documentation's own key.
const AWS = { access_key_id: "AKIAIOSFODNN7EXAMPLE", secret_access_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", region: "us-east-1" };
const AWS_NOW = Date.UTC(2013, 4, 24);
const NOW = Date.UTC(2026, 10, 28, 12);

const store: PresignStore = { endpoint: "https://0123456789abcdef.eu.r2.cloudflarestorage.com", bucket: "comfyume-files", access_key_id: "key-id", secret_access_key: "key-secret" };
const keys = { accessKeyId: store.access_key_id, secretAccessKey: store.secret_access_key };
const term = { now: NOW, expires_s: 3600 };
const bytes = Buffer.from("picture");
const file = { key: "o/demo/job/1/lease/0-picture.png", size: bytes.length, content_type: "image/png", sha256: createHash("sha256").update(bytes).digest("hex") };

function wireOf(url: string, headers: Record<string, string>, method = "PUT"): Wire {
  const { host, pathname, search } = new URL(url);
  return { method, target: `${pathname}${search}`, headers: [...Object.entries(headers), ["Host", host], ["User-Agent", "runner"]] };
}
const refusedAs = (code: string, status = 403): object => ({ ok: false, status, code });

describe("AWS's published examples", () => {
  const example = "https://examplebucket.s3.amazonaws.com/test.txt";

  it("the presigned GET has the signature that the documentation gives", async () => {
    const url = new URL(await presign(AWS, { method: "GET", url: example }, { now: AWS_NOW, expires_s: 86_400 }));
    expect(url.searchParams.get("X-Amz-Signature")).toBe("aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
    expect(judgePresigned(wireOf(url.href, {}, "GET"), { accessKeyId: AWS.access_key_id, secretAccessKey: AWS.secret_access_key }, AWS_NOW, ["us-east-1"])).toEqual({ ok: true, signed: ["host"] });
  });

  it("the verifier's own signing gives the documentation's signature of a PUT", () => {
    const payload = createHash("sha256").update("Welcome to Amazon S3.").digest("hex");
    const request = { method: "PUT", url: "https://examplebucket.s3.amazonaws.com/test%24file.text", headers: { date: "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY" } };
    const signed = signHeaders(request, { accessKeyId: AWS.access_key_id, secretAccessKey: AWS.secret_access_key }, { now: AWS_NOW, region: "us-east-1", payload });
    expect(signed.authorization).toContain("Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
  });
});

describe("[G21] a presigned PUT", () => {
  it("leads to the object on the endpoint and signs type, length, condition and sha256", async () => {
    const { url, headers } = await presignPut(store, file, term);
    expect(url.startsWith(`${store.endpoint}/comfyume-files/o/demo/job/1/lease/0-picture.png?`)).toBe(true);
    expect(headers).toEqual({ "content-length": "7", "content-type": "image/png", "if-none-match": "*", "x-amz-checksum-sha256": createHash("sha256").update(bytes).digest("base64") });
    expect(new URL(url).searchParams.get("X-Amz-SignedHeaders")).toBe("content-length;content-type;host;if-none-match;x-amz-checksum-sha256");
    expect(new URL(url).searchParams.get("X-Amz-Expires")).toBe("3600");
    expect(url).not.toContain(store.secret_access_key);
    expect(judgePresigned(wireOf(url, headers), keys, NOW)).toMatchObject({ ok: true });
  });

  it("is refused without one of its headers, or with another value", async () => {
    const { url, headers } = await presignPut(store, file, term);
    for (const name of Object.keys(headers)) {
      const { [name]: _left, ...rest } = headers;
      expect(judgePresigned(wireOf(url, rest), keys, NOW), `without ${name}`).toEqual(refusedAs("SignatureDoesNotMatch"));
      expect(judgePresigned(wireOf(url, { ...headers, [name]: "other" }), keys, NOW), `another ${name}`).toEqual(refusedAs("SignatureDoesNotMatch"));
    }
    expect(judgePresigned(wireOf(url, { ...headers, "x-amz-meta-extra": "1" }), keys, NOW)).toEqual(refusedAs("AccessDenied"));
  });

  it("is for one method, one key, one host and one hour", async () => {
    const { url, headers } = await presignPut(store, file, term);
    for (const method of ["GET", "DELETE", "POST"]) expect(judgePresigned(wireOf(url, headers, method), keys, NOW)).toEqual(refusedAs("SignatureDoesNotMatch"));
    for (const [from, to] of [["/1/lease/", "/2/lease/"], ["comfyume-files", "other-files"], [".eu.r2", ".r2"], ["Expires=3600", "Expires=7200"], ["T120000Z", "T120001Z"]] as const) {
      const changed = url.replaceAll(from, to);
      expect(changed).not.toBe(url);
      expect(judgePresigned(wireOf(changed, headers), keys, NOW)).toEqual(refusedAs("SignatureDoesNotMatch"));
    }
    expect(judgePresigned(wireOf(url, headers), keys, NOW + 3_600_000)).toMatchObject({ ok: true });
    expect(judgePresigned(wireOf(url, headers), keys, NOW + 3_601_000)).toEqual(refusedAs("ExpiredRequest"));
    expect(judgePresigned(wireOf(url, headers), { ...keys, secretAccessKey: "another" }, NOW)).toEqual(refusedAs("SignatureDoesNotMatch"));
  });

  it("holds for any key, size and type, and a type that is none becomes bytes", async () => {
    const anything = fc.record({ key: fc.array(fc.string({ minLength: 1, unit: "grapheme" }), { minLength: 1, maxLength: 4 }).map((parts) => `o/${parts.map((part) => part.replaceAll("/", "_")).join("/")}`).filter((key) => !key.split("/").some((part) => part === "." || part === "..") && key.isWellFormed()), size: fc.nat(), content_type: fc.oneof(fc.constantFrom("image/png", "text/plain; charset=utf-8", "a/b;  c=d"), fc.string({ unit: "grapheme" })) });
    await fc.assert(
      fc.asyncProperty(anything, async (some) => {
        const { url, headers } = await presignPut(store, { ...file, ...some }, term);
        expect(() => new Headers(headers)).not.toThrow();
        expect(judgePresigned(wireOf(url, headers), keys, NOW)).toMatchObject({ ok: true });
      }),
    );
    expect((await presignPut(store, { ...file, content_type: "line\nbreak" }, term)).headers["content-type"]).toBe("application/octet-stream");
  });
});

describe("[G21] a presigned part", () => {
  const part = { key: "o/demo/job/1/lease/0-film.mp4", upload_id: "an+id/with=all&signs ~*'(", number: 3, size: 64 };

  it("signs upload, number and length, and no sha256, which R2 refuses on parts", async () => {
    const url = await presignPart(store, part, term);
    expect(new URL(url).searchParams.get("uploadId")).toBe(part.upload_id);
    expect(new URL(url).searchParams.get("X-Amz-SignedHeaders")).toBe("content-length;host");
    expect(judgePresigned(wireOf(url, { "content-length": "64" }), keys, NOW)).toMatchObject({ ok: true });
    expect(judgePresigned(wireOf(url, { "content-length": "65" }), keys, NOW)).toEqual(refusedAs("SignatureDoesNotMatch"));
    expect(judgePresigned(wireOf(url.replace("partNumber=3", "partNumber=4"), { "content-length": "64" }), keys, NOW)).toEqual(refusedAs("SignatureDoesNotMatch"));
  });
});

describe("the four settings", () => {
  const all = { R2_ACCESS_KEY_ID: "id", R2_SECRET_ACCESS_KEY: "secret\n", R2_ENDPOINT: "https://abc.eu.r2.cloudflarestorage.com/", R2_BUCKET: "comfyume-files" };

  it("none: the platform's own addresses; all: R2", () => {
    expect(readUploads({ FILES: {}, SESSION_SECRET: "x" })).toEqual({ to: "platform" });
    expect(readUploads(all)).toEqual({ to: "r2", store: { endpoint: "https://abc.eu.r2.cloudflarestorage.com", bucket: "comfyume-files", access_key_id: "id", secret_access_key: "secret" } });
    expect(readUploads({ ...all, R2_ENDPOINT: "http://127.0.0.1:9000/s3/" })).toMatchObject({ to: "r2", store: { endpoint: "http://127.0.0.1:9000/s3" } });
  });

  it.each(Object.keys(all))("without %s the fault names it, and no value", (name) => {
    const uploads = readUploads({ ...all, [name]: "" });
    expect(uploads).toEqual({ to: "nowhere", fault: expect.stringContaining(`${name} is missing`) });
    expect(JSON.stringify(uploads)).not.toContain("secret");
  });

  it("one alone names the other three", () => {
    expect(readUploads({ R2_ENDPOINT: all.R2_ENDPOINT })).toEqual({ to: "nowhere", fault: expect.stringContaining("R2_ACCESS_KEY_ID and R2_SECRET_ACCESS_KEY and R2_BUCKET are missing") });
  });

  it.each([
    ["R2_ENDPOINT", "abc.r2.cloudflarestorage.com", "no address"],
    ["R2_ENDPOINT", "http://abc.r2.cloudflarestorage.com", "https://"],
    ["R2_ENDPOINT", "https://abc.r2.cloudflarestorage.com/comfyume-files", "goes into R2_BUCKET"],
    ["R2_ENDPOINT", "https://abc.r2.cloudflarestorage.com?x=1", "nothing more"],
    ["R2_ENDPOINT", "https://user:pass@abc.r2.cloudflarestorage.com", "nothing more"],
    ["R2_BUCKET", "../other", "not the name of a bucket"],
  ])("%s = %s is a fault", (name, value, words) => {
    expect(readUploads({ ...all, [name]: value })).toEqual({ to: "nowhere", fault: expect.stringContaining(words) });
  });
});
