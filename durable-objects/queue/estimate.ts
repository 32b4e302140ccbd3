// How long a job will run: a table of measured times per timing signature [Q70][Q71][Q72].

import type { Job, Kind, QueueState } from "./types.ts";
import type { Work } from "./work.ts";
import { reserveOf, shiftReserve } from "./budget.ts";

export interface Estimated {
  e: number;
  e90: number;
  rough: boolean;
}

/** Runs kept per signature [Q71]. */
const kept = 20;

/** [Q71] For a graph nobody has run: ms by kind of output. */
const unknownRun: { [K in Kind]: number } = { image: 10_000, audio: 60_000, video: 240_000, "3d": 120_000, other: 30_000 };

/** [Q71] e and e90 (ms) from measured runs in any order. */
export function estimate(runs: readonly number[], kind: Kind): Estimated {
  const sorted = [...runs].sort((a, b) => a - b);
  const m = sorted.length;
  const x = (index: number) => sorted[index - 1] ?? 0;
  if (m === 0) return { e: unknownRun[kind], e90: 2 * unknownRun[kind], rough: true };
  const e = Math.max(1000, m >= 3 ? x(Math.ceil(m / 2)) : x(1));
  const e90 = m >= 3 ? x(Math.ceil((9 * m) / 10)) : Math.floor((3 * x(m)) / 2);
  return { e, e90: Math.max(e, e90), rough: false };
}

export function estimateFor(state: QueueState, timing: string, kind: Kind): Estimated {
  return estimate(state.estimates.get(timing)?.runs ?? [], kind);
}

/** Keep measured runs (normalised ms) and re-read the estimates of waiting jobs of that signature [Q72]. Their rows are not touched. */
export function recordRuns(work: Work, timing: string, runs: readonly number[]): void {
  const { state } = work;
  const all = [...(state.estimates.get(timing)?.runs ?? []), ...runs].slice(-kept);
  state.estimates.set(timing, { timing, runs: all });
  work.changes.estimates.add(timing);
  const byKind = new Map<Kind, Estimated>();
  for (const job of state.derived.byTiming.get(timing) ?? []) {
    const fresh = byKind.get(job.kind) ?? estimate(all, job.kind);
    byKind.set(job.kind, fresh);
    reread(state, job, fresh);
  }
}

function reread(state: QueueState, job: Job, fresh: Estimated): void {
  if (job.e === fresh.e && job.e90 === fresh.e90 && job.rough === fresh.rough) return;
  job.e = fresh.e;
  job.e90 = fresh.e90;
  job.rough = fresh.rough;
  shiftReserve(state, job, reserveOf(job.e90, job.rate));
}

/** [Q71] Loading times are kept in the same table, under the model signature. */
export function loadTiming(signature: string): string {
  return `load|${signature}`;
}

/** Loading (ms) of a signature on a slot that is not warm for it: median and ninth decile of what runners reported, 0 when none did. */
export function loadOf(state: QueueState, signature: string): { e: number; e90: number } {
  const sorted = (state.estimates.get(loadTiming(signature))?.runs ?? []).toSorted((a, b) => a - b);
  const x = (share: number) => sorted[Math.ceil(share * sorted.length) - 1] ?? 0;
  return { e: x(0.5), e90: x(0.9) };
}

/** What [Q70] reads of a graph: largest literal of each name, 1 where absent. */
export interface TimingParts {
  signature: string;
  /** Node classes and how many of each. */
  classes: { readonly [className: string]: number };
  width?: number;
  height?: number;
  frames?: number;
  batch?: number;
  steps?: number;
}

/** [Q70] Model signature | sorted node classes with counts | bit length of width × height × frames × batch × steps. */
export function timingSignature(parts: TimingParts): string {
  const classes = Object.entries(parts.classes)
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([name, count]) => `${name}:${count}`)
    .join(",");
  let size = 1n;
  for (const factor of [parts.width, parts.height, parts.frames, parts.batch, parts.steps]) {
    size *= BigInt(Math.max(1, Math.floor(factor !== undefined && Number.isFinite(factor) ? factor : 1)));
  }
  return `${parts.signature}|${classes}|${size.toString(2).length}`;
}
