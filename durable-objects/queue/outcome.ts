// Outcome codes sorted by policy [Q54]: what class a code is, and whether its job may run again. Pure reading, no change.

import type { Attempt, Job, Params, Pool, PoolId } from "./types.ts";

export type OutcomeClass = "user" | "limit" | "oom" | "crash" | "lost" | "never_started" | "missing" | "capacity" | "config" | "upload" | "internal";

export function classOf(code: string): OutcomeClass {
  switch (code) {
    case "validation":
    case "node_error":
    case "input_missing":
    case "input_fetch":
      return "user";
    case "exec_timeout":
      return "limit";
    case "oom":
      return "oom";
    case "comfy_crash":
      return "crash";
    case "container_lost":
    case "lease_expired":
      return "lost";
    case "claim_timeout":
    case "start_timeout":
    case "provider_unknown":
      return "never_started";
    case "missing_node":
    case "missing_model":
      return "missing";
    case "provider_capacity":
    case "provider_rate_limited":
      return "capacity";
    case "provider_auth":
    case "provider_config":
    case "provider_funds":
      return "config";
    case "upload_failed":
      return "upload";
    default:
      return "internal";
  }
}

/** Exclusions that stay when every pool is excluded [Q55]. */
export function isLasting(code: string): boolean {
  return code === "oom" || code === "missing_node" || code === "missing_model";
}

export interface Verdict {
  /** Waiting again; otherwise failed with the code. */
  retry: boolean;
  /** Counts towards `attemptsMax` [Q55]. */
  counted: boolean;
  /** Pools to keep the job from in future. */
  exclude: PoolId[];
  /** [Q30][Q54] Full refund even when the job ends with it; an attempt that is retried is refunded in any case. */
  refundAnyway: boolean;
  /** Uses up the one further attempt after a first `started`; loss and a move to more memory do not [Q55]. */
  further: boolean;
  /** The pool rests [Q56]. */
  circuit: boolean;
  alarm: boolean;
}

/**
 * [Q54] and the bounds of [Q55]; `chain` are the pools that could run the job, for "a pool with more memory". Whether a pool is left that the job
 * does not exclude is not asked here: a `retry` may still end it.
 */
export function judge(job: Job, attempt: Attempt, code: string, params: Params, chain: readonly Pool[]): Verdict {
  const kind = classOf(code);
  const free = kind === "capacity" || kind === "config";
  const again = free || (runsAgain(job, attempt, kind) && job.counted + 1 < params.attemptsMax);
  const moves = kind === "oom" && job.past.oom > 0; // to a pool with more memory, or nowhere
  const started = job.everStarted && kind !== "lost" && !moves && !free;
  const retry = again && !(started && job.further > 0);
  const refundAnyway = ["lost", "never_started", "missing", "capacity", "config", "upload", "internal"].includes(kind);
  return {
    retry,
    counted: !free,
    exclude: retry ? excludedBy(job, attempt, kind, chain) : [],
    refundAnyway,
    further: retry && started,
    circuit: free || kind === "never_started",
    alarm: kind === "config" || kind === "internal",
  };
}

function runsAgain(job: Job, attempt: Attempt, kind: OutcomeClass): boolean {
  switch (kind) {
    case "user":
    case "upload":
    case "internal":
      return false;
    case "limit":
      return !attempt.heard && job.past.silent === 0;
    case "crash":
      return job.past.crash === 0;
    case "oom":
    case "lost":
    case "never_started":
    case "missing":
    case "capacity":
    case "config":
      return true;
  }
}

function excludedBy(job: Job, attempt: Attempt, kind: OutcomeClass, chain: readonly Pool[]): PoolId[] {
  switch (kind) {
    case "never_started":
    case "missing":
      return [attempt.pool];
    case "lost":
      return job.past.lostOn.includes(attempt.pool) ? [attempt.pool] : [];
    case "oom": {
      if (job.past.oom === 0) return [];
      const memory = chain.find((pool) => pool.id === attempt.pool)?.memory ?? 0;
      return [attempt.pool, ...chain.filter((pool) => pool.id !== attempt.pool && pool.memory <= memory).map((pool) => pool.id)];
    }
    default:
      return [];
  }
}

/** Remember what happened, for the next time. */
export function remember(job: Job, attempt: Attempt, code: string): void {
  switch (classOf(code)) {
    case "oom":
      job.past.oom++;
      return;
    case "crash":
      job.past.crash++;
      return;
    case "limit":
      if (!attempt.heard) job.past.silent++;
      return;
    case "lost":
      if (!job.past.lostOn.includes(attempt.pool)) job.past.lostOn.push(attempt.pool);
      return;
    default:
      return;
  }
}

/** What a person reads when a job waits again. */
export function retrySentence(code: string): string {
  switch (classOf(code)) {
    case "oom":
      return "the GPU ran out of memory; it runs again";
    case "crash":
      return "ComfyUI crashed on the GPU; it runs again";
    case "lost":
      return "the GPU was lost; it runs again";
    case "never_started":
      return "the GPU never started the run; it is tried elsewhere";
    case "missing":
      return "that GPU lacks a node or model; it is tried elsewhere";
    case "capacity":
      return "the provider has no GPU free; it waits for the next one";
    case "config":
      return "the provider refused the platform; it waits for another pool";
    default:
      return "the run gave no sign of life; it runs again";
  }
}
