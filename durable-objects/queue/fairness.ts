// The ledgers [Q24]–[Q36]: charge at dispatch, settle at the end, lift on arrival, virtual time, decay, debt cap.
// Invariant [Q33]: v falls only by settlement, refund, decay and the debt cap; every rule for v holds for n with its own unit.

import { hasOpenSlotFor } from "./capability.ts";
import { stakeOf, type SeatView } from "./derived.ts";
import type { Attempt, Ledger, LedgerName, QueueState } from "./types.ts";
import type { Work } from "./work.ts";

const ledgers = ["main", "background"] as const;

/** [Q29] What a dispatch costs a seat of this weight. */
export function chargeFor(e: number, weight: number): Ledger {
  return { v: Math.floor((e * 100) / weight), n: Math.floor(100_000 / weight) };
}

export function charge(view: SeatView, attempt: Attempt): void {
  if (attempt.ledger === null) return;
  const ledger = view.seat[attempt.ledger];
  ledger.v += attempt.charged.v;
  ledger.n += attempt.charged.n;
}

/** [Q30] The charge becomes what the run really took (normalised ms); n stays. */
export function settle(view: SeatView, attempt: Attempt, actual: number): void {
  if (attempt.ledger === null) return;
  view.seat[attempt.ledger].v += Math.floor((actual * 100) / view.seat.weight) - attempt.charged.v;
}

/** [Q30] Both amounts back. Once, because a closed attempt is no longer in the state. */
export function refund(view: SeatView, attempt: Attempt): void {
  if (attempt.ledger === null) return;
  const ledger = view.seat[attempt.ledger];
  ledger.v -= attempt.charged.v;
  ledger.n -= attempt.charged.n;
}

/** [Q26]–[Q28] as they are now; true when the seat has just become active. */
export function refreshStake(state: QueueState, view: SeatView, name: LedgerName): boolean {
  const stake = stakeOf(view, name);
  const was = stake.active;
  stake.active = !view.seat.paused && stake.waiting + stake.live > 0;
  const blocked = stake.live === 0 && !hasOpenSlotFor(state.derived, view, stake);
  const contending = stake.active && !blocked;
  if (contending !== stake.contending) state.derived.contending[name] += contending ? 1 : -1;
  stake.contending = contending;
  return stake.active && !was;
}

/** [Q4] After every change: lifts [Q31], V and N [Q32], debt cap [Q36]. */
export function refresh(work: Work): void {
  const { state, touched } = work;
  const { workshop, params, derived } = state;
  if (touched.size === 0) return;
  for (const view of touched) {
    for (const name of ledgers) {
      if (!refreshStake(state, view, name)) continue;
      const ledger = view.seat[name];
      ledger.v = Math.max(ledger.v, workshop[name].v);
      ledger.n = Math.max(ledger.n, workshop[name].n);
      work.changes.seats.add(view.seat.id);
    }
  }
  for (const name of ledgers) {
    const virtual = workshop[name];
    if (derived.contending[name] > 0 && advance(virtual, leastServed(derived.views, name))) work.changes.workshop = true;
    for (const view of touched) {
      if (capDebt(view.seat[name], virtual, params.debtMs, params.debtJobs)) work.changes.seats.add(view.seat.id);
    }
  }
  touched.clear();
}

/** Least v and least n among contending seats. */
function leastServed(views: readonly SeatView[], name: LedgerName): Ledger {
  let v = Infinity;
  let n = Infinity;
  for (const view of views) {
    if (!(name === "main" ? view.main : view.idle).contending) continue;
    const ledger = name === "main" ? view.seat.main : view.seat.background;
    if (ledger.v < v) v = ledger.v;
    if (ledger.n < n) n = ledger.n;
  }
  return { v, n };
}

/** [Q32] Virtual time only rises. */
function advance(virtual: Ledger, least: Ledger): boolean {
  if (least.v <= virtual.v && least.n <= virtual.n) return false;
  virtual.v = Math.max(virtual.v, least.v);
  virtual.n = Math.max(virtual.n, least.n);
  return true;
}

/** [Q36] V only rises, so only a seat whose ledger has just changed can be over the cap. */
function capDebt(ledger: Ledger, virtual: Ledger, ms: number, jobs: number): boolean {
  const overV = ms > 0 && ledger.v > virtual.v + ms;
  const overN = jobs > 0 && ledger.n > virtual.n + jobs;
  if (overV) ledger.v = virtual.v + ms;
  if (overN) ledger.n = virtual.n + jobs;
  return overV || overN;
}

/** Open slots, weights or parameters changed: every seat is looked at again. */
export function touchAll(work: Work): void {
  for (const view of work.state.derived.views) work.touched.add(view);
}

/** [Q35] Per-million factor of one minute for a half-life in minutes. */
export function decayFactor(halfLifeMinutes: number): number {
  return Math.round(1_000_000 * 0.5 ** (1 / halfLifeMinutes));
}

/** What is left of a distance from V after some minutes. */
export function decayed(distance: number, factor: number, minutes: number): number {
  let left = distance;
  for (let minute = 0; minute < minutes && left > 0; minute++) left = Math.floor((left * factor) / 1_000_000);
  return left;
}

/** [Q35] Minutes passed since the previous command wear off what seats without waiting jobs owe. */
export function decay(work: Work): void {
  const { workshop, params, derived } = work.state;
  const minute = Math.floor(work.now / 60_000);
  if (workshop.minute < 0) {
    workshop.minute = minute;
    work.changes.workshop = true;
    return;
  }
  const passed = Math.min(1440, minute - workshop.minute);
  if (passed <= 0) return;
  workshop.minute = minute;
  work.changes.workshop = true;
  if (params.halfLifeMinutes === 0) return;
  const factor = decayFactor(params.halfLifeMinutes);
  for (const view of derived.views) {
    for (const name of ledgers) {
      if (stakeOf(view, name).waiting > 0) continue;
      const ledger = view.seat[name];
      const virtual = workshop[name];
      if (ledger.v <= virtual.v && ledger.n <= virtual.n) continue;
      if (ledger.v > virtual.v) ledger.v = virtual.v + decayed(ledger.v - virtual.v, factor, passed);
      if (ledger.n > virtual.n) ledger.n = virtual.n + decayed(ledger.n - virtual.n, factor, passed);
      work.changes.seats.add(view.seat.id);
    }
  }
}

/** [Q34] Everybody level; lists stay. */
export function newRound(work: Work): void {
  const { workshop, derived } = work.state;
  for (const view of derived.views) {
    for (const name of ledgers) {
      view.seat[name].v = workshop[name].v;
      view.seat[name].n = workshop[name].n;
    }
    work.touched.add(view);
    work.changes.seats.add(view.seat.id);
  }
}
