// What a schedule was worth, in the words of section 15 of docs/spec/queue.md. Percentile p of n sorted values = x_⌈p·n⌉; seconds throughout.

import type { Ended } from "../../../test/simulators/queue/ideal.ts";

/** A run that ended, and when it had been submitted (ms). */
export type Run = Ended & { submitted: number };

export function percentile(values: readonly number[], p: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(p * sorted.length) - 1)] ?? Number.NaN;
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function bySeat(runs: readonly Run[]): Map<string, Run[]> {
  const seats = new Map<string, Run[]>();
  for (const run of runs) seats.set(run.seat, [...(seats.get(run.seat) ?? []), run]);
  return seats;
}

/** Seconds from a seat's first submit to its first end. */
export function firstResults(runs: readonly Run[]): number[] {
  return [...bySeat(runs).values()].map((mine) => (Math.min(...mine.map(({ end }) => end)) - Math.min(...mine.map(({ submitted }) => submitted))) / 1000);
}

/** Mean wait of each seat, seconds. */
export function seatWaits(runs: readonly Run[]): number[] {
  return [...bySeat(runs).values()].map((mine) => mean(mine.map(({ at, submitted }) => (at - submitted) / 1000)));
}

/** max(1, (wait + run) / max(run, 10 s)), mean over jobs. */
export function slowdown(runs: readonly Run[]): number {
  return mean(runs.map(({ submitted, end, ms }) => Math.max(1, (end - submitted) / Math.max(ms, 10_000))));
}

/** GPU-seconds until a moment, of seats that had work waiting all the time from their first submit to it. */
export function backloggedService(runs: readonly Run[], until: number): number[] {
  const service: number[] = [];
  for (const mine of bySeat(runs).values()) {
    if (Math.max(...mine.map(({ at }) => at)) < until || !waitsThrough(mine, until)) continue;
    service.push(mine.reduce((sum, { at, end, ms }) => sum + Math.max(0, Math.min(end, until) - Math.min(Math.max(at, end - ms), until)), 0) / 1000);
  }
  return service;
}

function waitsThrough(mine: readonly Run[], until: number): boolean {
  const changes = mine.flatMap(({ submitted, at }) => [{ t: submitted, step: 1 }, { t: at, step: -1 }]).sort((a, b) => a.t - b.t || b.step - a.step);
  let waiting = 0;
  for (let i = 0; i < changes.length; i++) {
    const { t, step } = changes[i] as { t: number; step: number };
    waiting += step;
    if (waiting === 0 && t < until && changes[i + 1]?.t !== t) return false;
  }
  return true;
}

/** (Σx)² / (n Σx²): 1 = all alike. */
export function jain(values: readonly number[]): number {
  const sum = values.reduce((total, value) => total + value, 0);
  if (sum === 0) return 1; // all starved alike: read it beside the service gap
  return (sum * sum) / (values.length * values.reduce((total, value) => total + value * value, 0));
}
