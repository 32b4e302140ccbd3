// Lanes and places [Q18]–[Q23]: demo on and off, bumps, moves, priorities, classes. When, never how much.

import type { CommandOf } from "./commands.ts";
import { refresh } from "./fairness.ts";
import { addWaiting, listOf, removeWaiting, viewOf } from "./lists.ts";
import { longest } from "./params.ts";
import type { Job, JobId, Lane, QueueState, SeatId } from "./types.ts";
import { answer, emit, refuse, touchSeat, type Answer, type Work } from "./work.ts";
import { audit } from "./audit.ts";

/** A job that can still be rearranged, or the refusal to give. */
export function waitingJob(state: QueueState, id: JobId, seat?: SeatId): Job | ReturnType<typeof refuse> {
  const job = state.jobs.get(id);
  if (job === undefined || (seat !== undefined && job.seat !== seat)) return refuse("not_found", "There is no such job in the queue; it may have ended.", { job: id });
  if (job.state !== "waiting") return refuse("illegal_transition", `The job is already ${job.state}; only waiting jobs can be rearranged.`, { job: id, state: job.state });
  return job;
}

export function isRefusal(value: Job | ReturnType<typeof refuse>): value is ReturnType<typeof refuse> {
  return "ok" in value;
}

function toLane(work: Work, job: Job, lane: Lane, laneSeq: number, bumpUntil: number | null, why: string): void {
  removeWaiting(work.state, job);
  job.lane = lane;
  job.laneSeq = laneSeq;
  job.bumpUntil = bumpUntil;
  addWaiting(work.state, job);
  changed(work, job, "lane", why);
}

function changed(work: Work, job: Job, what: "place" | "lane" | "class" | "priority", why: string): void {
  work.changes.jobs.add(job.id);
  touchSeat(work, viewOf(work.state, job));
  emit(work, { type: "job_changed", job: job.id, seat: job.seat, what, why });
  refresh(work);
}

/** [Q22] Any waiting job to the demo lane, with a fresh lane `seq`; charged as always. */
export function bump(work: Work, command: CommandOf<"bump">): Answer<null> {
  const job = waitingJob(work.state, command.job);
  if (isRefusal(job)) return job;
  if (command.forMs !== undefined && !(Number.isInteger(command.forMs) && command.forMs > 0 && command.forMs <= longest)) {
    return refuse("invalid_value", "The time at the front must be a whole number of milliseconds above 0 and at most 30 days.", { forMs: command.forMs, most: longest });
  }
  audit(work, command.by, "bump", job.id, job.lane, "demo");
  const until = command.forMs === undefined ? null : work.now + command.forMs;
  work.changes.workshop = true;
  toLane(work, job, "demo", work.state.workshop.nextSeq++, until, "moved to the front by the instructor");
  return answer(null);
}

export function unbump(work: Work, command: CommandOf<"unbump">): Answer<null> {
  const job = waitingJob(work.state, command.job);
  if (isRefusal(job)) return job;
  if (job.lane !== "demo") return refuse("illegal_transition", "The job is not in the demo lane.", { job: job.id, state: job.lane });
  audit(work, command.by, "unbump", job.id, "demo", job.home);
  endBump(work, job, "moved back by the instructor");
  return answer(null);
}

/** [Q22] Back to its own lane, place unchanged. */
export function endBump(work: Work, job: Job, why: string): void {
  toLane(work, job, job.home, job.seq, null, why);
}

/** [Q21] Demo on for `demoMax`, or off. */
export function setDemo(work: Work, command: CommandOf<"set_demo">): Answer<null> {
  const { workshop, params } = work.state;
  const was = workshop.demoUntil !== null;
  audit(work, command.by, "demo", null, was, command.on);
  if (!command.on) {
    if (was) endDemo(work, "switched off by the instructor");
    return answer(null);
  }
  workshop.demoUntil = work.now + params.demoMax;
  work.changes.workshop = true;
  emit(work, { type: "demo_changed", on: true, until: workshop.demoUntil, why: "switched on by the instructor" });
  return answer(null);
}

/** [Q21] Demo jobs still waiting, bumped ones too, go back to the lane they were submitted to, place unchanged. */
export function endDemo(work: Work, why: string): void {
  work.state.workshop.demoUntil = null;
  work.changes.workshop = true;
  emit(work, { type: "demo_changed", on: false, until: null, why });
  for (const job of work.state.derived.demo.slice()) endBump(work, job, "demo is over");
}

/** [Q19] Own waiting jobs of equal lane, class and priority: their places are permuted, nothing else changes. */
export function move(work: Work, command: CommandOf<"move">): Answer<null> {
  const { state } = work;
  const job = waitingJob(state, command.job, command.seat);
  if (isRefusal(job)) return job;
  if (job.lane === "demo") return refuse("illegal_transition", "The demo lane keeps the order in which jobs entered it.", { job: job.id });
  const lane = job.lane;
  const equals = listOf(viewOf(state, job), lane)
    .order.filter((other) => other.class === job.class && other.userPriority === job.userPriority)
    .sort((a, b) => a.place - b.place || a.seq - b.seq);
  const others = equals.filter((other) => other !== job);
  const at = command.before === null ? others.length : others.findIndex((other) => other.id === command.before);
  if (at < 0) return refuse("not_found", "The job to stand before is not a waiting job of the same seat, lane, class and priority.", { job: job.id, before: command.before ?? "" });
  const places = equals.map((other) => other.place);
  const wished = [...others.slice(0, at), job, ...others.slice(at)];
  const moved = wished.filter((other, index) => other.place !== places[index]);
  if (command.by !== undefined) audit(work, command.by, "move", job.id, places.indexOf(job.place), at);
  for (const other of moved) removeWaiting(state, other);
  wished.forEach((other, index) => {
    other.place = places[index] ?? other.place;
  });
  for (const other of moved) {
    addWaiting(state, other);
    changed(work, other, "place", "moved within the seat's own list");
  }
  return answer(null);
}

/** [Q18] 0…15, orders the seat's own jobs only. */
export function setPriority(work: Work, command: CommandOf<"set_priority">): Answer<null> {
  const job = waitingJob(work.state, command.job, command.seat);
  if (isRefusal(job)) return job;
  if (!isPriority(command.userPriority)) return refuse("invalid_value", "Priority is a whole number from 0 to 15.", { userPriority: command.userPriority });
  reorder(work, job, "priority", () => (job.userPriority = command.userPriority));
  return answer(null);
}

export function setClass(work: Work, command: CommandOf<"set_class">): Answer<null> {
  const job = waitingJob(work.state, command.job);
  if (isRefusal(job)) return job;
  if (!isClass(command.class)) return refuse("invalid_value", "Class is 0 (instructor), 1 (high), 2 (normal) or 3 (low).", { class: command.class });
  audit(work, command.by, "class", job.id, job.class, command.class);
  reorder(work, job, "class", () => (job.class = command.class));
  return answer(null);
}

export function isPriority(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= 15;
}

export function isClass(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= 3;
}

function reorder(work: Work, job: Job, what: "class" | "priority", apply: () => void): void {
  removeWaiting(work.state, job);
  apply();
  addWaiting(work.state, job);
  changed(work, job, what, what === "class" ? "class set by the instructor" : "priority set by its seat");
}
