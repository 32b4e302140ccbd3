// The instructor's switches [Q50][Q51][Q64]–[Q69]: mode, parameters, weights, pauses, budget, rounds. No waiting job loses its place by any of them.

import { watch, spend } from "./budget.ts";
import { servedPlaces } from "./capability.ts";
import type { CommandOf, Refusal } from "./commands.ts";
import { recordRuns } from "./estimate.ts";
import { newRound, refresh, touchAll } from "./fairness.ts";
import { resort } from "./lists.ts";
import { defaultParams, longest, modes, settingsOf } from "./params.ts";
import { recheckExclusions } from "./pools.ts";
import { ensureSeat } from "./state.ts";
import type { Params, Switch } from "./types.ts";
import { answer, emit, refuse, touchSeat, type Answer, type Work } from "./work.ts";
import { audit } from "./audit.ts";

function whole(value: unknown, least: number, most = Number.MAX_SAFE_INTEGER): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= least && value <= most;
}

/** [Q51] An unknown mode is refused and the old one stays. */
export function setMode(work: Work, command: CommandOf<"set_mode">): Answer<null> {
  const { workshop, params } = work.state;
  if (!modes.includes(command.mode)) return refuse("unknown_mode", `There is no mode "${String(command.mode)}". Modes are ${modes.join(", ")}.`, { mode: String(command.mode), current: workshop.mode });
  audit(work, command.by, "mode", null, workshop.mode, command.mode);
  emit(work, { type: "mode_changed", from: workshop.mode, to: command.mode });
  workshop.mode = command.mode;
  work.changes.workshop = true;
  work.settings = settingsOf(command.mode, params);
  resort(work.state, work.settings.classes);
  return answer(null);
}

/** Smallest sensible value per parameter; 0 where the parameter can be switched off. Without a demo slot a bumped job would never run [Q42]. */
const least: { readonly [K in keyof Params]?: number } = { attemptsMax: 1, queueMax: 1, seatMax: 1, bytesMax: 1, demoSlots: 1 };

/** Parameters that are times in ms: thirty days at most, so that no moment they lead to reaches 2^53 [Q2]. */
const durations: ReadonlySet<string> = new Set<keyof Params>([
  "headStart", "slack", "long", "hold", "aged", "demoMax", "debtMs", "stopGrace", "backoff", "backoffMax", "lastResort", "circuit", "circuitMax", "quarantine", "company",
]);

export function setParams(work: Work, command: CommandOf<"set_params">): Answer<null> {
  const { state } = work;
  const wrong = wrongParam(command.params);
  if (wrong !== null) return wrong;
  audit(work, command.by, "params", null, Object.fromEntries(Object.keys(command.params).map((name) => [name, state.params[name as keyof Params]])), command.params);
  Object.assign(state.params, command.params);
  work.changes.params = true;
  work.settings = settingsOf(state.workshop.mode, state.params);
  touchAll(work);
  refresh(work);
  return answer(null);
}

function wrongParam(params: Partial<Params>): Refusal | null {
  for (const [name, value] of Object.entries(params)) {
    if (!(name in defaultParams)) return refuse("invalid_value", `There is no parameter "${name}".`, { parameter: name });
    const floor = least[name as keyof Params] ?? 0;
    const most = durations.has(name) ? longest : undefined;
    if (!whole(value, floor, most)) return refuse("invalid_value", `Parameter "${name}" must be a whole number of at least ${floor}${most === undefined ? "" : " and at most 30 days in milliseconds"}.`, { parameter: name, least: floor, ...(most === undefined ? {} : { most }), value: String(value) });
  }
  return null;
}

/** [Q25] */
export function setWeight(work: Work, command: CommandOf<"set_weight">): Answer<null> {
  if (!whole(command.weight, 10, 1000)) return refuse("invalid_value", "A weight is a whole number of percent from 10 to 1000.", { weight: command.weight });
  const view = ensureSeat(work.state, command.seat);
  audit(work, command.by, "weight", command.seat, view.seat.weight, command.weight);
  view.seat.weight = command.weight;
  touchSeat(work, view);
  emit(work, { type: "seat_changed", seat: command.seat, what: "weight" });
  return answer(null);
}

/** [Q65] */
export function pauseSeat(work: Work, seat: string, paused: boolean, by: string): Answer<null> {
  const view = ensureSeat(work.state, seat);
  audit(work, by, paused ? "pause_seat" : "resume_seat", seat, view.seat.paused, paused);
  if (view.seat.paused === paused) return answer(null);
  view.seat.paused = paused;
  work.state.derived.planStale = true;
  touchSeat(work, view);
  emit(work, { type: "seat_changed", seat, what: paused ? "paused" : "resumed" });
  return answer(null);
}

/** [Q78] Waiting jobs keep their places, live attempts run on. Other pools serve the seat now, so what its jobs exclude is looked at again [Q55]. */
export function setGroup(work: Work, command: CommandOf<"set_group">): Answer<null> {
  const view = ensureSeat(work.state, command.seat);
  audit(work, command.by, "group", command.seat, view.seat.group, command.group);
  view.seat.group = command.group;
  view.served = servedPlaces(work.state.derived, view.seat);
  work.state.derived.planStale = true;
  recheckExclusions(work, command.seat);
  touchSeat(work, view);
  emit(work, { type: "seat_changed", seat: command.seat, what: "group" });
  return answer(null);
}

/** [Q16] A seat's envelope, or none. */
export function setEnvelope(work: Work, command: CommandOf<"set_envelope">): Answer<null> {
  if (command.budget !== null && !whole(command.budget, 0)) return refuse("invalid_value", "A budget is a whole number of micro-units, or none.", { budget: command.budget });
  const view = ensureSeat(work.state, command.seat);
  audit(work, command.by, "envelope", command.seat, view.seat.budget, command.budget);
  view.seat.budget = command.budget;
  watch(work, view.seat, view.seat.id);
  touchSeat(work, view);
  emit(work, { type: "seat_changed", seat: command.seat, what: "budget" });
  return answer(null);
}

export function setBudget(work: Work, command: CommandOf<"set_budget">): Answer<null> {
  if (command.budget !== null && !whole(command.budget, 0)) return refuse("invalid_value", "A budget is a whole number of micro-units, or none.", { budget: command.budget });
  const { workshop } = work.state;
  audit(work, command.by, "budget", null, workshop.budget, command.budget);
  workshop.budget = command.budget;
  watch(work, workshop, "workshop");
  work.changes.workshop = true;
  return answer(null);
}

export function recordSpend(work: Work, command: CommandOf<"record_spend">): Answer<null> {
  if (!Number.isSafeInteger(command.micro)) return refuse("invalid_value", "Money is a whole number of micro-units.", { micro: command.micro });
  const view = command.seat === undefined ? null : ensureSeat(work.state, command.seat);
  if (command.by !== undefined) audit(work, command.by, "spend", command.seat ?? null, work.state.workshop.spent, command.micro);
  spend(work, view, command.micro);
  return answer(null);
}

/** [Q66] */
const switches: readonly Switch[] = ["open", "paused", "draining", "closed"];

export function setSwitch(work: Work, command: CommandOf<"set_switch">): Answer<null> {
  const { workshop } = work.state;
  if (!switches.includes(command.to)) return refuse("invalid_value", `A workshop is ${switches.join(", ")}.`, { to: String(command.to) });
  audit(work, command.by, "switch", null, workshop.switch, command.to);
  turn(work, command.to, "set by the instructor");
  return answer(null);
}

function turn(work: Work, to: Switch, why: string): void {
  const { workshop } = work.state;
  if (workshop.switch === to) return;
  emit(work, { type: "switch_changed", from: workshop.switch, to, why });
  workshop.switch = to;
  work.changes.workshop = true;
}

/** [Q66] Draining ends by itself when nothing is waiting or live. */
export function endDrain(work: Work): void {
  if (work.state.workshop.switch === "draining" && work.state.jobs.size === 0) turn(work, "closed", "everything that was waiting has ended");
}

export function startRound(work: Work, command: CommandOf<"new_round">): Answer<null> {
  audit(work, command.by, "new_round", null, null, null);
  newRound(work);
  emit(work, { type: "new_round" });
  return answer(null);
}

/** [Q72] A rehearsal fills the table before class. */
export function rehearse(work: Work, command: CommandOf<"record_runs">): Answer<null> {
  if (!command.runs.every((run) => whole(run, 0))) return refuse("invalid_value", "Runs are whole numbers of milliseconds.", { timing: command.timing });
  recordRuns(work, command.timing, command.runs);
  return answer(null);
}

/** [Q17] The start quoted at admission; a job keeps its first quote. */
export function quote(work: Work, command: CommandOf<"quote">): Answer<null> {
  for (const { job: id, start50, start90 } of command.quotes) {
    const job = work.state.jobs.get(id);
    if (job === undefined || job.quoted !== null) continue;
    job.quoted = { start50, start90 };
    work.changes.jobs.add(id);
  }
  return answer(null);
}
