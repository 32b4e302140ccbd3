// What fell due at or before now happens before the command itself, in order of (due time, job seq) [Q4][Q57].

import { deadlineOf, type Clock } from "./deadline.ts";
import { endDemo, endBump } from "./lane.ts";
import { endStopped, failAttempt, tellEvicted } from "./ending.ts";
import { strike } from "./runners.ts";
import type { Attempt, Job } from "./types.ts";
import { act, assertNever, emit, type Work } from "./work.ts";

interface Due {
  at: number;
  seq: number;
  run: () => void;
}

/** Fire every timer that is due; a timer may make another one due. */
export function runTimers(work: Work): void {
  for (;;) {
    const due = earliest(work);
    if (due === null) return;
    due.run();
  }
}

function earliest(work: Work): Due | null {
  const { state, now } = work;
  let least: Due | null = null;
  const consider = (at: number, seq: number, run: () => void) => {
    if (at <= now && (least === null || at < least.at || (at === least.at && seq < least.seq))) least = { at, seq, run };
  };
  if (state.workshop.demoUntil !== null) consider(state.workshop.demoUntil, 0, () => endDemo(work, "its time was over"));
  for (const attempt of state.attempts.values()) {
    const job = state.jobs.get(attempt.job);
    const { at, clock } = deadlineOf(state, attempt);
    if (job !== undefined) consider(at, job.seq, () => expire(work, attempt, job, clock, at));
  }
  for (const job of state.derived.bumped) if (job.bumpUntil !== null) consider(job.bumpUntil, job.seq, () => endBump(work, job, "its time at the front was over"));
  return least;
}

function expire(work: Work, attempt: Attempt, job: Job, clock: Clock, at: number): void {
  switch (clock) {
    case "claim":
      return unclaimed(work, attempt);
    case "lease":
      return leaseEnded(work, attempt, job, at);
    case "reclaim":
      return failAttempt(work, attempt, "lost", { code: "lease_expired", message: "the GPU went silent and nobody took the run over" });
    case "stop":
      tellEvicted(work, attempt);
      return endStopped(work, attempt);
    case "start":
      tellEvicted(work, attempt);
      if (attempt.lease !== null) strike(work, attempt.lease.runner, "it claimed runs and never started them");
      return failAttempt(work, attempt, "expired", { code: "start_timeout", message: "the GPU claimed the run but never started it" });
    case "silence":
      tellEvicted(work, attempt);
      return failAttempt(work, attempt, "failed", { code: "exec_timeout", message: "the run gave no sign of progress for too long" });
    case "exec":
      tellEvicted(work, attempt);
      return failAttempt(work, attempt, "failed", { code: "exec_timeout", message: "the run took longer than the limit for its kind" });
    default:
      return assertNever(clock);
  }
}

function unclaimed(work: Work, attempt: Attempt): void {
  const code = attempt.state === "unknown" ? "provider_unknown" : "claim_timeout";
  act(work, { type: "provider_cancel", job: attempt.job, attempt: attempt.number, pool: attempt.pool, ref: attempt.ref });
  failAttempt(work, attempt, "expired", { code, message: "no GPU came for the run in time" });
}

/** [Q58] Claimable by another runner for the pool's reclaim time, then lost. A stopping job ends here [Q61]. */
function leaseEnded(work: Work, attempt: Attempt, job: Job, at: number): void {
  if (job.state === "stopping") return endStopped(work, attempt);
  const reclaim = work.state.pools.get(attempt.pool)?.reclaim ?? 0;
  if (reclaim === 0 || attempt.lease === null) {
    return failAttempt(work, attempt, "lost", { code: "lease_expired", message: "the GPU went silent" });
  }
  attempt.reclaimUntil = at + reclaim;
  work.changes.attempts.add(attempt.key);
  emit(work, { type: "lease_expired", job: job.id, attempt: attempt.number, runner: attempt.lease.runner, until: attempt.reclaimUntil });
}
