// AWS Signature Version 4 from its description (docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html) and node:crypto alone:
// the store's side of a signature, knowing nothing of the library that the Worker signs with.
import { createHash, createHmac, timingSafeEqual } from "node:crypto";

export type Keys = { accessKeyId: string; secretAccessKey: string };
/** What came over the wire: `target` is path and query as sent; header names in any case, one entry per line. */
export type Wire = { method: string; target: string; headers: [name: string, value: string][] };
export type Judged = { ok: true; signed: string[] } | { ok: false; status: number; code: string };

const ALGORITHM = "AWS4-HMAC-SHA256";
const WEEK_S = 7 * 24 * 3600;
/** A signature from the future beyond this is refused, in ms. */
const SKEW_MS = 15 * 60_000;

/** Judges a presigned request at `now` (ms since the epoch). */
export function judgePresigned(wire: Wire, keys: Keys, now: number, regions = ["auto", "us-east-1", ""]): Judged {
  const { path, query } = splitTarget(wire.target);
  const given = new Map(query);
  const [algorithm, credential, date, expires, names, signature] = ["Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature"].map((name) => given.get(`X-Amz-${name}`) ?? "") as [string, string, string, string, string, string];
  if ([algorithm, credential, date, expires, names, signature].includes("")) return refused(400, "InvalidArgument");
  if (algorithm !== ALGORITHM) return refused(400, "InvalidRequest");
  const [id, day, region, service, end, ...more] = credential.split("/");
  if (more.length > 0 || service !== "s3" || end !== "aws4_request" || !regions.includes(region ?? "-") || day !== date.slice(0, 8)) return refused(400, "AuthorizationQueryParametersError");
  if (id !== keys.accessKeyId) return refused(403, "InvalidAccessKeyId");
  const signedAt = timeOf(date);
  const seconds = /^\d{1,6}$/.test(expires) ? Number(expires) : 0;
  if (signedAt === null || seconds < 1 || seconds > WEEK_S) return refused(400, "AuthorizationQueryParametersError");
  if (signedAt - now > SKEW_MS) return refused(403, "RequestTimeTooSkewed");
  if (now > signedAt + seconds * 1000) return refused(403, "ExpiredRequest");
  const signed = names.split(";");
  const sent = gather(wire.headers);
  if (!signed.includes("host") || signed.some((name) => name !== name.toLowerCase() || !sent.has(name))) return refused(403, "SignatureDoesNotMatch");
  if ([...sent.keys()].some((name) => name.startsWith("x-amz-") && !signed.includes(name))) return refused(403, "AccessDenied");
  const canonical = canonicalRequest({ method: wire.method, path, query: query.filter(([name]) => name !== "X-Amz-Signature"), headers: sent, signed, payload: "UNSIGNED-PAYLOAD" });
  return same(signatureOf(keys.secretAccessKey, { date, region: region ?? "" }, canonical), signature) ? { ok: true, signed } : refused(403, "SignatureDoesNotMatch");
}

/** The headers that carry a signature of their own: `x-amz-date`, `x-amz-content-sha256`, `authorization`. All headers given are signed. */
export function signHeaders(request: { method: string; url: string; headers: Record<string, string> }, keys: Keys, options: { now: number; region?: string; payload?: string }): Record<string, string> {
  const { now, region = "auto", payload = "UNSIGNED-PAYLOAD" } = options;
  const url = new URL(request.url);
  const { path, query } = splitTarget(`${url.pathname}${url.search}`);
  const date = new Date(now).toISOString().replaceAll(/[:-]|\.\d{3}/g, "");
  const headers = { ...request.headers, "x-amz-date": date, "x-amz-content-sha256": payload };
  const sent = gather([...Object.entries(headers), ["host", url.host]]);
  const signed = [...sent.keys()].sort();
  const signature = signatureOf(keys.secretAccessKey, { date, region }, canonicalRequest({ method: request.method, path, query, headers: sent, signed, payload }));
  return { ...headers, authorization: `${ALGORITHM} Credential=${keys.accessKeyId}/${date.slice(0, 8)}/${region}/s3/aws4_request,SignedHeaders=${signed.join(";")},Signature=${signature}` };
}

type Canonical = { method: string; path: string; query: [string, string][]; headers: Map<string, string>; signed: string[]; payload: string };

function canonicalRequest({ method, path, query, headers, signed, payload }: Canonical): string {
  const encoded = query.map(([name, value]) => [encode(name), encode(value)] as const).sort((a, b) => compare(a[0], b[0]) || compare(a[1], b[1]));
  const lines = signed.map((name) => `${name}:${(headers.get(name) ?? "").trim().replaceAll(/ +/g, " ")}\n`);
  return [method, path.split("/").map(encode).join("/"), encoded.map((pair) => pair.join("=")).join("&"), lines.join(""), signed.join(";"), payload].join("\n");
}

function signatureOf(secret: string, { date, region }: { date: string; region: string }, canonical: string): string {
  const day = date.slice(0, 8);
  const key = [day, region, "s3", "aws4_request"].reduce<Buffer | string>((by, text) => createHmac("sha256", by).update(text).digest(), `AWS4${secret}`);
  const toSign = [ALGORITHM, date, `${day}/${region}/s3/aws4_request`, createHash("sha256").update(canonical).digest("hex")].join("\n");
  return createHmac("sha256", key).update(toSign).digest("hex");
}

/** Path and query of a request line, decoded; a `+` in a query is a space. */
export function splitTarget(target: string): { path: string; query: [string, string][] } {
  const at = target.indexOf("?");
  const path = at < 0 ? target : target.slice(0, at);
  const query = at < 0 ? [] : target.slice(at + 1).split("&").filter((pair) => pair !== "");
  return {
    path: path.split("/").map(decodeURIComponent).join("/"),
    query: query.map((pair) => {
      const [name, ...value] = pair.split("=");
      return [name ?? "", value.join("=")].map((text) => decodeURIComponent(text.replaceAll("+", " "))) as [string, string];
    }),
  };
}

/** RFC 3986: everything but unreserved characters, byte by byte. */
function encode(text: string): string {
  return [...Buffer.from(text, "utf8")].map((byte) => (/[A-Za-z0-9._~-]/.test(String.fromCharCode(byte)) ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`)).join("");
}

function gather(headers: [string, string][]): Map<string, string> {
  const all = new Map<string, string>();
  for (const [name, value] of headers) all.set(name.toLowerCase(), all.has(name.toLowerCase()) ? `${all.get(name.toLowerCase())},${value.trim()}` : value.trim());
  return all;
}

function timeOf(date: string): number | null {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(date);
  return match === null ? null : Date.parse(`${match[1]}-${match[2]}-${match[3]}T${match[4]}:${match[5]}:${match[6]}Z`);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function same(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
}

function refused(status: number, code: string): Judged {
  return { ok: false, status, code };
}
