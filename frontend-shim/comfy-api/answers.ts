// The answers that recur in ComfyUI's protocol, byte for byte where clients look: there is no common error shape, each group has its own (docs/spec/comfy-api.md, 1).
import { MAX_BODY_BYTES } from "./context.ts";

const JSON_TYPE = "application/json; charset=utf-8";
const TEXT_TYPE = "text/plain; charset=utf-8";

export function json(value: unknown, status = 200, headers: Record<string, string> = {}): Response {
  return jsonText(JSON.stringify(value), status, headers);
}

/** A body that is JSON already: made once in the object, sent on unchanged. */
export function jsonText(body: string | ReadableStream<Uint8Array>, status = 200, headers: Record<string, string> = {}): Response {
  return new Response(body, { status, headers: { "content-type": JSON_TYPE, ...headers } });
}

export function text(body: string, status: number, headers: Record<string, string> = {}): Response {
  return new Response(body, { status, headers: { "content-type": TEXT_TYPE, ...headers } });
}

/** ComfyUI's success without content: 200, no body, no content type. */
export function done(): Response {
  return new Response(null);
}

/** A refusal without words, as ComfyUI's file routes give it. */
export function bare(status: number, statusText?: string): Response {
  return new Response(null, statusText === undefined ? { status } : { status, statusText });
}

/** What aiohttp answers when a handler fell over its input. Clients match on the status; the text is the recorded one. */
export function crashed(): Response {
  return text("500 Internal Server Error\n\nServer got itself in trouble", 500);
}

/** A file over one request's limit: ComfyUI's sentence, and what to do about it. */
export function fileTooLarge(address: string): Response {
  return text(`Maximum request body size ${MAX_BODY_BYTES} exceeded. Nothing was stored. Send a larger file in parts: npm run upload -- ${address} FILE`, 413);
}

export function tooLarge(limit: number = MAX_BODY_BYTES): Response {
  return text(`Maximum request body size ${limit} exceeded.`, 413);
}

/** An unknown path: empty, from the static handler. */
export function notFound(): Response {
  return new Response(null, { status: 404, headers: { "content-type": "application/octet-stream" } });
}

export function methodNotAllowed(allow: string): Response {
  return text("405: Method Not Allowed", 405, { allow });
}

/** A validated answer: 304 without a body while the client's copy still holds. `cache-control: no-cache` makes the page ask each time. */
export function validated(body: string | ReadableStream<Uint8Array> | null, etag: string): Response {
  const headers = { etag, "cache-control": "no-cache" };
  return body === null ? new Response(null, { status: 304, headers }) : jsonText(body, 200, headers);
}

/** Whether `If-None-Match` names `etag`; weak comparison, as RFC 9110 13.1.2 wants for GET. */
export function matches(ifNoneMatch: string | null | undefined, etag: string): boolean {
  if (!ifNoneMatch) return false;
  if (ifNoneMatch.trim() === "*") return true;
  const bareTag = etag.replace(/^W\//, "");
  return ifNoneMatch.split(",").some((candidate) => candidate.trim().replace(/^W\//, "") === bareTag);
}

/** A refusal in the shape of POST /prompt's own, which every frontend can show; `message` is for a person. */
export function promptError(status: number, type: string, message: string, details = "", extraInfo: Record<string, unknown> = {}, headers: Record<string, string> = {}): Response {
  return json({ error: { type, message, details, extra_info: extraInfo }, node_errors: {} }, status, headers);
}
