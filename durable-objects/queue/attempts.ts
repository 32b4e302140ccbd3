// The life of an attempt between dispatch and result: handed over, claimed, renewed, started [Q9][Q52][Q53][Q58].

import type { CommandOf, Granted, Leased, Refusal, Results } from "./commands.ts";
import { failAttempt } from "./ending.ts";
import { closeCircuit, openCircuit } from "./plan.ts";
import { classOf } from "./outcome.ts";
import { seat } from "./runners.ts";
import { attemptKey } from "./state.ts";
import type { Attempt, Job, QueueState } from "./types.ts";
import { act, answer, assertNever, emit, must, refuse, type Answer, type Work } from "./work.ts";

/** How stale a slot's sign of life may get before a heartbeat rewrites its row, ms. */
const seenEvery = 60_000;

interface Held {
  job: Job;
  attempt: Attempt;
}

/** The job's current attempt by number, or why not. */
function currentAttempt(state: QueueState, id: string, number: number): Held | Refusal {
  const job = state.jobs.get(id);
  if (job === undefined) return refuse("not_found", "There is no such live job.", { job: id });
  const attempt = state.attempts.get(attemptKey(id, number));
  if (attempt === undefined) return refuse("superseded", "This attempt is closed; the job runs elsewhere or waits again.", { job: id, attempt: number, current: job.attempts });
  return { job, attempt };
}

/** [Q53] The attempt this lease holds, or `stale`. */
export function leasedAttempt(state: QueueState, command: Leased): Held | Refusal {
  const held = currentAttempt(state, command.job, command.attempt);
  const stale = () => refuse("stale", "This lease is not the current one; the run must stop, nothing of it counts.", { job: command.job, attempt: command.attempt });
  if ("ok" in held) return stale();
  const { lease, reclaimUntil } = held.attempt;
  return lease?.id === command.lease && reclaimUntil === null ? held : stale();
}

export function handedOver(work: Work, command: CommandOf<"handed_over">): Answer<null> {
  const held = currentAttempt(work.state, command.job, command.attempt);
  if ("ok" in held) return held;
  const { attempt } = held;
  const early = attempt.lease === null;
  work.changes.attempts.add(attempt.key);
  switch (command.answer) {
    case "submitted":
      attempt.ref = command.ref ?? attempt.ref;
      if (early) attempt.state = "submitted";
      return answer(null);
    case "unknown":
      if (early) answerLost(work, attempt);
      return answer(null);
    case "refused":
      if (!early) return refuse("illegal_transition", "A runner has already claimed this attempt; the provider's refusal came too late.", { job: command.job, state: attempt.state });
      if (command.code === "provider_unknown") answerLost(work, attempt);
      else failAttempt(work, attempt, "refused", { code: command.code, message: command.message ?? "the provider refused the run" }, command.retryAfter === undefined ? {} : { retryAfter: command.retryAfter });
      return answer(null);
    default:
      return assertNever(command);
  }
}

/** [Q54] `provider_unknown`: ask by our own id first. The second time the pool rests, and the claim deadline decides. */
function answerLost(work: Work, attempt: Attempt): void {
  attempt.state = "unknown";
  attempt.unknowns++;
  if (attempt.unknowns >= 2) openCircuit(work, attempt.pool, "provider_unknown", false);
  act(work, { type: "ask_status", job: attempt.job, attempt: attempt.number, pool: attempt.pool });
}

export function providerStatus(work: Work, command: CommandOf<"provider_status">): Answer<null> {
  const held = currentAttempt(work.state, command.job, command.attempt);
  if ("ok" in held) return held;
  const { attempt } = held;
  if (attempt.lease !== null) return answer(null); // the runner's own word counts for more [G26]
  work.changes.attempts.add(attempt.key);
  switch (command.status) {
    case "known":
      attempt.state = "submitted";
      return answer(null);
    case "failed":
      failAttempt(work, attempt, "refused", { code: command.code ?? "provider_unknown", message: "the provider says the run failed before it was claimed" });
      return answer(null);
    case "absent":
      if (attempt.unknowns >= 2) failAttempt(work, attempt, "expired", { code: "provider_unknown", message: "the provider lost the run twice" });
      else handOverAgain(work, attempt);
      return answer(null);
    case "unknown":
      if (attempt.state === "unknown" && attempt.unknowns < 2) handOverAgain(work, attempt);
      return answer(null);
    default:
      return assertNever(command.status);
  }
}

function handOverAgain(work: Work, attempt: Attempt): void {
  attempt.state = "open";
  attempt.unknowns = Math.max(1, attempt.unknowns);
  act(work, { type: "hand_over_again", job: attempt.job, attempt: attempt.number, pool: attempt.pool, slot: attempt.slot, claimBefore: attempt.claimBefore, fresh: attempt.fresh });
}

export function claim(work: Work, command: CommandOf<"claim">): Answer<Results["claim"]> {
  const { state, now } = work;
  const held = claimable(work, command);
  if ("ok" in held) return held;
  const { attempt } = held;
  const quarantinedUntil = state.runners.get(command.runner)?.quarantinedUntil ?? 0;
  if (attempt.lease !== null && attempt.reclaimUntil === null) {
    if (attempt.lease.runner === command.runner) return answer({ ...granted(state, held, now), repeated: true });
    return refuse("duplicate", "Another runner holds this attempt.", { job: command.job, attempt: command.attempt });
  }
  if (quarantinedUntil > now) return refuse("quarantined", "This runner failed to start twice in a row and is kept away for a while.", { until: quarantinedUntil });
  grant(work, held, command);
  return answer({ ...granted(state, held, now), repeated: false });
}

function claimable(work: Work, command: CommandOf<"claim">): Held | Refusal {
  const { state } = work;
  const job = state.jobs.get(command.job);
  if (job === undefined) {
    const known = command.known ?? work.ended.get(command.job);
    if (known === undefined) return refuse("not_found", "There is no such job.", { job: command.job });
    if (known.state === "cancelled") return refuse("gone", "The job was cancelled.", { job: command.job });
    return refuse("finished", "The job has ended.", { job: command.job, state: known.state });
  }
  if (job.state === "stopping") return refuse("gone", "The job is being cancelled.", { job: command.job });
  return currentAttempt(state, command.job, command.attempt);
}

function grant(work: Work, held: Held, command: CommandOf<"claim">): void {
  const { state, now } = work;
  const { job, attempt } = held;
  const pool = must(state.pools.get(attempt.pool), `pool of attempt ${attempt.key}`);
  attempt.coldMs += attempt.claimedAt === null ? Math.max(0, Math.floor(command.coldMs ?? 0)) : now - attempt.claimedAt; // a run taken over: its container time was spent
  attempt.state = "claimed";
  attempt.lease = { id: command.lease, runner: command.runner, expiresAt: now + pool.lease };
  attempt.reclaimUntil = null;
  attempt.claimedAt = now;
  attempt.startedAt = null;
  attempt.activeAt = now;
  attempt.heard = false;
  work.changes.attempts.add(attempt.key);
  seat(work, attempt, command.runner);
  closeCircuit(work, attempt.pool);
  if (job.state !== "dispatched") return;
  job.state = "running";
  work.changes.jobs.add(job.id);
  emit(work, { type: "job_state", job: job.id, seat: job.seat, from: "dispatched", to: "running", why: `claimed by a GPU of ${pool.id}` });
}

function granted(state: QueueState, held: Held, now: number): Granted {
  const lease = must(held.attempt.lease, `lease of attempt ${held.attempt.key}`);
  return { lease: lease.id, ttl: Math.max(0, lease.expiresAt - now), cancel: held.job.state === "stopping" };
}

/** [Q58] Any authenticated frame renews; anything but a bare heartbeat also counts as progress [Q57]. */
function renewLease(work: Work, held: Held, activity: boolean): Granted {
  const { state, now } = work;
  const { attempt } = held;
  const lease = must(attempt.lease, `lease of attempt ${attempt.key}`);
  lease.expiresAt = now + (state.pools.get(attempt.pool)?.lease ?? 0);
  if (activity) attempt.activeAt = now;
  if (activity && attempt.startedAt !== null) attempt.heard = true;
  work.changes.attempts.add(attempt.key);
  const slot = state.slots.get(attempt.slot);
  if (slot !== undefined && now - slot.seenAt >= seenEvery) {
    slot.seenAt = now;
    work.changes.slots.add(slot.key);
  }
  return granted(state, held, now);
}

export function renew(work: Work, command: CommandOf<"renew">): Answer<Granted> {
  const held = leasedAttempt(work.state, command);
  return "ok" in held ? held : answer(renewLease(work, held, command.activity));
}

export function started(work: Work, command: CommandOf<"started">): Answer<Granted> {
  const held = leasedAttempt(work.state, command);
  if ("ok" in held) return held;
  const { attempt, job } = held;
  if (attempt.startedAt === null) {
    attempt.startedAt = work.now;
    attempt.activeAt = work.now;
    attempt.state = "started";
    attempt.phase = { name: "executing" };
    if (!job.everStarted) work.changes.jobs.add(job.id);
    job.everStarted = true;
    emit(work, { type: "job_phase", job: job.id, seat: job.seat, attempt: attempt.number, phase: attempt.phase });
  }
  return answer(renewLease(work, held, false));
}

/** [Q11] Detail with a real signal behind it. */
export function phase(work: Work, command: CommandOf<"phase">): Answer<Granted> {
  const held = leasedAttempt(work.state, command);
  if ("ok" in held) return held;
  held.attempt.phase = command.phase;
  emit(work, { type: "job_phase", job: held.job.id, seat: held.job.seat, attempt: held.attempt.number, phase: command.phase });
  return answer(renewLease(work, held, true));
}

export function runnerSeen(work: Work, command: CommandOf<"runner_seen">): Answer<null> {
  const { state, now } = work;
  const known = state.runners.get(command.runner);
  const slot = known?.slot == null ? undefined : state.slots.get(known.slot);
  if (slot !== undefined && slot.runner === command.runner && now - slot.seenAt >= seenEvery) {
    slot.seenAt = now;
    work.changes.slots.add(slot.key);
  }
  return answer(null);
}

/** The process is dead: its attempts are lost now. */
export function runnerLost(work: Work, command: CommandOf<"runner_lost">): Answer<null> {
  const lost = [...work.state.attempts.values()].filter((attempt) => attempt.lease?.runner === command.runner && attempt.reclaimUntil === null);
  for (const attempt of lost.sort((a, b) => a.serial - b.serial)) {
    failAttempt(work, attempt, "lost", { code: "container_lost", message: "the GPU's process ended" });
  }
  return answer(null);
}

/** True for codes that tell of a lost container rather than of a failed run. */
export function isLoss(code: string): boolean {
  return classOf(code) === "lost";
}
