// One attempt of one job, from its document to its result. Invariants: ComfyUI runs the prompt at most once; the result says the truth about it even when
// it was stopped, timed out or lost; a lost lease ends in silence (null), because another runner may have the job.
import { join } from "node:path";
import type { Dispatch, JobDocument, JobError, RunResult } from "../contract.ts";
import { UploadFailure } from "./allowance.ts";
import { resultOf } from "./attempt-result.ts";
import type { Box } from "./box.ts";
import type { EventChannel } from "./channel.ts";
import { ComfyError, type PromptBody } from "./comfy.ts";
import { conclude, failure, type StopReason } from "./conclude.ts";
import type { InputFile } from "./inputs.ts";
import { errorOf, JobFailure, storeError } from "./job-failure.ts";
import { type Log, sleep, words } from "./log.ts";
import { LoadClock } from "./model-loads.ts";
import { withoutFullPaths } from "./output-files.ts";
import { placeInputs } from "./place-inputs.ts";
import { type AttemptRoutes, Refused } from "./platform.ts";
import { Relay } from "./relay.ts";
import { orderOf, Run, type RunEnd } from "./run.ts";
import { WORTH_SAYING_MS } from "./stages.ts";
import { Uploader } from "./uploader.ts";
import { blamesInputs, validationError } from "./verdict.ts";
import { OVERDUE, type Overdue, Watch } from "./watch.ts";

export type AttemptGiven = { dispatch: Dispatch; document: JobDocument; lease: string; routes: AttemptRoutes; channel: EventChannel };
export type Outcome = { result: RunResult | null; crashed: boolean; oom: boolean; stuck: boolean; /** ComfyUI ran nodes whose files nobody has */ unstored: boolean };

/** After an interrupt ComfyUI has this long to stop (ms): it does so at the next node or step. Under the platform's stop grace of 20 s [Q61]; a drain has 10 s in all [G31]. */
const STOP_MS: Record<StopReason, number> = { cancel: 12_000, stale: 12_000, drain: 5_000, timeout: 12_000, storage: 12_000 };
/** After a stopped run its last files have this long to arrive (ms). */
const LAST_FILES_MS = 4_000;

export class Attempt {
  readonly #box: Box;
  readonly #given: AttemptGiven;
  readonly #log: Log;
  readonly #abort = new AbortController();
  readonly #uploader: Uploader;
  readonly #relay: Relay;
  readonly #run: Run;
  readonly #begunAt = Date.now();
  readonly #timings: RunResult["timings"] = {};
  readonly #loads: LoadClock;
  #watch: Watch | null = null;
  #stopped: StopReason | null = null;
  #posted = false;
  #error: JobError | null = null;
  #unstored = false;
  #stuck = false;

  constructor(box: Box, given: AttemptGiven, log: Log) {
    this.#box = box;
    this.#given = given;
    this.#log = log;
    const { document, channel, routes, lease } = given;
    this.#loads = new LoadClock((stage) => channel.emit({ type: "stage", stage }));
    const spoolDir = join(box.workDir, "spool");
    this.#uploader = new Uploader({ comfy: box.comfy, folders: box.folders, memory: box.memory, routes, lease, seatTag: document.seat_tag, limits: document.limits, spoolDir, log, signal: this.#abort.signal });
    const signals = {
      activity: (now: number) => this.#watch?.activity(now),
      started: () => this.#started(),
      executing: (node: string | null) => this.#loads.executing(node, performance.now()),
      ended: (how: "announced" | "complete") => this.#ended(how),
      failed: (error: unknown) => this.#storageFailed(error),
    };
    this.#relay = new Relay(document.prompt_id, document.preview, channel, this.#uploader, signals, log);
    this.#run = new Run(box, document.prompt_id, this.#relay, log);
  }

  /** Ends the attempt early; the first reason stays, but a lost lease outdoes all. */
  stop(reason: StopReason): void {
    if (this.#stopped === reason || this.#stopped === "stale") return;
    if (this.#stopped !== null && reason !== "stale") return;
    this.#stopped = reason;
    this.#log("attempt_stopping", { reason });
    // A cancelled run's files that are on their way may still arrive: its history entry names what finished before.
    if (reason === "stale" || reason === "drain" || (reason === "cancel" && !this.#posted)) this.#abort.abort();
    if (!this.#posted || this.#run.over) return;
    void this.#interrupt(STOP_MS[reason]);
  }

  /** Runs the job; `result` is null when the lease was lost. Never throws. */
  async run(): Promise<Outcome> {
    let end: RunEnd | null = null;
    try {
      await this.#prepare();
      end = await this.#execute();
      await this.#store(end);
    } catch (error) {
      if (end !== null) this.#unstored = true;
      this.#error ??= this.#explain(error);
    } finally {
      this.#watch?.stop();
      this.#loads.executing(null, performance.now());
      this.#relay.close();
      this.#run.close();
    }
    const result = this.#stopped === "stale" ? null : await this.#result(end);
    await Promise.all(this.#uploader.locals().map((file) => this.#box.folders.empty(file)));
    const code = result?.error?.code;
    return { result, crashed: code === "comfy_crash", oom: code === "oom", stuck: this.#stuck, unstored: this.#posted && this.#unstored };
  }

  async #prepare(): Promise<void> {
    const { document, dispatch, channel } = this.#given;
    const { limits } = document;
    const starting = setTimeout(() => channel.emit({ type: "stage", stage: "gpu_starting" }), WORTH_SAYING_MS);
    const ready = this.#box.sockets.open || (await this.#box.ready(limits.start_s * 1000, this.#abort.signal));
    clearTimeout(starting);
    this.#checkStopped();
    if (!ready) throw new JobFailure(failure("start_timeout", `ComfyUI did not come up within ${limits.start_s} s.`));
    await this.#box.enter(dispatch.workshop);
    const begun = Date.now();
    await this.#placeInputs(await this.#box.inputs.missing(document.inputs));
    this.#timings.input_ms = Date.now() - begun;
    this.#checkStopped();
  }

  async #placeInputs(missing: InputFile[]): Promise<void> {
    if (missing.length === 0) return;
    const { document, channel, routes, dispatch } = this.#given;
    channel.emit({ type: "stage", stage: "inputs" });
    await placeInputs(missing, { inputs: this.#box.inputs, dispatch, document, routes, runner: this.#box.info, signal: this.#abort.signal });
  }

  async #execute(): Promise<RunEnd> {
    const { document } = this.#given;
    const socket = await this.#box.sockets.take();
    this.#run.follow(socket);
    const { body, loaders } = await orderOf(this.#box, document, socket.clientId);
    this.#loads.expect(loaders);
    await this.#forgetEarlierRun();
    this.#checkStopped();
    this.#watch = new Watch(document.limits, { overdue: (which) => this.#overdue(which), quiet: () => void this.#run.probe() });
    this.#posted = true;
    try {
      await this.#post(body);
    } catch (error) {
      if (!(error instanceof ComfyError) || error.status !== 0) throw error;
      // The answer is lost, the prompt perhaps not: ComfyUI's queue and history say, and it is never posted twice.
      void this.#run.probe();
    }
    // A stop that came while the prompt was on its way found nothing to interrupt.
    if (this.#stopped !== null) void this.#interrupt(STOP_MS[this.#stopped]);
    return this.#run.ended;
  }

  async #post(body: PromptBody): Promise<void> {
    const { document } = this.#given;
    let answer = await this.#box.comfy.prompt(body);
    if (!answer.accepted && blamesInputs(answer.body, document.inputs.map(({ name }) => name))) {
      this.#box.inputs.forget();
      await this.#placeInputs([...document.inputs]);
      answer = await this.#box.comfy.prompt(body);
    }
    if (!answer.accepted) throw new JobFailure(validationError(answer.body));
  }

  /** ComfyUI may still run or remember this very prompt id, for a runner that died: its old history would pass for this run's. */
  async #forgetEarlierRun(): Promise<void> {
    if (this.#given.dispatch.attempt === 1 && this.#box.jobsDone > 0) return;
    await this.#box.comfy.forget(this.#given.document.prompt_id);
  }

  /** Waits for files on their way, and stores what only history names. */
  async #store(end: RunEnd): Promise<void> {
    this.#watch?.stop();
    const begun = Date.now();
    const late = setTimeout(() => this.#given.channel.emit({ type: "stage", stage: "uploading" }), WORTH_SAYING_MS);
    const enough = this.#stopped === null ? null : setTimeout(() => this.#abort.abort(), LAST_FILES_MS);
    try {
      await this.#relay.settled();
      if (end.how !== "history" || this.#stopped !== null) return;
      for (const [node, output] of Object.entries(end.entry.outputs)) {
        if (this.#uploader.unknown(output)) await this.#uploader.store(node, withoutFullPaths(output), this.#relay.wasCached(node));
      }
    } finally {
      clearTimeout(late);
      if (enough !== null) clearTimeout(enough);
      this.#timings.upload_ms = Date.now() - begun;
    }
  }

  #started(): void {
    this.#watch?.started();
    this.#log("run_started", { overhead_ms: Date.now() - this.#begunAt });
  }

  #ended(how: "announced" | "complete"): void {
    // The announcement comes just before history is written; the last word just after. A lost last word costs a quarter of a second.
    if (how === "complete") void this.#run.announced();
    else setTimeout(() => void this.#run.announced(), 250);
  }

  #overdue(which: Overdue): void {
    this.#error ??= OVERDUE[which](this.#given.document.limits);
    this.stop("timeout");
  }

  #storageFailed(error: unknown): void {
    this.#unstored = true;
    if (error instanceof Refused && error.status === 410) return this.stop("cancel");
    if (error instanceof Refused && error.final) return this.stop("stale");
    if (this.#stopped === null) this.#error ??= storeError(error);
    if (error instanceof UploadFailure) this.stop("storage");
  }

  /** Stops the prompt at ComfyUI and waits for its word; without one the run is abandoned, and ComfyUI counts as stuck. */
  async #interrupt(withinMs: number): Promise<void> {
    const deadline = Date.now() + withinMs;
    await this.#box.comfy.stop(this.#given.document.prompt_id).catch((error: unknown) => this.#log("interrupt_failed", { error: words(error) }));
    while (!this.#run.over && Date.now() < deadline) {
      // A prompt taken out of ComfyUI's queue leaves no message and no history: asking is the only way to know.
      void this.#run.probe();
      await sleep(200);
    }
    if (this.#run.over) return;
    this.#stuck = true;
    this.#run.abandon("ComfyUI did not stop when interrupted.");
  }

  #checkStopped(): void {
    if (this.#stopped !== null) throw new JobFailure(failure("cancelled", "Stopped before the run began."));
  }

  #explain(error: unknown): JobError {
    if (error instanceof Refused && error.final) {
      this.#stopped = error.status === 410 ? "cancel" : "stale";
      return failure("cancelled", error.message);
    }
    const known = errorOf(error);
    if (known.code === "internal") this.#log("attempt_error", { error: known.message });
    return known;
  }

  async #result(end: RunEnd | null): Promise<RunResult> {
    const { dispatch, lease } = this.#given;
    const entry = end?.how === "history" ? end.entry : null;
    const heard = { messages: this.#relay.messages, outputs: this.#relay.outputs };
    const conclusion = conclude({
      messages: end === null ? null : (entry?.status?.messages ?? heard.messages),
      ...(entry?.status == null ? {} : { statusText: entry.status.status_str }),
      stopped: this.#stopped,
      error: this.#error,
      unstored: this.#unstored,
      gone: end?.how === "gone" ? end.why : null,
    });
    return await resultOf({
      dispatch, lease, entry, heard, conclusion, files: this.#uploader.files(), unfetchable: (outputs) => this.#uploader.unfetchable(outputs), runner: this.#box.info,
      timings: { ...this.#timings, load_ms: this.#loads.ms, gpu_ms: Date.now() - this.#begunAt }, firstJob: this.#box.jobsDone === 0,
    });
  }
}
