// What the people in the room are told beside ComfyUI's own messages: places and times, notices, the instructor's overview; and what is written down about it.
// Invariants: rows join the decision's transaction, frames leave after it [Q6]; timers run only while somebody is connected, so an idle workshop hibernates.
import { AuditStore } from "./audit-store.ts";
import { DashboardHall } from "./dashboard-hall.ts";
import type { Engine } from "./engine.ts";
import { Extras } from "./extras.ts";
import type { Overview } from "./instructor-contract.ts";
import { jobsBySeq } from "./job-search.ts";
import { keepLog } from "./log-store.ts";
import { currentNotices, noticeFrame } from "./notices.ts";
import { overviewOf } from "./overview.ts";
import { Places } from "./places.ts";
import { Pulse } from "./pulse.ts";
import type { Decision } from "./queue/index.ts";
import { runnerLines } from "./runner-lines.ts";
import type { Run } from "./runner-protocol.ts";
import { seatList } from "./seat-store.ts";
import { type SeatSocket, send, type Sockets } from "./sockets.ts";
import type { Sql } from "./sql.ts";

export type RoomParts = { sql: Sql; engine: Engine; sockets: Sockets; run: Run; meta: (key: string) => string | null; complain: (event: string, error: unknown) => void };

export class Room {
  readonly audit: AuditStore;
  readonly extras: Extras;
  readonly places: Places;
  readonly dashboards: DashboardHall;
  readonly #parts: RoomParts;
  readonly #pulse: Pulse;

  constructor(parts: RoomParts) {
    const { sql, engine, sockets, run } = parts;
    this.#parts = parts;
    this.audit = new AuditStore(sql);
    this.extras = new Extras(sockets);
    this.places = new Places({ engine, extras: this.extras, run });
    this.dashboards = new DashboardHall({ sockets, view: () => this.overview(), revision: () => engine.revision, now: () => engine.now() });
    this.#pulse = new Pulse(() => engine.now(), () => this.#beat());
  }

  /** Inside a decision's transaction, before its log entry is written. `now` in ms. */
  record(decision: Decision, now: number): void {
    this.audit.record(decision.events, this.#parts.engine.revision + 1, now);
  }

  /** After a commit. */
  tell(decision: Decision): void {
    if (this.places.note(decision)) this.touch();
  }

  /** Somebody came, went or was told something: the next beat shows it. */
  touch(): void {
    if (this.#pulse.waiting) return;
    const { sockets } = this.#parts;
    if (sockets.count() > 0 || sockets.dashboards().length > 0) this.#pulse.wake();
  }

  #beat(): number {
    try {
      this.places.beat();
      this.dashboards.beat();
    } catch (error) {
      this.#parts.complain("beat_failed", error);
    }
    return this.places.gap();
  }

  /** A page has said that it knows our messages: it hears where its jobs stand and what was announced. */
  greet(socket: WebSocket, at: SeatSocket): void {
    this.extras.add(socket, at);
    send(socket, this.places.greeting(at.seat));
    for (const notice of currentNotices(this.#parts.sql, this.#parts.engine.now(), at.seat)) send(socket, noticeFrame(notice));
  }

  overview(): Overview {
    const { sql, engine, sockets, meta } = this.#parts;
    const { state } = engine;
    const forecasts = this.places.forecasts();
    const workshop = meta("workshop") ?? "";
    return overviewOf({
      workshop, title: meta("title") ?? workshop, now: engine.now(), state, forecasts, seats: seatList(sql), pages: sockets.pagesBySeat(), totals: this.audit.totals(),
      runners: runnerLines(sockets.runners()), notices: currentNotices(sql, engine.now()), lines: (seqs) => jobsBySeq(sql, state, forecasts, seqs),
    });
  }

  /** Housekeeping of the event log; part of every alarm. */
  keepLog(): void {
    const { sql, engine } = this.#parts;
    keepLog(sql, engine.state, engine.revision, engine.now());
  }
}
