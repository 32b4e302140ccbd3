// What one decision hands back: an answer or a refusal, and what the shell has to store, send and do.
// Invariant: the shell commits `changes` first; events and effects leave only after that commit [Q6].

import type { CommandType, Refusal, ResultOf } from "./commands.ts";
import type { AttemptKey, ClosedAttempt, Job, JobId, JobState, LiveState, Mode, Phase, PoolId, Reason, RunnerId, SeatId, SlotKey, Switch, Terminal } from "./types.ts";

/**
 * Keys of the records to write. For each key: present in the state's map = write that record, absent = delete its row.
 * O(changed): never more than what this command, its timers and its dispatches touched.
 */
export interface Changes {
  workshop: boolean;
  params: boolean;
  jobs: Set<JobId>;
  attempts: Set<AttemptKey>;
  seats: Set<SeatId>;
  pools: Set<PoolId>;
  slots: Set<SlotKey>;
  runners: Set<RunnerId>;
  estimates: Set<string>;
}

/** Named after commit. A failing effect never changes state; its outcome comes back as a command [Q6]. */
export type Effect =
  /** Hand the dispatch to the pool's provider (or the socket of a pulling runner). The shell mints dispatch id and token for (job, attempt)
   *  and reports with `handed_over`. `fresh`: ask the runner to free memory or restart ComfyUI first. */
  | { type: "dispatch"; job: JobId; attempt: number; pool: PoolId; slot: SlotKey; claimBefore: number; fresh: boolean }
  /** The same dispatch (same dispatch id, same token) once more: its answer was lost and the provider does not know it. Report with `handed_over`. */
  | { type: "hand_over_again"; job: JobId; attempt: number; pool: PoolId; slot: SlotKey; claimBefore: number; fresh: boolean }
  /** Ask the provider by our own dispatch id whether it has it. Report with `provider_status`. */
  | { type: "ask_status"; job: JobId; attempt: number; pool: PoolId }
  /** Take the job back at the provider where that exists; nothing to report. */
  | { type: "provider_cancel"; job: JobId; attempt: number; pool: PoolId; ref: string | null }
  /** Send down the runner's socket if it has one; every answer to a heartbeat says the same again. `cancel`: interrupt and report.
   *  `evicted`: the lease is over, stop and drop the run. */
  | { type: "tell_runner"; job: JobId; attempt: number; lease: string; runner: RunnerId; what: "cancel" | "evicted" };

/** Facts for frames, the log and people; derived from what this decision committed. `why` is a sentence for a person. */
export type QueueEvent =
  | { type: "job_accepted"; job: JobId; seat: SeatId; seq: number }
  | { type: "job_state"; job: JobId; seat: SeatId; from: LiveState; to: LiveState; why: string }
  | { type: "job_dispatched"; job: JobId; seat: SeatId; attempt: number; pool: PoolId; slot: SlotKey; why: string }
  | { type: "job_ended"; job: JobId; seat: SeatId; from: JobState; record: Terminal; /** The job as it was when it ended. */ last: Job; why: string }
  | { type: "job_phase"; job: JobId; seat: SeatId; attempt: number; phase: Phase }
  | { type: "job_changed"; job: JobId; seat: SeatId; what: "place" | "lane" | "class" | "priority"; why: string }
  | { type: "attempt_closed"; record: ClosedAttempt; reason: Reason | null }
  | { type: "lease_expired"; job: JobId; attempt: number; runner: RunnerId; /** Claimable by another runner until then. */ until: number }
  | { type: "seat_changed"; seat: SeatId; what: "paused" | "resumed" | "weight" | "group" | "budget" }
  | { type: "switch_changed"; from: Switch; to: Switch; why: string }
  | { type: "mode_changed"; from: Mode; to: Mode }
  | { type: "demo_changed"; on: boolean; until: number | null; why: string }
  | { type: "slots_changed"; open: SlotKey[]; draining: SlotKey[] }
  | { type: "pool_changed"; pool: PoolId; what: "upserted" | "removed" | "draining" | "undrained" | "max_in_flight" | "offers" }
  | { type: "circuit_opened"; pool: PoolId; code: string; until: number; failures: number; /** Somebody should look: keys, funds, configuration. */ alarm: boolean }
  | { type: "circuit_closed"; pool: PoolId }
  | { type: "runner_quarantined"; runner: RunnerId; until: number; why: string }
  | { type: "budget_crossed"; scope: "workshop" | SeatId; spent: number; budget: number }
  | { type: "alarm"; code: string; message: string; job?: JobId }
  | { type: "new_round" }
  /** [Q69] Who did what, and what it was before. */
  | { type: "audit"; by: string; what: string; target: string | null; previous: unknown; value: unknown };

/**
 * `ok: false`: the command was refused and changed nothing. What fell due before it [Q4] (decay, deadlines) is in events, effects and changes all the
 * same: commit it when `hasChanges(changes)`, and log the command then too, so that a replay passes the same way.
 */
export type Decision<T extends CommandType = CommandType> = { events: QueueEvent[]; effects: Effect[]; changes: Changes } & (
  | { ok: true; result: ResultOf<T> }
  | Refusal
);

/** [Q74] What may be shown about a waiting job. `start50` ≤ `start90`, ms since the epoch, cold starts included. */
export type Forecast =
  | { place: number; start50: number; start90: number }
  /** In order, but beyond what can be said (only the slow run leaves it out, or it starts after 24 h). */
  | { place?: number; reason: WaitReason; /** Next try of a closed pool, ms. */ until?: number };

export type WaitReason = "paused" | "seat_paused" | "closed" | "budget" | "no_gpu" | "no_capable_gpu" | "group_closed" | "beyond_a_day";
