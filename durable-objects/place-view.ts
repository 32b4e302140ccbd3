// What may be said of a live job's place and time [Q74][Q75]: the forecast's answer, or the reason why there is none. Pure.
// Invariant: nothing is invented. No number without a run of the forecast behind it, no phase without a runner's signal.
import type { Eta, LiveJob } from "./instructor-contract.ts";
import { attemptKey, type Forecast, type Job, type JobId, type Phase, type QueueState } from "./queue/index.ts";

export type Forecasts = ReadonlyMap<JobId, Forecast>;

/** One own job as its seat is told. `place` 1 starts next; `ahead` counts jobs of anybody that start before it; times ms since the epoch. */
export type PlaceRow = { id: JobId; state: Job["state"]; lane: Job["lane"]; place: number | null; ahead: number | null; eta: Eta | null; reason?: string; /** when a closed pool is tried again */ until?: number; phase?: Phase };
/** What every seat may know of the workshop. */
export type RoomLine = { mode: string; switch: string; demo: boolean };

/** A band that moved by less than this (ms), or by less than a tenth of the time left, is still the same band: no page is told. */
const STEADY_MS = 2000;

export function roomLine(state: QueueState): RoomLine {
  return { mode: state.workshop.mode, switch: state.workshop.switch, demo: state.workshop.demoUntil !== null };
}

/** Live jobs by seat, each in the order they run: under way first, then by place, then by what cannot be placed. */
export function placesBySeat(state: QueueState, forecasts: Forecasts): Map<string, PlaceRow[]> {
  const found = new Map<string, { job: Job; row: PlaceRow }[]>();
  for (const job of state.jobs.values()) {
    const rows = found.get(job.seat);
    const one = { job, row: placeRow(state, job, forecasts) };
    if (rows === undefined) found.set(job.seat, [one]);
    else rows.push(one);
  }
  return new Map([...found].map(([seat, rows]) => [seat, rows.sort((a, b) => rank(a.row) - rank(b.row) || a.job.seq - b.job.seq).map(({ row }) => row)]));
}

export function placesOf(state: QueueState, seat: string, forecasts: Forecasts): PlaceRow[] {
  const waiting = state.derived.seats.get(seat)?.waiting ?? 0;
  if (waiting === 0 && ![...state.attempts.values()].some((attempt) => attempt.seat === seat)) return [];
  const own = [...state.jobs.values()].filter((job) => job.seat === seat);
  return own.map((job) => ({ job, row: placeRow(state, job, forecasts) })).sort((a, b) => rank(a.row) - rank(b.row) || a.job.seq - b.job.seq).map(({ row }) => row);
}

function rank(row: PlaceRow): number {
  if (row.state !== "waiting") return 0;
  return row.place ?? Number.MAX_SAFE_INTEGER;
}

export function placeRow(state: QueueState, job: Job, forecasts: Forecasts): PlaceRow {
  const { id, lane } = job;
  if (job.state !== "waiting") {
    const phase = state.attempts.get(attemptKey(id, job.attempts))?.phase ?? null;
    return { id, state: job.state, lane, place: null, ahead: 0, eta: null, ...(phase === null ? {} : { phase }) };
  }
  const said = forecasts.get(id);
  // Admitted since the last run of the forecast, which is at most a beat away.
  if (said === undefined) return { id, state: "waiting", lane, place: null, ahead: null, eta: null, reason: "being_placed" };
  if ("start50" in said) return { id, state: "waiting", lane, place: said.place, ahead: said.place - 1, eta: { from: said.start50, to: said.start90 } };
  const place = said.place ?? null;
  return { id, state: "waiting", lane, place, ahead: place === null ? null : place - 1, eta: null, reason: said.reason, ...(said.until === undefined ? {} : { until: said.until }) };
}

/** A live job's listed row with where it stands; without its id and state, which the row has. */
export function placed<R extends { job: string; queue_json?: string }>(row: R, places: readonly PlaceRow[]): R {
  const place = places.find(({ id }) => id === row.job);
  if (place === undefined) return row;
  const { id: _id, state: _state, ...rest } = place;
  return { ...row, queue_json: JSON.stringify(rest) };
}

/** The same, with what the instructor alone sees. */
export function liveJob(state: QueueState, job: Job, forecasts: Forecasts): LiveJob {
  const { place, ahead, eta, reason, phase } = placeRow(state, job, forecasts);
  const attempt = state.attempts.get(attemptKey(job.id, job.attempts));
  return {
    lane: job.lane, class: job.class, priority: job.userPriority, attempts: job.attempts, place, ahead, eta, reason: reason ?? null,
    slot: attempt?.slot ?? null, pool: attempt?.pool ?? null, runner: attempt?.lease?.runner ?? null, phase: phase === undefined ? null : { ...phase },
    bumped_until: job.bumpUntil, not_before: job.notBefore === 0 ? null : job.notBefore, estimate_ms: job.e, rough: job.rough,
  };
}

/** Whether a page that was told `before` need not be told `after` [Q76]. `now` in ms. */
export function sameRows(before: readonly PlaceRow[], after: readonly PlaceRow[], now: number): boolean {
  return before.length === after.length && before.every((row, index) => sameRow(row, after[index], now));
}

function sameRow(before: PlaceRow, after: PlaceRow | undefined, now: number): boolean {
  if (after === undefined) return false;
  const { eta: was, ...rest } = before;
  const { eta: is, ...others } = after;
  if (JSON.stringify(rest) !== JSON.stringify(others)) return false;
  if (was === null || is === null) return was === is;
  return steady(was.from, is.from, now) && steady(was.to, is.to, now);
}

function steady(was: number, is: number, now: number): boolean {
  return Math.abs(was - is) <= Math.max(STEADY_MS, Math.floor(Math.max(0, is - now) / 10));
}
