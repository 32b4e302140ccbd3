// The seat's job log, pushed to pages that asked for it: `logs` messages with the same lines, times and texts that `GET /internal/logs/raw` answers.
// Invariant: a page hears each line at most once and at most four messages a second, however fast a run talks; nobody listening costs nothing.
import { LOG_TERMINAL } from "./contract.ts";
import { type JobMoment, jobMoments } from "./job-store.ts";
import { frame } from "./seat-frames.ts";
import { LOG_LINES, logEntry } from "./seat-store.ts";
import { send, type Sockets } from "./sockets.ts";
import type { Sql } from "./sql.ts";

/** ms that lines are gathered for one message. */
const GATHER_MS = 250;
/** Clients of one seat that are remembered as listening, with or without a socket right now: a page that reconnects keeps hearing. */
const MOST_CLIENTS = 50;

type Line = { at: number; line: string } | { job: string; moment: JobMoment };

export class LogFeed {
  readonly #sql: Sql;
  readonly #sockets: Sockets;
  readonly #gathered = new Map<string, Line[]>();
  /** By seat; null after hibernation, until it is asked for. */
  #clients: Map<string, Set<string>> | null = null;

  constructor(sql: Sql, sockets: Sockets) {
    this.#sql = sql;
    this.#sockets = sockets;
  }

  /** A page switches its log on or off, before or after its socket is there. */
  subscribe(seat: string, client: string, enabled: boolean): void {
    const clients = this.#all().get(seat) ?? new Set<string>();
    clients.delete(client);
    if (enabled) clients.add(client);
    const [oldest] = clients;
    if (clients.size > MOST_CLIENTS && oldest !== undefined) clients.delete(oldest);
    if (clients.size > 0) this.#all().set(seat, clients);
    else this.#all().delete(seat);
    for (const { socket, at } of this.#sockets.seats(seat)) if (at.client === client && at.logs !== enabled) this.#sockets.write(socket, { ...at, logs: enabled });
  }

  /** Whether a socket that comes in now belongs to a page that listens. */
  listens(seat: string, client: string): boolean {
    return this.#all().get(seat)?.has(client) === true;
  }

  /** A runner said something, at `at` (ms), as stored. */
  said(seat: string, at: number, line: string): void {
    this.#gather(seat, { at, line });
  }

  /** A job was accepted, began or ended; its line is read from its row, after the commit. */
  moved(seat: string, job: string, moment: JobMoment): void {
    this.#gather(seat, { job, moment });
  }

  #gather(seat: string, line: Line): void {
    if (!this.#all().has(seat)) return;
    const gathered = this.#gathered.get(seat);
    if (gathered !== undefined) return void gathered.push(line);
    this.#gathered.set(seat, [line]);
    setTimeout(() => this.#tell(seat), GATHER_MS);
  }

  #tell(seat: string): void {
    const lines = (this.#gathered.get(seat) ?? []).slice(-LOG_LINES);
    this.#gathered.delete(seat);
    const listeners = this.#sockets.seats(seat).filter(({ at }) => at.logs);
    if (listeners.length === 0) return;
    const entries = lines.flatMap((line) => ("job" in line ? this.#momentOf(line.job, line.moment) : [logEntry(line)]));
    if (entries.length === 0) return;
    const message = frame("logs", { entries, size: LOG_TERMINAL });
    for (const { socket } of listeners) send(socket, message);
  }

  #momentOf(job: string, moment: JobMoment): { t: string; m: string }[] {
    const line = jobMoments(this.#sql, job).find((known) => known.moment === moment);
    return line === undefined ? [] : [logEntry(line)];
  }

  #all(): Map<string, Set<string>> {
    if (this.#clients !== null) return this.#clients;
    const found = new Map<string, Set<string>>();
    for (const { at } of this.#sockets.pages()) if (at.logs) found.set(at.seat, (found.get(at.seat) ?? new Set<string>()).add(at.client));
    this.#clients = found;
    return found;
  }
}
