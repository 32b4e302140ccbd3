// What may be asked of the queue: every command is data, carries its ids and facts, and is logged as it is [Q1][Q5].
// No command holds prompt text or a token. `by` names the person for the audit [Q69].

import type { JobId, Kind, Mode, Params, Phase, PoolConfig, PoolId, Reason, RunnerId, SeatId, Switch, Terminal } from "./types.ts";

/** A job the store knows to have ended: state holds live jobs only, so the shell looks the id up and passes what it found. */
export type Known = Pick<Terminal, "id" | "seat" | "seq" | "state" | "reason" | "key" | "hash" | "lease" | "digest">;

export interface Submit {
  type: "submit";
  /** A UUID: the caller's prompt_id or one the shell made [Q14]. */
  id: JobId;
  seat: SeatId;
  /** From the instructor's seat (decides demo [Q21] and the ledger [Q24]). */
  instructor: boolean;
  /** "run when idle" [Q23]. */
  background: boolean;
  /** ComfyUI's `front`: in front of this seat's waiting jobs [Q18]. */
  front: boolean;
  userPriority: number;
  /** 0…3; only the instructor may send one that is not 2 (the shell checks the role). */
  class: number;
  signature: string;
  /** `timingSignature(...)` of the graph [Q70]. */
  timing: string;
  kind: Kind;
  requires: readonly string[];
  bytes: number;
  idempotency: { key: string; hash: string } | null;
  /** Ended jobs the store holds under this seat's key and under this id, if any [Q14]. */
  known?: { byKey?: Known; byId?: Known };
  /** Verdict of the prompt checks the shell has already made (rows 5 to 7 of [Q13]); refused here so that the order of checks holds. */
  fault?: { reason: "invalid_prompt" | "unknown_node" | "unknown_model" | "input_missing"; message: string };
}

/** Names one attempt the way a runner's frames do; anything but the current lease is `stale` [Q53]. */
export interface Leased {
  job: JobId;
  attempt: number;
  lease: string;
  /** The ended job of this id, when it is not live. */
  known?: Known;
}

export interface Timings {
  /** Execution as the runner measured it, and the model loading it could attribute (ms). */
  execMs: number;
  loadMs: number;
}

export type ResultCommand = Leased & {
  type: "result";
  /** Hash of the canonical body, for `already` / `conflict` [Q53]. */
  digest: string;
  timings?: Timings;
} & (
    | { outcome: "succeeded"; /** Every reported file is committed and checked, or there are none [Q10]. */ filesCommitted: boolean }
    | { outcome: "failed"; reason: Reason }
    | { outcome: "cancelled" }
  );

export type Command =
  | Submit
  | { type: "cancel"; job: JobId; /** null: the instructor, any job. */ seat: SeatId | null; by?: string; known?: Known }
  /** Own waiting and dispatched jobs [Q62]; seat null: of everybody (instructor). `running` stops running ones too (instructor only). */
  | { type: "clear"; seat: SeatId | null; instructor: boolean; running?: boolean; by?: string }
  | { type: "delete"; seat: SeatId; ids: readonly JobId[] }
  /** Own running jobs: the one named, or all [Q62]. */
  | { type: "interrupt"; seat: SeatId; job?: JobId }
  /** Put an own waiting job before another one of equal lane, class and priority, or last among them (null) [Q19]. */
  | { type: "move"; seat: SeatId; job: JobId; before: JobId | null; by?: string }
  | { type: "set_priority"; seat: SeatId; job: JobId; userPriority: number }
  | { type: "set_class"; job: JobId; class: number; by: string }
  /** Into the demo lane [Q22]; with `forMs` it returns to its lane when not dispatched by then. */
  | { type: "bump"; job: JobId; forMs?: number; by: string }
  /** Back from the demo lane to where it came from (undo of a bump). */
  | { type: "unbump"; job: JobId; by: string }
  | { type: "evict"; job: JobId; by: string }
  /** What the provider said to a dispatch. Refused as `superseded` when the attempt closed meanwhile: the shell then takes the job back at the provider by the ref it has just got. */
  | { type: "handed_over"; job: JobId; attempt: number; answer: "submitted"; ref?: string }
  | { type: "handed_over"; job: JobId; attempt: number; answer: "unknown" }
  | { type: "handed_over"; job: JobId; attempt: number; answer: "refused"; code: string; message?: string; /** ms */ retryAfter?: number }
  /** What the provider said to `ask_status`: it has the dispatch, has never heard of it, lost it, or gave no answer. */
  | { type: "provider_status"; job: JobId; attempt: number; status: "known" | "absent" | "failed" | "unknown"; code?: string }
  | { type: "claim"; job: JobId; attempt: number; runner: RunnerId; /** New id from the caller; used only when a lease is granted. */ lease: string; coldMs?: number; known?: Known }
  /** Any authenticated frame; `activity` false for a bare heartbeat [Q57][Q58]. */
  | (Leased & { type: "renew"; activity: boolean })
  | (Leased & { type: "started" })
  | (Leased & { type: "phase"; phase: Phase })
  | ResultCommand
  | { type: "runner_seen"; runner: RunnerId; pool: PoolId }
  /** The process is known to be dead: its attempts are lost now, not at lease end. */
  | { type: "runner_lost"; runner: RunnerId }
  | { type: "tick" }
  | { type: "set_mode"; mode: Mode; by: string }
  | { type: "set_params"; params: Partial<Params>; by: string }
  | { type: "set_weight"; seat: SeatId; weight: number; by: string }
  | { type: "pause_seat"; seat: SeatId; by: string }
  | { type: "resume_seat"; seat: SeatId; by: string }
  | { type: "set_group"; seat: SeatId; group: string | null; by: string }
  | { type: "set_envelope"; seat: SeatId; budget: number | null; by: string }
  | { type: "set_switch"; to: Switch; by: string }
  | { type: "upsert_pool"; pool: PoolConfig; by?: string }
  | { type: "remove_pool"; pool: PoolId; by: string }
  | { type: "drain_pool"; pool: PoolId; draining: boolean; by: string }
  | { type: "set_max_in_flight"; pool: PoolId; maxInFlight: number }
  | { type: "set_offers"; pool: PoolId; offers: readonly string[] | null }
  | { type: "set_wanted"; slots: number; by: string }
  | { type: "set_demo"; on: boolean; by: string }
  | { type: "new_round"; by: string }
  | { type: "set_budget"; budget: number | null; by: string }
  /** Money spent outside attempts the queue saw (an invoice, a warm replica); micro-units, may be negative to correct. */
  | { type: "record_spend"; micro: number; seat?: SeatId; by?: string }
  /** Execution times known beforehand: a rehearsal, another workshop [Q72]. */
  | { type: "record_runs"; timing: string; runs: readonly number[] }
  /** Starts quoted by the first forecast after admission; a job already quoted keeps its quote [Q17]. */
  | { type: "quote"; quotes: readonly { job: JobId; start50: number; start90: number }[] }
  /** Several commands at one instant, then one slot plan and one dispatch loop (group commit). Each is accepted or refused by itself. */
  | { type: "batch"; commands: readonly Exclude<Command, { type: "batch" }>[] };

export type CommandType = Command["type"];
export type CommandOf<T extends CommandType> = Extract<Command, { type: T }>;

/** [Q59] What happened, not what was wished. */
export type CancelAnswer =
  | { answer: "removed_waiting" | "stopping" | "not_found" }
  | { answer: "already_finished"; state: Terminal["state"] };

export interface Granted {
  lease: string;
  /** ms until the lease ends unless renewed. */
  ttl: number;
  /** The run was cancelled: stop [Q61]. */
  cancel: boolean;
}

/** What an accepted command answers, by its type; `null` where there is nothing to say. */
export interface Results {
  submit: { job: JobId; seq: number; /** The first acceptance again [Q14]: nothing was stored now. */ repeated: boolean };
  cancel: CancelAnswer;
  clear: { removed: JobId[]; stopping: JobId[] };
  delete: { removed: JobId[] };
  interrupt: { stopping: JobId[] };
  claim: Granted & { /** The same runner repeating itself. */ repeated: boolean };
  renew: Granted;
  started: Granted;
  phase: Granted;
  result: { answer: "accepted" | "already"; /** The job's state now. */ state: "waiting" | Terminal["state"] };
  batch: BatchAnswer[];
}

export type ResultOf<T extends CommandType> = T extends keyof Results ? Results[T] : null;
export type BatchAnswer = { ok: true; result: unknown } | Refusal;

export type RefusalReason =
  // [Q13]
  | "idempotency_conflict" | "id_taken" | "not_admitting" | "payload_too_large" | "invalid_prompt" | "unknown_node" | "unknown_model"
  | "input_missing" | "seat_queue_full" | "queue_full" | "budget_exhausted"
  // [Q52][Q53]
  | "gone" | "superseded" | "finished" | "duplicate" | "quarantined" | "stale" | "conflict"
  // everything else
  | "illegal_transition" | "not_found" | "files_uncommitted" | "reason_missing" | "unknown_mode" | "invalid_value";

/** A typed no: a sentence for a person and the numbers behind it. The command itself changed nothing. */
export interface Refusal {
  ok: false;
  reason: RefusalReason;
  message: string;
  /** limit, current, scope, state, until … whatever lies behind the answer. */
  numbers: { readonly [name: string]: number | string };
}
