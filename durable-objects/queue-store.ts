// The queue core's records as rows, one JSON text each: read whole when the object wakes, written one by one as decisions change them.
// Invariant: writes are O(changed), and a record that left the state leaves the table in the same transaction.
import { attemptKey, type Changes, defaultParams, emptyRows, type Job, type Params, type QueueState, type Rows, slotKey } from "./queue/index.ts";
import { type Sql, text } from "./sql.ts";

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
  if (changes.workshop) put(sql, "workshop", ONE, state.workshop);
  if (changes.params) put(sql, "params", ONE, state.params);
  for (const id of changes.jobs) {
    const job = state.jobs.get(id);
    // A job that left the state has ended: its row says so already (endJob).
    if (job) sql.all("UPDATE jobs SET state = ?, core = ? WHERE job = ?", job.state, jobCore(job), id);
  }
  each(sql, "attempt", changes.attempts, state.attempts);
  each(sql, "seat", changes.seats, state.seats);
  each(sql, "pool", changes.pools, state.pools);
  each(sql, "slot", changes.slots, state.slots);
  each(sql, "runner", changes.runners, state.runners);
  each(sql, "estimate", changes.estimates, state.estimates);
}

/** A live job as its row keeps it. What `restore` derives is not stored. */
export function jobCore(job: Job): string {
  return JSON.stringify({ ...job, profile: 0 });
}

function each(sql: Sql, kind: string, ids: Set<string>, records: Map<string, unknown>): void {
  for (const id of ids) {
    const record = records.get(id);
    if (record === undefined) sql.all("DELETE FROM queue_rows WHERE kind = ? AND id = ?", kind, id);
    else put(sql, kind, id, record);
  }
}

function put(sql: Sql, kind: string, id: string, record: unknown): void {
  sql.all("INSERT INTO queue_rows (kind, id, value) VALUES (?, ?, ?) ON CONFLICT (kind, id) DO UPDATE SET value = excluded.value", kind, id, JSON.stringify(record));
}

export { attemptKey, slotKey };
