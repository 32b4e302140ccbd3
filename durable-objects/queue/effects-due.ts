// After a restart: what was committed but may never have been sent [Q6]. Sending it twice is harmless: the claim lets one through.

import type { Effect } from "./decision.ts";
import type { QueueState } from "./types.ts";

/** Effects to repeat when an object wakes up, in order of dispatch. */
export function effectsDue(state: QueueState): Effect[] {
  const effects: Effect[] = [];
  for (const attempt of [...state.attempts.values()].sort((a, b) => a.serial - b.serial)) {
    const { job, number, pool, slot, claimBefore, fresh, lease } = attempt;
    if (attempt.state === "open") {
      effects.push({ type: attempt.unknowns > 0 ? "hand_over_again" : "dispatch", job, attempt: number, pool, slot, claimBefore, fresh });
    } else if (attempt.state === "unknown") {
      effects.push({ type: "ask_status", job, attempt: number, pool });
    } else if (lease !== null && state.jobs.get(job)?.state === "stopping") {
      effects.push({ type: "tell_runner", job, attempt: number, lease: lease.id, runner: lease.runner, what: "cancel" });
    }
  }
  return effects;
}
