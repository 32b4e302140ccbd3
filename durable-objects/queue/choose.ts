// Who is served next [Q40]–[Q49]. Reads the state, changes nothing: `dispatch.ts` acts on the answer.

import { stakeOf, type SeatView } from "./derived.ts";
import { bestSlot, headOf, isHeld, isRunnable, isWarm, keyOf, lookAround, type Floor } from "./floor.ts";
import { listOf } from "./lists.ts";
import type { Settings } from "./params.ts";
import type { Job, LedgerName, QueueState, Slot } from "./types.ts";

export type Cause = "demo" | "aged" | "turn" | "warm" | "background";

export interface Choice {
  job: Job;
  slot: Slot;
  cause: Cause;
  /** Jobs that count one more passing over [Q47]. */
  passed: Job[];
}

/** A seat and the job it would run. */
interface Head {
  view: SeatView;
  job: Job;
}

interface Pick {
  head: Head;
  cause: Cause;
  passed: Job[];
}

/** The next (job, slot), or null when nothing idle can run anything it should. */
export function choose(state: QueueState, settings: Settings, now: number): Choice | null {
  const floor = lookAround(state, settings, now);
  if (floor === null) return null;
  const pick = pickDemo(floor) ?? pickOrdinary(floor);
  if (pick === null) return null;
  const slot = bestSlot(floor, pick.head.view, pick.head.job);
  return slot === null ? null : { job: pick.head.job, slot, cause: pick.cause, passed: pick.passed };
}

/** [Q42] The demo lane first, within its share of the slots. */
function pickDemo(floor: Floor): Pick | null {
  const { state, width } = floor;
  const { derived, params, workshop } = state;
  if (derived.demo.length === 0) return null;
  let live = 0;
  for (const attempt of state.attempts.values()) if (attempt.lane === "demo") live++;
  if (live >= Math.min(params.demoSlots, Math.max(1, width - 1))) return null;
  for (const job of derived.demo) {
    const view = derived.seats.get(job.seat);
    if (view === undefined || view.seat.paused || !isRunnable(floor, view, job)) continue;
    const alternate = width === 1 && workshop.lastWasDemo && derived.views.some((one) => headOf(floor, one, "normal") !== null);
    return alternate ? null : { head: { view, job }, cause: "demo", passed: [] };
  }
  return null;
}

/** Normal work [Q43]–[Q47]; background when there is none and more slots idle than are kept for short work [Q48]. */
function pickOrdinary(floor: Floor): Pick | null {
  const normal = survey(floor, "main", weightsOf(floor));
  if (normal.oldest !== null) return { head: normal.oldest, cause: "aged", passed: [] };
  if (normal.heads.length > 0) return pickByKey(floor, normal, "main");
  if (floor.idle.length <= floor.kept) return null;
  const spare = survey(floor, "background", 0);
  if (spare.heads.length === 0) return null;
  const pick = pickByKey(floor, spare, "background");
  return { ...pick, cause: pick.cause === "turn" ? "background" : pick.cause };
}

/** [Q45] Sum of the weights of the seats contending on the main ledger; 0 where the mode has no cap. */
function weightsOf({ settings, state }: Floor): number {
  if (!settings.cap) return 0;
  let sum = 0;
  for (const { seat, main } of state.derived.views) if (main.contending) sum += seat.weight;
  return sum;
}

/** [Q45] The seat has fewer live jobs than the cap: its share of the slots by weight, rounded up. */
function isBelowCap(floor: Floor, seen: Survey, view: SeatView, ledger: LedgerName): boolean {
  return seen.weights === 0 || stakeOf(view, ledger).live < Math.max(1, Math.ceil((floor.width * view.seat.weight) / seen.weights));
}

/** All heads of H, and the best of them by each rule, found in one pass: a choice looks at every seat, so it does so once. */
interface Survey {
  heads: Head[];
  /** Of the contending seats, for the cap; 0 = none [Q45]. */
  weights: number;
  /** Smallest class seen, where classes are on. */
  class: number;
  /** Smallest ledger value, and the oldest aged head that has it [Q44]. */
  least: number;
  oldest: Head | null;
  /** Smallest key below the cap, and of all [Q45][Q46]. */
  below: Best | null;
  any: Best | null;
}

interface Best {
  head: Head;
  key: number;
}

function survey(floor: Floor, ledger: LedgerName, weights: number): Survey {
  const lane = ledger === "main" ? "normal" : "background";
  let seen = nothingSeen(weights, Infinity);
  for (const view of floor.state.derived.views) {
    const job = headOf(floor, view, lane);
    if (job === null || (ledger === "main" && isHeld(floor, job))) continue;
    if (floor.settings.classes && job.class > seen.class) continue;
    if (floor.settings.classes && job.class < seen.class) seen = nothingSeen(weights, job.class);
    view.head.job = job; // one record per seat, used again for every choice
    see(floor, seen, view.head as Head, ledger);
  }
  return seen;
}

function nothingSeen(weights: number, level: number): Survey {
  return { heads: [], weights, class: level, least: Infinity, oldest: null, below: null, any: null };
}

function see(floor: Floor, seen: Survey, head: Head, ledger: LedgerName): void {
  const { view, job } = head;
  seen.heads.push(head);
  if (floor.settings.aged && ledger === "main") seeAge(floor, seen, head);
  const key = keyOf(floor, view, job, ledger);
  if (isBetter(seen.any, job, key)) seen.any = { head, key };
  if (isBelowCap(floor, seen, view, ledger) && isBetter(seen.below, job, key)) seen.below = { head, key };
}

/** [Q46] Smaller key, then smaller `seq`. */
function isBetter(best: Best | null, job: Job, key: number): boolean {
  return best === null || key < best.key || (key === best.key && job.seq < best.head.job.seq);
}

/** [Q44] A head that waited too long, of a seat with nothing live, unless some seat was served less: then not. */
function seeAge({ settings, state, now }: Floor, seen: Survey, head: Head): void {
  const { view, job } = head;
  const value = settings.key === "n" ? view.seat.main.n : view.seat.main.v;
  if (value < seen.least) {
    seen.least = value;
    seen.oldest = null;
  }
  if (value > seen.least || view.main.live > 0 || now - job.acceptedAt <= state.params.aged) return;
  if (seen.oldest === null || job.seq < seen.oldest.job.seq) seen.oldest = head;
}

/** [Q46] The smallest key below the cap, or of all when all are at it; then [Q47] may prefer a warm model. */
function pickByKey(floor: Floor, seen: Survey, ledger: LedgerName): Pick {
  const best = seen.below ?? seen.any;
  if (best === null) throw new Error("no head to pick from");
  return pickWarm(floor, seen, best, ledger) ?? { head: best.head, cause: "turn", passed: [] };
}

/** [Q47] Within δ of the winner's key, work whose models are already loaded on an idle slot goes first, a bounded number of times. */
function pickWarm(floor: Floor, seen: Survey, { head: winner, key: least }: Best, ledger: LedgerName): Pick | null {
  const { settings, state } = floor;
  if (settings.slack <= 0 || winner.job.passed >= state.params.passings) return null;
  if (floor.idle.every((slot) => slot.warm === null) || isWarm(floor, winner.view, winner.job)) return null;
  let best: (Best & { before: Job[] }) | null = null;
  for (const { view } of seen.heads) {
    if (seen.below !== null && !isBelowCap(floor, seen, view, ledger)) continue;
    const found = warmCandidate(floor, view, ledger, winner.job.class);
    if (found === null) continue;
    const key = keyOf(floor, view, found.job, ledger);
    if (key > least + settings.slack) continue;
    if (isBetter(best, found.job, key)) best = { head: { view, job: found.job }, key, before: found.before };
  }
  if (best === null) return null;
  return { head: best.head, cause: "warm", passed: [...new Set([winner.job, ...best.before])] };
}

/** The first job among a seat's next L + 1 that is warm now and overtakes nobody who was passed over D times. */
function warmCandidate(floor: Floor, view: SeatView, ledger: LedgerName, winnerClass: number): { job: Job; before: Job[] } | null {
  const { params } = floor.state;
  const list = listOf(view, ledger === "main" ? "normal" : "background").order;
  const before: Job[] = [];
  for (let index = 0; index <= params.overtake && index < list.length; index++) {
    const job = list[index] as Job;
    const fits = (!floor.settings.classes || job.class === winnerClass) && job.notBefore <= floor.now && !isHeld(floor, job);
    if (fits && isWarm(floor, view, job)) return { job, before };
    if (job.passed >= params.passings) return null;
    before.push(job);
  }
  return null;
}
