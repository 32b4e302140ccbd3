// The instructor's acts as commands of the queue: what each one asks, what it says it did, and whether it can be taken back. Pure.
// Invariant: what cannot be taken back says so before and after: it wants a name repeated, or it answers why there is no undo [Q63].
import type { Instruction } from "./instructor-contract.ts";
import type { Refusal } from "./contract.ts";
import { PARAMETERS, readParameters } from "./param-names.ts";
import type { Command, Job, Known, QueueState, Results } from "./queue/index.ts";
import { configOf, type Subject } from "./subjects.ts";
import { duration, jobName, money, plural } from "./words.ts";

export type Plan = {
  ok: true;
  command: Command;
  /** A sentence for a person; `result` is what the queue answered. */
  says: (result: unknown) => string;
  /** With a subject: it can be taken back, which `does` this. Else `final` says why not. */
  undo: { subject: Subject; does: string } | { final: string };
  /** For the one command of the queue that leaves no audit of its own. */
  audit?: { what: string; target: string; previous: unknown; value: unknown };
};

/** Acts that are commands of the queue; the others are the door's own. */
export type QueueInstruction = Exclude<Instruction, { do: "announce" | "withdraw" }>;

/** What a plan may look at. */
export type Sight = { state: QueueState; by: string; workshop: string; /** an ended job, as the store knows it */ known(job: string): Known | undefined; isSeat(seat: string): boolean };

export function planOf(instruction: QueueInstruction, sight: Sight): Plan | Refusal {
  switch (instruction.do) {
    case "switch":
    case "mode":
    case "params":
    case "slots":
    case "demo":
    case "budget":
    case "round":
      return workshopPlan(instruction, sight);
    case "clear":
      return clearPlan(instruction, sight);
    case "cancel":
    case "evict":
    case "bump":
    case "unbump":
    case "move":
    case "class":
    case "priority":
      return jobPlan(instruction, sight);
    case "pool_draining":
    case "pool_groups":
      return poolPlan(instruction, sight);
    default:
      return seatPlan(instruction, sight);
  }
}

type Of<T extends Instruction["do"]> = Extract<Instruction, { do: T }>;

const SWITCH_SAYS = {
  open: "The workshop is open: prompts are taken and started.",
  paused: "The workshop is paused: prompts are taken and wait, nothing new is started, what runs runs on.",
  draining: "The workshop is draining: no new prompts are taken, everything waiting still runs, then it closes by itself.",
  closed: "The workshop is closed: no new prompts are taken and nothing new is started; what waits keeps its place.",
} as const;
const MODE_SAYS = {
  fifo: "First come, first served.",
  round_robin: "Every seat in turn, one job each.",
  fair: "GPU time is shared fairly between seats.",
  priority: "Classes first, fair within a class.",
} as const;

function workshopPlan(act: Of<"switch" | "mode" | "params" | "slots" | "demo" | "budget" | "round">, { state, by }: Sight): Plan | Refusal {
  const { workshop } = state;
  switch (act.do) {
    case "switch":
      return plan({ type: "set_switch", to: act.to, by }, () => SWITCH_SAYS[act.to], { of: "switch" }, `makes the workshop ${workshop.switch} again`);
    case "mode":
      return plan({ type: "set_mode", mode: act.mode, by }, () => `The order is now ${act.mode}. ${MODE_SAYS[act.mode]} Every waiting prompt keeps its place.`, { of: "mode" }, `makes the order ${workshop.mode} again`);
    case "params": {
      const read = readParameters(act.params);
      if (!read.ok) return { ok: false, reason: "bad_request", message: `There is no parameter "${read.name}". Nothing was changed. Parameters are ${Object.keys(PARAMETERS).join(", ")}.` };
      const names = Object.keys(act.params);
      return plan({ type: "set_params", params: read.params, by }, () => `Set ${names.map((name) => `${name} to ${act.params[name]}`).join(", ")}; it counts at once.`, { of: "params", names }, `sets ${names.join(", ")} back`);
    }
    case "slots":
      return plan({ type: "set_wanted", slots: act.slots, by }, () => `${plural(act.slots, "slot is", "slots are")} wanted. What runs runs on.`, { of: "slots" }, `wants ${workshop.wanted} again`);
    case "budget":
      return plan({ type: "set_budget", budget: act.budget, by }, () => (act.budget === null ? "The workshop has no budget limit." : `The workshop may spend ${money(act.budget)}; ${money(workshop.spent)} are spent.`), { of: "budget" }, "sets the budget back");
    case "demo":
      return final({ type: "set_demo", on: act.on, by }, () => (act.on ? `Demo is on for ${duration(state.params.demoMax)}: what the instructor's seat submits goes first.` : "Demo is off; demo prompts still waiting went back to the lines they came from."), act.on ? "Switch demo off to end it." : "Switch demo on again if you need it; prompts that still wait can be bumped.");
    case "round":
      return final({ type: "new_round", by }, () => "A new round has begun: every seat starts level. Waiting prompts keep their places.", "What seats had used before is forgotten; it cannot be brought back.");
  }
}

function clearPlan({ seat, running, confirm }: Of<"clear">, sight: Sight): Plan | Refusal {
  const { state, by, workshop } = sight;
  if (seat !== null && !sight.isSeat(seat)) return noSeat(seat);
  const named = seat ?? workshop;
  const jobs = [...state.jobs.values()].filter((job) => seat === null || job.seat === seat);
  const waiting = jobs.filter((job) => job.state === "waiting" || job.state === "dispatched").length;
  const live = jobs.filter((job) => job.state === "running").length;
  if (confirm !== named) {
    return { ok: false, reason: "bad_request", message: `Nothing was removed. This would cancel ${plural(waiting, "waiting prompt", "waiting prompts")}${running ? ` and stop ${plural(live, "running one", "running ones")}` : ""} of ${seat ?? "every seat"}, and it cannot be taken back. To do it, send {"confirm": "${named}"}.`, details: { waiting, running: live, confirm: named } };
  }
  const says = (result: unknown): string => {
    const { removed, stopping } = result as Results["clear"];
    return `Cancelled ${plural(removed.length, "waiting prompt", "waiting prompts")}${running ? ` and stopped ${plural(stopping.length, "running one", "running ones")}` : ""} of ${seat ?? "every seat"}.`;
  };
  return final({ type: "clear", seat, instructor: true, running, by }, says, "Cancelled prompts cannot be brought back; their seats can submit them again from their history.");
}

function jobPlan(act: Of<"cancel" | "evict" | "bump" | "unbump" | "move" | "class" | "priority">, { state, by, known }: Sight): Plan | Refusal {
  const job = state.jobs.get(act.job);
  if (act.do === "cancel") return cancelPlan(act.job, job, known(act.job), by);
  if (job === undefined) return gone(act.job, known(act.job));
  const name = jobName(job);
  switch (act.do) {
    case "evict":
      return final({ type: "evict", job: job.id, by }, () => `${name} was taken off its GPU and is the next of its seat; its seat is charged nothing for the lost run.`, "The run that was lost cannot be brought back.");
    case "bump": {
      const until = act.for_ms === null ? "" : ` for ${duration(act.for_ms)}`;
      const command: Command = { type: "bump", job: job.id, ...(act.for_ms === null ? {} : { forMs: act.for_ms }), by };
      if (job.lane === "demo") return final(command, () => `${name} is at the front${until}, behind those that were there before.`, "It was at the front already; its earlier place among those cannot be brought back.");
      return plan(command, () => `${name} was moved to the front${until}. It is charged to ${job.seat} as always.`, { of: "job", job: job.id, what: "lane" }, "moves it back to its line");
    }
    case "unbump":
      return plan({ type: "unbump", job: job.id, by }, () => `${name} is back in its line, at its old place.`, { of: "job", job: job.id, what: "lane" }, "moves it to the front again, behind those that are there");
    case "move":
      if (act.before === job.id) return { ok: false, reason: "bad_request", message: `A job cannot stand before itself. Nothing was changed. Name another waiting job of ${job.seat} in before, or send null to put it last.`, details: { job: job.id } };
      return plan({ type: "move", seat: job.seat, job: job.id, before: act.before, by }, () => (act.before === null ? `${name} now stands last among its equals.` : `${name} now stands before ${act.before.slice(-8)}.`), { of: "job", job: job.id, what: "place" }, "moves it back");
    case "class":
      return plan({ type: "set_class", job: job.id, class: act.class, by }, () => `${name} has class ${act.class}${state.workshop.mode === "priority" ? "." : "; classes count in the mode priority only."}`, { of: "job", job: job.id, what: "class" }, `gives it class ${job.class} again`);
    case "priority": {
      const command: Command = { type: "set_priority", seat: job.seat, job: job.id, userPriority: act.priority };
      const made = plan(command, () => `${name} has priority ${act.priority} among the prompts of ${job.seat}.`, { of: "job", job: job.id, what: "priority" }, `gives it priority ${job.userPriority} again`);
      return { ...made, audit: { what: "priority", target: job.id, previous: job.userPriority, value: act.priority } };
    }
  }
}

function cancelPlan(id: string, job: Job | undefined, known: Known | undefined, by: string): Plan | Refusal {
  if (job === undefined && known === undefined) return gone(id, undefined);
  const says = (result: unknown): string => {
    const { answer } = result as Results["cancel"];
    if (answer === "removed_waiting") return `${job === undefined ? "The job" : jobName(job)} was cancelled before it ran.`;
    if (answer === "stopping") return `${job === undefined ? "The job" : jobName(job)} is being stopped; it ends within seconds.`;
    return `The job had already ended (${known?.state ?? "ended"}); nothing was changed.`;
  };
  return final({ type: "cancel", job: id, seat: null, by, ...(known === undefined ? {} : { known }) }, says, "A cancelled prompt cannot be brought back; its seat can submit it again from its history.");
}

function seatPlan(act: Of<"seat_paused" | "seat_weight" | "seat_group" | "seat_budget">, sight: Sight): Plan | Refusal {
  const { state, by } = sight;
  const { seat } = act;
  if (!sight.isSeat(seat)) return noSeat(seat);
  const now = state.seats.get(seat);
  switch (act.do) {
    case "seat_paused":
      return plan({ type: act.paused ? "pause_seat" : "resume_seat", seat, by }, () => (act.paused ? `${seat} is paused: its prompts keep their places and wait.` : `${seat} goes on.`), { of: "seat", seat, what: "paused" }, act.paused ? `lets ${seat} go on` : `pauses ${seat} again`);
    case "seat_weight":
      return plan({ type: "set_weight", seat, weight: act.weight, by }, () => `${seat} has a weight of ${act.weight} %.`, { of: "seat", seat, what: "weight" }, `gives it ${now?.weight ?? 100} % again`);
    case "seat_group":
      return plan({ type: "set_group", seat, group: act.group, by }, () => (act.group === null ? `${seat} belongs to no group.` : `${seat} belongs to the group ${act.group}.`), { of: "seat", seat, what: "group" }, "puts it back where it was");
    case "seat_budget":
      return plan({ type: "set_envelope", seat, budget: act.budget, by }, () => (act.budget === null ? `${seat} has no budget of its own.` : `${seat} may spend ${money(act.budget)}; ${money(now?.spent ?? 0)} are spent.`), { of: "seat", seat, what: "budget" }, "sets it back");
  }
}

function poolPlan(act: Of<"pool_draining" | "pool_groups">, { state, by }: Sight): Plan | Refusal {
  const pool = state.pools.get(act.pool);
  if (pool === undefined || pool.removed) return { ok: false, reason: "not_found", message: `There is no pool "${act.pool}" in this workshop.` };
  if (act.do === "pool_draining") {
    return plan({ type: "drain_pool", pool: pool.id, draining: act.draining, by }, () => (act.draining ? `The pool ${pool.id} takes no new work; what runs there runs on.` : `The pool ${pool.id} takes work again.`), { of: "pool", pool: pool.id, what: "draining" }, act.draining ? "lets it take work again" : "drains it again");
  }
  return plan({ type: "upsert_pool", pool: { ...configOf(pool), groups: act.groups }, by }, () => (act.groups === null ? `The pool ${pool.id} serves everybody.` : `The pool ${pool.id} serves ${act.groups.join(", ")} only.`), { of: "pool", pool: pool.id, what: "groups" }, "sets its groups back");
}

function plan(command: Command, says: (result: unknown) => string, subject: Subject, does: string): Plan {
  return { ok: true, command, says, undo: { subject, does } };
}

function final(command: Command, says: (result: unknown) => string, why: string): Plan {
  return { ok: true, command, says, undo: { final: why } };
}

function gone(job: string, known: Known | undefined): Refusal {
  if (known !== undefined) return { ok: false, reason: "illegal_transition", message: `The job has already ended (${known.state}).`, details: { job, state: known.state } };
  return { ok: false, reason: "not_found", message: `There is no job ${job.slice(0, 60)} in this workshop.` };
}

function noSeat(seat: string): Refusal {
  return { ok: false, reason: "no_such_seat", message: `There is no seat ${seat} in this workshop.` };
}
