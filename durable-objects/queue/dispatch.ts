// The dispatch loop [Q39]: while there is a choice, make the attempt, charge it, remember what the slot is warm for.

import { addLiveReserve, reserveOf, shiftReserve } from "./budget.ts";
import { choose, type Choice } from "./choose.ts";
import { ledgerOf, stakeOf } from "./derived.ts";
import { charge, chargeFor, refresh } from "./fairness.ts";
import { removeWaiting, viewOf } from "./lists.ts";
import { attemptKey } from "./state.ts";
import type { Attempt, Job, Slot } from "./types.ts";
import { act, emit, must, touchSeat, type Work } from "./work.ts";

/** Fill idle slots. `each` sees every attempt made, in order. */
export function dispatchLoop(work: Work, each?: (attempt: Attempt) => void): void {
  for (;;) {
    const choice = choose(work.state, work.settings, work.now);
    if (choice === null) return;
    const attempt = dispatch(work, choice);
    refresh(work);
    each?.(attempt);
  }
}

function dispatch(work: Work, choice: Choice): Attempt {
  const { state } = work;
  const { job, slot } = choice;
  const view = viewOf(state, job);
  for (const passed of choice.passed) {
    passed.passed++;
    work.changes.jobs.add(passed.id);
  }
  removeWaiting(state, job);
  job.state = "dispatched";
  job.attempts++;
  const attempt = makeAttempt(work, job, slot);
  if (attempt.ledger !== null) stakeOf(view, attempt.ledger).live++;
  shiftReserve(state, job, reserveOf(job.e90, attempt.rate));
  addLiveReserve(state, view, job, 1);
  charge(view, attempt);
  state.attempts.set(attempt.key, attempt);
  slot.attempt = attempt.key;
  slot.warm = job.signature;
  state.workshop.lastWasDemo = job.lane === "demo";
  work.changes.workshop = true;
  work.changes.jobs.add(job.id);
  work.changes.attempts.add(attempt.key);
  work.changes.slots.add(slot.key);
  touchSeat(work, view);
  if (!work.quiet) {
    emit(work, { type: "job_dispatched", job: job.id, seat: job.seat, attempt: job.attempts, pool: slot.pool, slot: slot.key, why: whyOf(work, choice) });
    act(work, { type: "dispatch", job: job.id, attempt: job.attempts, pool: slot.pool, slot: slot.key, claimBefore: attempt.claimBefore, fresh: attempt.fresh });
  }
  return attempt;
}

function makeAttempt(work: Work, job: Job, slot: Slot): Attempt {
  const { state, now } = work;
  const pool = must(state.pools.get(slot.pool), `pool of slot ${slot.key}`);
  const view = viewOf(state, job);
  return {
    key: attemptKey(job.id, job.attempts),
    job: job.id,
    seat: job.seat,
    number: job.attempts,
    serial: state.workshop.nextSerial++,
    pool: pool.id,
    slot: slot.key,
    state: "open",
    lane: job.lane,
    ledger: ledgerOf(job),
    charged: ledgerOf(job) === null ? { v: 0, n: 0 } : chargeFor(job.e, view.seat.weight),
    e: job.e,
    e90: job.e90,
    rate: pool.rate,
    speed: pool.speed,
    warm: slot.warm === job.signature,
    signature: job.signature,
    fresh: job.last?.code === "oom" || job.last?.code === "comfy_crash",
    dispatchedAt: now,
    claimBefore: now + pool.claimBefore,
    unknowns: 0,
    ref: null,
    lease: null,
    reclaimUntil: null,
    claimedAt: null,
    coldMs: 0,
    startedAt: null,
    activeAt: now,
    heard: false,
    phase: null,
  };
}

/** The reason a person reads in the log. */
function whyOf(work: Work, choice: Choice): string {
  switch (choice.cause) {
    case "demo":
      return "demo lane: the instructor's work goes first, within its share of the GPUs";
    case "aged":
      return "waited too long for a turn: head starts no longer count";
    case "warm":
      return `reordered: warm model on ${choice.slot.key}`;
    case "background":
      return "a GPU was idle and nothing else could use it";
    case "turn":
      return turnOf(work);
  }
}

function turnOf(work: Work): string {
  switch (work.state.workshop.mode) {
    case "fifo":
      return "first come, first served";
    case "round_robin":
      return "next seat in the round";
    case "fair":
      return "least GPU time used so far";
    case "priority":
      return "highest class, then least GPU time used so far";
  }
}
