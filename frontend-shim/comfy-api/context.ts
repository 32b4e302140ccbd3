// What every group of a seat's routes shares: who is asking, how paths are doubled, how a body is read without trusting its length.
// Invariant: the seat comes from the authenticated caller of `serveSeat`, never from a header, a query or a body.
import { Hono } from "hono";
import type { Context, Handler } from "hono";
import type { Role, WorkshopRpc } from "../../durable-objects/contract.ts";

export type SeatContext = {
  workshop: string;
  seat: string;
  role: Role;
  rpc: WorkshopRpc;
  files: R2Bucket;
  assets: Fetcher;
  waitUntil(promise: Promise<unknown>): void;
};

export type SeatEnv = { Bindings: { /** Raw path inside the seat: `%2F` is data, not a separator. */ path: string; seat: SeatContext } };
export type SeatRequest = Context<SeatEnv>;
export type SeatHandler = Handler<SeatEnv>;

/** ComfyUI's default `--max-upload-size`, in bytes; every body but a prompt's is held to it. */
export const MAX_BODY_BYTES = 104_857_600;

/** A router whose paths are the raw ones. */
export function seatRouter(): Hono<SeatEnv> {
  return new Hono<SeatEnv>({ getPath: (_request, options) => (options?.env as SeatEnv["Bindings"] | undefined)?.path ?? "/" });
}

/** ComfyUI serves every API route bare and under /api. */
export function both(path: string): string[] {
  return [path, `/api${path}`];
}

/** One path segment as the client meant it: decoded once; a broken escape stays as it came. */
export function segment(c: SeatRequest, name: string): string {
  return decodeOnce(rawSegment(c, name));
}

export function decodeOnce(raw: string): string {
  try {
    return decodeURIComponent(raw);
  } catch {
    return raw;
  }
}

/** Hono decodes parameters in its own way; user data needs ComfyUI's, so the segment is read again from the raw path. */
function rawSegment(c: SeatRequest, name: string): string {
  const pattern = c.req.routePath.split("/");
  const index = pattern.findIndex((part) => part === `:${name}`);
  return c.env.path.split("/")[index] ?? "";
}

/** ComfyUI's reading of a flag in a query: only the word "true" is yes. */
export function isTrue(value: string | undefined): boolean {
  return value?.toLowerCase() === "true";
}

/**
 * The body's bytes, counted while they arrive; null as soon as it is over `limit` bytes.
 * A `content-length` above the limit refuses without reading a byte.
 */
export async function readBytes(request: Request, limit: number): Promise<Uint8Array<ArrayBuffer> | null> {
  const announced = request.headers.get("content-length");
  if (Number(announced ?? 0) > limit) return null;
  // The runtime holds a body to its announced length: then it may be read in one native step.
  if (announced !== null) return new Uint8Array(await request.arrayBuffer());
  if (request.body === null) return new Uint8Array(0);
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request.body as ReadableStream<Uint8Array>) {
    size += chunk.byteLength;
    if (size > limit) return null;
    chunks.push(chunk);
  }
  return join(chunks, size);
}

function join(chunks: Uint8Array[], size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.byteLength;
  }
  return bytes;
}

/** The body as JSON; `too_large` over `MAX_BODY_BYTES`, `malformed` when it is none (an empty body is none). */
export async function readJson(request: Request, limit: number = MAX_BODY_BYTES): Promise<{ ok: true; value: unknown } | { ok: false; fault: "too_large" | "malformed" }> {
  const bytes = await readBytes(request, limit);
  if (bytes === null) return { ok: false, fault: "too_large" };
  try {
    return { ok: true, value: JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(bytes)) };
  } catch {
    return { ok: false, fault: "malformed" };
  }
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
