// One claimed job in the hands of a mode: its channel, its heartbeat, its attempt. The mode decides how the dispatch came and how the result goes.
import type { ClaimAnswer, Dispatch, JobDocument, RunResult } from "../contract.ts";
import { Attempt } from "./attempt.ts";
import type { Aftermath, Box } from "./box.ts";
import { EventChannel, type Link } from "./channel.ts";
import type { StopReason } from "./conclude.ts";
import { backoffMs, RETRY } from "./backoff.ts";
import { type Log, sleep, words } from "./log.ts";
import { AttemptRoutes, Refused } from "./platform.ts";

const DOCUMENT_TRIES = 5;
/** For the GPU's figures beside a heartbeat (ms); without an answer the last ones stand. */
const BEAT_STATS_MS = 3_000;

export class Job {
  readonly dispatch: Dispatch;
  readonly lease: string;
  /** How long the lease holds without a sign of life (s). */
  readonly leaseSeconds: number;
  readonly routes: AttemptRoutes;
  readonly channel: EventChannel;
  /** Resolves when the result is delivered; set by the mode. */
  finished: Promise<void> = Promise.resolve();
  askedForNext = false;
  readonly #box: Box;
  readonly #claim: ClaimAnswer;
  readonly #log: Log;
  #attempt: Attempt | null = null;
  #stopped: StopReason | null = null;
  #aftermath: Aftermath = { crashed: false, oom: false, stuck: false };
  #unstored = false;
  #gpu: { vram_used_mb: number } | null = null;
  #heart: ReturnType<typeof setInterval> | null = null;

  constructor(box: Box, dispatch: Dispatch, claim: ClaimAnswer, base: string, link: Link, log: Log) {
    this.#box = box;
    this.dispatch = dispatch;
    this.lease = claim.lease_id;
    this.leaseSeconds = claim.lease_ttl_s;
    this.#claim = claim;
    this.#log = (event, fields) => log(event, { job: dispatch.job_id, attempt: dispatch.attempt, ...fields });
    this.routes = new AttemptRoutes(base, dispatch.callback.token, dispatch.job_id, dispatch.attempt);
    const hooks = { cancel: () => this.stop("cancel"), stale: () => this.stop("stale") };
    this.channel = new EventChannel(claim.lease_id, link, this.routes, hooks, this.#log);
  }

  stop(reason: StopReason): void {
    this.#stopped ??= reason;
    this.#attempt?.stop(reason);
  }

  /** The result, or null when there is nobody to give it to. */
  async run(): Promise<RunResult | null> {
    this.#log("job", {});
    this.#box.working = true;
    this.#box.beforeJob();
    this.#heart = setInterval(() => this.#beat(), this.#claim.heartbeat_s * 1000);
    const document = await this.#document();
    if (document === null) return null;
    const { dispatch, lease, routes, channel } = this;
    this.#attempt = new Attempt(this.#box, { dispatch, document, lease, routes, channel }, this.#log);
    if (this.#stopped !== null) this.#attempt.stop(this.#stopped);
    const { result, crashed, oom, stuck, unstored } = await this.#attempt.run();
    if (this.#heart !== null) clearInterval(this.#heart);
    this.#log("job_done", { status: result?.status ?? "dropped", code: result?.error?.code, exec_ms: result?.timings.exec_ms, load_ms: result?.timings.load_ms, upload_ms: result?.timings.upload_ms });
    this.#aftermath = { crashed, oom, stuck };
    this.#unstored = unstored && !crashed;
    return result;
  }

  /** True when ComfyUI must be put in order before another job: then none is asked for with the result. */
  get unwell(): boolean {
    return this.#box.unwell(this.#aftermath);
  }

  /** After the result is on its way: the channel ends, and ComfyUI is put in order for the next job. */
  async leave(): Promise<void> {
    const box = this.#box;
    this.close();
    box.jobsDone++;
    // Memory that one graph exhausted is given back before the next one runs [Q54].
    if (this.#aftermath.oom) await box.comfy.free(true).catch((error: unknown) => this.#log("free_failed", { error: words(error) }));
    // From its cache ComfyUI would name files again that were never stored and are emptied below [G17].
    if (this.#unstored) await box.clear().catch((error: unknown) => this.#log("cache_kept", { error: words(error) }));
    const emptied = await box.folders.sweep();
    if (emptied > 0) this.#log("emptied", { files: emptied });
    await box.afterJob(this.#aftermath);
    box.working = false;
    if (this.#aftermath.crashed) box.vanished();
    if (box.here) box.sockets.prepare();
    void box.inputs.tidy();
  }

  close(): void {
    if (this.#heart !== null) clearInterval(this.#heart);
    this.channel.close();
  }

  /** Goes out at once, with what the GPU said at the last beat: a busy ComfyUI may take its time to answer. */
  #beat(): void {
    this.channel.emit({ type: "heartbeat", ...(this.#gpu === null ? {} : { gpu: this.#gpu }) }, true);
    void this.#box.comfy.systemStats(BEAT_STATS_MS).then(
      ({ devices: [device] }) => {
        this.#gpu = device === undefined ? null : { vram_used_mb: Math.max(0, Math.round((device.vram_total - device.vram_free) / 1024 / 1024)) };
        return;
      },
      () => {},
    );
  }

  /** A document over 1 MiB is fetched from a signed address; without it the lease runs out and somebody else tries. */
  async #document(): Promise<JobDocument | null> {
    if (this.#claim.job !== undefined) return this.#claim.job;
    const url = this.#claim.job_url;
    if (url === undefined) return null;
    for (let failures = 0; failures < DOCUMENT_TRIES && this.#stopped !== "stale"; failures++) {
      try {
        return await this.routes.document(url);
      } catch (error) {
        this.#log("document_failed", { error: words(error) });
        if (error instanceof Refused && error.final) return null;
        await sleep(backoffMs(RETRY, failures, Math.random()));
      }
    }
    return null;
  }
}
