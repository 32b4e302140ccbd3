// Seats, their settings, their once-only marks and their log: small rows, read and written one seat at a time.
import type { Role, SeatCredential, SeatIdentity } from "./contract.ts";
import { jobLines } from "./job-store.ts";
import { integer, type Sql, text } from "./sql.ts";

/** Lines of a seat's job log that are kept. */
export const LOG_LINES = 300;

/** Adds or changes seats; a changed password raises the version, so that older cookies die. */
export function putSeats(sql: Sql, seats: SeatCredential[]): { added: string[]; changed: string[] } {
  const added: string[] = [];
  const changed: string[] = [];
  for (const seat of seats) {
    const old = seatIdentity(sql, seat.seat);
    if (!old) {
      sql.all("INSERT INTO seats (seat, role, salt, hash, version) VALUES (?, ?, ?, ?, 1)", seat.seat, seat.role, seat.salt, seat.hash);
      added.push(seat.seat);
    } else if (old.hash !== seat.hash || old.role !== seat.role) {
      sql.all("UPDATE seats SET role = ?, salt = ?, hash = ?, version = version + 1 WHERE seat = ?", seat.role, seat.salt, seat.hash, seat.seat);
      changed.push(seat.seat);
    }
  }
  return { added, changed };
}

export function seatIdentity(sql: Sql, seat: string): SeatIdentity | null {
  const row = sql.all("SELECT seat, role, salt, hash, version FROM seats WHERE seat = ?", seat)[0];
  return row ? { seat: text(row, "seat"), role: text(row, "role") as Role, salt: text(row, "salt"), hash: text(row, "hash"), version: integer(row, "version") } : null;
}

export function seatList(sql: Sql): { seat: string; role: Role }[] {
  return sql.all("SELECT seat, role FROM seats ORDER BY role, seat").map((row) => ({ seat: text(row, "seat"), role: text(row, "role") as Role }));
}

export function readSettings(sql: Sql, seat: string): Record<string, unknown> {
  return Object.fromEntries(sql.all("SELECT id, value FROM settings WHERE seat = ? ORDER BY id", seat).map((row) => [text(row, "id"), JSON.parse(text(row, "value")) as unknown]));
}

/**
 * Rises whenever a seat's queue or history may look different: the heart of its ETags. In memory only, so that no commit pays for it: an object that wakes
 * begins a new series, and what a page holds from before is simply sent again once.
 */
export class SeatRevisions {
  readonly #series = crypto.randomUUID().slice(0, 8);
  readonly #raised = new Map<string, number>();

  of(seat: string): string {
    return `${this.#series}.${this.#raised.get(seat) ?? 0}`;
  }

  raise(seat: string): void {
    this.#raised.set(seat, (this.#raised.get(seat) ?? 0) + 1);
  }
}

/** Merged at top level, as ComfyUI does. */
export function writeSettings(sql: Sql, seat: string, values: Record<string, unknown>): void {
  for (const [id, value] of Object.entries(values)) {
    sql.all("INSERT INTO settings (seat, id, value) VALUES (?, ?, ?) ON CONFLICT (seat, id) DO UPDATE SET value = excluded.value", seat, id, JSON.stringify(value ?? null));
  }
}

/** True exactly once per seat and key. */
export function markOnce(sql: Sql, seat: string, key: string): boolean {
  return sql.all("INSERT INTO once (seat, key) VALUES (?, ?) ON CONFLICT DO NOTHING RETURNING key", seat, key).length === 1;
}

export function addSeatLog(sql: Sql, seat: string, line: string, now: number): void {
  sql.all("INSERT INTO seat_log (seat, at, line) VALUES (?, ?, ?)", seat, now, line);
}

export function readSeatLog(sql: Sql, seat: string): { t: string; m: string }[] {
  const said = sql.all("SELECT at, line FROM seat_log WHERE seat = ? ORDER BY id DESC LIMIT ?", seat, LOG_LINES).map((row) => ({ at: integer(row, "at"), line: text(row, "line") }));
  const jobs = jobLines(sql, seat, LOG_LINES);
  // Within one millisecond a run begins, speaks and ends.
  return [...jobs.filter(({ moment }) => moment !== "ended"), ...said.toReversed(), ...jobs.filter(({ moment }) => moment === "ended")]
    .sort((a, b) => a.at - b.at)
    .slice(-LOG_LINES)
    .map(logEntry);
}

/** As ComfyUI's terminal has it: time and text, each line with its end. */
export function logEntry({ at, line }: { at: number; line: string }): { t: string; m: string } {
  return { t: new Date(at).toISOString(), m: line.endsWith("\n") ? line : `${line}\n` };
}

/** Keeps the newest lines of every seat; run now and then, not on every line. */
export function trimSeatLogs(sql: Sql): void {
  for (const { seat } of seatList(sql)) {
    sql.all("DELETE FROM seat_log WHERE seat = ?1 AND id <= (SELECT id FROM seat_log WHERE seat = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)", seat, LOG_LINES);
  }
}
