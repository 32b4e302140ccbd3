// Plays recorded exchanges against whatever answers: a seat in workerd, or any server over the network. Requests go out one after the other, as recorded.
import { encodePng } from "../../frontend-shim/comfy-api/pictures/png-encode.ts";
import type { Answer, BodyRule, Exchange } from "./exchanges.ts";

export type Ask = (method: string, path: string, init: { body: BodyInit | null; headers: Record<string, string> }) => Promise<Response | null>;
export type Replayed = { exchange: Exchange; answer: Answer | null };

/** A picture of 16 x 12 pixels, as the recorded ones. */
export async function picture(alpha: number): Promise<Uint8Array<ArrayBuffer>> {
  return await encodePng({ width: 16, height: 12, rgba: Uint8ClampedArray.from({ length: 16 * 12 * 4 }, (_, at) => (at % 4 === 3 ? alpha : (at * 5) % 256)) }, "rgba");
}

/** The recorded forms say `<file NAME SIZE>`: of two pictures, one had 80 bytes and one 79. */
async function formOf(fields: [string, string][]): Promise<FormData> {
  const form = new FormData();
  for (const [name, value] of fields) {
    const match = /^<file (.*) (\d+)>$/.exec(value);
    if (match === null) form.append(name, value);
    else form.append(name, new File([await contentOf(match[1] ?? "", Number(match[2]))], match[1] ?? ""));
  }
  return form;
}

async function contentOf(name: string, size: number): Promise<string | Uint8Array<ArrayBuffer>> {
  if (name.endsWith(".html")) return "<script>alert(1)</script>";
  return name.endsWith(".svg") ? '<svg xmlns="http://www.w3.org/2000/svg"/>' : await picture(size === 80 ? 128 : 255);
}

async function bodyOf(exchange: Exchange): Promise<BodyInit | null> {
  const { requestBody: body, requestHeaders: headers } = exchange;
  if (exchange.method === "GET" || exchange.method === "HEAD" || exchange.method === "OPTIONS") return null;
  if (exchange.path.startsWith("/api/upload/")) return await formOf(body as [string, string][]);
  if (headers["content-type"] === "application/json" && exchange.note !== "body is not JSON") return JSON.stringify(body ?? null);
  return typeof body === "string" ? body : body === null || body === undefined ? null : JSON.stringify(body);
}

/** Plays exchanges in order; a validator recorded from the other server is replaced by the one this server gave for the same path. */
export async function replay(ask: Ask, exchanges: readonly Exchange[]): Promise<Replayed[]> {
  const etags = new Map<string, string>();
  const replayed: Replayed[] = [];
  for (const exchange of exchanges) {
    const headers = { ...exchange.requestHeaders };
    if (headers["if-none-match"]) headers["if-none-match"] = etags.get(exchange.path) ?? "";
    if (exchange.path.startsWith("/api/upload/")) delete headers["content-type"];
    const answer = await ask(exchange.method, exchange.path, { body: await bodyOf(exchange), headers });
    const etag = answer?.headers.get("etag");
    if (etag) etags.set(exchange.path, etag);
    replayed.push({ exchange, answer: answer && { status: answer.status, headers: Object.fromEntries(answer.headers), bytes: new Uint8Array(await answer.arrayBuffer()) } });
  }
  return replayed;
}

/** That server's own state, not its protocol: what had run on it, its clock, its memory. */
const OWN_STATE = /^\/api\/(?:history|jobs|system_stats)$|^\/internal\/logs|^\/(?:api\/)?object_info$|^\/extensions\/edge_test/;

/** How the body of an exchange is compared. */
export function ruleOf(exchange: Exchange): BodyRule {
  if (exchange.file === "http-userdata") return exchange.path.includes("?dir=") ? "any-order" : "exact";
  if (exchange.file === "http-upload-view") return /preview=|example\.png/.test(exchange.path) ? "format" : "exact";
  return exchange.file === "http-misc" && OWN_STATE.test(exchange.path) ? "kind" : "exact";
}

/** Left to the page's files, the socket, or the origin check: not a matter of a seat's routes. */
export function isElsewhere(exchange: Exchange): boolean {
  return exchange.file === "http-misc" && (exchange.requestHeaders["origin"] !== undefined || exchange.path === "/ws" || exchange.path === "/" || isStatic(exchange));
}

export function isStatic(exchange: Exchange): boolean {
  return /^\/(?:scripts|favicon|docs|no\/such|extensions\/core)/.test(exchange.path);
}

type PromptBody = { prompt_id?: string; number?: number; error?: { details: string }; node_errors?: Record<string, { errors: { details: string; extra_info: { traceback?: string[] } }[] }> };

/** The body of a POST /prompt without what is each server's own: ids and numbers, lines of code, and the order of a node's inputs, which a hash set gives there. */
export function comparablePrompt(body: unknown): unknown {
  const copy = structuredClone(body) as PromptBody;
  delete copy.prompt_id;
  delete copy.number;
  if (copy.error) copy.error.details = copy.error.details.split("\n").sort().join("\n");
  for (const node of Object.values(copy.node_errors ?? {})) {
    node.errors.sort((a, b) => (a.details < b.details ? -1 : 1));
    for (const error of node.errors) if (error.extra_info.traceback) error.extra_info.traceback = [];
  }
  return copy;
}
