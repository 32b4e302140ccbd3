// The instructor's door of a workshop object: what may be asked, what comes back. Plain data only; refusals are values [CF16].
// Times are ms since the epoch, durations ms, money micro-units of the workshop's currency.
import type { Answer, JobState, Role, RunnerLine } from "./contract.ts";

export type Switch = "open" | "paused" | "draining" | "closed";
export type Mode = "fifo" | "round_robin" | "fair" | "priority";
export type Level = "info" | "warning";

/** One act of the instructor. `confirm` repeats a name, for what cannot be taken back [Q63]. */
export type Instruction =
  | { do: "switch"; to: Switch }
  | { do: "mode"; mode: Mode }
  | { do: "params"; params: Record<string, number> }
  | { do: "slots"; slots: number }
  | { do: "demo"; on: boolean }
  | { do: "budget"; budget: number | null }
  | { do: "round" }
  | { do: "clear"; /** null: everybody */ seat: string | null; /** running ones too */ running: boolean; confirm: string }
  | { do: "cancel" | "evict" | "unbump"; job: string }
  | { do: "bump"; job: string; /** back in its lane when not dispatched by then; null: stays */ for_ms: number | null }
  | { do: "move"; job: string; /** null: last of its equals */ before: string | null }
  | { do: "class"; job: string; class: number }
  | { do: "priority"; job: string; priority: number }
  | { do: "seat_paused"; seat: string; paused: boolean }
  | { do: "seat_weight"; seat: string; weight: number }
  | { do: "seat_group"; seat: string; group: string | null }
  | { do: "seat_budget"; seat: string; budget: number | null }
  | { do: "pool_draining"; pool: string; draining: boolean }
  | { do: "pool_groups"; pool: string; groups: string[] | null }
  | { do: "announce"; text: string; level: Level; /** null: every seat */ seat: string | null; for_ms: number }
  | { do: "withdraw"; notice: number };

/** What an act did. `undo` null: it cannot be taken back, and `final` says why. */
export type Done = {
  did: string;
  revision: number;
  at: number;
  undo: { id: string; /** the offer ends */ until: number; does: string } | null;
  final: string | null;
  result: Record<string, unknown>;
};

// ---- jobs ---------------------------------------------------------------------------------------------------------------------------
/** `before` is the cursor a page gave; `text` is looked for in id, seat and state. */
export type JobSearch = { states: JobState[] | null; seat: string | null; text: string | null; before: number | null; limit: number };
/** Place and time of a waiting job, or the reason why there is none [Q74]. */
export type Eta = { from: number; to: number };
export type LiveJob = {
  lane: "demo" | "normal" | "background"; class: number; priority: number; attempts: number;
  place: number | null; ahead: number | null; eta: Eta | null; reason: string | null;
  slot: string | null; pool: string | null; runner: string | null; phase: Record<string, unknown> | null;
  bumped_until: number | null; not_before: number | null; estimate_ms: number; rough: boolean;
};
export type JobLine = {
  job: string; seq: number; number: number; seat: string; state: JobState; created: number; started: number | null; ended: number | null;
  workflow_id: string | null; error: string | null; live: LiveJob | null;
};
/** `next`: ask again with `before: next`; null: nothing older. A page may be short, even empty, while there is a next one. */
export type JobPage = { revision: number; jobs: JobLine[]; next: number | null };
export type Moment = { at: number; revision: number; type: string; says: string };
/** `complete` false: the log no longer reaches back to the job's beginning. */
export type JobStory = { revision: number; job: JobLine; quoted: Eta | null; timeline: Moment[]; complete: boolean };

// ---- notices and audit ----------------------------------------------------------------------------------------------------------------
export type Notice = { id: number; at: number; until: number; seat: string | null; level: Level; text: string };
export type AuditRow = { id: number; revision: number; at: number; by: string; what: string; target: string | null; previous: unknown; value: unknown; /** taken back since */ undone: boolean; /** this row took another back */ undoes: boolean };
export type AuditSearch = { by: string | null; what: string | null; target: string | null; before: number | null; limit: number };

// ---- the room at a glance ---------------------------------------------------------------------------------------------------------------
export type SeatLine = {
  seat: string; role: Role; paused: boolean; weight: number; group: string | null; budget: number | null; spent: number;
  waiting: number; live: number; /** pages open */ pages: number;
};
export type PoolLine = {
  pool: string; position: number; draining: boolean; removed: boolean; max_in_flight: number; groups: string[] | null; rate: number; speed: number;
  circuit: "closed" | "open" | "half_open"; circuit_until: number | null; circuit_code: string | null;
};
export type SlotLine = { slot: string; pool: string; open: boolean; job: string | null; seat: string | null; runner: string | null; since: number };

/** Sections of the overview; a frame to a dashboard carries those that changed. */
export type Overview = {
  workshop: { workshop: string; title: string; mode: Mode; switch: Switch; demo_until: number | null; slots: number; budget: number | null; spent: number; reserved: number; params: Record<string, number> };
  counts: Record<JobState, number> & { quoted: number; /** of them: started before the quoted end of the band */ kept: number };
  seats: SeatLine[];
  pools: PoolLine[];
  slots: SlotLine[];
  /** Live jobs: under way first, then in order of place; at most 200, `more` counts the rest. */
  jobs: { shown: JobLine[]; more: number };
  /** What no revision counts: who is here, what was announced. */
  room: { runners: RunnerLine[]; notices: Notice[] };
};
/** A frame to a dashboard. `changes` follows the frame whose revision is `from`. */
export type DashboardFrame =
  | { type: "overview"; revision: number; at: number; overview: Overview }
  | { type: "changes"; revision: number; from: number; at: number; overview: Partial<Overview> };

/** RPC methods of the workshop object for the instructor's door; the role is checked at the edge, `by` names the person [Q69]. */
export interface InstructorRpc {
  instruct(by: string, instruction: Instruction): Promise<Answer<{ done: Done }>>;
  undo(by: string, id: string): Promise<Answer<{ done: Done }>>;
  searchJobs(search: JobSearch): Promise<Answer<{ page: JobPage }>>;
  jobStory(job: string): Promise<Answer<{ story: JobStory }>>;
  overview(): Promise<Answer<{ revision: number; at: number; overview: Overview }>>;
  audit(search: AuditSearch): Promise<Answer<{ rows: AuditRow[]; next: number | null }>>;
}
