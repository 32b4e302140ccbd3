// One attempt's events on their way to the platform: numbered, kept until acknowledged, sent over the socket while there is one and in HTTP batches
// while there is not [G15], [G16]. A cut socket loses nothing and does not stop the job; a lost lease does.
import { MAX_PICTURE_BYTES, MAX_PREVIEW_BYTES, type PlatformFrame, type RunnerEvent } from "../contract.ts";
import { stringifyJson } from "../json.ts";
import { backoffMs, RETRY } from "./backoff.ts";
import { eventFrame } from "./frames.ts";
import { type Log, sleep, words } from "./log.ts";
import { type AttemptRoutes, Refused } from "./platform.ts";
import { Ring } from "./ring.ts";

/** The socket as the channel sees it; `up` means frames sent now are on their way. */
export type Link = { readonly up: boolean; sendText(text: string): void; sendBytes(bytes: Uint8Array<ArrayBuffer>, whole: boolean): void };
export type ChannelHooks = { cancel(): void; stale(reason: string): void };

type WithoutEnvelope<E> = E extends unknown ? Omit<E, "seq" | "ts"> : never;
export type EventBody = WithoutEnvelope<RunnerEvent>;

/** A socket that is down this long is no longer waited for (ms). */
const SOCKET_GRACE_MS = 2_000;
/** Between two HTTP batches (ms); one preview rides along with each, so this is also its rate: at most 1/s [G16]. */
const BATCH_EVERY_MS = 1_000;
const BATCH_EVENTS = 500;

export class EventChannel {
  readonly lease: string;
  readonly #link: Link;
  readonly #routes: AttemptRoutes;
  readonly #hooks: ChannelHooks;
  readonly #log: Log;
  readonly #ring = new Ring();
  #seq = 0;
  #preview: { seq: number; frame: Uint8Array } | null = null;
  /** The platform knows on this connection which lease speaks, and has been sent what was not acknowledged before. */
  #linked: boolean;
  #downSince: number;
  readonly #closed = new AbortController();
  #posting: Promise<boolean> | null = null;

  constructor(lease: string, link: Link, routes: AttemptRoutes, hooks: ChannelHooks, log: Log) {
    this.lease = lease;
    this.#link = link;
    this.#routes = routes;
    this.#hooks = hooks;
    this.#log = log;
    this.#linked = link.up;
    this.#downSince = link.up ? Number.POSITIVE_INFINITY : Date.now();
    void this.#pump();
  }

  /** Numbers the event and sends it; `replaceable` ones may be forgotten when the ring is full. */
  emit(body: EventBody, replaceable = false): void {
    const event = { ...body, seq: ++this.#seq, ts: Date.now() } as RunnerEvent;
    const text = this.#frame(event);
    this.#ring.push(event, text.length, replaceable);
    // On a new connection nothing may overtake the events that wait to go again: the platform counts up and would take those for repeats.
    if (this.#linked && this.#link.up) this.#link.sendText(text);
  }

  /** A ComfyUI binary frame, verbatim; never repeated, dropped when too large. `whole`: a node's own picture or text, which a slow line does not leave out. */
  emitFrame(frame: Uint8Array, whole = false): void {
    if (frame.byteLength > (whole ? MAX_PICTURE_BYTES : MAX_PREVIEW_BYTES)) return;
    const seq = ++this.#seq;
    if (this.#linked && this.#link.up) this.#link.sendBytes(eventFrame(seq, frame), whole);
    else if (frame.byteLength <= MAX_PREVIEW_BYTES) this.#preview = { seq, frame };
  }

  /** The socket is there (again): everything not acknowledged goes once more. */
  linkUp(): void {
    this.#linked = true;
    this.#downSince = Number.POSITIVE_INFINITY;
    this.#preview = null;
    for (const event of this.#ring.unacked()) this.#link.sendText(this.#frame(event));
  }

  linkDown(): void {
    this.#linked = false;
    this.#downSince = Math.min(this.#downSince, Date.now());
  }

  /** A frame of the platform about this lease. */
  receive(frame: PlatformFrame): void {
    if (!("lease_id" in frame) || frame.lease_id !== this.lease) return;
    if (frame.type === "ack") this.#ring.ack(frame.seq);
    else if (frame.type === "cancel") this.#hooks.cancel();
    else if (frame.type === "stale") this.#hooks.stale(frame.reason);
  }

  /** Before a result that goes by HTTP: the events before it, so that the platform hears them in order. Gives up after `withinMs`. */
  async flush(withinMs: number): Promise<void> {
    const deadline = Date.now() + withinMs;
    for (let failures = 0; this.#ring.size > 0 && Date.now() < deadline; ) {
      if (await this.#post()) continue;
      await sleep(backoffMs(RETRY, failures++, Math.random()), this.#closed.signal);
      if (this.#closed.signal.aborted) return;
    }
  }

  close(): void {
    this.#closed.abort();
  }

  #frame(event: RunnerEvent): string {
    return stringifyJson({ type: "event", lease_id: this.lease, event });
  }

  async #pump(): Promise<void> {
    const signal = this.#closed.signal;
    let failures = 0;
    while (!signal.aborted) {
      const due = Date.now() - this.#downSince >= SOCKET_GRACE_MS;
      const sent = due ? await this.#post() : true;
      failures = sent ? 0 : failures + 1;
      await sleep(sent ? BATCH_EVERY_MS : backoffMs(RETRY, failures, Math.random()), signal);
    }
  }

  /** One batch; true when it was answered. An empty one still asks whether to stop. */
  #post(): Promise<boolean> {
    this.#posting ??= this.#postOnce().finally(() => {
      this.#posting = null;
    });
    return this.#posting;
  }

  async #postOnce(): Promise<boolean> {
    const preview = this.#preview;
    this.#preview = null;
    try {
      const encoded = preview === null ? undefined : { seq: preview.seq, frame_base64: Buffer.from(preview.frame).toString("base64") };
      const answer = await this.#routes.events(this.lease, this.#ring.unacked(BATCH_EVENTS), encoded);
      this.#ring.ack(answer.ack);
      if (answer.cancel) this.#hooks.cancel();
      return true;
    } catch (error) {
      if (error instanceof Refused && error.status === 410) this.#hooks.cancel();
      else if (error instanceof Refused && error.final) this.#hooks.stale(error.reason ?? "stale");
      else this.#log("events_unsent", { events: this.#ring.size, error: words(error) });
      return error instanceof Refused && error.final;
    }
  }
}
