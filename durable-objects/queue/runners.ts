// Runners as far as the queue cares: where one was last seen, and when one is kept away [Q37][Q52].

import type { Attempt, Runner, RunnerId } from "./types.ts";
import { emit, type Work } from "./work.ts";

/** Runners nobody heard of for this long are forgotten (their quarantine is shorter). */
const forgetAfter = 3_600_000;

export function runnerOf(work: Work, id: RunnerId, pool: string): Runner {
  const known = work.state.runners.get(id);
  work.changes.runners.add(id);
  if (known !== undefined) {
    known.seenAt = work.now;
    known.pool = pool;
    return known;
  }
  const runner: Runner = { id, pool, slot: null, seenAt: work.now, strikes: 0, quarantinedUntil: 0 };
  forgetOld(work);
  work.state.runners.set(id, runner);
  return runner;
}

function forgetOld(work: Work): void {
  for (const runner of work.state.runners.values()) {
    if (work.now - runner.seenAt < forgetAfter || runner.quarantinedUntil > work.now) continue;
    work.state.runners.delete(runner.id);
    work.changes.runners.add(runner.id);
  }
}

/** [Q37] The runner is on this slot now; a slot it was on before forgets it and what it was warm for. */
export function seat(work: Work, attempt: Attempt, id: RunnerId): void {
  const { state, now } = work;
  const runner = runnerOf(work, id, attempt.pool);
  const before = runner.slot !== null && runner.slot !== attempt.slot ? state.slots.get(runner.slot) : undefined;
  if (before !== undefined && before.runner === id) {
    before.runner = null;
    before.warm = null;
    work.changes.slots.add(before.key);
  }
  runner.slot = attempt.slot;
  const slot = state.slots.get(attempt.slot);
  if (slot === undefined) return;
  slot.runner = id;
  slot.seenAt = now;
  work.changes.slots.add(slot.key);
}

/** [Q52] Two start deadlines or crashes in a row: kept away for ten minutes. */
export function strike(work: Work, id: RunnerId, why: string): void {
  const runner = work.state.runners.get(id);
  if (runner === undefined) return;
  runner.strikes++;
  work.changes.runners.add(id);
  if (runner.strikes < 2) return;
  runner.strikes = 0;
  runner.quarantinedUntil = work.now + work.state.params.quarantine;
  emit(work, { type: "runner_quarantined", runner: id, until: runner.quarantinedUntil, why });
}

export function clearStrikes(work: Work, id: RunnerId): void {
  const runner = work.state.runners.get(id);
  if (runner === undefined || runner.strikes === 0) return;
  runner.strikes = 0;
  work.changes.runners.add(id);
}
