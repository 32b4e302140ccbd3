// What is under way at providers, one row per attempt handed over: written before the call leaves and after its answer came, so that a restart in between
// knows which answers it lost. Rows go when their attempt is over.
import type { AttemptRef } from "./contract.ts";
import { integer, type Sql, type SqlRow, text, textOrNull } from "./sql.ts";

/** `sending`: the call left, no answer yet. `handed`: the provider has it, or may have it. */
export type Handover = { job: string; attempt: number; pool: string; state: "sending" | "handed"; /** how often it was sent */ sends: number; ref: string | null; /** when to ask the provider next, ms */ nextPoll: number; polls: number; /** polls in a row whose stored body was no answer of a runner */ unreadable: number };

export class Handovers {
  readonly #sql: Sql;
  /** Every row; read once, because the alarm is set anew after each decision and asks for the next poll. */
  #rows: Map<string, Handover> | null = null;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  get(ref: AttemptRef): Handover | null {
    return this.#all().get(keyOf(ref)) ?? null;
  }

  all(): Handover[] {
    return [...this.#all().values()];
  }

  /** Before the call leaves. */
  sending(ref: AttemptRef, pool: string, now: number): void {
    const known = this.get(ref);
    this.#put({ job: ref.job, attempt: ref.attempt, pool, state: "sending", sends: (known?.sends ?? 0) + 1, ref: known?.ref ?? null, nextPoll: now, polls: known?.polls ?? 0, unreadable: 0 });
  }

  /** After its answer, or after it was given up. `provider` null leaves the known reference. */
  handed(ref: AttemptRef, provider: string | null, nextPoll: number): void {
    const known = this.get(ref);
    if (known) this.#put({ ...known, state: "handed", ref: provider ?? known.ref, nextPoll });
  }

  polled(ref: AttemptRef, nextPoll: number, unreadable: boolean): void {
    const known = this.get(ref);
    if (known) this.#put({ ...known, polls: known.polls + 1, nextPoll, unreadable: unreadable ? known.unreadable + 1 : 0 });
  }

  forget(ref: AttemptRef): void {
    if (!this.get(ref)) return;
    this.#sql.all("DELETE FROM handovers WHERE job = ? AND attempt = ?", ref.job, ref.attempt);
    this.#all().delete(keyOf(ref));
  }

  /** After a failed commit: what memory holds may be wrong. */
  reload(): void {
    this.#rows = null;
  }

  #all(): Map<string, Handover> {
    this.#rows ??= new Map(this.#sql.all("SELECT * FROM handovers").map((row) => [keyOf({ job: text(row, "job"), attempt: integer(row, "attempt") }), fromRow(row)]));
    return this.#rows;
  }

  #put(row: Handover): void {
    this.#sql.all(
      "INSERT INTO handovers (job, attempt, pool, state, sends, ref, next_poll, polls, unreadable) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (job, attempt) DO UPDATE SET state = excluded.state, sends = excluded.sends, ref = excluded.ref, next_poll = excluded.next_poll, polls = excluded.polls, unreadable = excluded.unreadable",
      row.job, row.attempt, row.pool, row.state, row.sends, row.ref, row.nextPoll, row.polls, row.unreadable,
    );
    this.#all().set(keyOf(row), row);
  }
}

function keyOf({ job, attempt }: AttemptRef): string {
  return `${job}#${attempt}`;
}

function fromRow(row: SqlRow): Handover {
  return {
    job: text(row, "job"), attempt: integer(row, "attempt"), pool: text(row, "pool"), state: text(row, "state") === "sending" ? "sending" : "handed",
    sends: integer(row, "sends"), ref: textOrNull(row, "ref"), nextPoll: integer(row, "next_poll"), polls: integer(row, "polls"), unreadable: integer(row, "unreadable"),
  };
}
