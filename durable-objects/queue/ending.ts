// How attempts and jobs end: close, settle or refund exactly once, then finish the job or put it back [Q30][Q54][Q55].
// Invariant [I1]: an attempt is closed once (it leaves the state), a job ends once (likewise).

import { addLiveReserve, addReserve, costOf, reserveOf, shiftReserve, spend } from "./budget.ts";
import { capablePools, rebuildOpen } from "./capability.ts";
import { stakeOf } from "./derived.ts";
import { estimateFor, loadTiming, recordRuns } from "./estimate.ts";
import { refresh, refund, settle } from "./fairness.ts";
import { addWaiting, forgetKey, removeWaiting, smallestPlace, viewOf } from "./lists.ts";
import { isLasting, judge, remember, retrySentence } from "./outcome.ts";
import { openCircuit } from "./plan.ts";
import type { Timings } from "./commands.ts";
import type { Attempt, ClosedAttempt, Job, Outcome, Reason, Terminal, TerminalState } from "./types.ts";
import { act, emit, must, touchSeat, type Work } from "./work.ts";

/**
 * [Q30] Normalised execution ms of an attempt that ends now: what the runner measured minus loading it could attribute, else since `started`;
 * never more than the platform saw between claim and now; × pool speed / 100.
 */
export function actualOf(attempt: Attempt, now: number, timings?: Timings): number {
  if (attempt.claimedAt === null) return 0;
  const seen = Math.max(0, now - attempt.claimedAt);
  const measured = timings !== undefined ? Math.max(0, timings.execMs - timings.loadMs) : attempt.startedAt === null ? 0 : now - attempt.startedAt;
  return Math.floor((Math.min(measured, seen) * attempt.speed) / 100);
}

export interface Closing {
  outcome: Outcome;
  reason: Reason | null;
  /** Normalised ms to settle with, or null for a full refund. */
  actual: number | null;
}

/** Close an attempt: slot, ledger, money. The caller finishes or re-queues the job before the next refresh. */
export function closeAttempt(work: Work, attempt: Attempt, closing: Closing): ClosedAttempt {
  const { now } = work;
  const cost = release(work, attempt, closing.actual);
  const record: ClosedAttempt = {
    ...attempt,
    closedAt: now,
    outcome: closing.outcome,
    code: closing.reason?.code ?? null,
    settled: closing.actual ?? 0,
    refunded: closing.actual === null,
    cost,
  };
  emit(work, { type: "attempt_closed", record, reason: closing.reason });
  return record;
}

/** Slot, ledger and money of an attempt that is over; what it cost. */
export function release(work: Work, attempt: Attempt, actual: number | null): number {
  const { state, now } = work;
  const job = must(state.jobs.get(attempt.job), `job of attempt ${attempt.key}`);
  const view = viewOf(state, job);
  state.attempts.delete(attempt.key);
  work.changes.attempts.add(attempt.key);
  freeSlot(work, attempt);
  if (attempt.ledger !== null) stakeOf(view, attempt.ledger).live--;
  addLiveReserve(state, view, job, -1);
  if (actual === null) refund(view, attempt);
  else settle(view, attempt, actual);
  touchSeat(work, view);
  const cost = attempt.claimedAt === null ? 0 : costOf(attempt.coldMs + Math.max(0, now - attempt.claimedAt), attempt.rate);
  spend(work, view, cost);
  return cost;
}

function freeSlot(work: Work, attempt: Attempt): void {
  const { state, now } = work;
  const slot = must(state.slots.get(attempt.slot), `slot of attempt ${attempt.key}`);
  slot.attempt = null;
  slot.idleSince = now;
  work.changes.slots.add(slot.key);
  const pool = state.pools.get(attempt.pool);
  if (pool?.removed === true && ![...state.attempts.values()].some((other) => other.pool === pool.id)) dropPool(work, pool.id);
}

/** A removed pool whose last attempt ended: its row and its slots go. */
export function dropPool(work: Work, id: string): void {
  const { state } = work;
  for (const slot of state.slots.values()) {
    if (slot.pool !== id) continue;
    state.slots.delete(slot.key);
    work.changes.slots.add(slot.key);
  }
  state.pools.delete(id);
  work.changes.pools.add(id);
  rebuildOpen(state);
  state.derived.planStale = true;
}

export interface Ending {
  state: TerminalState;
  reason: Reason | null;
  why: string;
  attempt: ClosedAttempt | null;
  /** Lease and digest of the result that ended it [Q53]. */
  lease?: string;
  digest?: string;
}

/** The job is over: its record leaves with the event [Q7]. A waiting job leaves its list first. */
export function finish(work: Work, job: Job, ending: Ending): void {
  const { state, now } = work;
  const view = viewOf(state, job);
  const from = job.state;
  if (from === "waiting") removeWaiting(state, job);
  addReserve(state, view, job, -1);
  forgetKey(state, job);
  state.jobs.delete(job.id);
  work.changes.jobs.add(job.id);
  touchSeat(work, view);
  const { attempt } = ending;
  const record: Terminal = {
    id: job.id,
    seat: job.seat,
    seq: job.seq,
    state: ending.state,
    reason: ending.reason,
    key: job.key,
    hash: job.hash,
    lane: job.lane,
    attempts: job.attempts,
    lease: ending.lease ?? attempt?.lease?.id ?? null,
    digest: ending.digest ?? null,
    pool: attempt?.pool ?? null,
    slot: attempt?.slot ?? null,
    acceptedAt: job.acceptedAt,
    dispatchedAt: attempt?.dispatchedAt ?? null,
    startedAt: attempt?.startedAt ?? null,
    endedAt: now,
    settled: attempt?.settled ?? 0,
    cost: attempt?.cost ?? 0,
    quoted: job.quoted,
  };
  work.ended.set(job.id, record);
  emit(work, { type: "job_ended", job: job.id, seat: job.seat, from, record, last: { ...job, state: from }, why: ending.why });
  refresh(work);
}

/** Waiting again with its original `seq`, at the head of its seat [Q18]. Its attempt is closed already. */
export function requeue(work: Work, job: Job, notBefore: number, why: string): void {
  const { state } = work;
  const view = viewOf(state, job);
  const least = smallestPlace(state, view);
  const from = job.state;
  if (least !== null) job.place = least - 1;
  job.state = "waiting";
  job.stop = null;
  job.notBefore = notBefore;
  Object.assign(job, estimateFor(state, job.timing, job.kind));
  shiftReserve(state, job, reserveOf(job.e90, job.rate));
  addWaiting(state, job);
  work.changes.jobs.add(job.id);
  touchSeat(work, view);
  emit(work, { type: "job_state", job: job.id, seat: job.seat, from, to: "waiting", why });
  refresh(work);
}

/** [Q54] An attempt went wrong: the pool may rest, the job waits again or fails. `timings` for failures that are settled. */
export function failAttempt(work: Work, attempt: Attempt, outcome: Outcome, reason: Reason, extra: { retryAfter?: number; timings?: Timings; digest?: string } = {}): void {
  const { state, now } = work;
  const job = must(state.jobs.get(attempt.job), `job of attempt ${attempt.key}`);
  if (job.state === "stopping") return endStopped(work, attempt, extra.timings, extra.digest);
  const chain = capablePools(state, job);
  const verdict = judge(job, attempt, reason.code, state.params, chain);
  if (verdict.circuit) openCircuit(work, attempt.pool, reason.code, verdict.alarm, extra.retryAfter);
  else if (verdict.alarm) emit(work, { type: "alarm", code: reason.code, message: reason.message, job: job.id });
  remember(job, attempt, reason.code);
  job.last = reason;
  if (verdict.counted) job.counted++;
  if (verdict.further) job.further++;
  for (const pool of verdict.exclude) if (!job.excluded.some((entry) => entry.pool === pool)) job.excluded.push({ pool, code: reason.code });
  const fate = verdict.retry ? resolveExclusions(work, job) : "failed";
  const refunded = fate !== "failed" || verdict.refundAnyway; // known only now: an `oom` no pool is left for is charged like any failed run
  const closed = closeAttempt(work, attempt, { outcome, reason, actual: refunded ? null : actualOf(attempt, now, extra.timings) });
  if (fate === "failed") {
    finish(work, job, { state: "failed", reason, why: reason.message, attempt: closed, ...(extra.digest === undefined ? {} : { digest: extra.digest }) });
    return;
  }
  requeue(work, job, Math.max(fate, verdict.counted ? now + backoff(work, job.counted) : 0), retrySentence(reason.code));
}

/** min(60 s, 2 s × 2^(attempts − 1)) [Q55]. */
function backoff(work: Work, attempts: number): number {
  const { params } = work.state;
  return Math.min(params.backoffMax, params.backoff * 2 ** (attempts - 1));
}

/**
 * [Q55] A job that excludes every pool that could run it: exclusions that may heal are dropped and it waits 30 s (returned as time);
 * if the lasting ones alone exclude all, "failed". Draining pools are no way out now, but keep a job from failing.
 */
export function resolveExclusions(work: Work, job: Job): number | "failed" {
  const { state, now } = work;
  const capable = capablePools(state, job);
  const excludes = (pool: string, lastingOnly: boolean) => job.excluded.some((entry) => entry.pool === pool && (!lastingOnly || isLasting(entry.code)));
  if (capable.length === 0) return 0;
  if (capable.every((pool) => excludes(pool.id, true))) return "failed";
  if (!capable.filter((pool) => !pool.draining).every((pool) => excludes(pool.id, false))) return 0;
  if (job.excluded.every((entry) => isLasting(entry.code))) return 0;
  job.excluded = job.excluded.filter((entry) => isLasting(entry.code));
  return now + state.params.lastResort;
}

/** [Q61] A stopping job ends cancelled, whatever arrived. The instructor's cancel is refunded in full, the seat's own is charged so far [Q30]. */
export function endStopped(work: Work, attempt: Attempt, timings?: Timings, digest?: string): void {
  const job = must(work.state.jobs.get(attempt.job), `job of attempt ${attempt.key}`);
  const byInstructor = job.stop?.by === "instructor";
  const reason: Reason = { code: "cancelled", message: byInstructor ? "stopped by the instructor" : "stopped" };
  const actual = byInstructor ? null : actualOf(attempt, work.now, timings);
  const closed = closeAttempt(work, attempt, { outcome: "cancelled", reason, actual });
  finish(work, job, { state: "cancelled", reason, why: reason.message, attempt: closed, ...(digest === undefined ? {} : { digest }) });
}

/** [Q10] A run that succeeded: settle, keep its time, end the job. */
export function succeed(work: Work, attempt: Attempt, timings: Timings | undefined, digest: string): void {
  const { state, now } = work;
  const job = must(state.jobs.get(attempt.job), `job of attempt ${attempt.key}`);
  const measured = timings !== undefined || attempt.startedAt !== null;
  const actual = actualOf(attempt, now, timings ?? (measured ? undefined : { execMs: now - (attempt.claimedAt ?? now), loadMs: 0 }));
  const closed = closeAttempt(work, attempt, { outcome: "succeeded", reason: null, actual });
  if (measured) recordRuns(work, job.timing, [actual]);
  if (timings !== undefined && timings.loadMs > 0 && !attempt.warm) recordRuns(work, loadTiming(job.signature), [Math.floor(timings.loadMs)]);
  finish(work, job, { state: "succeeded", reason: null, why: "done", attempt: closed, digest });
}

/** Tell the runner that its lease is over, if it has one. */
export function tellEvicted(work: Work, attempt: Attempt): void {
  if (attempt.lease === null) return;
  act(work, { type: "tell_runner", job: attempt.job, attempt: attempt.number, lease: attempt.lease.id, runner: attempt.lease.runner, what: "evicted" });
}
