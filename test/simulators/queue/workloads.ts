// Workloads anybody can rebuild: the burst after the demo (A), twenty always-backlogged seats (C), and a room that keeps working (R).

import type { IdealJob } from "./ideal.ts";

/** x ← (1 664 525 x + 1 013 904 223) mod 2³²; U[low, high) = low + ⌊x (high − low) / 2³²⌋. */
export function draws(seed: number): (low: number, high: number) => number {
  let x = seed;
  return (low, high) => {
    x = (Math.imul(x, 1_664_525) + 1_013_904_223) >>> 0;
    return low + Math.floor((x * (high - low)) / 2 ** 32);
  };
}

/** Jobs get their ids in order of creation, and enter in order of (arrival, id). */
function entered(jobs: IdealJob[]): IdealJob[] {
  return jobs.map((job, index) => ({ job, index })).sort((a, b) => a.job.at - b.job.at || a.index - b.index).map(({ job }) => job);
}

/** Workload A: 117 jobs, 6 242 635 ms. */
export function burst(): IdealJob[] {
  const draw = draws(1);
  const jobs: IdealJob[] = [];
  const add = (seat: number, at: number, kind: "image" | "video", ms: number) => {
    jobs.push({ id: String(jobs.length), seat: `s${seat}`, at, ms, signature: kind, submit: { kind } });
  };
  for (let k = 0; k < 40; k++) add(0, 0, "image", draw(6000, 12_000));
  for (let k = 0; k < 6; k++) add(0, 500, "video", draw(200_000, 300_000));
  for (let seat = 1; seat <= 14; seat++) {
    const t = draw(1000, 60_000);
    for (let k = 0; k < 4; k++) add(seat, t + 3000 * k, "image", draw(6000, 12_000));
  }
  for (let seat = 15; seat <= 19; seat++) {
    const t = draw(1000, 60_000);
    for (let k = 0; k < 3; k++) add(seat, t + 5000 * k, "video", draw(180_000, 320_000));
  }
  return entered(jobs);
}

/** Workload C: 4159 jobs, 73 130 923 ms; seats 0…9 images, 10…19 videos, an hour of work each. */
export function backlog(): IdealJob[] {
  const draw = draws(5);
  const jobs: IdealJob[] = [];
  for (let seat = 0; seat < 20; seat++) {
    const kind = seat < 10 ? "image" : "video";
    for (let sum = 0; sum < 3_600_000; ) {
      const ms = kind === "image" ? draw(6000, 12_000) : draw(180_000, 300_000);
      jobs.push({ id: String(jobs.length), seat: `s${seat}`, at: seat, ms, signature: kind, submit: { kind } });
      sum += ms;
    }
  }
  return entered(jobs);
}

/** A room that keeps working: twelve seats send a job, look at it for a while, send the next; times vary around what the table knows. */
export function room(seed: number): IdealJob[] {
  const draw = draws(4 + seed);
  const jobs: IdealJob[] = [];
  for (let seat = 0; seat < 12; seat++) {
    const typical = draw(6000, 40_000);
    let at = draw(0, 30_000);
    for (let n = 0; n < 15; n++) {
      const ms = Math.floor((typical * draw(60, 150)) / 100);
      jobs.push({ id: String(jobs.length), seat: `s${seat}`, at, ms, e: typical, e90: Math.floor(typical * 1.4) });
      at += draw(10_000, 160_000);
    }
  }
  return entered(jobs);
}
