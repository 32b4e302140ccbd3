// What `choose` sees at one moment: idle slots, who may run where, who holds back. Read-only; made anew for each choice [Q40][Q41][Q43].

import { affordsDispatch } from "./budget.ts";
import { poolMayRun } from "./capability.ts";
import { listOf } from "./lists.ts";
import type { SeatView } from "./derived.ts";
import type { Settings } from "./params.ts";
import type { Job, LedgerName, Pool, QueueState, Slot } from "./types.ts";

export interface Floor {
  state: QueueState;
  settings: Settings;
  now: number;
  /** W, the number of open slots. */
  width: number;
  /** I, open idle slots in slot order. */
  idle: Slot[];
  /** Places in the chain of the pools those slots belong to. */
  places: number[];
  /** r of [Q43]: slots kept for short work; 0 below four slots. */
  kept: number;
  /** Jobs with e > long are held at this moment [Q43]. */
  holding: boolean;
  /** The workshop has no budget. */
  unbudgeted: boolean;
}

/** Null when there is nothing to choose for: dispatching off, or no idle slot. */
export function lookAround(state: QueueState, settings: Settings, now: number): Floor | null {
  const { workshop, derived } = state;
  if (workshop.switch === "paused" || workshop.switch === "closed" || derived.waiting === 0) return null;
  const idle = derived.open.filter((slot) => slot.attempt === null);
  if (idle.length === 0) return null;
  const places: number[] = [];
  for (const slot of idle) {
    const place = derived.ordinal.get(slot.pool);
    if (place !== undefined && !places.includes(place)) places.push(place);
  }
  const width = derived.open.length;
  const kept = width >= 4 ? Math.min(settings.reserved, width - 1) : 0;
  return { state, settings, now, width, idle, places, kept, holding: kept > 0 && isHolding(state, width - kept, now), unbudgeted: workshop.budget === null };
}

/** [Q43] At least W − r live jobs on open slots are long, and short work came within `hold`. */
export function isHolding(state: QueueState, limit: number, now: number): boolean {
  const { params, workshop } = state;
  if (workshop.lastShort === null || now - workshop.lastShort > params.hold) return false;
  let long = 0;
  for (const slot of state.derived.open) {
    const attempt = slot.attempt === null ? undefined : state.attempts.get(slot.attempt);
    if (attempt !== undefined && attempt.e > params.long) long++;
  }
  return long >= limit;
}

export function isHeld(floor: Floor, job: Job): boolean {
  return floor.holding && job.e > floor.state.params.long;
}

/** [Q41] Some idle slot may run it, the budget allows it there, and its time has come. (Paused seats are left out by the caller.) */
export function isRunnable(floor: Floor, view: SeatView, job: Job): boolean {
  if (job.notBefore > floor.now) return false;
  for (const place of floor.places) if (mayRunAt(floor, view, job, place)) return true;
  return false;
}

function mayRunAt(floor: Floor, view: SeatView, job: Job, place: number): boolean {
  const { derived } = floor.state;
  const pool = derived.chain[place];
  return pool !== undefined && poolMayRun(derived, view, job.profile, place) && affordsDispatch(floor.state, view, job, pool.rate);
}

/** The common case, asked of every seat at every choice: no budget, and the first idle pool will do. False = look properly. */
function isPlainlyRunnable(floor: Floor, view: SeatView, job: Job): boolean {
  const place = floor.places[0] ?? -1;
  if (!floor.unbudgeted || view.seat.budget !== null || job.notBefore > floor.now || view.served[place] !== true) return false;
  return floor.state.derived.profiles[job.profile]?.capable[place] === true;
}

/** [Q41] First runnable job of a seat's list. */
export function headOf(floor: Floor, view: SeatView, lane: "normal" | "background"): Job | null {
  const { order } = listOf(view, lane);
  const [first] = order;
  if (first === undefined || view.seat.paused) return null;
  if (isPlainlyRunnable(floor, view, first)) return first;
  for (const job of order) if (isRunnable(floor, view, job)) return job;
  return null;
}

/** Idle slots that may run the job, in slot order. */
export function slotsFor(floor: Floor, view: SeatView, job: Job): Slot[] {
  const { ordinal } = floor.state.derived;
  return floor.idle.filter((slot) => {
    const place = ordinal.get(slot.pool);
    return place !== undefined && mayRunAt(floor, view, job, place);
  });
}

/** The job is warm on an idle slot that may run it. */
export function isWarm(floor: Floor, view: SeatView, job: Job): boolean {
  const { ordinal } = floor.state.derived;
  for (const slot of floor.idle) {
    if (slot.warm !== job.signature) continue;
    const place = ordinal.get(slot.pool);
    if (place !== undefined && mayRunAt(floor, view, job, place)) return true;
  }
  return false;
}

/** [Q46] Smaller is sooner; in fifo the smallest `seq` the seat has waiting in the lane [Q50]. */
export function keyOf(floor: Floor, view: SeatView, job: Job, ledger: LedgerName): number {
  const { settings } = floor;
  if (settings.key === "seq") return listOf(view, ledger === "main" ? "normal" : "background").bySeq[0]?.seq ?? job.seq;
  return view.seat[ledger][settings.key] + Math.floor((Math.min(job.e, settings.headStart) * 100) / view.seat.weight);
}

/** [Q49] Among the slots that may run it: warm, then chain position (pools for the seat's group first [Q78]), never used, idle longest, number. */
export function bestSlot(floor: Floor, view: SeatView, job: Job): Slot | null {
  const { derived, pools } = floor.state;
  const rank = (slot: Slot) => {
    const pool: Pool | undefined = pools.get(slot.pool);
    return [slot.warm === job.signature ? 0 : 1, pool?.groups != null ? 0 : 1, derived.ordinal.get(slot.pool) ?? 0, slot.warm === null ? 0 : 1, slot.idleSince, slot.number];
  };
  const slots = slotsFor(floor, view, job);
  let best = slots[0] ?? null;
  if (slots.length < 2 || best === null) return best;
  let least = rank(best);
  for (const slot of slots) {
    const mine = rank(slot);
    if (!precedes(mine, least)) continue;
    best = slot;
    least = mine;
  }
  return best;
}

function precedes(a: number[], b: number[]): boolean {
  for (let i = 0; i < a.length; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}
