// A seat's door: sign-in first, then the socket, then ComfyUI's routes, then the frontend's files. The path inside the seat stays raw.
import { Hono } from "hono";
import { SOCKET_HEADERS, type Role, type SocketKind } from "../../durable-objects/contract.ts";
import { serveSeat } from "../../frontend-shim/comfy-api/index.ts";
import { serveOwnExtension } from "../../frontend-shim/extension/serve.ts";
import type { EdgeEnv } from "../app.ts";
import { type Caller, identify } from "../auth/identity.ts";
import { may } from "../auth/may.ts";
import { comfyError } from "../errors.ts";
import { isSeatName, isWorkshopName, splitPath } from "../names.ts";
import { openWorkshop } from "../workshop.ts";
import { serveFrontend } from "./frontend.ts";

export const seat = new Hono<EdgeEnv>();

seat.all("/:workshop/:seat/*", async (c) => {
  const { first: workshop, second: name, rest } = splitPath(c.req.path);
  if (!isWorkshopName(workshop) || !isSeatName(name)) return new Response(null, { status: 404 });
  if (rest === "") return c.redirect(`/${workshop}/${name}/${new URL(c.req.url).search}`, 308);
  return await seatAnswer(c.req.raw, c.env, { workshop, seat: name, path: rest }, (promise) => c.executionCtx.waitUntil(promise));
});

/** What a seat answers; `path` is the raw path inside it, with its leading slash. */
export async function seatAnswer(request: Request, env: Env, at: { workshop: string; seat: string; path: string }, waitUntil: (promise: Promise<unknown>) => void): Promise<Response> {
  const caller = await identify(request, env, at.workshop, at.seat, Date.now());
  if (caller.kind !== "seat" || !may(caller.role, "seat.use")) return refuseCaller(request, caller, at.workshop, at.seat);
  return await serve(request, env, { ...at, role: caller.role }, waitUntil);
}

async function serve(request: Request, env: Env, at: { workshop: string; seat: string; role: Role; path: string }, waitUntil: (promise: Promise<unknown>) => void): Promise<Response> {
  const door = openWorkshop(env, at.workshop);
  if (at.path === "/ws" || at.path === "/api/ws") {
    if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") return new Response("This address takes a WebSocket.", { status: 400, headers: { "content-type": "text/plain; charset=utf-8" } });
    return await door.fetch(socketRequest(request, { kind: "seat", seat: at.seat, client: (new URL(request.url).searchParams.get("clientId") ?? "").slice(0, 200).toWellFormed() }));
  }
  const answer = await serveSeat(request, at.path, { workshop: at.workshop, seat: at.seat, role: at.role, rpc: door, files: env.FILES, assets: env.ASSETS, waitUntil });
  return answer ?? (await serveOwnExtension(request, at.path)) ?? (await serveFrontend(request, env, at.path));
}

/** The upgrade as the object sees it: who it is from, and nothing a client wrote but the handshake. No cookie or password reaches the object. */
export function socketRequest(request: Request, who: { kind: SocketKind } & Partial<Record<Exclude<keyof typeof SOCKET_HEADERS, "kind">, string>>): Request {
  const headers = new Headers();
  for (const [name, value] of request.headers) if (name === "upgrade" || name === "connection" || name.startsWith("sec-websocket-")) headers.set(name, value);
  for (const [key, header] of Object.entries(SOCKET_HEADERS)) {
    const value = who[key as keyof typeof SOCKET_HEADERS];
    // The client id is the only one a client chose, and may be any text; the rest are names and addresses of ours.
    if (value !== undefined) headers.set(header, key === "client" ? encodeURIComponent(value) : value);
  }
  return new Request("https://workshop/socket", { headers });
}

/** Says a refusal in the shape of a door: `comfyError` to ComfyUI's clients, `opsError` at the instructor's. */
export type Tell = typeof comfyError;

/** Where a browser is led, and what everything else is told. */
export function refuseCaller(request: Request, caller: Caller, workshop: string, name: string, tell: Tell = comfyError): Response {
  switch (caller.kind) {
    case "seat":
      return refused(request, tell, 403, "forbidden", `The seat ${caller.seat} may not do this. It needs the instructor's sign-in.`);
    case "other_seat":
      return refused(request, tell, 403, "wrong_seat", `You are signed in as ${caller.seat}, and this is ${name}. Open your own address, or sign in as ${name} first.`);
    case "wait":
      return tell(429, "too_many_tries", `Too many wrong passwords. Try again in ${caller.seconds} seconds.`, { "retry-after": String(caller.seconds) });
    case "nobody":
      return signIn(request, workshop, name, tell);
  }
}

function signIn(request: Request, workshop: string, name: string, tell: Tell): Response {
  if (wantsDocument(request)) {
    const url = new URL(request.url);
    const query = new URLSearchParams({ seat: name, next: `${url.pathname}${url.search}` });
    return new Response(null, { status: 302, headers: { location: `/${workshop}/login?${query}`, "cache-control": "no-store" } });
  }
  const message = `Sign in first: open /${workshop}/login in a browser, or send the seat's name and password as HTTP Basic.`;
  // The stock page reloads for ever when a call of its own is answered 401, and a challenge would pop a password box up in it.
  if (fromPage(request)) return tell(403, "session_ended", "Your session has ended. Reload the page to sign in again; your work is kept.");
  return tell(401, "unauthorized", message, { "www-authenticate": `Basic realm="ComfyUMe ${workshop}", charset="UTF-8"` });
}

function refused(request: Request, tell: Tell, status: number, type: string, message: string): Response {
  if (!wantsDocument(request)) return tell(status, type, message);
  return new Response(`${message}\n`, { status, headers: { "content-type": "text/plain; charset=utf-8", "cache-control": "no-store" } });
}

/** A person's browser opening an address. Fetch metadata says so exactly; older clients say it by what they accept. */
export function wantsDocument(request: Request): boolean {
  if ((request.method !== "GET" && request.method !== "HEAD") || request.headers.has("upgrade")) return false;
  const mode = request.headers.get("sec-fetch-mode");
  return mode === null ? (request.headers.get("accept") ?? "").includes("text/html") : mode === "navigate";
}

function fromPage(request: Request): boolean {
  return request.headers.get("sec-fetch-site") === "same-origin" && !request.headers.has("authorization");
}
