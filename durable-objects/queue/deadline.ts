// When something falls due [Q57][Q58][Q61]: one function that timers and nextWake both read, so that neither can forget a clock.

import type { Attempt, QueueState } from "./types.ts";

export type Clock = "claim" | "lease" | "reclaim" | "stop" | "start" | "silence" | "exec";

export interface Deadline {
  at: number;
  clock: Clock;
}

/** The earliest deadline of a live attempt; ties go to the first in the order lease, stop, start, silence, exec. */
export function deadlineOf(state: QueueState, attempt: Attempt): Deadline {
  if (attempt.lease === null || attempt.claimedAt === null) return { at: attempt.claimBefore, clock: "claim" };
  if (attempt.reclaimUntil !== null) return { at: attempt.reclaimUntil, clock: "reclaim" };
  const job = state.jobs.get(attempt.job);
  const pool = state.pools.get(attempt.pool);
  let least: Deadline = { at: attempt.lease.expiresAt, clock: "lease" };
  const consider = (at: number, clock: Clock) => {
    if (at < least.at) least = { at, clock };
  };
  if (job?.stop) {
    consider(job.stop.at + state.params.stopGrace, "stop");
    return least;
  }
  if (pool === undefined || job === undefined) return least;
  if (attempt.startedAt === null) {
    consider(attempt.claimedAt + pool.startAfterClaim, "start");
  } else {
    consider(attempt.activeAt + pool.silence, "silence");
    consider(attempt.startedAt + pool.execLimit[job.kind], "exec");
  }
  return least;
}
