// One decision in progress: the state being changed, and what will be handed back. Only `decide` and `forecast` make one.

import type { Refusal, RefusalReason } from "./commands.ts";
import type { Changes, Effect, QueueEvent } from "./decision.ts";
import type { SeatView } from "./derived.ts";
import { noChanges } from "./changes.ts";
import { settingsOf, type Settings } from "./params.ts";
import type { JobId, QueueState, Terminal } from "./types.ts";

export interface Work {
  state: QueueState;
  now: number;
  settings: Settings;
  events: QueueEvent[];
  effects: Effect[];
  changes: Changes;
  /** Seats whose ledgers, jobs or pause changed since the last refresh [Q4]. */
  touched: Set<SeatView>;
  /** Jobs that ended in this very decision: the caller could not know of them when it looked its `known` up. */
  ended: Map<JobId, Terminal>;
  /** A forecast: nobody reads events, effects and changes. */
  quiet: boolean;
}

export function beginWork(state: QueueState, now: number): Work {
  const settings = settingsOf(state.workshop.mode, state.params);
  return { state, now, settings, events: [], effects: [], changes: noChanges(), touched: new Set(), ended: new Map(), quiet: false };
}

class Nowhere<T> extends Set<T> {
  override add(): this {
    return this;
  }
}

/** Work on a copy whose outcome nobody stores. */
export function beginQuietWork(state: QueueState, now: number): Work {
  const changes: Changes = {
    workshop: false,
    params: false,
    jobs: new Nowhere(),
    attempts: new Nowhere(),
    seats: new Nowhere(),
    pools: new Nowhere(),
    slots: new Nowhere(),
    runners: new Nowhere(),
    estimates: new Nowhere(),
  };
  return { ...beginWork(state, now), changes, quiet: true };
}

export function emit(work: Work, event: QueueEvent): void {
  if (!work.quiet) work.events.push(event);
}

export function act(work: Work, effect: Effect): void {
  if (!work.quiet) work.effects.push(effect);
}

export function touchSeat(work: Work, view: SeatView): void {
  work.touched.add(view);
  work.changes.seats.add(view.seat.id);
}

export type Answer<R> = { ok: true; result: R } | Refusal;

export function answer<R>(result: R): Answer<R> {
  return { ok: true, result };
}

export function refuse(reason: RefusalReason, message: string, numbers: Refusal["numbers"] = {}): Refusal {
  return { ok: false, reason, message, numbers };
}

/** For what cannot happen unless a record is broken: a bug, not an answer. */
export function must<T>(value: T | undefined | null, what: string): T {
  if (value === undefined || value === null) throw new Error(`queue state is inconsistent: ${what}`);
  return value;
}

export function assertNever(value: never): never {
  throw new Error(`unexpected value: ${JSON.stringify(value)}`);
}
