// Who changed what, when, and what it was before [Q69], as rows of their own, and running totals of how jobs ended. Both are written in the transaction of the
// decision they come from: from the queue's own `audit` and `job_ended` events, so nothing is told twice and nothing is forgotten.
import type { AuditRow, AuditSearch } from "./instructor-contract.ts";
import type { QueueEvent } from "./queue/index.ts";
import { integer, type Sql, type SqlValue, text, textOrNull } from "./sql.ts";

/** Rows of one page at most. */
const PAGE_MOST = 200;
/** A start this much (ms) after the quoted band still kept it: it is what handing over to a runner takes, and less than anybody is shown. */
const CLOSE_MS = 1000;

export type Entry = { by: string; what: string; target: string | null; previous: unknown; value: unknown };
type Ended = QueueEvent & { type: "job_ended" };

export class AuditStore {
  readonly #sql: Sql;
  /** The act in progress takes this one back. */
  #undoes: string | null = null;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  /** Inside a decision's transaction. `revision` is the one the decision gets, `now` in ms. */
  record(events: readonly QueueEvent[], revision: number, now: number): void {
    const ended: Ended[] = [];
    for (const event of events) {
      if (event.type === "audit") this.add(event, revision, now);
      else if (event.type === "job_ended") ended.push(event);
    }
    if (ended.length > 0) this.#count(ended);
  }

  add({ by, what, target, previous, value }: Entry, revision: number, now: number): void {
    this.#sql.all('INSERT INTO audit (revision, at, "by", what, target, previous, value, undoes) VALUES (?, ?, ?, ?, ?, ?, ?, ?)', revision, now, by, what, target, JSON.stringify(previous ?? null), JSON.stringify(value ?? null), this.#undoes);
  }

  /** Runs an act that takes another one back: its rows say so. */
  taking<T>(undo: string, act: () => T): T {
    this.#undoes = undo;
    try {
      return act();
    } finally {
      this.#undoes = null;
    }
  }

  /** Number of the newest row: rows after it belong to what comes next. */
  last(): number {
    return integer(this.#sql.all("SELECT COALESCE(MAX(id), 0) AS n FROM audit")[0] ?? {}, "n");
  }

  /** Rows after `after` may be taken back by this offer. */
  offer(undo: string, after: number): void {
    this.#sql.all("UPDATE audit SET undo = ? WHERE id > ?", undo, after);
  }

  /** The offer was taken up. */
  undone(undo: string): void {
    this.#sql.all("UPDATE audit SET undone = 1 WHERE undo = ?", undo);
  }

  page(search: AuditSearch): { rows: AuditRow[]; next: number | null } {
    const where = ["id < ?"];
    const bindings: SqlValue[] = [search.before ?? Number.MAX_SAFE_INTEGER];
    for (const [column, value] of [['"by"', search.by], ["what", search.what], ["target", search.target]] as const) {
      if (value === null) continue;
      where.push(`${column} = ?`);
      bindings.push(value);
    }
    const limit = Math.min(search.limit, PAGE_MOST);
    const rows = this.#sql.all(
      `SELECT id, revision, at, "by", what, target, previous, value, undoes, undone FROM audit WHERE ${where.join(" AND ")} ORDER BY id DESC LIMIT ?`,
      ...bindings, limit + 1,
    );
    const shown = rows.slice(0, limit).map((row): AuditRow => ({
      id: integer(row, "id"), revision: integer(row, "revision"), at: integer(row, "at"), by: text(row, "by"), what: text(row, "what"), target: textOrNull(row, "target"),
      previous: JSON.parse(text(row, "previous")), value: JSON.parse(text(row, "value")), undone: integer(row, "undone") === 1, undoes: textOrNull(row, "undoes") !== null,
    }));
    return { rows: shown, next: rows.length > limit ? (shown.at(-1)?.id ?? null) : null };
  }

  /** How many jobs ended how; how many were quoted a start, and how many of those kept it [I12]. */
  totals(): Record<string, number> {
    return Object.fromEntries(this.#sql.all("SELECT name, n FROM tally").map((row) => [text(row, "name"), integer(row, "n")]));
  }

  #count(ended: readonly Ended[]): void {
    const found = new Map<string, number>();
    const add = (name: string): void => void found.set(name, (found.get(name) ?? 0) + 1);
    for (const { record } of ended) {
      add(record.state);
      if (record.quoted === null || record.dispatchedAt === null) continue;
      add("quoted");
      if ((record.startedAt ?? record.dispatchedAt) <= record.quoted.start90 + CLOSE_MS) add("kept");
    }
    const values = [...found];
    this.#sql.all(`INSERT INTO tally (name, n) VALUES ${values.map(() => "(?, ?)").join(", ")} ON CONFLICT (name) DO UPDATE SET n = n + excluded.n`, ...values.flat());
  }
}
