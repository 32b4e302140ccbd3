// The queue core's records as rows, one JSON text each: read whole when the object wakes, written one by one as decisions change them.
// Invariant: writes are O(changed), and a record that left the state leaves the table in the same transaction.
import { attemptKey, type Changes, defaultParams, emptyRows, type Job, type Params, type QueueState, type Rows, slotKey } from "./queue/index.ts";
import { type Sql, type SqlValue, text } from "./sql.ts";

const ONE = "-";

/** All live records; defaults where nothing was stored yet. Parameters added by a newer version get their default. */
export function loadRows(sql: Sql): Rows {
  const rows: Rows = emptyRows();
  for (const row of sql.all("SELECT core FROM jobs WHERE ended IS NULL AND core IS NOT NULL ORDER BY seq")) rows.jobs.push(JSON.parse(text(row, "core")) as never);
  for (const row of sql.all("SELECT kind, value FROM queue_rows")) {
    const value = JSON.parse(text(row, "value")) as never;
    switch (text(row, "kind")) {
      case "workshop": rows.workshop = { ...rows.workshop, ...(value as object) }; break;
      case "params": rows.params = { ...defaultParams, ...(value as Partial<Params>) }; break;
      case "attempt": rows.attempts.push(value); break;
      case "seat": rows.seats.push(value); break;
      case "pool": rows.pools.push(value); break;
      case "slot": rows.slots.push(value); break;
      case "runner": rows.runners.push(value); break;
      case "estimate": rows.estimates.push(value); break;
    }
  }
  return rows;
}

export function writeChanges(sql: Sql, state: QueueState, changes: Changes): void {
  const rows: SqlValue[] = [];
  if (changes.workshop) rows.push("workshop", ONE, JSON.stringify(state.workshop));
  if (changes.params) rows.push("params", ONE, JSON.stringify(state.params));
  for (const id of changes.jobs) {
    const job = state.jobs.get(id);
    // A job that left the state has ended: its row says so already (endJob).
    if (job) sql.all("UPDATE jobs SET state = ?, core = ? WHERE seq = ?", job.state, jobCore(job), job.seq);
  }
  each(sql, rows, "attempt", changes.attempts, state.attempts);
  each(sql, rows, "seat", changes.seats, state.seats);
  each(sql, rows, "pool", changes.pools, state.pools);
  each(sql, rows, "slot", changes.slots, state.slots);
  each(sql, rows, "runner", changes.runners, state.runners);
  each(sql, rows, "estimate", changes.estimates, state.estimates);
  put(sql, rows);
}

/** A live job as its row keeps it. What `restore` derives is not stored. */
export function jobCore(job: Job): string {
  return JSON.stringify({ ...job, profile: 0 });
}

/** Adds what is to be put to `rows`, three values each; removes what left the state. */
function each(sql: Sql, rows: SqlValue[], kind: string, ids: Set<string>, records: Map<string, unknown>): void {
  for (const id of ids) {
    const record = records.get(id);
    if (record === undefined) sql.all("DELETE FROM queue_rows WHERE kind = ? AND id = ?", kind, id);
    else rows.push(kind, id, JSON.stringify(record));
  }
}

/** Rows put by one statement at most: three values each, and SQLite takes a hundred [CF: 2]. */
const PUT_MOST = 32;

/** One statement for many rows: each statement costs more than the row it writes. */
function put(sql: Sql, rows: SqlValue[]): void {
  for (let at = 0; at < rows.length; at += 3 * PUT_MOST) {
    const part = rows.slice(at, at + 3 * PUT_MOST);
    const values = Array.from({ length: part.length / 3 }, () => "(?, ?, ?)").join(", ");
    sql.all(`INSERT INTO queue_rows (kind, id, value) VALUES ${values} ON CONFLICT (kind, id) DO UPDATE SET value = excluded.value`, ...part);
  }
}

export { attemptKey, slotKey };
