// Refusals become HTTP here and nowhere else: one exhaustive table of reasons (docs/spec/queue.md 3, docs/spec/runner.md 6.3), one body shape per door.
import type { Refusal, RefusalReason } from "../durable-objects/contract.ts";
import { stringifyJson } from "../gpu-adapter/json.ts";

/** The seat's door speaks ComfyUI: an unknown node is a bad prompt there (400), everywhere else an unprocessable one (422). */
export type Door = "seat" | "runner" | "ops";

export function statusOf(reason: RefusalReason, door: Door): number {
  switch (reason) {
    case "bad_request":
    case "invalid_prompt":
    case "unknown_mode":
      return 400;
    case "budget_exhausted":
      return 402;
    case "forbidden":
      return 403;
    case "no_such_workshop":
    case "no_such_seat":
    case "not_found":
      return 404;
    case "exists":
    case "idempotency_conflict":
    case "id_taken":
    case "not_admitting":
    case "illegal_transition":
    case "duplicate":
    case "superseded":
    case "finished":
    case "quarantined":
    case "stale":
    case "conflict":
      return 409;
    case "gone":
      return 410;
    case "payload_too_large":
      return 413;
    case "unknown_node":
    case "unknown_model":
    case "input_missing":
      return door === "seat" ? 400 : 422;
    case "seat_queue_full":
    case "queue_full":
      return 429;
    default:
      return assertNever(reason);
  }
}

export function assertNever(value: never): never {
  throw new Error(`unhandled: ${String(value)}`);
}

/** Seeds of 64 bits go through unharmed. */
export function json(value: unknown, status = 200, headers: Record<string, string> = {}): Response {
  return new Response(stringifyJson(value), { status, headers: { "content-type": "application/json; charset=utf-8", "cache-control": "no-store", ...headers } });
}

/** What ComfyUI's own clients read: every frontend shows `error.message`. */
export function comfyError(status: number, type: string, message: string, headers: Record<string, string> = {}): Response {
  return json({ error: { type, message, details: "", extra_info: {} }, node_errors: {} }, status, headers);
}

/** The runner contract's refusal. */
export function runnerError(status: number, reason: string, message: string): Response {
  return json({ reason, message }, status);
}

/** Operator and instructor routes. */
export function opsError(status: number, reason: string, message: string, headers: Record<string, string> = {}): Response {
  return json({ error: { reason, message } }, status, headers);
}

/** A refusal of the workshop's object, in the shape of the door it goes out by. */
export function refuse(refusal: Refusal, door: Door): Response {
  const status = statusOf(refusal.reason, door);
  const headers: Record<string, string> = refusal.retry_after_s === undefined ? {} : { "retry-after": String(refusal.retry_after_s) };
  const { ok: _, reason, message, ...rest } = refusal;
  switch (door) {
    case "seat":
      return json({ error: { type: reason, message, details: "", extra_info: rest }, node_errors: {} }, status, headers);
    case "runner":
      return json({ reason, message }, status, headers);
    case "ops":
      return json({ error: { reason, message, ...rest } }, status, headers);
    default:
      return assertNever(door);
  }
}
