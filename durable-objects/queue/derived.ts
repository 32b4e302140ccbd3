// Lists and counts derived from the records, kept up to date as jobs move, so that a decision costs O(seats + slots) and a submit O(log n).
// Invariant: `restore(rowsOf(state))` builds the same lists; nothing here is ever stored.

import type { Job, JobId, LedgerName, Pool, PoolId, Seat, SeatId, Slot } from "./types.ts";

/** Jobs that ask for the same things and exclude the same pools share one profile, so "which pools may run it" is answered once. */
export interface Profile {
  id: number;
  name: string;
  requires: readonly string[];
  excluded: readonly PoolId[];
  /** Waiting jobs with this profile. */
  count: number;
  /** By place of the pool in `Derived.chain`; undefined = not asked yet. */
  capable: (boolean | undefined)[];
}

/** One seat's share of one ledger. */
export interface Stake {
  waiting: number;
  live: number;
  /** Waiting jobs by profile id. */
  profiles: Map<number, number>;
  /** [Q26] and [Q28], as of the last refresh. */
  active: boolean;
  contending: boolean;
}

/** A lane of one seat: its list [Q18] and the same jobs by `seq` (fifo takes turns by it [Q50]). */
export interface List {
  order: Job[];
  bySeq: Job[];
}

export interface SeatView {
  seat: Seat;
  normal: List;
  background: List;
  /** Waiting jobs in any lane. */
  waiting: number;
  main: Stake;
  idle: Stake;
  /** Σ reserve of its non-terminal and of its live jobs [Q16]. */
  reserved: number;
  reservedLive: number;
  /** By place in the chain: the pool serves this seat's group [Q78]. */
  served: boolean[];
  /** Room for the choice of the moment; means nothing between two choices. */
  head: { view: SeatView; job: Job | null };
}

export interface Derived {
  seats: Map<SeatId, SeatView>;
  /** The same, as an array to walk. */
  views: SeatView[];
  /** Waiting demo jobs by lane `seq`. */
  demo: Job[];
  waiting: number;
  reserved: number;
  reservedLive: number;
  /** Pools in chain order, removed ones left out; `ordinal` is the place in it. */
  chain: Pool[];
  ordinal: Map<PoolId, number>;
  /** Open slots in slot order [Q38]; W is its length. */
  open: Slot[];
  /** By place in the chain: the pool has an open slot. */
  hasOpen: boolean[];
  /** By profile id; an id nobody uses any more is given out again. */
  profiles: (Profile | undefined)[];
  profileIds: Map<string, number>;
  unusedProfiles: number[];
  /** Seats contending per ledger [Q28], as of the last refresh. */
  contending: { main: number; background: number };
  /** Waiting jobs by timing signature [Q72]. */
  byTiming: Map<string, Set<Job>>;
  /** Live and waiting jobs by (seat, idempotency key) [Q14]. */
  byKey: Map<string, JobId>;
  /** Waiting jobs with a `notBefore`, with exclusions, with a time-limited bump. */
  deferred: Set<Job>;
  excluding: Set<Job>;
  bumped: Set<Job>;
  /** The slot plan has to be made again; or when this time is reached (a circuit turns half-open). */
  planStale: boolean;
  planUntil: number;
  /** Classes order the lists (mode `priority`). */
  classes: boolean;
}

export function stakeOf(view: SeatView, ledger: LedgerName): Stake {
  return ledger === "main" ? view.main : view.idle;
}

/** [Q24] The ledger a job is charged to; null = nobody's. */
export function ledgerOf(job: Job): LedgerName | null {
  if (job.lane === "demo") return job.instructor ? null : "main";
  return job.lane === "background" ? "background" : "main";
}

export function keyName(seat: SeatId, key: string): string {
  return JSON.stringify([seat, key]);
}
