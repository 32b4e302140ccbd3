// One call to a provider and what its answer means. Invariant: nothing throws and nothing waits for ever; the fault table of [G] 6.9 is here, once.
import { type ErrorCode, type HeldAnswer, heldAnswer } from "../contract.ts";
import { parseJson } from "../json.ts";
import type { Rejected, RunStatus, Unknown } from "../port.ts";

/** Whole exchange, ms. A hand-over is answered at once by every provider; one that takes longer is asked again by status. */
export const CALL_MS = 10_000;
/** Stored bodies over this many bytes are not read: a result names files, it does not carry them. */
const MAX_BODY_BYTES = 16 * 1024 * 1024;

export type Request = { method: string; url: string; headers?: Record<string, string>; body?: unknown; timeoutMs?: number };
/** `success` is any 2xx; `failure` any other answer. */
export type Answered = Succeeded | Failed;
export type Called = Answered | { kind: "none"; message: string };
type Answer = { status: number; header: (name: string) => string | null; text: string; json: unknown };
type Succeeded = Answer & { kind: "success" };
type Failed = Answer & { kind: "failure" };

/** Redirects are not followed: one provider uses them to say "not yet" ([G] section 3). */
export async function call(fetcher: typeof fetch, request: Request): Promise<Called> {
  const { method, url, headers = {}, body, timeoutMs = CALL_MS } = request;
  try {
    const answer = await fetcher(url, {
      method,
      headers: { Accept: "application/json", ...(body === undefined ? {} : { "Content-Type": "application/json" }), ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      redirect: "manual",
      signal: AbortSignal.timeout(timeoutMs),
    });
    const text = await readText(answer);
    return { kind: answer.ok ? "success" : "failure", status: answer.status, header: (name) => answer.headers.get(name), text, json: jsonOf(text) };
  } catch (error) {
    const timedOut = error instanceof Error && error.name === "TimeoutError";
    return { kind: "none", message: timedOut ? `no answer within ${timeoutMs / 1000} s` : `no connection (${error instanceof Error ? error.message : String(error)})` };
  }
}

async function readText(answer: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  const reader = answer.body?.getReader();
  for (;;) {
    const next = await reader?.read();
    if (next === undefined || next.done) break;
    bytes += next.value.byteLength;
    if (bytes > MAX_BODY_BYTES) {
      await reader?.cancel();
      return "";
    }
    chunks.push(next.value);
  }
  const whole = new Uint8Array(bytes);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.byteLength;
  }
  return new TextDecoder().decode(whole);
}

function jsonOf(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}

export function isOk(called: Called): called is Succeeded {
  return called.kind === "success";
}

export function member(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;
}

export function textMember(value: unknown, name: string): string | null {
  const found = member(value, name);
  return typeof found === "string" && found !== "" ? found : null;
}

/** Seconds or a date (RFC 9110, 10.2.3), as ms from `now`; null without a usable one. */
export function retryAfterMs(answer: Answered, now: number): number | null {
  const value = answer.header("retry-after");
  if (value === null) return null;
  const seconds = Number(value);
  if (Number.isFinite(seconds)) return Math.max(0, Math.round(seconds * 1000));
  const date = Date.parse(value);
  return Number.isNaN(date) ? null : Math.max(0, date - now);
}

/** Words with which providers say that no machine is to be had; they come with 503 and with others ([G] 1.4). */
const NO_CAPACITY = /no[_ ]capacity|sold[_ ]out|not enough resources|quota_reached|no workers available|insufficient capacity|resource[_ ]exhausted/i;

export function saysNoCapacity(text: string): boolean {
  return NO_CAPACITY.test(text.slice(0, 4000));
}

/** What an answer that is not a success means, to a hand-over and to the control plane alike ([G] 6.9). `who` names the provider in messages. */
export function faultOf(who: string, called: Called, now: number): Rejected | Unknown {
  if (called.kind === "none") return { outcome: "unknown", message: `${who}: ${called.message}` };
  const message = `${who} answered ${called.status}${said(called)}`;
  const code = codeOf(called);
  if (code === null) return { outcome: "unknown", message };
  const after = retryAfterMs(called, now);
  return { outcome: "rejected", code, message, ...(after === null ? {} : { retryAfterMs: after }) };
}

function codeOf(answer: Answered): ErrorCode | null {
  if (answer.status === 429) return "provider_rate_limited";
  if (answer.status === 402) return "provider_funds";
  if (answer.status === 401 || answer.status === 403) return "provider_auth";
  if (answer.status === 503 || answer.status === 409 || saysNoCapacity(answer.text)) return "provider_capacity";
  if (answer.status >= 400 && answer.status < 500 && answer.status !== 408) return "provider_config";
  return null;
}

function said(answer: Answered): string {
  const words = textMember(answer.json, "message") ?? textMember(answer.json, "error") ?? textMember(answer.json, "detail") ?? textMember(answer.json, "title") ?? answer.text;
  const line = words.replaceAll(/\s+/g, " ").trim().slice(0, 200);
  return line === "" ? "" : `: ${line}`;
}

/** A stored body as our envelope [G24]; null when it is something else. */
export function envelopeOf(value: unknown): HeldAnswer | null {
  const parsed = heldAnswer.safeParse(value);
  return parsed.success ? parsed.data : null;
}

/** Words of our own runner when it did not take the job ([G4], [G9]): nobody will claim this hand-over. Null when the body is not the runner's. */
export function refusalOfRunner(status: number, body: unknown): (RunStatus & { status: "failed" }) | null {
  const words = textMember(body, "error");
  if (words === null) return null;
  const message = `The runner did not take the job: ${textMember(body, "message") ?? words}`;
  switch (status) {
    case 409:
    case 503:
      return { status: "failed", code: "provider_capacity", message };
    case 400:
    case 401:
    case 403:
      return { status: "failed", code: "provider_config", message };
    case 410:
      return { status: "failed", code: "claim_timeout", message };
    default:
      return null;
  }
}

/** The part of an endpoint before its last segment, and that segment: `https://host/name` → [`https://host`, `name`]. */
export function splitEndpoint(endpoint: string): [base: string, name: string] {
  const url = endpoint.replace(/\/+$/, "");
  const cut = url.lastIndexOf("/");
  return [url.slice(0, cut), url.slice(cut + 1)];
}
