// The error taxonomy of attempts, once: which class of the retry table a code belongs to ([Q54], [G] 6.9) and what the seat is told.
// The queue core decides by class what follows; this table decides words and class, and is exhaustive over the contract's codes.
import type { ErrorCode } from "./contract.ts";

/** What kind of ending it was; the queue's retry table has one row per class. */
export type RetryClass =
  | "user" | "limit" | "oom" | "crash" | "lost" | "never_started" | "missing" | "capacity" | "config" | "unknown" | "upload" | "input" | "internal" | "cancelled";

type Row = {
  class: RetryClass;
  /** What happened, what it means, what to do; for the seat. null: the seat sees nothing of it, its job simply waits on. */
  seat: string | null;
  /** Set when somebody who runs the workshop must act. */
  alarm: boolean;
};

export const ERRORS: Record<ErrorCode, Row> = {
  validation: { class: "user", alarm: false, seat: "ComfyUI on the GPU refused this graph. Nothing was run. The marked nodes say what to change." },
  missing_node: { class: "missing", alarm: false, seat: "No GPU of this workshop has a node that the graph uses. Remove the node, or ask the instructor to have it installed." },
  missing_model: { class: "missing", alarm: false, seat: "No GPU of this workshop has a model file that the graph names. Choose another model, or ask the instructor for this one." },
  input_fetch: { class: "input", alarm: false, seat: "An input file could not be brought to the GPU. Nothing was run. Run it again; if it fails again, upload the file anew." },
  input_missing: { class: "user", alarm: false, seat: "An input file of this graph is no longer stored as it was uploaded. Upload it again and choose it in the node." },
  node_error: { class: "user", alarm: false, seat: "A node failed. Its message is shown at the node; change its inputs and run again." },
  oom: { class: "oom", alarm: false, seat: "The GPU ran out of memory. Make the picture smaller, the batch or the video shorter, or use a smaller model." },
  exec_timeout: { class: "limit", alarm: false, seat: "The run reached the time limit of this workshop and was stopped. Use fewer steps, a smaller size or a shorter video." },
  claim_timeout: { class: "never_started", alarm: false, seat: "The GPU did not take the job in time. It keeps its place and is tried elsewhere." },
  start_timeout: { class: "never_started", alarm: false, seat: "The GPU took the job but did not begin. It keeps its place and is tried elsewhere." },
  upload_failed: { class: "upload", alarm: true, seat: "The run ended, but its files could not be stored. They are lost; run it again, and tell the instructor if it happens twice." },
  comfy_crash: { class: "crash", alarm: false, seat: "ComfyUI crashed during the run. The run is tried once more; if it crashes again, the graph itself is the likely cause." },
  container_lost: { class: "lost", alarm: false, seat: "The GPU machine was taken away during the run. The run starts again by itself, at no cost to you." },
  provider_capacity: { class: "capacity", alarm: false, seat: "No GPU is free at the provider at the moment. The job keeps its place." },
  provider_rate_limited: { class: "capacity", alarm: false, seat: null },
  provider_auth: { class: "config", alarm: true, seat: null },
  provider_config: { class: "config", alarm: true, seat: null },
  provider_funds: { class: "config", alarm: true, seat: null },
  provider_unknown: { class: "unknown", alarm: false, seat: null },
  cancelled: { class: "cancelled", alarm: false, seat: "The run was cancelled." },
  internal: { class: "internal", alarm: true, seat: "Something failed in the workshop itself. Nothing of it is your graph's fault; tell the instructor the job's id." },
};

export function retryClass(code: ErrorCode): RetryClass {
  return ERRORS[code].class;
}

/** The sentence for the seat, with ComfyUI's own words behind it where it has some; null when the seat is told nothing. */
export function seatSentence(code: ErrorCode, message?: string): string | null {
  const { seat } = ERRORS[code];
  return seat === null || message === undefined || message === "" ? seat : `${seat} (${message})`;
}
