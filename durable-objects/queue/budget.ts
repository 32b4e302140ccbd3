// Money [Q16]: what is set aside for a job, what may be admitted and dispatched, what was spent. Micro-units; nothing is debited in advance.

import type { SeatView } from "./derived.ts";
import type { Job, QueueState } from "./types.ts";
import { emit, type Work } from "./work.ts";

const hour = 3_600_000;

/** ceil(e90 × rate / 3 600 000): ms × micro-units per hour. */
export function reserveOf(e90: number, rate: number): number {
  return Math.ceil((e90 * rate) / hour);
}

/** Cost of container time, rounded up so that money never falls short of time × rate [I10]. */
export function costOf(containerMs: number, rate: number): number {
  return Math.ceil((containerMs * rate) / hour);
}

/** Rate of the dearest pool of the seat's chain; 0 when it has none. */
export function dearestRate(state: QueueState, view: SeatView): number {
  let rate = 0;
  state.derived.chain.forEach((pool, place) => {
    if (view.served[place] === true && pool.rate > rate) rate = pool.rate;
  });
  return rate;
}

/** Set a non-terminal job's reserve; the sums follow. */
export function shiftReserve(state: QueueState, job: Job, reserve: number): void {
  const step = reserve - job.reserve;
  job.reserve = reserve;
  state.derived.reserved += step;
  const view = state.derived.seats.get(job.seat);
  if (view !== undefined) view.reserved += step;
}

export function addReserve(state: QueueState, view: SeatView, job: Job, sign: 1 | -1): void {
  state.derived.reserved += sign * job.reserve;
  view.reserved += sign * job.reserve;
}

export function addLiveReserve(state: QueueState, view: SeatView, job: Job, sign: 1 | -1): void {
  state.derived.reservedLive += sign * job.reserve;
  view.reservedLive += sign * job.reserve;
}

export interface Shortage {
  scope: "workshop" | "seat";
  budget: number;
  spent: number;
  reserved: number;
  needed: number;
}

/** Null when a new job with this reserve fits, else which budget is short and by which numbers. */
export function shortage(state: QueueState, view: SeatView, reserve: number): Shortage | null {
  const { workshop, derived } = state;
  if (workshop.budget !== null && workshop.spent + derived.reserved + reserve > workshop.budget) {
    return { scope: "workshop", budget: workshop.budget, spent: workshop.spent, reserved: derived.reserved, needed: reserve };
  }
  const { seat } = view;
  if (seat.budget !== null && seat.spent + view.reserved + reserve > seat.budget) {
    return { scope: "seat", budget: seat.budget, spent: seat.spent, reserved: view.reserved, needed: reserve };
  }
  return null;
}

/** The test over live jobs only, repeated at dispatch for the pool chosen. */
export function affordsDispatch(state: QueueState, view: SeatView, job: Job, rate: number): boolean {
  const { workshop, derived } = state;
  const { seat } = view;
  if (workshop.budget === null && seat.budget === null) return true;
  const reserve = reserveOf(job.e90, rate);
  if (workshop.budget !== null && workshop.spent + derived.reservedLive + reserve > workshop.budget) return false;
  return seat.budget === null || seat.spent + view.reservedLive + reserve <= seat.budget;
}

/** Count money as spent; crossing 80 % of a budget is an event once. */
export function spend(work: Work, view: SeatView | null, micro: number): void {
  const { workshop } = work.state;
  if (micro === 0) return;
  workshop.spent += micro;
  work.changes.workshop = true;
  if (view !== null) {
    view.seat.spent += micro;
    work.changes.seats.add(view.seat.id);
    watch(work, view.seat, view.seat.id);
  }
  watch(work, workshop, "workshop");
}

/** Raise or lower the flag of one account after spending or a new budget. */
export function watch(work: Work, account: { budget: number | null; spent: number; warned: boolean }, scope: string): void {
  const { budget, spent } = account;
  const crossed = budget !== null && 100 * spent >= 80 * budget;
  if (crossed && !account.warned) emit(work, { type: "budget_crossed", scope, spent, budget });
  account.warned = crossed;
}
