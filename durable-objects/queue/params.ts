// Defaults of section 12 and what a mode makes of them [Q50]: one scheduler, four settings.

import type { Mode, Params, PoolConfig, Rows } from "./types.ts";

const second = 1000;

/** Longest duration a person may set, ms: thirty days [Q2]. */
export const longest = 30 * 86_400 * second;

/** Section 12 of docs/spec/queue.md. */
export const defaultParams: Params = {
  headStart: 60 * second,
  slack: 30 * second,
  overtake: 4,
  passings: 4,
  long: 60 * second,
  hold: 120 * second,
  aged: 600 * second,
  reserved: 1,
  demoSlots: 1,
  demoMax: 900 * second,
  halfLifeMinutes: 60,
  debtMs: 600 * second,
  debtJobs: 10 * 1000,
  seatMax: 32,
  queueMax: 600,
  seatFloor: 2,
  bytesMax: 10 * 1024 * 1024,
  stopGrace: 20 * second,
  backoff: 2 * second,
  backoffMax: 60 * second,
  attemptsMax: 3,
  lastResort: 30 * second,
  circuit: 60 * second,
  circuitMax: 600 * second,
  quarantine: 600 * second,
  company: 900 * second,
};

/** A serverless pool with the deadlines of section 12; local and pulling pools send shorter ones (claimBefore 30 s, startups 0). */
export const defaultPool: PoolConfig = {
  id: "pool",
  position: 0,
  maxInFlight: 1,
  offers: null,
  groups: null,
  speed: 100,
  rate: 0,
  memory: 0,
  startup50: 0,
  startup90: 0,
  keepWarm: 300 * second,
  claimBefore: 900 * second,
  startAfterClaim: 180 * second,
  silence: 300 * second,
  execLimit: { image: 900 * second, audio: 900 * second, video: 3600 * second, "3d": 900 * second, other: 900 * second },
  lease: 75 * second,
  reclaim: 0,
};

/** A workshop nobody has used yet: no seat, no pool, no slot wanted, mode `fair`, open. */
export function emptyRows(params: Partial<Params> = {}): Rows {
  return {
    workshop: {
      mode: "fair",
      switch: "open",
      wanted: 0,
      nextSeq: 1,
      nextSerial: 1,
      main: { v: 0, n: 0 },
      background: { v: 0, n: 0 },
      minute: -1,
      lastShort: null,
      lastWasDemo: false,
      demoUntil: null,
      budget: null,
      spent: 0,
      warned: false,
    },
    params: { ...defaultParams, ...params },
    jobs: [],
    attempts: [],
    seats: [],
    pools: [],
    slots: [],
    runners: [],
    estimates: [],
  };
}

/** What the one dispatch loop reads of mode and parameters [Q50]. */
export interface Settings {
  key: "seq" | "v" | "n";
  headStart: number;
  slack: number;
  cap: boolean;
  aged: boolean;
  reserved: number;
  classes: boolean;
}

export const modes: readonly Mode[] = ["fifo", "round_robin", "fair", "priority"];

export function settingsOf(mode: Mode, params: Params): Settings {
  switch (mode) {
    case "fifo":
      return { key: "seq", headStart: 0, slack: 0, cap: false, aged: false, reserved: 0, classes: false };
    case "round_robin":
      return { key: "n", headStart: 0, slack: 0, cap: true, aged: true, reserved: 0, classes: false };
    case "fair":
    case "priority":
      return { key: "v", headStart: params.headStart, slack: params.slack, cap: true, aged: true, reserved: params.reserved, classes: mode === "priority" };
  }
}
