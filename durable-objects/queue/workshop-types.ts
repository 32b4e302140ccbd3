// The records around the jobs: seats with their ledgers, pools, slots, runners, estimates, the workshop's scalars and parameters.
// Plain JSON like those of types.ts; times in ms since the epoch, durations ms, money micro-units [Q2].

import type { AttemptKey, Kind, Mode, PoolId, RunnerId, SeatId, SlotKey, Switch } from "./types.ts";

export interface Ledger {
  /** Virtual GPU-ms. */
  v: number;
  /** Virtual jobs, 1000 each. */
  n: number;
}

export interface Seat {
  id: SeatId;
  instructor: boolean;
  paused: boolean;
  /** Percent, 10…1000 [Q25]. */
  weight: number;
  group: string | null;
  main: Ledger;
  background: Ledger;
  /** Envelope in micro-units, null = none [Q16]. */
  budget: number | null;
  spent: number;
  warned: boolean;
  /** The latest job it had accepted outside the background lane: who is present, and what to expect of it [Q73]. */
  sent: { at: number; e: number; e90: number; signature: string } | null;
}

/** What the owner of a pool sets. */
export interface PoolConfig {
  id: PoolId;
  /** Place in the workshop's ordered failover chain; smaller first. */
  position: number;
  /** Attempts that may be live at once; a pull pool changes it as runners come and go. */
  maxInFlight: number;
  /** Capability keys on offer; null = everything (not known yet). */
  offers: readonly string[] | null;
  /** Groups served; null = everybody [Q78]. */
  groups: readonly string[] | null;
  /** Percent of the reference GPU [Q30]. */
  speed: number;
  /** Micro-units per hour. */
  rate: number;
  /** GPU memory in MiB, 0 = unknown; after `oom` a job looks for more [Q54]. */
  memory: number;
  /** Startup of a cold container, ms [Q73]. */
  startup50: number;
  startup90: number;
  /** How long a silent runner still counts as "recently seen" in the forecast, ms. */
  keepWarm: number;
  /** Deadlines and lease of this pool's attempts, ms [Q57][Q58]. */
  claimBefore: number;
  startAfterClaim: number;
  silence: number;
  /** Longest execution by kind of output. */
  execLimit: { [K in Kind]: number };
  lease: number;
  reclaim: number;
}

export interface Pool extends PoolConfig {
  draining: boolean;
  /** Taken out of the chain; the row goes when its last attempt ended. */
  removed: boolean;
  /** [Q56] `failures` consecutive; closed while 0, open until `openUntil`, half-open after. */
  circuit: { failures: number; openUntil: number; code: string | null };
}

/** [Q37] The right to have one live attempt in a pool. */
export interface Slot {
  key: SlotKey;
  pool: PoolId;
  number: number;
  open: boolean;
  attempt: AttemptKey | null;
  warm: string | null;
  /** When its last attempt ended; 0 at first. */
  idleSince: number;
  runner: RunnerId | null;
  /** Last sign of life of a runner here; 0 = never. */
  seenAt: number;
}

/** [Q52] A runner that was seen; kept while strikes or a quarantine matter. */
export interface Runner {
  id: RunnerId;
  pool: PoolId;
  slot: SlotKey | null;
  seenAt: number;
  /** Start deadlines and crashes in a row. */
  strikes: number;
  quarantinedUntil: number;
}

/** [Q71] Execution times (normalised ms) of the last 20 succeeded runs, oldest first. */
export interface Estimate {
  timing: string;
  runs: number[];
}

/** Scalars of the workshop: one row. */
export interface Workshop {
  mode: Mode;
  switch: Switch;
  /** Slots wanted [Q38]. */
  wanted: number;
  nextSeq: number;
  nextSerial: number;
  /** Virtual times V and N per ledger [Q32]. */
  main: Ledger;
  background: Ledger;
  /** Minute (floor of now / 60 000) of the latest command; decay counts from here [Q35]. −1 before the first. */
  minute: number;
  /** Last acceptance of a short non-background job [Q43]; null = never. */
  lastShort: number | null;
  /** The previous dispatch was a demo job (W = 1 alternates) [Q42]. */
  lastWasDemo: boolean;
  /** End of demo, null = off [Q21]. */
  demoUntil: number | null;
  budget: number | null;
  spent: number;
  warned: boolean;
}

/** Section 12 of the spec; all durations in ms. Defaults: `defaultParams`. */
export interface Params {
  /** κ, head start of short jobs. */
  headStart: number;
  /** δ, slack of affinity. */
  slack: number;
  /** L, own jobs an affinity pick may overtake. */
  overtake: number;
  /** D, times a job may be passed over. */
  passings: number;
  long: number;
  hold: number;
  aged: number;
  /** r, slots kept for short work when W ≥ 4. */
  reserved: number;
  demoSlots: number;
  demoMax: number;
  /** 0 = no decay. */
  halfLifeMinutes: number;
  /** Debt caps: virtual ms and thousandths of jobs; 0 = off. */
  debtMs: number;
  debtJobs: number;
  seatMax: number;
  queueMax: number;
  seatFloor: number;
  /** Largest prompt body, bytes. */
  bytesMax: number;
  stopGrace: number;
  /** First backoff and its ceiling [Q55]. */
  backoff: number;
  backoffMax: number;
  attemptsMax: number;
  /** Wait after a job had excluded every pool [Q55]. */
  lastResort: number;
  /** First opening of a circuit and its ceiling [Q56]. */
  circuit: number;
  circuitMax: number;
  quarantine: number;
  /** Seats that sent a job this recently are expected to send more, in the slow run of a forecast; 0 = nobody [Q73]. */
  company: number;
}
