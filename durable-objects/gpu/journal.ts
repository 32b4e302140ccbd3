// What happened to the pools and why, in sentences for the person who runs the room: kept in order, newest last, the oldest forgotten.
import { ERRORS } from "../../gpu-adapter/errors.ts";
import type { ErrorCode } from "../../gpu-adapter/contract.ts";
import type { QueueEvent } from "../queue/index.ts";
import { integer, type Sql, text } from "../sql.ts";

export type PoolNote = { at: number; pool: string; kind: "info" | "warning" | "alarm"; line: string };

const MOST = 500;

export class Journal {
  readonly #sql: Sql;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  note(note: PoolNote): void {
    this.#sql.all("INSERT INTO pool_log (at, pool, kind, line) VALUES (?, ?, ?, ?)", note.at, note.pool, note.kind, note.line.slice(0, 1000));
    this.#sql.all("DELETE FROM pool_log WHERE id <= (SELECT MAX(id) FROM pool_log) - ?", MOST);
  }

  /** Newest first. */
  read(limit: number, pool: string | null): PoolNote[] {
    const rows = pool === null ? this.#sql.all("SELECT at, pool, kind, line FROM pool_log ORDER BY id DESC LIMIT ?", limit) : this.#sql.all("SELECT at, pool, kind, line FROM pool_log WHERE pool = ? ORDER BY id DESC LIMIT ?", pool, limit);
    return rows.map((row) => ({ at: integer(row, "at"), pool: text(row, "pool"), kind: text(row, "kind") as PoolNote["kind"], line: text(row, "line") }));
  }
}

/** What a code means for a pool, in half a sentence. */
export function codeWords(code: string): string {
  switch (code) {
    case "provider_capacity":
      return "the provider has no machine free";
    case "provider_rate_limited":
      return "the provider asked for a pause";
    case "provider_auth":
      return "the provider does not accept the key";
    case "provider_config":
      return "the provider does not know what it was asked for";
    case "provider_funds":
      return "the account at the provider has no money left";
    case "provider_unknown":
      return "the provider gave no usable answer";
    case "claim_timeout":
      return "no machine came for the run in time";
    case "start_timeout":
      return "a machine took the run and never began it";
    case "container_lost":
    case "lease_expired":
      return "the machine was lost";
    default:
      return Object.hasOwn(ERRORS, code) ? (ERRORS[code as ErrorCode].seat ?? code).replace(/\..*$/s, "").toLowerCase() : code;
  }
}

/** The line an event of the queue leaves in the pools' journal, or null. `now` in ms. */
export function noteOf(event: QueueEvent, now: number): PoolNote | null {
  switch (event.type) {
    case "circuit_opened": {
      const rest = `no jobs go there for ${Math.max(1, Math.round((event.until - now) / 1000))} s; they go to the next pool that can run them, or wait`;
      return { at: now, pool: event.pool, kind: event.alarm ? "alarm" : "warning", line: `${codeWords(event.code)}${event.failures > 1 ? ` (${event.failures} times in a row)` : ""}: ${rest}` };
    }
    case "circuit_closed":
      return { at: now, pool: event.pool, kind: "info", line: "a machine took a run again: jobs go there as before" };
    case "attempt_closed": {
      const { outcome, code, pool, job } = event.record;
      if (code === null || !["lost", "expired", "refused"].includes(outcome)) return null;
      return { at: now, pool, kind: "warning", line: `job ${job}: ${event.reason?.message ?? codeWords(code)}; it costs the seat nothing` };
    }
    case "runner_quarantined":
      return { at: now, pool: "", kind: "warning", line: `runner ${event.runner} is kept away for a while: ${event.why}` };
    case "pool_changed":
      return event.what === "offers" || event.what === "max_in_flight" ? null : { at: now, pool: event.pool, kind: "info", line: changeWords(event.what) };
    case "budget_crossed":
      return { at: now, pool: "", kind: "warning", line: event.scope === "workshop" ? `80 % of the workshop's budget is spent: ${money(event.spent)} of ${money(event.budget)} EUR` : `80 % of the budget of ${event.scope} is spent: ${money(event.spent)} of ${money(event.budget)} EUR` };
    default:
      return null;
  }
}

function changeWords(what: "upserted" | "removed" | "draining" | "undrained"): string {
  switch (what) {
    case "upserted":
      return "was set up or changed; jobs follow the chain as it stands now";
    case "removed":
      return "was taken out of the chain; what runs there may finish";
    case "draining":
      return "takes no new jobs; what runs there may finish";
    case "undrained":
      return "takes jobs again";
  }
}

/** Micro-units as a sum with two decimals. */
export function money(micro: number): string {
  return (micro / 1_000_000).toFixed(2);
}
