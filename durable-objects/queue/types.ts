// The records of the queue: what one workshop holds in memory and what its store keeps as rows.
// Invariants: every record is plain JSON; times are ms since the epoch, durations ms, ledgers virtual ms, money micro-units [Q2].
// Live (non-terminal) jobs only: a job that ends leaves the state with a `job_ended` event that carries its terminal record.

import type { Derived } from "./derived.ts";
import type { Estimate, Params, Pool, Runner, Seat, Slot, Workshop } from "./workshop-types.ts";

export type * from "./workshop-types.ts";

export type SeatId = string;
export type JobId = string;
export type PoolId = string;
export type RunnerId = string;
/** `${job}#${number}`; see `attemptKey`. */
export type AttemptKey = string;
/** `${pool}-${number}`; see `slotKey`. The name people see: "h200-1". */
export type SlotKey = string;

/** [Q7] The one published vocabulary. */
export type JobState = LiveState | TerminalState;
export type LiveState = "waiting" | "dispatched" | "running" | "stopping";
export type TerminalState = "succeeded" | "failed" | "cancelled";
/** [Q20] Stored lanes; `aged` is a condition at dispatch, never stored. */
export type Lane = "demo" | "normal" | "background";
/** [Q24] Which ledger a job is charged to. */
export type LedgerName = "main" | "background";
export type Mode = "fifo" | "round_robin" | "fair" | "priority";
/** [Q66] open: admits and dispatches; paused: admits; draining: dispatches; closed: neither. */
export type Switch = "open" | "paused" | "draining" | "closed";
/** Kind of output, for the estimate of a graph nobody has run yet [Q71]. */
export type Kind = "image" | "audio" | "video" | "3d" | "other";

/** [Q10] A failure is never empty. */
export interface Reason {
  code: string;
  message: string;
  node_id?: string;
  details?: unknown;
}

/** [Q11] Detail inside a state, shown only when a real signal said so. */
export type Phase =
  | { name: "gpu_starting" | "inputs" | "loading" | "uploading" }
  | { name: "executing"; node?: string; step?: number; steps?: number };

/** One accepted prompt that has not ended. */
export interface Job {
  id: JobId;
  seat: SeatId;
  /** [Q3] The workshop's integer; ends every comparison. Kept through retries. */
  seq: number;
  state: LiveState;
  lane: Lane;
  /** The lane the job was submitted to (`demo` jobs of the instructor: `normal`); where it returns to when its bump or demo ends. */
  home: "normal" | "background";
  /** Order in the demo lane [Q21][Q22]; `seq` unless bumped. */
  laneSeq: number;
  /** End of a time-limited bump, or null. */
  bumpUntil: number | null;
  /** 0 instructor, 1 high, 2 normal, 3 low [Q50]. */
  class: number;
  /** 0…15, higher first, orders the seat's own jobs only [Q18]. */
  userPriority: number;
  /** Place in the seat's own list [Q18]; may be negative. */
  place: number;
  /** Submitted from the instructor's seat [Q24]. */
  instructor: boolean;
  /** Set of model files as one string: what a slot is warm for [Q37]. */
  signature: string;
  /** Timing signature [Q70]. */
  timing: string;
  kind: Kind;
  /** Opaque capability keys (nodes, models), sorted; a pool must offer all of them [Q41]. */
  requires: readonly string[];
  /** Size of the prompt body in bytes. */
  bytes: number;
  /** Idempotency key and hash of the canonical body [Q14]. */
  key: string | null;
  hash: string | null;
  acceptedAt: number;
  /** Estimates in ms [Q71]; while waiting always what the table says now [Q72] (not rewritten to rows: `restore` reads them again). */
  e: number;
  e90: number;
  rough: boolean;
  /** Rate (micro-units per hour) and sum reserved for it [Q16]: dearest pool of the chain, from dispatch on the chosen pool. */
  rate: number;
  reserve: number;
  /** Start quoted at admission, filled once by a `quote` command [Q17]. */
  quoted: { start50: number; start90: number } | null;
  /** Number of the last attempt made; 0 = none yet. */
  attempts: number;
  /** Attempts that count towards the bound of [Q55]. */
  counted: number;
  /** Retries granted after a first `started`, class lost and moves to more memory apart [Q55]. */
  further: number;
  /** Some attempt of this job was `started`. */
  everStarted: boolean;
  /** First moment it may be dispatched again; 0 = any time. */
  notBefore: number;
  /** Pools this job is kept from, and the outcome code that did it [Q55]. */
  excluded: { pool: PoolId; code: string }[];
  /** What went wrong before [Q54]: how often out of memory, crashed, silent run; pools it was lost on. */
  past: { oom: number; crash: number; silent: number; lostOn: PoolId[] };
  /** Reason of the last attempt that failed. */
  last: Reason | null;
  /** Times passed over for a warm model [Q47]. */
  passed: number;
  /** Who asked to stop a running job, and when [Q61]. */
  stop: { by: "seat" | "instructor"; at: number } | null;
  /** Derived: the interned (requires, excluded) profile. Rebuilt by `restore`; a store may drop it. */
  profile: number;
}

/** [Q9]. Only attempts that are not closed are in the state; a closed one leaves with an `attempt_closed` event. */
export type AttemptState = "open" | "submitted" | "unknown" | "claimed" | "started";
export type Outcome = "succeeded" | "failed" | "cancelled" | "refused" | "expired" | "lost" | "evicted";

export interface Lease {
  id: string;
  runner: RunnerId;
  /** The lease ends here unless renewed [Q58]. */
  expiresAt: number;
}

export interface Attempt {
  key: AttemptKey;
  job: JobId;
  seat: SeatId;
  /** 1, 2, … per job. With `job` it is the attempt's whole identity; dispatch ids and tokens are minted by the shell. */
  number: number;
  /** Order of dispatch in the workshop; completions at one instant are applied in this order. */
  serial: number;
  pool: PoolId;
  slot: SlotKey;
  state: AttemptState;
  lane: Lane;
  /** [Q24] `null`: charged to nobody (the instructor's demo). */
  ledger: LedgerName | null;
  /** [Q29] What was charged at dispatch; refunded exactly once or settled. */
  charged: { v: number; n: number };
  /** Estimates frozen at dispatch [Q72]. */
  e: number;
  e90: number;
  /** Micro-units per hour of the pool at dispatch. */
  rate: number;
  speed: number;
  /** The run should begin with freed memory or a restarted ComfyUI (after `oom`, `comfy_crash`) [Q54]. */
  fresh: boolean;
  /** The slot was warm for its signature when it was dispatched [Q37]. */
  warm: boolean;
  signature: string;
  dispatchedAt: number;
  /** [Q57] Unclaimed by then: expired. */
  claimBefore: number;
  /** Times the dispatch was handed to the provider with an unknown answer [Q54]. */
  unknowns: number;
  /** The provider's own reference, when it gave one. */
  ref: string | null;
  lease: Lease | null;
  /** Lease expired, claimable by another runner until then [Q58]; null = not in that time. */
  reclaimUntil: number | null;
  claimedAt: number | null;
  /** Container time before the claim, as the runner reported it (ms) [Q16]. */
  coldMs: number;
  startedAt: number | null;
  /** Last event that was not a heartbeat [Q57]. */
  activeAt: number;
  /** Any event but heartbeats since the start [Q54]. */
  heard: boolean;
  phase: Phase | null;
}

/** A closed attempt, as its row should say for ever. */
export interface ClosedAttempt extends Attempt {
  closedAt: number;
  outcome: Outcome;
  code: string | null;
  /** Normalised execution ms that stayed charged; 0 after a refund. */
  settled: number;
  refunded: boolean;
  /** Money this attempt cost, micro-units. */
  cost: number;
}

/** Everything a store keeps: one row (or blob) per record. `restore(rows)` gives the state back. */
export interface Rows {
  workshop: Workshop;
  params: Params;
  jobs: Job[];
  attempts: Attempt[];
  seats: Seat[];
  pools: Pool[];
  slots: Slot[];
  runners: Runner[];
  estimates: Estimate[];
}

export interface QueueState {
  workshop: Workshop;
  params: Params;
  jobs: Map<JobId, Job>;
  attempts: Map<AttemptKey, Attempt>;
  seats: Map<SeatId, Seat>;
  pools: Map<PoolId, Pool>;
  slots: Map<SlotKey, Slot>;
  runners: Map<RunnerId, Runner>;
  estimates: Map<string, Estimate>;
  /** Derived lists and counts; rebuilt by `restore`, never stored. */
  derived: Derived;
}

/** The record of a job that ended: what its row says for ever [Q7], and what the shell hands back as `known`. */
export interface Terminal {
  id: JobId;
  seat: SeatId;
  seq: number;
  state: TerminalState;
  /** Set for `failed`, and a sentence for `cancelled`; null for `succeeded`. */
  reason: Reason | null;
  key: string | null;
  hash: string | null;
  lane: Lane;
  attempts: number;
  /** Lease and body digest of the result that ended it; a repeat is answered `already` [Q53]. */
  lease: string | null;
  digest: string | null;
  pool: PoolId | null;
  slot: SlotKey | null;
  acceptedAt: number;
  dispatchedAt: number | null;
  startedAt: number | null;
  endedAt: number;
  /** Normalised execution ms the seat was charged for in the end. */
  settled: number;
  /** Cost of the last attempt, micro-units. */
  cost: number;
  quoted: { start50: number; start90: number } | null;
}
