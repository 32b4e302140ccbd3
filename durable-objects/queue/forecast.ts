// Place and ETA that are true [Q73][Q74]: the same dispatch loop, run forward on a copy, once with the median and once with the slow estimate.
// The slow run also expects company: seats present now that send more [Q73]. A job that cannot be placed in time gets the reason instead; nothing is invented.

import { affordsDispatch } from "./budget.ts";
import { offersAll, poolMayRun } from "./capability.ts";
import type { Forecast, WaitReason } from "./decision.ts";
import { expectCompany, sendMore } from "./company.ts";
import { dispatchLoop } from "./dispatch.ts";
import { release } from "./ending.ts";
import { refresh } from "./fairness.ts";
import { loadOf } from "./estimate.ts";
import { fork } from "./fork.ts";
import { endBump, endDemo } from "./lane.ts";
import { makePlan, circuitOf } from "./plan.ts";
import type { Attempt, Job, JobId, Pool, QueueState, SeatId, Slot } from "./types.ts";
import { nextRunnable } from "./wake.ts";
import { beginQuietWork, must, type Work } from "./work.ts";

/** Nothing is said about what starts later than this. */
const horizon = 24 * 3_600_000;

type Quantile = 50 | 90;

interface End {
  at: number;
  attempt: Attempt;
  /** Normalised ms it will have taken. */
  actual: number;
}

/** A run forward: the start (ms since the epoch) of every waiting job that starts within a day, in order of dispatch. */
function runForward(state: QueueState, now: number, q: Quantile): Map<JobId, number> {
  const work = beginQuietWork(fork(state), now);
  const company = expectCompany(work.state, now, q === 90 ? state.params.company : 0);
  let left = work.state.derived.waiting;
  const starts = new Map<JobId, number>();
  const loads = loadTimes(state, q);
  let ends = [...work.state.attempts.values()].map((attempt) => liveEnd(work, attempt, q, loads(attempt)));
  const began = (attempt: Attempt) => {
    const cold = startupOf(work.state, attempt, work.now, q);
    if (!company.imagined.has(attempt.job)) {
      starts.set(attempt.job, work.now + cold);
      left--;
    }
    attempt.claimedAt = work.now;
    attempt.startedAt = work.now + cold;
    ends.push({ at: work.now + cold + loads(attempt) + wallTime(attempt, q), attempt, actual: timeOf(attempt, q) });
  };
  for (;;) {
    const due = ends.filter((end) => end.at <= work.now).sort((a, b) => a.attempt.serial - b.attempt.serial);
    if (due.length > 0) ends = ends.filter((end) => end.at > work.now);
    leaveDemo(work);
    for (const end of due) complete(work, end);
    sendMore(work, company);
    refresh(work);
    makePlan(work);
    refresh(work);
    dispatchLoop(work, began);
    const next = nextMoment(work, ends);
    if (left === 0 || next > now + horizon) return starts;
    work.now = next;
  }
}

/** Loading time of an attempt whose slot was not warm; each signature is looked up once per forecast. */
function loadTimes(state: QueueState, q: Quantile): (attempt: Attempt) => number {
  const known = new Map<string, number>();
  return ({ warm, signature }) => {
    if (warm) return 0;
    const before = known.get(signature);
    if (before !== undefined) return before;
    const { e, e90 } = loadOf(state, signature);
    const ms = q === 50 ? e : e90;
    known.set(signature, ms);
    return ms;
  };
}

/** The end of demo and of bumps that are due; like every timer before whatever else happens at that instant [Q4]. */
function leaveDemo(work: Work): void {
  const { workshop, derived } = work.state;
  if (workshop.demoUntil !== null && workshop.demoUntil <= work.now) endDemo(work, "");
  const due = [...derived.bumped].filter(({ bumpUntil }) => bumpUntil !== null && bumpUntil <= work.now);
  for (const job of due.sort((a, b) => (a.bumpUntil ?? 0) - (b.bumpUntil ?? 0) || a.seq - b.seq)) endBump(work, job, "");
}

/** Infinity when nothing can change any more. */
function nextMoment(work: Work, ends: readonly End[]): number {
  let next = Math.min(nextRunnable(work.state, work.now), work.state.workshop.demoUntil ?? Infinity);
  for (const { bumpUntil } of work.state.derived.bumped) if (bumpUntil !== null && bumpUntil < next) next = bumpUntil;
  for (const end of ends) if (end.at < next) next = end.at;
  return next;
}

/** Normalised time of a run at this quantile. */
function timeOf(attempt: Attempt, q: Quantile): number {
  return q === 50 ? attempt.e : attempt.e90;
}

/** The same on this pool's clock. */
function wallTime(attempt: Attempt, q: Quantile): number {
  return Math.floor((timeOf(attempt, q) * 100) / attempt.speed);
}

/** Startup of the pool when no runner was seen on the slot for a while. */
function startupOf(state: QueueState, attempt: Attempt, now: number, q: Quantile): number {
  const pool = state.pools.get(attempt.pool);
  const slot = state.slots.get(attempt.slot);
  if (pool === undefined || slot === undefined || isWarmSlot(pool, slot, now)) return 0;
  return q === 50 ? pool.startup50 : pool.startup90;
}

function isWarmSlot(pool: Pool, slot: Slot, now: number): boolean {
  return slot.runner !== null && now - slot.seenAt <= pool.keepWarm;
}

/** [Q73] now + max(T − elapsed, ⌊T/4⌋), and what is left of the startup while nobody claimed it. */
function liveEnd(work: Work, attempt: Attempt, q: Quantile, load: number): End {
  const { now, state } = work;
  const wall = wallTime(attempt, q) + load;
  const since = attempt.startedAt ?? attempt.claimedAt;
  const left = Math.max(wall - (since === null ? 0 : now - since), Math.floor(wall / 4));
  const cold = attempt.claimedAt === null ? Math.max(0, startupOf(state, attempt, now, q) - (now - attempt.dispatchedAt)) : 0;
  return { at: now + cold + left, attempt, actual: timeOf(attempt, q) };
}

function complete(work: Work, end: End): void {
  const { attempt } = end;
  const { state } = work;
  release(work, attempt, end.actual);
  const job = must(state.jobs.get(attempt.job), `job of attempt ${attempt.key}`);
  const view = must(state.derived.seats.get(job.seat), `seat of job ${job.id}`);
  state.derived.reserved -= job.reserve;
  view.reserved -= job.reserve;
  state.jobs.delete(job.id);
  const slot = state.slots.get(attempt.slot);
  if (slot !== undefined) {
    slot.runner ??= "forecast";
    slot.seenAt = work.now;
  }
  refresh(work);
}

/**
 * Place and ETA of every waiting job, ms since the epoch. Place = 1-based index in the order of dispatch of the median run; the band is
 * [start₅₀, max(start₅₀, start₉₀)]. O(waiting × (seats + slots)), twice: call it at most once a second.
 */
export function forecast(state: QueueState, now: number): Map<JobId, Forecast> {
  const fast = runForward(state, now, 50);
  const slow = runForward(state, now, 90);
  const found = new Map<JobId, Forecast>();
  let place = 0;
  for (const [id, start50] of fast) {
    place++;
    const start90 = slow.get(id);
    found.set(id, start90 === undefined ? { place, reason: "beyond_a_day" } : { place, start50, start90: Math.max(start50, start90) });
  }
  for (const job of state.jobs.values()) {
    if (job.state === "waiting" && !found.has(job.id)) found.set(job.id, reasonFor(state, job, now));
  }
  return found;
}

function reasonFor(state: QueueState, job: Job, now: number): { reason: WaitReason; until?: number } {
  const { workshop, derived } = state;
  const view = derived.seats.get(job.seat);
  if (workshop.switch === "paused" || workshop.switch === "closed") return { reason: workshop.switch };
  if (view === undefined || view.seat.paused) return { reason: "seat_paused" };
  const capable = derived.chain.filter((_, place) => poolMayRun(derived, view, job.profile, place));
  if (capable.length === 0) {
    const elsewhere = derived.chain.some((pool, place) => view.served[place] !== true && offersAll(pool, job.requires));
    const served = view.served.some((serves) => serves);
    return { reason: derived.chain.length === 0 ? "no_gpu" : !served || elsewhere ? "group_closed" : "no_capable_gpu" };
  }
  const open = capable.filter((pool) => derived.open.some((slot) => slot.pool === pool.id));
  if (open.length === 0) {
    const tries = capable.filter((pool) => circuitOf(pool, now) === "open").map((pool) => pool.circuit.openUntil);
    const closed = { reason: view.seat.group === null ? ("no_gpu" as const) : ("group_closed" as const) };
    return tries.length === 0 ? closed : { reason: "no_gpu", until: Math.min(...tries) };
  }
  if (open.every((pool) => !affordsDispatch(state, view, job, pool.rate))) return { reason: "budget" };
  return { reason: "beyond_a_day" };
}

/** [Q13] Retry-After of a 429: seconds until the seat's next start in a forecast, clamped to 5…120. */
export function retryAfterSeconds(found: ReadonlyMap<JobId, Forecast>, state: QueueState, seat: SeatId, now: number): number {
  let least = Infinity;
  for (const [id, entry] of found) {
    if ("start50" in entry && state.jobs.get(id)?.seat === seat) least = Math.min(least, entry.start50);
  }
  return Math.min(120, Math.max(5, Math.ceil((least - now) / 1000)));
}
