// Who is served next [Q40]–[Q49]. Reads the state, changes nothing: `dispatch.ts` acts on the answer.

import type { SeatView } from "./derived.ts";
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

function headsIn(floor: Floor, lane: "normal" | "background"): Head[] {
  const heads: Head[] = [];
  for (const view of floor.state.derived.views) {
    const job = headOf(floor, view, lane);
    if (job !== null) heads.push({ view, job });
  }
  return heads;
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
    const alternate = width === 1 && workshop.lastWasDemo && headsIn(floor, "normal").length > 0;
    return alternate ? null : { head: { view, job }, cause: "demo", passed: [] };
  }
  return null;
}

/** Normal work [Q43]–[Q47]; background when there is none and more slots idle than are kept for short work [Q48]. */
function pickOrdinary(floor: Floor): Pick | null {
  const all = headsIn(floor, "normal");
  const heads = smallestClass(floor, floor.holding ? all.filter(({ job }) => !isHeld(floor, job)) : all);
  if (heads.length > 0) return pickAged(floor, heads) ?? pickByKey(floor, underCap(floor, heads), "main");
  if (floor.idle.length <= floor.kept) return null;
  const spare = smallestClass(floor, headsIn(floor, "background"));
  if (spare.length === 0) return null;
  const pick = pickByKey(floor, spare, "background");
  return { ...pick, cause: pick.cause === "turn" ? "background" : pick.cause };
}

/** [Q50] With classes on, only the smallest class among the heads. */
function smallestClass(floor: Floor, heads: Head[]): Head[] {
  if (!floor.settings.classes || heads.length === 0) return heads;
  const least = Math.min(...heads.map(({ job }) => job.class));
  return heads.filter(({ job }) => job.class === least);
}

/** [Q44] A head that waited too long, of a seat with nothing live, unless some seat was served less. */
function pickAged(floor: Floor, heads: Head[]): Pick | null {
  const { settings, state, now } = floor;
  if (!settings.aged || settings.key === "seq") return null;
  const unit = settings.key;
  const before = now - state.params.aged;
  if (heads.every(({ job }) => job.acceptedAt >= before)) return null;
  let oldest: Head | null = null;
  let least = Infinity;
  for (const { view } of heads) if (view.seat.main[unit] < least) least = view.seat.main[unit];
  for (const head of heads) {
    const { view, job } = head;
    if (job.acceptedAt >= before || view.main.live > 0 || view.seat.main[unit] > least) continue;
    if (oldest === null || job.seq < oldest.job.seq) oldest = head;
  }
  return oldest === null ? null : { head: oldest, cause: "aged", passed: [] };
}

/** [Q45] Seats below the soft cap; everybody when all are at it, for a GPU never idles for a cap. */
function underCap(floor: Floor, heads: Head[]): Head[] {
  if (!floor.settings.cap) return heads;
  const { contending } = floor.state.derived;
  const cap = Math.max(1, Math.ceil(floor.width / Math.max(1, contending.main)));
  const below = heads.filter(({ view }) => view.main.live < cap);
  return below.length > 0 ? below : heads;
}

/** [Q46] The smallest key wins, ties by `seq`; then [Q47] may prefer a warm model. */
function pickByKey(floor: Floor, heads: Head[], ledger: LedgerName): Pick {
  let winner = heads[0] as Head;
  let least = keyOf(floor, winner.view, winner.job, ledger);
  for (let i = 1; i < heads.length; i++) {
    const head = heads[i] as Head;
    const key = keyOf(floor, head.view, head.job, ledger);
    if (key > least || (key === least && head.job.seq > winner.job.seq)) continue;
    winner = head;
    least = key;
  }
  return pickWarm(floor, heads, winner, least, ledger) ?? { head: winner, cause: "turn", passed: [] };
}

/** [Q47] Within δ of the winner's key, work whose models are already loaded on an idle slot goes first, a bounded number of times. */
function pickWarm(floor: Floor, heads: Head[], winner: Head, least: number, ledger: LedgerName): Pick | null {
  const { settings, state } = floor;
  if (settings.slack <= 0 || winner.job.passed >= state.params.passings) return null;
  if (floor.idle.every((slot) => slot.warm === null) || isWarm(floor, winner.view, winner.job)) return null;
  let best: { head: Head; key: number; before: Job[] } | null = null;
  for (const { view } of heads) {
    const found = warmCandidate(floor, view, ledger, winner.job.class);
    if (found === null) continue;
    const key = keyOf(floor, view, found.job, ledger);
    if (key > least + settings.slack) continue;
    if (best === null || key < best.key || (key === best.key && found.job.seq < best.head.job.seq)) {
      best = { head: { view, job: found.job }, key, before: found.before };
    }
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
