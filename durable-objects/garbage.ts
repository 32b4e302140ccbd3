// What may be deleted from the bucket: noted in the transaction that took the last name away, deleted later by the sweeper. Invariant: a note is a question,
// never an order. Before anything is deleted, every kind of name is asked for again (`named`), because a note may be old and a name may have come back.
import { integer, type Sql, text, textOrNull } from "./sql.ts";

/** ms between losing the last name and the first look: longer than any request or signed upload address that still carries the key (an hour). */
export const SETTLE_MS = 70 * 60 * 1000;

/**
 * `object`: one key; `ref` the job it belongs to, if any, which must be over and out of history.
 * `job`: a prefix under which a job's attempts may have left files nobody committed. `upload`: a multipart upload, `ref` its id in R2.
 */
export type Garbage = { key: string; what: "object" | "job" | "upload"; ref: string | null; due: number };
export type Due = Garbage & { tries: number };

export function note(sql: Sql, { key, what, ref, due }: Garbage): void {
  sql.all("INSERT INTO garbage (key, what, ref, due) VALUES (?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET what = excluded.what, ref = excluded.ref, due = excluded.due, tries = 0", key, what, ref, due);
}

/** These objects have lost their name. `now` in ms. */
export function discard(sql: Sql, keys: readonly string[], now: number, job: string | null = null): void {
  for (const key of keys) note(sql, { key, what: "object", ref: job, due: now + SETTLE_MS });
}

/** This one is needed after all, or is gone. */
export function forgive(sql: Sql, key: string): void {
  sql.all("DELETE FROM garbage WHERE key = ?", key);
}

/** Notes to be looked at by `now` (ms), oldest first. */
export function dueGarbage(sql: Sql, now: number, most: number): Due[] {
  return sql.all("SELECT key, what, ref, due, tries FROM garbage WHERE due <= ? ORDER BY due LIMIT ?", now, most).map((row) => ({
    key: text(row, "key"), what: text(row, "what") as Due["what"], ref: textOrNull(row, "ref"), due: integer(row, "due"), tries: integer(row, "tries"),
  }));
}

/** When the next note falls due (ms), or null. */
export function nextDue(sql: Sql): number | null {
  const row = sql.all("SELECT due FROM garbage ORDER BY due LIMIT 1")[0];
  return row ? integer(row, "due") : null;
}

/** Looks again at `due`. `failed` counts a failure of the store. */
export function postpone(sql: Sql, key: string, due: number, failed: boolean): void {
  sql.all("UPDATE garbage SET due = ?, tries = tries + ? WHERE key = ?", due, failed ? 1 : 0, key);
}

/** Whether anything still points to an object: a file of a seat, an unfinished upload, the prompt or an input of a job that is not over. */
export function named(sql: Sql, key: string): boolean {
  const row = sql.all(
    `SELECT EXISTS (SELECT 1 FROM files WHERE key = ?1)
       OR EXISTS (SELECT 1 FROM uploads WHERE key = ?1 AND answer IS NULL)
       OR EXISTS (SELECT 1 FROM jobs WHERE ended IS NULL AND (prompt_key = ?1 OR instr(inputs, ?2) > 0)) AS yes`,
    key, JSON.stringify(key),
  )[0];
  return row !== undefined && integer(row, "yes") === 1;
}

/** Whether the entry of a job can still be asked for. */
export function shown(sql: Sql, job: string): boolean {
  return sql.all("SELECT 1 AS yes FROM jobs WHERE job = ? AND (ended IS NULL OR in_history = 1)", job).length > 0;
}
