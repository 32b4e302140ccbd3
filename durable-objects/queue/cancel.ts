// Cancel, clear, delete, interrupt, evict [Q59]–[Q63]: answers say what happened, not what was wished.

import type { CancelAnswer, CommandOf, Results } from "./commands.ts";
import { closeAttempt, endStopped, finish, requeue, tellEvicted } from "./ending.ts";
import { attemptKey } from "./state.ts";
import type { Attempt, Job, Reason, SeatId } from "./types.ts";
import { act, answer, emit, must, refuse, type Answer, type Work } from "./work.ts";
import { audit } from "./audit.ts";

type By = "seat" | "instructor";

function liveAttempt(work: Work, job: Job): Attempt {
  return must(work.state.attempts.get(attemptKey(job.id, job.attempts)), `live attempt of job ${job.id}`);
}

export function cancel(work: Work, command: CommandOf<"cancel">): Answer<CancelAnswer> {
  const job = work.state.jobs.get(command.job);
  if (job === undefined) {
    const known = command.known ?? work.ended.get(command.job);
    if (known === undefined || (command.seat !== null && known.seat !== command.seat)) return answer({ answer: "not_found" });
    return answer({ answer: "already_finished", state: known.state });
  }
  if (command.seat !== null && job.seat !== command.seat) return answer({ answer: "not_found" });
  if (command.by !== undefined) audit(work, command.by, "cancel", job.id, job.state, null);
  return answer({ answer: stop(work, job, command.seat === null ? "instructor" : "seat") });
}

/** Cancel one live job, whatever its state. */
function stop(work: Work, job: Job, by: By): "removed_waiting" | "stopping" {
  if (job.state === "waiting" || job.state === "dispatched") {
    withdraw(work, job, by);
    return "removed_waiting";
  }
  if (job.state === "running") return stopRunning(work, job, by);
  return "stopping";
}

/** [Q60] Waiting, or dispatched and unclaimed: cancelled now, never to run. */
function withdraw(work: Work, job: Job, by: By): void {
  const reason: Reason = { code: "cancelled", message: by === "instructor" ? "cancelled by the instructor" : "cancelled" };
  if (job.state === "waiting") {
    finish(work, job, { state: "cancelled", reason, why: reason.message, attempt: null });
    return;
  }
  const attempt = liveAttempt(work, job);
  act(work, { type: "provider_cancel", job: job.id, attempt: attempt.number, pool: attempt.pool, ref: attempt.ref });
  const closed = closeAttempt(work, attempt, { outcome: "cancelled", reason, actual: null });
  finish(work, job, { state: "cancelled", reason, why: reason.message, attempt: closed });
}

/** [Q61] A runner has it: it is told, and the job ends cancelled at its result, at lease end or after the grace. */
function stopRunning(work: Work, job: Job, by: By): "removed_waiting" | "stopping" {
  const attempt = liveAttempt(work, job);
  job.stop = { by, at: work.now };
  job.state = "stopping";
  work.changes.jobs.add(job.id);
  if (attempt.reclaimUntil !== null) {
    endStopped(work, attempt); // its lease is over: nobody holds it, nobody has to be waited for
    return "removed_waiting";
  }
  const lease = must(attempt.lease, `lease of running job ${job.id}`);
  emit(work, { type: "job_state", job: job.id, seat: job.seat, from: "running", to: "stopping", why: by === "instructor" ? "the instructor stops it" : "its seat stops it" });
  act(work, { type: "tell_runner", job: job.id, attempt: attempt.number, lease: lease.id, runner: lease.runner, what: "cancel" });
  return "stopping";
}

function jobsOf(work: Work, seat: SeatId | null, states: readonly Job["state"][]): Job[] {
  return [...work.state.jobs.values()].filter((job) => (seat === null || job.seat === seat) && states.includes(job.state)).sort((a, b) => a.seq - b.seq);
}

/** [Q62][Q63] Waiting and dispatched jobs of a seat, or of everybody; running ones only where the instructor says so. */
export function clear(work: Work, command: CommandOf<"clear">): Answer<Results["clear"]> {
  const by: By = command.instructor ? "instructor" : "seat";
  const everybody = command.seat === null;
  if (!command.instructor && (everybody || command.running === true)) {
    return refuse("invalid_value", "Only the instructor may clear other seats or stop running jobs this way.", {});
  }
  const waiting = jobsOf(work, command.seat, ["waiting", "dispatched"]);
  const running = command.running === true ? jobsOf(work, command.seat, ["running"]) : [];
  if (command.by !== undefined) audit(work, command.by, "clear", command.seat, { waiting: waiting.length, running: running.length }, null);
  for (const job of waiting) withdraw(work, job, by);
  for (const job of running) stopRunning(work, job, by);
  return answer({ removed: waiting.map((job) => job.id), stopping: running.map((job) => job.id) });
}

/** [Q62] Own waiting and dispatched jobs by id; ids that are neither are passed over, as ComfyUI does. */
export function deleteJobs(work: Work, command: CommandOf<"delete">): Answer<Results["delete"]> {
  const removed: string[] = [];
  for (const id of command.ids) {
    const job = work.state.jobs.get(id);
    if (job === undefined || job.seat !== command.seat || (job.state !== "waiting" && job.state !== "dispatched")) continue;
    withdraw(work, job, "seat");
    removed.push(id);
  }
  return answer({ removed });
}

/** [Q62] Own running jobs: the one named, or all of them. */
export function interrupt(work: Work, command: CommandOf<"interrupt">): Answer<Results["interrupt"]> {
  const running = jobsOf(work, command.seat, ["running"]).filter((job) => command.job === undefined || job.id === command.job);
  for (const job of running) stopRunning(work, job, "seat");
  return answer({ stopping: running.map((job) => job.id) });
}

/** [Q63] The only preemption: attempt closed, full refund, back to the head of its seat. */
export function evict(work: Work, command: CommandOf<"evict">): Answer<null> {
  const job = work.state.jobs.get(command.job);
  if (job === undefined) return refuse("not_found", "There is no such live job.", { job: command.job });
  if (job.state !== "dispatched" && job.state !== "running") {
    return refuse("illegal_transition", `Only a dispatched or running job can be taken off its GPU; this one is ${job.state}.`, { job: job.id, state: job.state });
  }
  const attempt = liveAttempt(work, job);
  audit(work, command.by, "evict", job.id, attempt.slot, null);
  if (attempt.lease === null) act(work, { type: "provider_cancel", job: job.id, attempt: attempt.number, pool: attempt.pool, ref: attempt.ref });
  else tellEvicted(work, attempt);
  closeAttempt(work, attempt, { outcome: "evicted", reason: { code: "evicted", message: "taken off its GPU by the instructor" }, actual: null });
  requeue(work, job, 0, "taken off its GPU by the instructor; back at the head of its seat");
  return answer(null);
}
