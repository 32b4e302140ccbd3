// The sockets of a workshop: who is connected, and how a frame reaches them. Hibernating: everything a socket is known by stands in its attachment
// (who, since, last sequence [CF13]); memory holds only what may be forgotten. One serialisation per distinct frame.
import type { RunnerInfo, RunnerStage } from "../gpu-adapter/contract.ts";
import { isImagePreview, plainPreview, statusFrame } from "./seat-frames.ts";

export type SeatSocket = { kind: "seat"; seat: string; client: string; order: number; /** the first JSON message was seen */ greeted: boolean; /** declared supports_preview_metadata */ metadata: boolean; /** hears `logs` */ logs: boolean; /** asked for `comfyume_*` messages */ extras?: boolean };
export type RunnerSocket = { kind: "runner"; pool: string; order: number; runner: RunnerInfo | null; base_url: string; /** asks for work */ waiting: boolean; /** as its last hello said; none from an older runner */ stage?: RunnerStage | null; missing?: string[]; lease: string | null; job: string | null; attempt: number; since: number };
export type AttemptSocket = { kind: "attempt"; job: string; attempt: number; lease: string; order: number };
export type DashboardSocket = { kind: "dashboard"; order: number };
export type Attachment = SeatSocket | RunnerSocket | AttemptSocket | DashboardSocket;

/** Least ms between two `status` messages of a seat: each one makes an older frontend fetch its queue and history again. */
const STATUS_EVERY_MS = 100;

/**
 * ComfyUI answers POST /prompt before the run's first message, and clients listen for the run only after the answer. Here the two take different ways, so
 * messages of a seat's runs wait this long (ms) after a prompt of that seat was accepted, and never longer than the second figure in all.
 */
const ANSWER_MS = 50;
const ANSWERS_MOST_MS = 200;

/** Tags are how sockets are found again after hibernation [CF13]. */
function tagsOf(attachment: Attachment): string[] {
  switch (attachment.kind) {
    case "seat":
      return ["seat", `seat:${attachment.seat}`];
    case "runner":
      return ["runner", `pool:${attachment.pool}`];
    case "attempt":
      return [`attempt:${attachment.job}:${attachment.attempt}`];
    case "dashboard":
      return ["dashboard"];
  }
}

export class Sockets {
  readonly #ctx: DurableObjectState;
  readonly #remaining: (seat: string) => number;
  readonly #lastStatus = new Map<string, { at: number; timer: ReturnType<typeof setTimeout> | null; sent: number }>();
  readonly #held = new Map<string, { until: number; most: number; sends: (() => void)[] }>();
  /** Attachments as last read or written: whoever hibernates forgets them all. */
  readonly #read = new WeakMap<WebSocket, Attachment>();
  #order = 0;

  /** `remaining` answers a seat's waiting and running jobs, for its `status`. */
  constructor(ctx: DurableObjectState, remaining: (seat: string) => number) {
    this.#ctx = ctx;
    this.#remaining = remaining;
    for (const socket of ctx.getWebSockets()) this.#order = Math.max(this.#order, this.read(socket).order);
  }

  read(socket: WebSocket): Attachment {
    const known = this.#read.get(socket);
    if (known) return known;
    const attachment = socket.deserializeAttachment() as Attachment;
    this.#read.set(socket, attachment);
    return attachment;
  }

  write(socket: WebSocket, attachment: Attachment): void {
    this.#read.set(socket, attachment);
    socket.serializeAttachment(attachment);
  }

  /** Accepts the server half of a new pair; `order` tells newer from older. */
  accept<A extends Attachment>(socket: WebSocket, make: (order: number) => A): A {
    const attachment = make(++this.#order);
    this.#ctx.acceptWebSocket(socket, tagsOf(attachment));
    this.write(socket, attachment);
    return attachment;
  }

  seats(seat: string): { socket: WebSocket; at: SeatSocket }[] {
    return this.#ctx.getWebSockets(`seat:${seat}`).map((socket) => ({ socket, at: this.read(socket) as SeatSocket }));
  }

  runners(pool?: string): { socket: WebSocket; at: RunnerSocket }[] {
    return this.#ctx.getWebSockets(pool === undefined ? "runner" : `pool:${pool}`).map((socket) => ({ socket, at: this.read(socket) as RunnerSocket }));
  }

  /** Every seat's sockets. */
  pages(): { socket: WebSocket; at: SeatSocket }[] {
    return this.#ctx.getWebSockets("seat").map((socket) => ({ socket, at: this.read(socket) as SeatSocket }));
  }

  /** How many pages each seat has open; by tags, which are cheaper to read than attachments. */
  pagesBySeat(): Map<string, number> {
    const found = new Map<string, number>();
    for (const socket of this.#ctx.getWebSockets("seat")) {
      const seat = this.#ctx.getTags(socket)[1]?.slice("seat:".length) ?? "";
      found.set(seat, (found.get(seat) ?? 0) + 1);
    }
    return found;
  }

  dashboards(): WebSocket[] {
    return this.#ctx.getWebSockets("dashboard");
  }

  count(): number {
    return this.#ctx.getWebSockets("seat").length;
  }

  /** The sockets that carry an attempt: its own events socket, or the pool socket of the runner that holds it. */
  attempt(job: string, attempt: number): WebSocket[] {
    const own = this.#ctx.getWebSockets(`attempt:${job}:${attempt}`);
    return own.length > 0 ? own : this.runners().filter(({ at }) => at.job === job && at.attempt === attempt).map(({ socket }) => socket);
  }

  /** The sockets that hear a run: the newest with its client id; all of the seat when the run named none. */
  listeners(seat: string, client: string | null): { socket: WebSocket; at: SeatSocket }[] {
    const all = this.seats(seat);
    if (client === null || client === "") return all;
    const own = all.filter(({ at }) => at.client === client);
    return own.length < 2 ? own : [own.reduce((newest, next) => (next.at.order > newest.at.order ? next : newest))];
  }

  /** A prompt of this seat was accepted: its answer goes before what its run says. */
  answerFirst(seat: string): void {
    if (this.#ctx.getWebSockets(`seat:${seat}`).length === 0) return;
    const now = Date.now();
    const held = this.#held.get(seat);
    if (held) held.until = Math.min(now + ANSWER_MS, held.most);
    else this.#held.set(seat, { until: now + ANSWER_MS, most: now + ANSWERS_MOST_MS, sends: [] });
    if (!held) this.#release(seat, ANSWER_MS);
  }

  #release(seat: string, wait: number): void {
    setTimeout(() => {
      const held = this.#held.get(seat);
      const left = (held?.until ?? 0) - Date.now();
      if (left > 0) return this.#release(seat, left);
      this.#held.delete(seat);
      for (const go of held?.sends ?? []) go();
    }, wait);
  }

  /** Now, or behind what is held for this seat; `waits` false for what may go before it. */
  #inTurn(seat: string, go: () => void, waits = true): void {
    const held = this.#held.get(seat);
    if (held && (waits || held.sends.length > 0)) held.sends.push(go);
    else go();
  }

  /** Sends text frames of a run to those who hear it; answers whether anybody did. */
  tell(seat: string, client: string | null, frames: string[]): boolean {
    const listeners = this.listeners(seat, client);
    if (listeners.length === 0) return false;
    this.#inTurn(seat, () => {
      for (const { socket } of listeners) for (const frame of frames) send(socket, frame);
    });
    return listeners.length > 0;
  }

  /** Sends ComfyUI's binary frame verbatim, or as the older kind of preview to those who know only that. */
  tellBinary(seat: string, client: string | null, bytes: Uint8Array): void {
    const image = isImagePreview(bytes);
    const listeners = this.listeners(seat, client);
    const plain = image && listeners.some(({ at }) => !at.metadata) ? plainPreview(bytes) : null;
    this.#inTurn(seat, () => {
      for (const { socket, at } of listeners) {
        if (at.metadata || !image) send(socket, bytes);
        else if (plain) send(socket, plain);
      }
    });
  }

  /** Tells a seat how many of its jobs remain: at once, then at most every 100 ms, the latest number always arriving. */
  status(seat: string): void {
    if (this.#ctx.getWebSockets(`seat:${seat}`).length === 0) return;
    const state = this.#lastStatus.get(seat) ?? { at: 0, timer: null, sent: -1 };
    this.#lastStatus.set(seat, state);
    if (state.timer !== null) return;
    const wait = state.at + STATUS_EVERY_MS - Date.now();
    if (wait <= 0) return this.statusNow(seat);
    state.timer = setTimeout(() => {
      state.timer = null;
      this.statusNow(seat);
    }, wait);
  }

  /** The same, now: at the end of a run the order of messages is part of the protocol. */
  statusNow(seat: string): void {
    const pages = this.#ctx.getWebSockets(`seat:${seat}`);
    if (pages.length === 0) return;
    const state = this.#lastStatus.get(seat) ?? { at: 0, timer: null, sent: -1 };
    if (state.timer !== null) clearTimeout(state.timer);
    this.#lastStatus.set(seat, { at: Date.now(), timer: null, sent: this.#remaining(seat) });
    const frame = statusFrame(this.#remaining(seat));
    this.#inTurn(seat, () => pages.forEach((socket) => send(socket, frame)), false);
  }
}

/** A closed socket is no error: its client comes back and is told what it missed. */
export function send(socket: WebSocket, message: string | Uint8Array): void {
  try {
    socket.send(message);
  } catch {
    // the close event follows
  }
}
