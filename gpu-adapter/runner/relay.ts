// Between ComfyUI's socket and the platform: decides which of ComfyUI's messages belong to this run, stores files before the `executed` that names
// them goes out [G17], and keeps what was seen, in case ComfyUI dies before its history can be read.
import type { ProducedFile } from "../contract.ts";
import type { EventBody, EventChannel } from "./channel.ts";
import type { ComfyMessage } from "./comfy-socket.ts";
import { readFrame } from "./frames.ts";
import { type Log, words } from "./log.ts";
import { type Effect, type Lane, Outbox } from "./outbox.ts";
import { withoutFiles, withoutFullPaths } from "./output-files.ts";
import { withoutSeatTag } from "./seat-tag.ts";
import type { Uploader } from "./uploader.ts";

type Outgoing = { event: EventBody; replaceable: boolean } | { frame: Uint8Array; /** not one of many: never left out */ whole: boolean };
export type RunSignals = {
  /** Something of this run happened; ms since the epoch. */
  activity(now: number): void;
  started(): void;
  /** ComfyUI began this node; null: the run is over, or the line was cut. */
  executing(node: string | null): void;
  /** ComfyUI said the run is over and history is written, or about to be. */
  ended(how: "announced" | "complete"): void;
  /** Storing failed for good. */
  failed(error: unknown): void;
};

/** Never for a seat: the platform makes its own, or they are between ComfyUI and this runner. */
const PRIVATE = new Set(["status", "feature_flags", "logs"]);
const ENDS = new Set(["execution_success", "execution_error", "execution_interrupted"]);
const IN_HISTORY = new Set([...ENDS, "execution_start", "execution_cached"]);
const LANES: Record<string, Lane> = { progress: "progress", progress_state: "progress_state" };
/** Progress and previews: at most 4 per second each [G16]. */
const GAP_MS = 250;
/** Messages of custom nodes without a prompt id, per second; a monitor that broadcasts must not drown a run. */
const FOREIGN_PER_SECOND = 20;

export class Relay {
  readonly #job: string;
  readonly #channel: EventChannel;
  readonly #uploader: Uploader;
  readonly #signals: RunSignals;
  readonly #log: Log;
  readonly #outbox: Outbox<Outgoing>;
  readonly #previews: boolean;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #cached = new Set<string>();
  #foreign = { second: 0, count: 0 };
  #uploads = new Set<Promise<void>>();
  /** As ComfyUI's history would list them. */
  readonly messages: [string, Record<string, unknown>][] = [];
  readonly outputs: Record<string, unknown> = {};

  constructor(job: string, preview: { enabled: boolean; max_fps: number }, channel: EventChannel, uploader: Uploader, signals: RunSignals, log: Log) {
    this.#job = job;
    this.#channel = channel;
    this.#uploader = uploader;
    this.#signals = signals;
    this.#log = log;
    this.#previews = preview.enabled && preview.max_fps > 0;
    const previewGap = this.#previews ? Math.max(GAP_MS, 1000 / preview.max_fps) : GAP_MS;
    this.#outbox = new Outbox({ progress: GAP_MS, progress_state: GAP_MS, preview: previewGap });
  }

  message({ type, data }: ComfyMessage): void {
    if (PRIVATE.has(type)) return;
    if (data.prompt_id !== this.#job) return this.#foreignMessage(type, data);
    this.#signals.activity(Date.now());
    if (IN_HISTORY.has(type)) this.messages.push([type, data]);
    const lane = LANES[type];
    if (lane !== undefined) this.#outbox.replace(comfyEvent(type, data, true), lane);
    else if (type === "executed") this.#executed(data);
    else this.#ordered(type, data);
    this.#drain();
    if (type === "executing" && data.node === null) this.#signals.ended("complete");
    else if (type === "execution_success" || type === "execution_interrupted") this.#signals.ended("announced");
  }

  binary(frame: Uint8Array): void {
    const read = readFrame(frame);
    if (read === null || (read.promptId !== null && read.promptId !== this.#job)) return;
    this.#signals.activity(Date.now());
    if (read.kind !== "preview") this.#outbox.push({ frame, whole: true });
    else if (this.#previews) this.#outbox.replace({ frame, whole: false }, "preview");
    this.#drain();
  }

  cut(): void {
    this.#signals.executing(null);
  }

  /** Resolves when every message has left, which means every file it names is committed. Throws what storing threw. */
  async settled(): Promise<void> {
    while (this.#uploads.size > 0) await Promise.all(this.#uploads);
    this.#drain();
  }

  get uploading(): boolean {
    return this.#uploads.size > 0;
  }

  /** Was this node's output taken from ComfyUI's cache? */
  wasCached(node: string): boolean {
    return this.#cached.has(node);
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #ordered(type: string, data: Record<string, unknown>): void {
    if (type === "execution_start") {
      this.#outbox.push({ event: { type: "started" }, replaceable: false });
      if (typeof data.timestamp === "number") this.#uploader.started(data.timestamp);
      this.#signals.started();
    }
    if (type === "execution_cached" && Array.isArray(data.nodes)) this.#cached = new Set(data.nodes.filter((node): node is string => typeof node === "string"));
    if (ENDS.has(type)) this.#signals.executing(null);
    else if (type === "executing") this.#signals.executing(typeof data.node === "string" ? data.node : null);
    const effect: Effect = ENDS.has(type) ? "ends" : type === "executing" ? (data.node === null ? "ends" : "turns") : "none";
    const shown = type === "execution_error" ? (withoutSeatTag(data) as Record<string, unknown>) : data;
    this.#outbox.push(comfyEvent(type, shown, false), effect);
  }

  #executed(data: Record<string, unknown>): void {
    const output = withoutFullPaths(data.output);
    const node = typeof data.node === "string" ? data.node : "";
    this.outputs[node] = output;
    const shown = { ...data, output };
    const begun = performance.now();
    const release = this.#outbox.hold(comfyEvent("executed", shown, false));
    const upload = this.#uploader.store(node, output, this.#cached.has(node)).then(
      (files) => {
        if (files.length > 0) this.#log("stored", { node, files: files.length, ms: Math.round(performance.now() - begun) });
        return release(comfyEvent("executed", { ...shown, output: withoutFiles(output, this.#uploader.gone) }, false, files));
      },
      (error: unknown) => {
        // It stays held, with all that came after it: nobody is shown a file that is not stored. The result says why.
        this.#log("store_failed", { node, error: words(error) });
        this.#signals.failed(error);
      },
    );
    const tracked = upload.finally(() => {
      this.#uploads.delete(tracked);
      this.#drain();
    });
    this.#uploads.add(tracked);
  }

  /** Custom nodes may send any type to the run's socket; without another's prompt id it is ours. */
  #foreignMessage(type: string, data: Record<string, unknown>): void {
    if (data.prompt_id !== undefined || type === "executing" || LANES[type] !== undefined || IN_HISTORY.has(type)) return;
    const second = Math.floor(Date.now() / 1000);
    if (this.#foreign.second !== second) this.#foreign = { second, count: 0 };
    if (++this.#foreign.count > FOREIGN_PER_SECOND) return;
    this.#outbox.push(comfyEvent(type, data, true));
    this.#drain();
  }

  #drain(): void {
    const { out, wakeAt } = this.#outbox.drain(performance.now());
    for (const item of out) {
      if ("frame" in item) this.#channel.emitFrame(item.frame, item.whole);
      else this.#channel.emit(item.event, item.replaceable);
    }
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = wakeAt === null ? null : setTimeout(() => this.#drain(), Math.max(1, wakeAt - performance.now()));
  }
}

function comfyEvent(type: string, data: Record<string, unknown>, replaceable: boolean, files?: ProducedFile[]): Outgoing {
  const message = { type, data };
  return { event: { type: "comfy", message, ...(files === undefined || files.length === 0 ? {} : { files }) }, replaceable };
}
