// Place and ETA that are true [Q73]-[Q76]: the forecast, run when order or times changed and somebody looks; each seat told of its own jobs, on change only.
// Invariants: what is shown is what the forecast said; a start is quoted once, by the first forecast after admission [Q17].
import { createHash } from "node:crypto";
import type { Validated } from "./contract.ts";
import type { Engine } from "./engine.ts";
import type { Extras } from "./extras.ts";
import { type Forecasts, placesBySeat, placesOf, type PlaceRow, type RoomLine, roomLine, sameRows } from "./place-view.ts";
import { type Decision, forecast } from "./queue/index.ts";
import type { Run } from "./runner-protocol.ts";
import { frame } from "./seat-frames.ts";

/** Least ms between two runs of the forecast [Q76]. */
const FORECAST_EVERY_MS = 1000;
/** A run takes about 25 µs per waiting job; this many ms of pause for each keep it at about 2 % of the object's time. */
const PAUSE_PER_WAITING_MS = 1.25;

/** What was last shown of a seat. It stays until something changes by more than a trembling of the times. */
type Shown = { rows: PlaceRow[]; /** of the rows as text */ tag: string; /** the rows and the room that its pages were told */ told: string | null };

export class Places {
  readonly #engine: Engine;
  readonly #extras: Extras;
  readonly #run: Run;
  #forecasts: Forecasts = new Map();
  #at = 0;
  #stale = true;
  #quoting = false;
  readonly #shown = new Map<string, Shown>();

  constructor(parts: { engine: Engine; extras: Extras; run: Run }) {
    this.#engine = parts.engine;
    this.#extras = parts.extras;
    this.#run = parts.run;
  }

  /** After a commit: whether pages may have to be told something. A bare heartbeat changes nothing anybody is shown. */
  note(decision: Decision): boolean {
    const { events, changes } = decision;
    // A quote writes job rows and moves nothing.
    const moved = this.#quoting ? events.length > 0 : changes.workshop || changes.params || changes.jobs.size + changes.seats.size + changes.pools.size + changes.slots.size + changes.estimates.size > 0;
    if (!moved && events.length === 0) return false;
    this.#stale ||= moved || events.some((event) => event.type !== "job_phase");
    return true;
  }

  /** ms to wait between two tellings: longer when the queue is long. */
  gap(): number {
    return Math.max(FORECAST_EVERY_MS, Math.ceil(this.#engine.state.derived.waiting * PAUSE_PER_WAITING_MS));
  }

  /** The latest forecast, made anew when something moved and the last one is a gap old. */
  forecasts(): Forecasts {
    const now = this.#engine.now();
    if (this.#stale && now - this.#at >= this.gap()) this.#renew(now);
    return this.#forecasts;
  }

  /** Somebody has just changed the order by hand and looks at it: the next look is a fresh one. */
  expire(): void {
    this.#at = 0;
  }

  #renew(now: number): void {
    this.#forecasts = forecast(this.#engine.state, now);
    this.#at = now;
    this.#stale = false;
  }

  /** One beat: forecast if something moved, quote what is new, tell every seat that listens. */
  beat(): void {
    if (this.#stale) this.#renew(this.#engine.now());
    this.#quote();
    const seats = this.#extras.seats();
    if (seats.length === 0) return;
    const rows = placesBySeat(this.#engine.state, this.#forecasts);
    const room = roomLine(this.#engine.state);
    for (const seat of seats) this.#tell(seat, this.#steady(seat, rows.get(seat) ?? []), room);
  }

  /** The frame for a page that has just said that it wants to know. */
  greeting(seat: string): string {
    const room = roomLine(this.#engine.state);
    const shown = this.#steady(seat, placesOf(this.#engine.state, seat, this.forecasts()));
    // Its other pages, if any, were told when something last changed: every change is followed by a beat.
    shown.told ??= lineOf(shown, room);
    return this.#frame(shown.rows, room);
  }

  /** The same for callers without a socket. The answer changes when what a page is told would. */
  body(seat: string, ifNoneMatch: string | null): Validated {
    const room = roomLine(this.#engine.state);
    const { rows, tag } = this.of(seat);
    const etag = `"places-${tag}-${room.mode}-${room.switch}-${room.demo ? "demo" : ""}"`;
    return { etag, body: ifNoneMatch === etag ? null : JSON.stringify(this.#view(rows, room)) };
  }

  /** Where a seat's live jobs stand, with a tag that changes when they do. */
  of(seat: string): { rows: PlaceRow[]; tag: string } {
    return this.#steady(seat, placesOf(this.#engine.state, seat, this.forecasts()));
  }

  /** The rows as they were shown before, unless something really changed. */
  #steady(seat: string, rows: PlaceRow[]): Shown {
    const before = this.#shown.get(seat);
    if (before !== undefined && sameRows(before.rows, rows, this.#engine.now())) return before;
    const tag = rows.length === 0 ? "none" : createHash("sha256").update(JSON.stringify(rows)).digest("base64url").slice(0, 16);
    const shown: Shown = { rows, tag, told: before?.told ?? null };
    this.#shown.set(seat, shown);
    return shown;
  }

  #tell(seat: string, shown: Shown, room: RoomLine): void {
    const line = lineOf(shown, room);
    if (shown.told === line) return;
    shown.told = line;
    this.#extras.tell(seat, this.#frame(shown.rows, room));
  }

  /** With the object's own time, because a band means nothing on a clock that is wrong. */
  #frame(rows: PlaceRow[], room: RoomLine): string {
    return frame("comfyume_queue", { ...this.#view(rows, room), now: this.#engine.now() });
  }

  #view(jobs: PlaceRow[], workshop: RoomLine): { revision: number; jobs: PlaceRow[]; workshop: RoomLine } {
    return { revision: this.#engine.revision, jobs, workshop };
  }

  /** [Q17] One command for all jobs that were admitted since the last beat. */
  #quote(): void {
    const quotes = [...this.#forecasts].flatMap(([id, said]) => ("start50" in said && this.#engine.state.jobs.get(id)?.quoted === null ? [{ job: id, start50: said.start50, start90: said.start90 }] : []));
    if (quotes.length === 0) return;
    this.#quoting = true;
    try {
      this.#run<"quote">({ type: "quote", quotes });
    } finally {
      this.#quoting = false;
    }
  }
}

/** What a page was told, in short. */
function lineOf({ tag }: Shown, room: RoomLine): string {
  return `${tag} ${JSON.stringify(room)}`;
}
