// How a run ended, in ComfyUI's history shape and as its last message. Pure. Invariant: what history says and what the socket says come from the same record,
// and an end that ComfyUI could not report (a lost machine, a limit) looks to a client like one it could.
import type { ErrorCode, RunResult } from "../gpu-adapter/contract.ts";
import { seatSentence } from "../gpu-adapter/errors.ts";
import type { Terminal } from "./queue/index.ts";
import { platformError } from "./seat-frames.ts";

export type Message = [string, Record<string, unknown>];
/** What the platform saw of a run that brought no result: outputs by node, as `executed` data. */
export type Seen = { started: boolean; executed: Record<string, Record<string, unknown>>; start: Record<string, unknown> | null };

export type Ending = {
  inHistory: boolean;
  outputs: Record<string, unknown>;
  status: { status_str: "success" | "error"; completed: boolean; messages: Message[] };
  meta: Record<string, unknown>;
  error: Message | null;
  /** What the run's client hears last, before `status` and idle; null when nothing ever ran. */
  last: Message | null;
};

const LAST = ["execution_success", "execution_error", "execution_interrupted"];

/** `result` with names already the seat's, or null when the run ended without one. `now` in ms. */
export function endingOf(record: Terminal, result: RunResult | null, seen: Seen, now: number): Ending {
  const outputs = result && Object.keys(result.comfy_outputs).length > 0 ? result.comfy_outputs : outputsOf(seen);
  const told = (result?.comfy_messages ?? (seen.start ? [["execution_start", seen.start] as Message] : [])).filter(([name]) => name !== "execution_success" || record.state === "succeeded");
  const meta = result?.comfy_meta ?? {};
  const last = lastOf(record, result, told, Object.keys(seen.executed), now);
  const messages = [...told.filter(([name]) => !LAST.includes(name) || (record.state === "succeeded" && name === "execution_error")), last];
  const ran = seen.started || told.length > 0 || record.state === "failed";
  return {
    inHistory: record.state !== "cancelled" || ran,
    outputs,
    status: { status_str: record.state === "succeeded" ? "success" : "error", completed: record.state === "succeeded", messages },
    meta,
    error: last[0] === "execution_error" ? last : null,
    last: ran ? last : null,
  };
}

function outputsOf(seen: Seen): Record<string, unknown> {
  return Object.fromEntries(Object.entries(seen.executed).map(([node, data]) => [node, data.output]));
}

function lastOf(record: Terminal, result: RunResult | null, told: Message[], executed: string[], now: number): Message {
  const job = record.id;
  if (record.state === "succeeded") return told.find(([name]) => name === "execution_success") ?? ["execution_success", { prompt_id: job, timestamp: now }];
  if (record.state === "cancelled") {
    return told.find(([name]) => name === "execution_interrupted") ?? ["execution_interrupted", { prompt_id: job, node_id: "", node_type: "", executed, timestamp: now }];
  }
  const own = told.find(([name]) => name === "execution_error");
  if (own) return own;
  const error = result?.error;
  const refused = error?.comfy ? firstNodeError(error.comfy) : null;
  const code = record.reason?.code ?? "internal";
  return platformError(job, { code, message: inWords(code, record.reason?.message ?? "The run failed."), ...(error ? { node_id: error.node_id, node_type: error.node_type, exception_type: error.exception_type, traceback: error.traceback } : {}), ...refused }, executed, now);
}

/** Codes with a sentence that holds at the end of a job. Others speak of tries to come, or ComfyUI's own words are better. */
const SAID_AT_THE_END = ["exec_timeout", "upload_failed", "input_fetch", "input_missing", "internal"] as const satisfies ErrorCode[];

/** What happened and what to do about it, then the cause. */
function inWords(code: string, cause: string): string {
  const known = SAID_AT_THE_END.find((one) => one === code);
  return (known && seatSentence(known, cause)) ?? cause;
}

/** ComfyUI refused the prompt on the GPU: the first node it complained about, in words the error dialog shows. */
function firstNodeError(body: Record<string, unknown>): { node_id?: string; node_type?: string; message?: string; exception_type: string } {
  const nodes = Object.entries((body.node_errors ?? {}) as Record<string, { class_type?: string; errors?: { message?: string; details?: string; type?: string }[] }>);
  const [id, node] = nodes[0] ?? [];
  const first = node?.errors?.[0];
  const general = body.error as { message?: string; details?: string; type?: string } | undefined;
  const message = [first?.message ?? general?.message, first?.details ?? general?.details].filter(Boolean).join(": ");
  return { ...(id === undefined ? {} : { node_id: id }), ...(node?.class_type === undefined ? {} : { node_type: node.class_type }), ...(message === "" ? {} : { message }), exception_type: first?.type ?? general?.type ?? "validation" };
}
