// A small HTTP front: routes on the raw path, bare and under /api where the real server has both, errors in its shapes.

import type { IncomingMessage, ServerResponse } from "node:http";
import { type Json, type Writable, dumps, parseJson } from "./json.ts";
import { MAX_UPLOAD_BYTES } from "./sockets.ts";

export interface Reply {
  readonly status: number;
  readonly headers?: Record<string, string>;
  readonly body?: string | Buffer;
}

export interface Call {
  readonly method: string;
  readonly url: URL;
  readonly params: readonly string[];
  readonly headers: IncomingMessage["headers"];
  /** The whole body. Throws TooLarge. */
  bytes(): Promise<Buffer>;
}

export type Handler = (call: Call) => Reply | Promise<Reply>;

export interface Route {
  readonly method: "GET" | "POST" | "PATCH";
  /** Segments; "*" takes one segment and hands it over decoded. */
  readonly path: string;
  /** "both": also under /api. "bare": only as written. */
  readonly at: "both" | "bare";
  readonly handle: Handler;
}

export class TooLarge extends Error {}

export function json(value: Writable, status = 200): Reply {
  return { status, headers: { "content-type": "application/json; charset=utf-8" }, body: dumps(value) };
}

export function text(body: string, status: number): Reply {
  return { status, headers: { "content-type": "text/plain; charset=utf-8" }, body };
}

/** 200 or an error without content and without a content type, as the real server sends for most commands. */
export function empty(status = 200): Reply {
  return { status };
}

const SERVER_ERROR = text("500 Internal Server Error\n\nServer got itself in trouble", 500);
/** Every unknown path takes a GET: the real server looks for a file there. */
function notAllowed(methods: readonly string[]): Reply {
  const allow = [...new Set(["GET", "HEAD", ...methods])].sort().join(",");
  return { status: 405, headers: { "content-type": "text/plain; charset=utf-8", allow }, body: "405: Method Not Allowed" };
}

const NOT_FOUND: Reply = { status: 404, headers: { "content-type": "application/octet-stream" } };

/** The JSON body of a call. Throws SyntaxError, which becomes the real server's plain 500. */
export async function jsonBody(call: Call): Promise<Json> {
  return parseJson((await call.bytes()).toString());
}

function readBody(request: IncomingMessage): Promise<Buffer> {
  if (Number(request.headers["content-length"] ?? 0) > MAX_UPLOAD_BYTES) return Promise.reject(new TooLarge());
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let size = 0;
    request.on("data", (part: Buffer) => {
      size += part.length;
      if (size <= MAX_UPLOAD_BYTES) parts.push(part);
      else reject(new TooLarge());
    });
    request.on("end", () => resolve(Buffer.concat(parts)));
    request.on("error", reject);
  });
}

function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

/** The parameters of a path under a route, or undefined when it does not fit. */
function fit(route: Route, path: string): string[] | undefined {
  const wanted = route.path.split("/");
  const given = (route.at === "both" && path.startsWith("/api/") ? path.slice(4) : path).split("/");
  if (wanted.length !== given.length) return undefined;
  const params: string[] = [];
  for (const [index, segment] of wanted.entries()) {
    const value = given[index] ?? "";
    if (segment === "*" && value !== "") params.push(decodeSegment(value));
    else if (segment !== value) return undefined;
  }
  return params;
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/** A page of another origin may not talk to a server on loopback: its Origin differs from Host. */
export function isForeign(headers: IncomingMessage["headers"]): boolean {
  const { host, origin } = headers;
  if (host === undefined || origin === undefined) return false;
  const here = URL.parse(`http://${host}`);
  const there = URL.parse(origin);
  if (here === null || there === null || !isLoopback(here.hostname)) return false;
  return here.hostname !== there.hostname || (there.port !== "" && here.port !== "" && here.port !== there.port);
}

async function answer(routes: readonly Route[], request: IncomingMessage): Promise<Reply> {
  const method = request.method === "HEAD" ? "GET" : (request.method ?? "GET");
  if (isForeign(request.headers)) return empty(403);
  if (method === "OPTIONS") return empty();
  const raw = request.url ?? "/";
  const path = raw.split("?")[0] ?? "/";
  const url = URL.parse(`http://sandbox${raw}`) ?? new URL("http://sandbox/");
  const fitting = routes.flatMap((route) => {
    const params = fit(route, path);
    return params === undefined ? [] : [{ route, params }];
  });
  const match = fitting.find(({ route }) => route.method === method);
  if (match === undefined) return method === "GET" ? NOT_FOUND : notAllowed(fitting.map(({ route }) => route.method));
  try {
    return await match.route.handle({ method, url, params: match.params, headers: request.headers, bytes: () => readBody(request) });
  } catch (error) {
    if (error instanceof TooLarge) return text(`Maximum request body size ${MAX_UPLOAD_BYTES} exceeded.`, 413);
    return SERVER_ERROR;
  }
}

/** Answers one request; whatever a handler throws is the real server's plain 500. */
export async function serve(routes: readonly Route[], request: IncomingMessage, response: ServerResponse, onError: (message: string) => void): Promise<void> {
  const reply = await answer(routes, request);
  if (reply.status >= 500) onError(`${request.method} ${(request.url ?? "").split("?")[0]} answered ${reply.status}`);
  const body = reply.body === undefined ? Buffer.alloc(0) : Buffer.from(reply.body as string);
  response.writeHead(reply.status, { ...reply.headers, ...(reply.status === 304 ? {} : { "content-length": String(reply.headers?.["content-length"] ?? body.length) }) });
  response.end(body);
  request.resume();
}
