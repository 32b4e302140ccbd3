// May this prompt enter the queue [Q13]? Checks in the spec's order, then one step that stores it [Q15][Q17].

import { addReserve, dearestRate, reserveOf, shortage } from "./budget.ts";
import type { CommandOf, Known, Results } from "./commands.ts";
import { keyName, type SeatView } from "./derived.ts";
import { estimateFor } from "./estimate.ts";
import { refresh } from "./fairness.ts";
import { isClass, isPriority } from "./lane.ts";
import { addWaiting, rememberKey, smallestPlace } from "./lists.ts";
import { ensureSeat, newView } from "./state.ts";
import type { Job, Lane, QueueState } from "./types.ts";
import { answer, emit, refuse, touchSeat, type Answer, type Work } from "./work.ts";

type Submit = CommandOf<"submit">;

export function submit(work: Work, command: Submit): Answer<Results["submit"]> {
  const repeated = repeatedOrTaken(work, command);
  if (repeated !== null) return repeated;
  const { state } = work;
  const view = state.derived.seats.get(command.seat) ?? newView(state, { id: command.seat, instructor: command.instructor, paused: false, weight: 100, group: null, main: { v: 0, n: 0 }, background: { v: 0, n: 0 }, budget: null, spent: 0, warned: false, sent: null });
  const rate = dearestRate(state, view);
  const estimated = estimateFor(state, command.timing, command.kind);
  const refusal = refusedAt(state, command, view, reserveOf(estimated.e90, rate));
  if (refusal !== null) return refusal;
  const job = makeJob(work, command, { ...estimated, rate, reserve: reserveOf(estimated.e90, rate) });
  store(work, job, command);
  return answer({ job: job.id, seq: job.seq, repeated: false });
}

/** Rows 1 and 2 of [Q13]: the first acceptance again, or a typed no; null when key and id are new. */
function repeatedOrTaken(work: Work, command: Submit): Answer<Results["submit"]> | null {
  const { state, ended } = work;
  const { idempotency, known } = command;
  if (idempotency !== null) {
    const liveId = state.derived.byKey.get(keyName(command.seat, idempotency.key));
    const first: Pick<Known, "id" | "hash" | "seq"> | undefined = (liveId === undefined ? undefined : state.jobs.get(liveId)) ?? known?.byKey ?? [...ended.values()].find((record) => record.seat === command.seat && record.key === idempotency.key);
    if (first !== undefined) {
      if (first.hash === idempotency.hash) return answer({ job: first.id, seq: first.seq, repeated: true });
      return refuse("idempotency_conflict", "The same idempotency key came with another prompt. Use a new key for a new prompt.", { key: idempotency.key, job: first.id });
    }
  }
  if (state.jobs.has(command.id) || known?.byId !== undefined || ended.has(command.id)) {
    return refuse("id_taken", "This prompt id was used before. Send the prompt with another id, or with none.", { job: command.id });
  }
  return null;
}

/** Rows 3 to 10 of [Q13]. */
function refusedAt(state: QueueState, command: Submit, view: SeatView, reserve: number): ReturnType<typeof refuse> | null {
  const { params, workshop, derived } = state;
  if (workshop.switch === "draining" || workshop.switch === "closed") {
    return refuse("not_admitting", `The workshop is ${workshop.switch} and takes no new prompts. Ask the instructor to open it.`, { state: workshop.switch });
  }
  if (command.bytes > params.bytesMax) {
    return refuse("payload_too_large", "The prompt is larger than the queue takes. Put large data into input files.", { limit: params.bytesMax, current: command.bytes });
  }
  if (command.fault !== undefined) return refuse(command.fault.reason, command.fault.message);
  if (!isPriority(command.userPriority) || !isClass(command.class)) {
    return refuse("invalid_value", "Priority is 0 to 15 and class 0 to 3, both whole numbers.", { userPriority: command.userPriority, class: command.class });
  }
  if (view.waiting >= params.seatMax) {
    return refuse("seat_queue_full", "Your list of waiting jobs is full. Wait for one to start, or cancel one.", { limit: params.seatMax, current: view.waiting });
  }
  if (derived.waiting >= params.queueMax && view.waiting >= params.seatFloor) {
    return refuse("queue_full", "The workshop's queue is full. Wait for one of your jobs to start.", { limit: params.queueMax, current: derived.waiting, seat: view.waiting });
  }
  const short = shortage(state, view, reserve);
  if (short !== null) {
    const whose = short.scope === "workshop" ? "the workshop's budget" : "this seat's budget";
    return refuse("budget_exhausted", `What is left of ${whose} does not cover this job. The instructor can add to it.`, { ...short });
  }
  return null;
}

function laneOf(state: QueueState, command: Submit): Lane {
  if (command.background) return "background";
  return state.workshop.demoUntil !== null && command.instructor ? "demo" : "normal";
}

function makeJob(work: Work, command: Submit, costs: Pick<Job, "e" | "e90" | "rough" | "rate" | "reserve">): Job {
  const seq = work.state.workshop.nextSeq;
  return {
    id: command.id,
    seat: command.seat,
    seq,
    state: "waiting",
    lane: laneOf(work.state, command),
    home: command.background ? "background" : "normal",
    laneSeq: seq,
    bumpUntil: null,
    class: command.class,
    userPriority: command.userPriority,
    place: seq,
    instructor: command.instructor,
    signature: command.signature,
    timing: command.timing,
    kind: command.kind,
    requires: [...new Set(command.requires)].sort(),
    bytes: command.bytes,
    key: command.idempotency?.key ?? null,
    hash: command.idempotency?.hash ?? null,
    acceptedAt: work.now,
    ...costs,
    quoted: null,
    attempts: 0,
    counted: 0,
    further: 0,
    everStarted: false,
    notBefore: 0,
    excluded: [],
    past: { oom: 0, crash: 0, silent: 0, lostOn: [] },
    last: null,
    passed: 0,
    stop: null,
    profile: 0,
  };
}

function store(work: Work, job: Job, command: Submit): void {
  const { state, now } = work;
  const { workshop } = state;
  const view = ensureSeat(state, job.seat);
  view.seat.instructor = job.instructor;
  if (job.lane !== "background") view.seat.sent = { at: now, e: job.e, e90: job.e90, signature: job.signature };
  const least = command.front ? smallestPlace(state, view) : null;
  if (least !== null) job.place = least - 1;
  workshop.nextSeq++;
  if (job.lane !== "background" && job.e <= state.params.long) workshop.lastShort = now;
  state.jobs.set(job.id, job);
  addWaiting(state, job);
  rememberKey(state, job);
  addReserve(state, view, job, 1);
  work.changes.workshop = true;
  work.changes.jobs.add(job.id);
  touchSeat(work, view);
  emit(work, { type: "job_accepted", job: job.id, seat: job.seat, seq: job.seq });
  refresh(work);
}
