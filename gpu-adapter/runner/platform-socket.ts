// The runner's own end of a socket to the platform (a pool's, or one attempt's): opens it, says hello, opens it again with jittered backoff when it is cut
// (every deploy cuts it), and notices a line that is dead without having been closed. What the frames mean is for others.
import { platformFrame, type PlatformFrame, type RunnerFrame } from "../contract.ts";
import { stringifyJson } from "../json.ts";
import { backoffMs, RECONNECT } from "./backoff.ts";
import type { Link } from "./channel.ts";
import type { Log } from "./log.ts";

export type PlatformSocketHooks = {
  /** The first frame of every connection. */
  hello(): RunnerFrame;
  opened(): void;
  frame(frame: PlatformFrame): void;
  /** `failures`: tries in a row that never opened. */
  down(failures: number): void;
};

/** A line on which nothing came for this long is asked with another hello (ms), and given up when that stays unanswered. */
const SILENT_MS = 45_000;
const ANSWER_MS = 10_000;
const OPEN_MS = 15_000;
/** Frames above this many bytes waiting in the socket mean the line is slow: previews are left out then. */
const MAX_BUFFERED_BYTES = 1024 * 1024;

export class PlatformSocket implements Link {
  readonly #address: { url: string; token: string };
  readonly #hooks: PlatformSocketHooks;
  readonly #log: Log;
  #socket: WebSocket | null = null;
  #failures = 0;
  #stopped = false;
  #retry: ReturnType<typeof setTimeout> | null = null;
  #watchdog: ReturnType<typeof setTimeout> | null = null;

  constructor(address: { url: string; token: string }, hooks: PlatformSocketHooks, log: Log) {
    this.#address = address;
    this.#hooks = hooks;
    this.#log = log;
  }

  get up(): boolean {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** Tries in a row that never opened. */
  get failures(): number {
    return this.#failures;
  }

  open(): void {
    if (this.#stopped || this.#socket !== null) return;
    // Node's WebSocket takes request headers; the DOM's type does not know them.
    const options = { headers: { Authorization: `Bearer ${this.#address.token}` } } as unknown as string[];
    const socket = new WebSocket(this.#address.url, options);
    this.#socket = socket;
    let opened = false;
    this.#expectWithin(OPEN_MS);
    socket.addEventListener("open", () => {
      opened = true;
      this.#failures = 0;
      this.send(this.#hooks.hello());
      this.#hooks.opened();
      // Every hello is answered; a lost one must not leave this runner unknown until the long silence is over.
      this.#expectWithin(ANSWER_MS);
    });
    socket.addEventListener("message", (event: MessageEvent<unknown>) => this.#receive(event.data));
    socket.addEventListener("error", () => {});
    socket.addEventListener("close", (event) => this.#closed(socket, opened, event.code));
  }

  /** Says hello again: the other side takes the runner as newly come. */
  greet(): void {
    if (this.up) this.send(this.#hooks.hello());
  }

  send(frame: RunnerFrame): void {
    this.sendText(stringifyJson(frame));
  }

  sendText(text: string): void {
    if (this.up) this.#socket?.send(text);
  }

  sendBytes(bytes: Uint8Array<ArrayBuffer>, whole: boolean): void {
    if (this.#socket !== null && this.up && (whole || this.#socket.bufferedAmount < MAX_BUFFERED_BYTES)) this.#socket.send(bytes);
  }

  /** Closes for good. */
  close(): void {
    this.#stopped = true;
    if (this.#retry !== null) clearTimeout(this.#retry);
    if (this.#watchdog !== null) clearTimeout(this.#watchdog);
    this.#socket?.close(1000);
  }

  #receive(data: unknown): void {
    this.#listenFor(SILENT_MS);
    if (typeof data !== "string") return;
    let value: unknown;
    try {
      value = JSON.parse(data);
    } catch {
      return;
    }
    const frame = platformFrame.safeParse(value);
    if (frame.success) this.#hooks.frame(frame.data);
    else this.#log("frame_unknown", { why: frame.error.issues[0]?.path.join(".") ?? "" });
  }

  #closed(socket: WebSocket, opened: boolean, code: number): void {
    if (this.#socket !== socket) return;
    this.#socket = null;
    if (this.#watchdog !== null) clearTimeout(this.#watchdog);
    if (this.#stopped) return;
    if (!opened) this.#failures++;
    this.#hooks.down(this.#failures);
    const wait = backoffMs(RECONNECT, this.#failures, Math.random());
    this.#log("socket_down", { code, again_in_ms: wait });
    this.#retry = setTimeout(() => this.open(), wait);
  }

  #listenFor(ms: number): void {
    if (this.#watchdog !== null) clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => {
      if (!this.up) return;
      this.send(this.#hooks.hello());
      this.#expectWithin(ANSWER_MS);
    }, ms);
  }

  #expectWithin(ms: number): void {
    if (this.#watchdog !== null) clearTimeout(this.#watchdog);
    const socket = this.#socket;
    this.#watchdog = setTimeout(() => {
      if (socket === null || this.#socket !== socket) return;
      // close() on a dead line waits for the other side: what matters is to begin anew now.
      this.#closed(socket, socket.readyState === WebSocket.OPEN, 1006);
      socket.close();
    }, ms);
  }
}
