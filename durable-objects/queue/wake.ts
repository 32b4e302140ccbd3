// When something happens by itself next [Q77]. It alone arms the alarm.

import { deadlineOf } from "./deadline.ts";
import { isHolding } from "./floor.ts";
import { settingsOf } from "./params.ts";
import { circuitOf } from "./plan.ts";
import type { QueueState } from "./types.ts";

/** Earliest moment (ms since the epoch) at which a `tick` changes something; null = nothing waits for time. */
export function nextWake(state: QueueState, now: number): number | null {
  const { workshop, derived } = state;
  let least = Infinity;
  const consider = (at: number) => {
    if (at < least) least = at;
  };
  for (const attempt of state.attempts.values()) consider(deadlineOf(state, attempt).at);
  for (const job of derived.bumped) if (job.bumpUntil !== null) consider(job.bumpUntil);
  if (workshop.demoUntil !== null) consider(workshop.demoUntil);
  for (const pool of derived.chain) if (circuitOf(pool, now) === "open") consider(pool.circuit.openUntil);
  consider(nextRunnable(state, now));
  return least === Infinity ? null : least;
}

/** A `notBefore` or the end of the hold, while a slot idles [Q77]. */
export function nextRunnable(state: QueueState, now: number): number {
  const { workshop, derived, params } = state;
  if (!derived.open.some((slot) => slot.attempt === null)) return Infinity;
  let least = Infinity;
  for (const job of derived.deferred) if (job.notBefore > now && job.notBefore < least) least = job.notBefore;
  const { reserved } = settingsOf(workshop.mode, params);
  const width = derived.open.length;
  const kept = width >= 4 ? Math.min(reserved, width - 1) : 0;
  if (kept > 0 && derived.waiting > 0 && workshop.lastShort !== null && isHolding(state, width - kept, now)) {
    least = Math.min(least, workshop.lastShort + params.hold + 1);
  }
  return least;
}
