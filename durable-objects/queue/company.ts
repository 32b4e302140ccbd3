// Who else will want a GPU meanwhile [Q73]: seats that were here a moment ago are taken to keep sending, so that the far end of an ETA holds.
// Works on a forecast's copy only.

import { addWaiting } from "./lists.ts";
import type { SeatView } from "./derived.ts";
import type { Job, QueueState } from "./types.ts";
import { touchSeat, type Work } from "./work.ts";

export interface Company {
  /** Seats taken to keep sending. */
  seats: SeatView[];
  /** Jobs that may still be expected: one per seat and as many as really wait, so that a forecast stays bounded. */
  left: number;
  /** Ids of jobs nobody has sent yet. */
  imagined: Set<string>;
}

export function expectCompany(state: QueueState, now: number, within: number): Company {
  const seats = within === 0 ? [] : state.derived.views.filter(({ seat }) => !seat.paused && seat.sent !== null && now - seat.sent.at <= within);
  return { seats, left: seats.length === 0 ? 0 : state.derived.waiting + seats.length, imagined: new Set() };
}

/** Every present seat that has nothing left, waiting or live, sends one more like its latest. */
export function sendMore(work: Work, company: Company): void {
  if (company.left <= 0) return;
  for (const view of company.seats) {
    if (view.waiting > 0 || view.main.live > 0 || company.left <= 0) continue;
    const job = another(work, view);
    if (job === null) continue;
    company.left--;
    company.imagined.add(job.id);
    work.state.jobs.set(job.id, job);
    addWaiting(work.state, job);
    touchSeat(work, view);
  }
}

function another(work: Work, view: SeatView): Job | null {
  const { sent, id } = view.seat;
  if (sent === null) return null;
  const seq = work.state.workshop.nextSeq++;
  return {
    id: `expected ${seq}`,
    seat: id,
    seq,
    state: "waiting",
    lane: "normal",
    home: "normal",
    laneSeq: seq,
    bumpUntil: null,
    class: 2,
    userPriority: 0,
    place: seq,
    instructor: false,
    signature: sent.signature,
    timing: "",
    kind: "other",
    requires: [],
    bytes: 0,
    key: null,
    hash: null,
    acceptedAt: work.now,
    e: sent.e,
    e90: sent.e90,
    rough: false,
    rate: 0,
    reserve: 0,
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
