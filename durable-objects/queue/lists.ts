// The waiting lists [Q18] and the counts that go with them. A job enters and leaves through these two doors only.

import { dropProfile, internProfile } from "./capability.ts";
import { keyName, ledgerOf, stakeOf, type Derived, type List, type SeatView, type Stake } from "./derived.ts";
import type { Job, QueueState } from "./types.ts";
import { must } from "./work.ts";

type Compare = (a: Job, b: Job) => number;

const bySeq: Compare = (a, b) => a.seq - b.seq;
const byLaneSeq: Compare = (a, b) => a.laneSeq - b.laneSeq || a.seq - b.seq;
const plain: Compare = (a, b) => b.userPriority - a.userPriority || a.place - b.place || a.seq - b.seq;
const classed: Compare = (a, b) => a.class - b.class || plain(a, b);

/** [Q18] Order of a seat's list in one lane; classes count only where the mode says so. */
export function listOrder(classes: boolean): Compare {
  return classes ? classed : plain;
}

function positionOf(list: Job[], job: Job, compare: Compare): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const other = list[middle];
    if (other !== undefined && compare(other, job) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function insert(list: Job[], job: Job, compare: Compare): void {
  const at = positionOf(list, job, compare);
  if (at === list.length) list.push(job);
  else list.splice(at, 0, job);
}

function remove(list: Job[], job: Job, compare: Compare): void {
  const at = list[0] === job ? 0 : positionOf(list, job, compare);
  if (list[at] !== job) throw new Error(`queue lists are inconsistent: ${job.id} is not where its order says`);
  if (at === 0) list.shift();
  else list.splice(at, 1);
}

export function listOf(view: SeatView, lane: "normal" | "background"): List {
  return lane === "normal" ? view.normal : view.background;
}

export function viewOf(state: QueueState, job: Job): SeatView {
  return must(state.derived.seats.get(job.seat), `seat of job ${job.id}`);
}

function countProfile(derived: Derived, stake: Stake | null, id: number, step: 1 | -1): void {
  if (stake === null) return;
  const next = (stake.profiles.get(id) ?? 0) + step;
  if (next <= 0) stake.profiles.delete(id);
  else stake.profiles.set(id, next);
  if (next === 0 || (step === 1 && next === 1)) derived.planStale = true;
}

/** Null for demo jobs of the instructor: nobody's charge [Q24]; the slot plan looks at the demo list itself. */
function stakeFor(view: SeatView, job: Job): Stake | null {
  const ledger = ledgerOf(job);
  return ledger === null ? null : stakeOf(view, ledger);
}

/** Put a job (state `waiting`) into its list. */
export function addWaiting(state: QueueState, job: Job): void {
  const { derived } = state;
  const view = viewOf(state, job);
  const profile = internProfile(derived, job);
  profile.count++;
  job.profile = profile.id;
  job.requires = profile.requires;
  if (job.lane === "demo") {
    insert(derived.demo, job, byLaneSeq);
    derived.planStale = true;
  } else {
    const list = listOf(view, job.lane);
    insert(list.order, job, listOrder(derived.classes));
    insert(list.bySeq, job, bySeq);
  }
  view.waiting++;
  derived.waiting++;
  const stake = stakeFor(view, job);
  if (stake !== null) stake.waiting++;
  countProfile(derived, stake, profile.id, 1);
  const same = derived.byTiming.get(job.timing);
  if (same === undefined) derived.byTiming.set(job.timing, new Set([job]));
  else same.add(job);
  if (job.notBefore > 0) derived.deferred.add(job);
  if (job.excluded.length > 0) derived.excluding.add(job);
  if (job.bumpUntil !== null) derived.bumped.add(job);
}

/** Take a waiting job out of its list; call before changing anything the order reads. */
export function removeWaiting(state: QueueState, job: Job): void {
  const { derived } = state;
  const view = viewOf(state, job);
  if (job.lane === "demo") {
    remove(derived.demo, job, byLaneSeq);
    derived.planStale = true;
  } else {
    const list = listOf(view, job.lane);
    remove(list.order, job, listOrder(derived.classes));
    remove(list.bySeq, job, bySeq);
  }
  view.waiting--;
  derived.waiting--;
  const stake = stakeFor(view, job);
  if (stake !== null) stake.waiting--;
  countProfile(derived, stake, job.profile, -1);
  const profile = derived.profiles[job.profile];
  if (profile !== undefined && --profile.count === 0) dropProfile(derived, profile);
  const same = derived.byTiming.get(job.timing);
  if (same !== undefined) {
    same.delete(job);
    if (same.size === 0) derived.byTiming.delete(job.timing);
  }
  derived.deferred.delete(job);
  derived.excluding.delete(job);
  derived.bumped.delete(job);
}

/** Re-order every list, after classes were switched on or off [Q50]. */
export function resort(state: QueueState, classes: boolean): void {
  const { derived } = state;
  if (derived.classes === classes) return;
  derived.classes = classes;
  for (const view of derived.views) {
    view.normal.order.sort(listOrder(classes));
    view.background.order.sort(listOrder(classes));
  }
}

/** Smallest place among a seat's waiting jobs in any lane; null when it has none [Q18]. */
export function smallestPlace(state: QueueState, view: SeatView): number | null {
  let least: number | null = null;
  const look = (job: Job) => {
    if (least === null || job.place < least) least = job.place;
  };
  view.normal.order.forEach(look);
  view.background.order.forEach(look);
  for (const job of state.derived.demo) if (job.seat === view.seat.id) look(job);
  return least;
}

/** Every waiting job of a seat, by `seq`. */
export function waitingOf(state: QueueState, view: SeatView): Job[] {
  const demo = state.derived.demo.filter((job) => job.seat === view.seat.id);
  return [...view.normal.order, ...view.background.order, ...demo].sort(bySeq);
}

export function rememberKey(state: QueueState, job: Job): void {
  if (job.key !== null) state.derived.byKey.set(keyName(job.seat, job.key), job.id);
}

export function forgetKey(state: QueueState, job: Job): void {
  if (job.key !== null) state.derived.byKey.delete(keyName(job.seat, job.key));
}
