// What a finished attempt reports: one decision over everything that is known about its end. Pure.
import type { ErrorCode, JobError, RunResult } from "../contract.ts";
import { endingOf, nodeError } from "./verdict.ts";

export type StopReason = "cancel" | "stale" | "drain" | "timeout" | "storage";
export type Messages = [string, Record<string, unknown>][];
export type EndFacts = {
  /** ComfyUI's words about the run, from its history or as they were heard; null when it was never asked to run. */
  messages: Messages | null;
  statusText?: string;
  stopped: StopReason | null;
  error: JobError | null;
  /** A file of the run is not stored: it did not succeed, whatever ComfyUI says [Q10]. */
  unstored: boolean;
  /** Why ComfyUI lost the run, when it did. */
  gone: string | null;
};
export type Conclusion = { status: Exclude<RunResult["status"], "skipped">; error: JobError | null };

export function failure(code: ErrorCode, message: string): JobError {
  return { code, message, traceback: [] };
}

/** Success beats every wish to stop that came too late; then the reason we stopped; then ComfyUI's own reason. */
export function conclude({ messages, statusText, stopped, error, unstored, gone }: EndFacts): Conclusion {
  const ending = messages === null ? "unknown" : endingOf(messages, statusText);
  const late = error === null || error.code === "exec_timeout" || error.code === "start_timeout";
  if (ending === "success" && !unstored && late) return { status: "succeeded", error: null };
  if (stopped === "drain") return { status: "failed", error: failure("container_lost", "The GPU machine was told to stop; the run was interrupted.") };
  if (stopped === "cancel") return { status: "cancelled", error: null };
  if (error !== null) return { status: "failed", error };
  if (ending === "interrupted") return { status: "cancelled", error: failure("cancelled", "The run was interrupted at the GPU machine itself.") };
  const last = messages?.findLast(([name]) => name === "execution_error");
  if (last !== undefined) return { status: "failed", error: nodeError(last[1]) };
  return { status: "failed", error: failure("comfy_crash", gone ?? "ComfyUI ended the run without saying how.") };
}

/** ms between ComfyUI's own start and end stamps; null without both. */
export function executionMs(messages: Messages): number | null {
  const stamp = (names: string[]): number | null => {
    const found = messages.findLast(([name]) => names.includes(name))?.[1].timestamp;
    return typeof found === "number" ? found : null;
  };
  const from = stamp(["execution_start"]);
  const to = stamp(["execution_success", "execution_error", "execution_interrupted"]);
  return from === null || to === null ? null : Math.max(0, Math.round(to - from));
}
