// Seats' pages at the socket: handshake, feature flags, and the healing of a page that was away while its run went on or ended
// (docs/spec/comfy-api.md section 5). Beside that, a page may ask for our own messages (extras.ts); nothing else is ever read from it.
import { isHello } from "./extras.ts";
import type { LiveRun } from "./seat-frames.ts";
import { endedFrames, executedData, executingNowFrame, frame, resumeFrames, statusFrame } from "./seat-frames.ts";
import { takeUnheard } from "./job-store.ts";
import type { RunRelay } from "./run-relay.ts";
import { type SeatSocket, send, type Sockets } from "./sockets.ts";
import type { Sql } from "./sql.ts";

/** What a seat's server can do, said to a page that says what it can do. Only what is served is advertised. */
export const SERVER_FLAGS = { supports_preview_metadata: true, max_upload_size: 104_857_600 };
/** When an older socket of the same client still looks open, ends of this long ago (ms) may have gone into a dead connection: they are told again. */
const HALF_OPEN_MS = 60_000;

export class SeatHall {
  readonly #sql: Sql;
  readonly #sockets: Sockets;
  readonly #relay: RunRelay;
  readonly #remaining: (seat: string) => number;
  readonly #now: () => number;
  readonly #listens: (seat: string, client: string) => boolean;
  readonly #greet: (socket: WebSocket, at: SeatSocket) => void;

  /** `listens`: whether a client asked for its seat's log. `greet` is called with a page that asks for our own messages. */
  constructor(parts: { sql: Sql; sockets: Sockets; relay: RunRelay; remaining: (seat: string) => number; now: () => number; listens: (seat: string, client: string) => boolean; greet: (socket: WebSocket, at: SeatSocket) => void }) {
    this.#sql = parts.sql;
    this.#sockets = parts.sockets;
    this.#relay = parts.relay;
    this.#remaining = parts.remaining;
    this.#now = parts.now;
    this.#listens = parts.listens;
    this.#greet = parts.greet;
  }

  /** Accepts a page; without a client id it gets one, as ComfyUI gives (32 hex digits). */
  enter(socket: WebSocket, seat: string, clientId: string): void {
    const client = clientId === "" ? crypto.randomUUID().replaceAll("-", "") : clientId.slice(0, 200);
    this.#sockets.accept<SeatSocket>(socket, (order) => ({ kind: "seat", seat, client, order, greeted: false, metadata: false, logs: this.#listens(seat, client) }));
    send(socket, statusFrame(this.#remaining(seat), client));
    for (const run of this.#relay.running(seat, client)) {
      const now = executingNowFrame(run);
      if (now) send(socket, now);
    }
  }

  message(socket: WebSocket, at: SeatSocket, message: string | ArrayBuffer): void {
    if (typeof message !== "string") return;
    if (!at.greeted) this.#first(socket, at, message);
    if (isHello(message)) this.#greet(socket, this.#sockets.read(socket) as SeatSocket);
  }

  /** Feature flags count only as the first JSON message; unparsable text before it does not count. */
  #first(socket: WebSocket, at: SeatSocket, message: string): void {
    const parsed = parse(message);
    if (parsed === undefined) return;
    const flags = parsed.type === "feature_flags" && typeof parsed.data === "object" && parsed.data !== null ? (parsed.data as Record<string, unknown>) : null;
    this.#sockets.write(socket, { ...at, greeted: true, metadata: flags?.supports_preview_metadata === true });
    if (!flags) return;
    send(socket, frame("feature_flags", SERVER_FLAGS));
    this.#heal(socket, at);
  }

  #heal(socket: WebSocket, at: SeatSocket): void {
    const older = this.#sockets.seats(at.seat).some((other) => other.at.client === at.client && other.at.order < at.order);
    const ended = takeUnheard(this.#sql, at.seat, at.client, older ? this.#now() - HALF_OPEN_MS : Number.MAX_SAFE_INTEGER);
    for (const end of ended) {
      const meta = JSON.parse(end.meta) as Record<string, Record<string, unknown>>;
      const executed = Object.fromEntries(Object.entries(JSON.parse(end.outputs) as Record<string, unknown>).map(([node, output]) => [node, executedData(end.job, node, output, meta[node])]));
      for (const text of endedFrames({ job: end.job, status: end.status, executed })) send(socket, text);
    }
    for (const run of this.#relay.running(at.seat, at.client).filter((live: LiveRun) => live.start !== null)) {
      for (const text of resumeFrames(run)) send(socket, text);
    }
  }
}

function parse(message: string): { type?: unknown; data?: unknown } | undefined {
  try {
    const value = JSON.parse(message) as unknown;
    return typeof value === "object" && value !== null ? value : {};
  } catch {
    return undefined;
  }
}
