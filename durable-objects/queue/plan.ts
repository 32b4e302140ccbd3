// The slot plan [Q38] and the circuits of pools [Q56]: which slots are open. Closing a slot never ends its attempt [Q68].

import { poolMayRun, rebuildOpen } from "./capability.ts";
import type { SeatView } from "./derived.ts";
import { touchAll } from "./fairness.ts";
import { slotKey } from "./state.ts";
import type { Pool, PoolId, QueueState, Slot } from "./types.ts";
import { emit, type Work } from "./work.ts";

export type Circuit = "closed" | "open" | "half_open";

export function circuitOf(pool: Pool, now: number): Circuit {
  if (pool.circuit.failures === 0) return "closed";
  return now < pool.circuit.openUntil ? "open" : "half_open";
}

/** Slots this pool may have open now. */
export function roomOf(pool: Pool, now: number): number {
  if (pool.draining || pool.removed) return 0;
  const circuit = circuitOf(pool, now);
  if (circuit === "open") return 0;
  return circuit === "half_open" ? Math.min(1, pool.maxInFlight) : pool.maxInFlight;
}

/** Waiting work as the plan sees it: one entry per seat and profile. */
function demands(state: QueueState): { view: SeatView; profile: number }[] {
  const found: { view: SeatView; profile: number }[] = [];
  for (const view of state.derived.views) {
    if (view.seat.paused) continue;
    for (const profile of view.main.profiles.keys()) found.push({ view, profile });
    for (const profile of view.idle.profiles.keys()) found.push({ view, profile });
  }
  for (const job of state.derived.demo) {
    const view = state.derived.seats.get(job.seat);
    if (view !== undefined && !view.seat.paused) found.push({ view, profile: job.profile });
  }
  return found;
}

/** Slots to open by place in the chain: up to the wanted W, then one more where waiting work can run nowhere else [Q38]. */
function plannedSlots(state: QueueState, now: number): number[] {
  const { chain } = state.derived;
  let needed = state.workshop.wanted;
  const planned = chain.map((pool) => {
    const take = Math.min(roomOf(pool, now), needed);
    needed -= take;
    return take;
  });
  if (state.workshop.wanted === 0) return planned; // no slot wanted is no slot at all: there is no later pool
  let uncovered = demands(state).filter(({ view, profile }) => !planned.some((take, place) => take > 0 && poolMayRun(state.derived, view, profile, place)));
  chain.forEach((pool, place) => {
    if (uncovered.length === 0 || planned[place] !== 0 || roomOf(pool, now) === 0) return;
    const left = uncovered.filter(({ view, profile }) => !poolMayRun(state.derived, view, profile, place));
    if (left.length === uncovered.length) return;
    planned[place] = 1;
    uncovered = left;
  });
  return planned;
}

/** Make the plan again if anything it reads has changed, and open and close slots by it. */
export function makePlan(work: Work): void {
  const { state, now } = work;
  const { derived } = state;
  if (!derived.planStale && now < derived.planUntil) return;
  derived.planStale = false;
  derived.planUntil = Math.min(Infinity, ...derived.chain.filter((pool) => circuitOf(pool, now) === "open").map((pool) => pool.circuit.openUntil));
  const planned = plannedSlots(state, now);
  const wanted = new Set<string>();
  let changed = false;
  derived.chain.forEach((pool, place) => {
    for (let number = 1; number <= (planned[place] ?? 0); number++) {
      const key = slotKey(pool.id, number);
      wanted.add(key);
      changed = setOpen(work, state.slots.get(key) ?? newSlot(state, pool.id, number), true) || changed;
    }
  });
  for (const slot of state.slots.values()) {
    if (!wanted.has(slot.key)) changed = setOpen(work, slot, false) || changed;
  }
  if (!changed) return;
  rebuildOpen(state);
  touchAll(work);
  if (work.quiet) return;
  const draining = [...state.slots.values()].filter((slot) => !slot.open && slot.attempt !== null).map((slot) => slot.key);
  emit(work, { type: "slots_changed", open: derived.open.map((slot) => slot.key), draining: draining.sort() });
}

function newSlot(state: QueueState, pool: PoolId, number: number): Slot {
  const key = slotKey(pool, number);
  const slot: Slot = { key, pool, number, open: false, attempt: null, warm: null, idleSince: 0, runner: null, seenAt: 0 };
  state.slots.set(key, slot);
  return slot;
}

function setOpen(work: Work, slot: Slot, open: boolean): boolean {
  if (slot.open === open) return false;
  slot.open = open;
  work.changes.slots.add(slot.key);
  return true;
}

/** [Q56] A pool that failed rests: 60 s × 2^(k−1), at most 600 s, or as long as the provider said. What fails while it rests was handed over before and counts once. */
export function openCircuit(work: Work, poolId: PoolId, code: string, alarm: boolean, retryAfter?: number): void {
  const pool = work.state.pools.get(poolId);
  if (pool === undefined || circuitOf(pool, work.now) === "open") return;
  const { circuit, circuitMax } = work.state.params;
  const failures = pool.circuit.failures + 1;
  const rest = retryAfter !== undefined ? Math.max(1000, Math.min(3_600_000, retryAfter)) : Math.min(circuitMax, circuit * 2 ** Math.min(20, failures - 1));
  pool.circuit = { failures, openUntil: work.now + rest, code };
  work.changes.pools.add(poolId);
  work.state.derived.planStale = true;
  emit(work, { type: "circuit_opened", pool: poolId, code, until: pool.circuit.openUntil, failures, alarm });
}

/** [Q56] A claim proves the pool works. */
export function closeCircuit(work: Work, poolId: PoolId): void {
  const pool = work.state.pools.get(poolId);
  if (pool === undefined || pool.circuit.failures === 0) return;
  pool.circuit = { failures: 0, openUntil: 0, code: null };
  work.changes.pools.add(poolId);
  work.state.derived.planStale = true;
  emit(work, { type: "circuit_closed", pool: poolId });
}
