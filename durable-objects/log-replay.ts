// Runs an event log through the pure core again [Q5][I11]: from the base it begins with, command by command, each at its own time. Pure but for hashing.
// The replay agrees when every command gave the same events as the log says, and the state at the end has the digest the object reported.
import { createHash } from "node:crypto";
import { canonicalJson } from "../gpu-adapter/canonical.ts";
import { brief, type LogEntry } from "./log-entry.ts";
import { decide, emptyRows, type QueueState, restore, type Rows, rowsOf } from "./queue/index.ts";

/** One line of an exported log, in this order: a head, the rows of its base, entries, an end. */
export type LogLine =
  | { kind: "head"; v: 1; workshop: string; /** revision of the base; null: the export begins in the middle */ base: number | null; since: number }
  | { kind: "row"; of: RowKind; value: unknown }
  | ({ kind: "entry" } & LogEntry)
  | { kind: "end"; revision: number; /** of the state in memory, and of the state as it would be read from the rows */ digest: string; stored: string };
export type RowKind = "workshop" | "params" | "job" | "attempt" | "seat" | "pool" | "slot" | "runner" | "estimate";

export type Dispatch = { revision: number; at: number; job: string; seat: string; attempt: number; slot: string; why: string };
export type Replayed = {
  entries: number;
  revision: number;
  digest: string;
  /** The first entry whose replay gave other events, if any. */
  differs: { revision: number; logged: string; replayed: string } | null;
  /** Revisions that are missing in the middle. */
  gaps: number[];
};

/** SHA-256 (hex) over the canonical rows of a state: the same for equal states, whatever order their records were made in. */
export function stateDigest(state: QueueState): string {
  return createHash("sha256").update(canonicalJson(canonicalRows(rowsOf(state)))).digest("hex");
}

function canonicalRows(rows: Rows): unknown {
  const by = <T>(records: readonly T[], key: (record: T) => string): T[] => records.toSorted((a, b) => (key(a) < key(b) ? -1 : 1));
  return {
    ...rows,
    // A profile is a number made up anew by every restore.
    jobs: by(rows.jobs, (job) => job.id).map(({ profile: _profile, ...job }) => job),
    attempts: by(rows.attempts, (attempt) => attempt.key), seats: by(rows.seats, (seat) => seat.id), pools: by(rows.pools, (pool) => pool.id),
    slots: by(rows.slots, (slot) => slot.key), runners: by(rows.runners, (runner) => runner.id), estimates: by(rows.estimates, (estimate) => estimate.timing),
  };
}

export class Replay {
  readonly #rows: Rows = emptyRows();
  readonly #seen: (dispatch: Dispatch) => void;
  #state: QueueState | null = null;
  #result: Omit<Replayed, "digest"> = { entries: 0, revision: 0, differs: null, gaps: [] };

  /** `seen` hears of every dispatch as it happens. */
  constructor(seen: (dispatch: Dispatch) => void = () => undefined) {
    this.#seen = seen;
  }

  /** Takes one line; throws when the log cannot be replayed at all. */
  take(line: LogLine): void {
    switch (line.kind) {
      case "head":
        if (line.base === null) throw new Error(`This export begins after revision ${line.since}, without a base to start from. Export it without --since and replay that.`);
        this.#result.revision = line.base;
        return;
      case "row":
        // The state takes ownership of its records; the caller keeps its line.
        this.#row(line.of, structuredClone(line.value) as never);
        return;
      case "entry":
        this.#entry(line);
        return;
      case "end":
        return;
    }
  }

  result(): Replayed {
    return { ...this.#result, digest: stateDigest(this.#begun()) };
  }

  #begun(): QueueState {
    this.#state ??= restore(this.#rows);
    return this.#state;
  }

  #row(of: RowKind, value: never): void {
    if (of === "workshop") this.#rows.workshop = value;
    else if (of === "params") this.#rows.params = value;
    else (this.#rows[`${of}s`] as unknown[]).push(value);
  }

  #entry({ revision, at, command, events }: LogEntry): void {
    const result = this.#result;
    for (let missing = result.revision + 1; missing < revision; missing++) result.gaps.push(missing);
    result.revision = revision;
    result.entries++;
    const decision = decide(this.#begun(), command, at);
    for (const event of decision.events) {
      if (event.type === "job_dispatched") this.#seen({ revision, at, job: event.job, seat: event.seat, attempt: event.attempt, slot: event.slot, why: event.why });
    }
    if (result.differs !== null) return;
    // Through JSON once, as the log was.
    const replayed = canonicalJson(JSON.parse(JSON.stringify(decision.events.map(brief))));
    const logged = canonicalJson(events);
    if (replayed !== logged) result.differs = { revision, logged, replayed };
  }
}
