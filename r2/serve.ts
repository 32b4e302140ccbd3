// Serves one stored object over HTTP: ranges, validators and safe headers [CF22], [CF23]. Decides nothing about who may read it.
// Invariant: bytes a participant made can never run as a page of ours. Active types go out as downloads, and nothing is sniffed.
import { ACTIVE, condition, currentRange, dispositionName, MIME, parseRange } from "./http.ts";

export type ServeOptions = {
  /** The name the browser shows or saves under. */
  filename: string;
  /** Overrides the stored type. */
  content_type?: string;
  /** `private, no-cache` when left out: the name may mean another file tomorrow, the validators make asking cheap. */
  cache_control?: string;
  /** Always as a download. */
  attachment?: boolean;
};

/**
 * Answers GET and HEAD for the object under `key`; null when there is none (the caller knows its own 404).
 * 206 and 416 for one range (several ranges are answered with the whole, RFC 9110 14.2), 304 and 412 for conditions.
 */
export async function serveObject(bucket: R2Bucket, key: string, request: Request, options: ServeOptions): Promise<Response | null> {
  // Asked for first where the answer may have no body: bytes that are fetched and thrown away are paid for.
  if (request.method === "HEAD" || CONDITIONAL.some((name) => request.headers.has(name))) return await serveKnown(bucket, key, request, options);
  const object = await bucket.get(key);
  return object === null ? null : new Response(object.body, { headers: { ...describe(object, request, options), "content-length": String(object.size) } });
}

const CONDITIONAL = ["range", "if-none-match", "if-modified-since", "if-match", "if-unmodified-since"];

async function serveKnown(bucket: R2Bucket, key: string, request: Request, options: ServeOptions): Promise<Response | null> {
  const head = await bucket.head(key);
  if (head === null) return null;
  const headers = describe(head, request, options);
  const verdict = condition(head, request.headers);
  if (verdict !== null) return new Response(null, { status: verdict, headers: withoutBody(headers) });
  if (request.method === "HEAD") return new Response(null, { headers: { ...headers, "content-length": String(head.size) } });
  return await serveBytes(bucket, key, request, head, headers);
}

async function serveBytes(bucket: R2Bucket, key: string, request: Request, head: R2Object, headers: Record<string, string>): Promise<Response | null> {
  const range = request.headers.has("range") && currentRange(request.headers, head) ? parseRange(request.headers.get("range") ?? "", head.size) : "whole";
  if (range === "unsatisfiable") return new Response(null, { status: 416, headers: { ...withoutBody(headers), "content-range": `bytes */${head.size}` } });
  // The same bytes the head spoke of, or the file was replaced in between: then the caller's 404 is the honest answer to a rare race.
  const object = await bucket.get(key, { onlyIf: { etagMatches: head.etag }, ...(range === "whole" ? {} : { range }) });
  if (object === null || !("body" in object)) return null;
  if (range === "whole") return new Response(object.body, { headers: { ...headers, "content-length": String(head.size) } });
  const last = range.offset + range.length - 1;
  return new Response(object.body, { status: 206, headers: { ...headers, "content-length": String(range.length), "content-range": `bytes ${range.offset}-${last}/${head.size}` } });
}

function describe(object: R2Object, request: Request, options: ServeOptions): Record<string, string> {
  const claimed = (options.content_type ?? object.httpMetadata?.contentType ?? "").toLowerCase();
  const stored = MIME.test(claimed) ? claimed : "application/octet-stream";
  const mime = stored.split(";")[0]?.trim() ?? "";
  const svg = mime === "image/svg+xml";
  // A picture element never runs what is inside an SVG; every other use of it is a document.
  const attachment = options.attachment === true || ACTIVE.test(mime) || (svg && request.headers.get("sec-fetch-dest") !== "image");
  return {
    "content-type": ACTIVE.test(mime) && !svg ? "application/octet-stream" : stored,
    "content-disposition": `${attachment ? "attachment; " : ""}${dispositionName(options.filename)}`,
    "x-content-type-options": "nosniff",
    "cache-control": options.cache_control ?? "private, no-cache",
    "accept-ranges": "bytes",
    etag: object.httpEtag,
    "last-modified": object.uploaded.toUTCString(),
    ...(svg || attachment ? { "content-security-policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:" } : {}),
    ...(svg ? { vary: "Sec-Fetch-Dest" } : {}),
  };
}

function withoutBody(headers: Record<string, string>): Record<string, string> {
  const { "content-type": _type, "content-disposition": _disposition, ...rest } = headers;
  return rest;
}
