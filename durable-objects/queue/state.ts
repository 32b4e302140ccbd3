// Rows to state and back, and a copy for forecasts. Invariant [I11]: restore(rowsOf(state)) decides as `state` would.

import { rebuildChain, servedPlaces } from "./capability.ts";
import type { Derived, SeatView, Stake } from "./derived.ts";
import { stakeOf } from "./derived.ts";
import { estimateFor } from "./estimate.ts";
import { refreshStake } from "./fairness.ts";
import { addWaiting, rememberKey } from "./lists.ts";
import { reserveOf } from "./budget.ts";
import { defaultParams, settingsOf } from "./params.ts";
import type { AttemptKey, JobId, PoolId, QueueState, Rows, Seat, SlotKey } from "./types.ts";

export function attemptKey(job: JobId, number: number): AttemptKey {
  return `${job}#${number}`;
}

export function slotKey(pool: PoolId, number: number): SlotKey {
  return `${pool}-${number}`;
}

function noStake(): Stake {
  return { waiting: 0, live: 0, profiles: new Map(), active: false, contending: false };
}

export function newView(state: QueueState, seat: Seat): SeatView {
  const view: Omit<SeatView, "head"> = {
    seat,
    normal: { order: [], bySeq: [] },
    background: { order: [], bySeq: [] },
    waiting: 0,
    main: noStake(),
    idle: noStake(),
    reserved: 0,
    reservedLive: 0,
    served: servedPlaces(state.derived, seat),
  };
  return withHead(view);
}

/** A seat's view with its own room for a head. */
export function withHead(parts: Omit<SeatView, "head">): SeatView {
  const view = parts as SeatView;
  view.head = { view, job: null };
  return view;
}

/** The seat's view, made with default weight and empty ledgers when the seat was never seen. */
export function ensureSeat(state: QueueState, id: string): SeatView {
  const known = state.derived.seats.get(id);
  if (known !== undefined) return known;
  const seat: Seat = {
    id,
    instructor: false,
    paused: false,
    weight: 100,
    group: null,
    main: { v: 0, n: 0 },
    background: { v: 0, n: 0 },
    budget: null,
    spent: 0,
    warned: false,
    sent: null,
  };
  state.seats.set(id, seat);
  return addView(state, seat);
}

function addView(state: QueueState, seat: Seat): SeatView {
  const view = newView(state, seat);
  state.derived.seats.set(seat.id, view);
  state.derived.views.push(view);
  return view;
}

export function noDerived(classes: boolean): Derived {
  return {
    seats: new Map(),
    views: [],
    demo: [],
    waiting: 0,
    reserved: 0,
    reservedLive: 0,
    chain: [],
    ordinal: new Map(),
    open: [],
    hasOpen: [],
    profiles: [],
    profileIds: new Map(),
    unusedProfiles: [],
    contending: { main: 0, background: 0 },
    byTiming: new Map(),
    byKey: new Map(),
    deferred: new Set(),
    excluding: new Set(),
    bumped: new Set(),
    planStale: true,
    planUntil: 0,
    classes,
  };
}

function keyed<T, K>(records: readonly T[], key: (record: T) => K): Map<K, T> {
  return new Map(records.map((record) => [key(record), record]));
}

/** State from rows. Takes ownership of the records; O(n log n) in live jobs. */
export function restore(rows: Rows): QueueState {
  const state: QueueState = {
    workshop: rows.workshop,
    params: { ...defaultParams, ...rows.params },
    jobs: keyed(rows.jobs, (job) => job.id),
    attempts: keyed(rows.attempts, (attempt) => attempt.key),
    seats: keyed(rows.seats, (seat) => seat.id),
    pools: keyed(rows.pools, (pool) => pool.id),
    slots: keyed(rows.slots, (slot) => slot.key),
    runners: keyed(rows.runners, (runner) => runner.id),
    estimates: keyed(rows.estimates, (estimate) => estimate.timing),
    derived: noDerived(settingsOf(rows.workshop.mode, rows.params).classes),
  };
  rebuildChain(state);
  for (const seat of rows.seats) addView(state, seat);
  for (const job of rows.jobs) {
    if (job.state === "waiting") {
      Object.assign(job, estimateFor(state, job.timing, job.kind)); // rows are not rewritten when the table learns [Q72]
      job.reserve = reserveOf(job.e90, job.rate);
      addWaiting(state, job);
    }
    rememberKey(state, job);
    state.derived.reserved += job.reserve;
    const view = state.derived.seats.get(job.seat);
    if (view !== undefined) view.reserved += job.reserve;
  }
  for (const attempt of rows.attempts) {
    const view = state.derived.seats.get(attempt.seat);
    const reserve = state.jobs.get(attempt.job)?.reserve ?? 0;
    state.derived.reservedLive += reserve;
    if (view === undefined) continue;
    view.reservedLive += reserve;
    if (attempt.ledger !== null) stakeOf(view, attempt.ledger).live++;
  }
  for (const view of state.derived.views) {
    refreshStake(state, view, "main");
    refreshStake(state, view, "background");
  }
  return state;
}

/** Every record, for a snapshot, a log's beginning or a test. The records are the state's own: copy before changing them. */
export function rowsOf(state: QueueState): Rows {
  return {
    workshop: state.workshop,
    params: state.params,
    jobs: [...state.jobs.values()],
    attempts: [...state.attempts.values()],
    seats: [...state.seats.values()],
    pools: [...state.pools.values()],
    slots: [...state.slots.values()],
    runners: [...state.runners.values()],
    estimates: [...state.estimates.values()],
  };
}
