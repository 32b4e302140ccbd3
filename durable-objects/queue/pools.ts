// Pools and the wanted number of slots [Q38][Q67][Q68][Q78]: all of it live, none of it ends an attempt.

import { rebuildChain } from "./capability.ts";
import type { CommandOf, Refusal } from "./commands.ts";
import { dropPool, finish, resolveExclusions } from "./ending.ts";
import { refresh, touchAll } from "./fairness.ts";
import { addWaiting, removeWaiting } from "./lists.ts";
import type { Pool, PoolConfig, SeatId } from "./types.ts";
import { answer, emit, refuse, touchSeat, type Answer, type Work } from "./work.ts";
import { viewOf } from "./lists.ts";
import { audit } from "./audit.ts";

type What = "upserted" | "removed" | "draining" | "undrained" | "max_in_flight" | "offers";

function poolChanged(work: Work, id: string, what: What): Answer<null> {
  work.changes.pools.add(id);
  rebuildChain(work.state);
  recheckExclusions(work);
  touchAll(work);
  refresh(work);
  emit(work, { type: "pool_changed", pool: id, what });
  return answer(null);
}

/**
 * [Q55] Which pools could run a job has changed, for everybody or for one seat [Q78]: exclusions that now cover them all are dropped if they may heal;
 * a job whose lasting ones do will never run.
 */
export function recheckExclusions(work: Work, seat?: SeatId): void {
  const { state } = work;
  const jobs = [...state.derived.excluding].filter((job) => seat === undefined || job.seat === seat);
  for (const job of jobs.sort((a, b) => a.seq - b.seq)) {
    removeWaiting(state, job);
    const fate = resolveExclusions(work, job);
    if (fate !== "failed") job.notBefore = Math.max(job.notBefore, fate);
    addWaiting(state, job);
    work.changes.jobs.add(job.id);
    touchSeat(work, viewOf(state, job));
    if (fate !== "failed") continue;
    const reason = job.last ?? { code: "internal", message: "no GPU is left that may run it" };
    finish(work, job, { state: "failed", reason, why: "no GPU is left that may run it", attempt: null });
  }
}

function find(work: Work, id: string): Pool | Refusal {
  const pool = work.state.pools.get(id);
  return pool === undefined || pool.removed ? refuse("not_found", `There is no pool "${id}" in the chain.`, { pool: id }) : pool;
}

function wrongNumber(pool: PoolConfig): string | null {
  const whole: (keyof PoolConfig)[] = ["maxInFlight", "rate", "memory", "startup50", "startup90", "keepWarm", "claimBefore", "startAfterClaim", "silence", "lease", "reclaim"];
  for (const name of whole) {
    const value = pool[name];
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) return name;
  }
  if (!Number.isFinite(pool.position)) return "position";
  if (!Number.isInteger(pool.speed) || pool.speed < 1) return "speed";
  return Object.values(pool.execLimit).every((limit) => Number.isSafeInteger(limit) && limit > 0) ? null : "execLimit";
}

export function upsertPool(work: Work, command: CommandOf<"upsert_pool">): Answer<null> {
  const { pool } = command;
  const wrong = wrongNumber(pool);
  if (wrong !== null) return refuse("invalid_value", `Pool "${pool.id}": ${wrong} must be a whole number that is not negative (speed and limits above 0).`, { pool: pool.id, field: wrong });
  const before = work.state.pools.get(pool.id);
  if (command.by !== undefined) audit(work, command.by, "pool", pool.id, before ?? null, pool);
  work.state.pools.set(pool.id, {
    ...pool,
    draining: before !== undefined && !before.removed && before.draining, // [Q67] a removed pool is gone: this is a new one
    removed: false,
    circuit: before?.circuit ?? { failures: 0, openUntil: 0, code: null },
  });
  return poolChanged(work, pool.id, "upserted");
}

export function removePool(work: Work, command: CommandOf<"remove_pool">): Answer<null> {
  const pool = find(work, command.pool);
  if ("ok" in pool) return pool;
  audit(work, command.by, "remove_pool", pool.id, { position: pool.position, maxInFlight: pool.maxInFlight }, null);
  pool.removed = true;
  const live = [...work.state.attempts.values()].some((attempt) => attempt.pool === pool.id);
  if (!live) dropPool(work, pool.id);
  return poolChanged(work, pool.id, "removed");
}

/** [Q67] */
export function drainPool(work: Work, command: CommandOf<"drain_pool">): Answer<null> {
  const pool = find(work, command.pool);
  if ("ok" in pool) return pool;
  audit(work, command.by, "drain_pool", pool.id, pool.draining, command.draining);
  pool.draining = command.draining;
  return poolChanged(work, pool.id, command.draining ? "draining" : "undrained");
}

/** Live: a pull pool has as many slots as runners connected. */
export function setMaxInFlight(work: Work, command: CommandOf<"set_max_in_flight">): Answer<null> {
  const pool = find(work, command.pool);
  if ("ok" in pool) return pool;
  if (!Number.isSafeInteger(command.maxInFlight) || command.maxInFlight < 0) {
    return refuse("invalid_value", "The number of attempts a pool may run at once is a whole number that is not negative.", { pool: pool.id, maxInFlight: command.maxInFlight });
  }
  pool.maxInFlight = command.maxInFlight;
  return poolChanged(work, pool.id, "max_in_flight");
}

export function setOffers(work: Work, command: CommandOf<"set_offers">): Answer<null> {
  const pool = find(work, command.pool);
  if ("ok" in pool) return pool;
  pool.offers = command.offers;
  return poolChanged(work, pool.id, "offers");
}

/** [Q68] W changes live; lowering it never ends a live attempt. */
export function setWanted(work: Work, command: CommandOf<"set_wanted">): Answer<null> {
  if (!Number.isSafeInteger(command.slots) || command.slots < 0) return refuse("invalid_value", "The number of slots is a whole number that is not negative.", { slots: command.slots });
  const { workshop, derived } = work.state;
  audit(work, command.by, "wanted", null, workshop.wanted, command.slots);
  workshop.wanted = command.slots;
  work.changes.workshop = true;
  derived.planStale = true;
  return answer(null);
}
