// Pull mode ([G] 6.12): dials out to the platform, asks for work, does one job at a time. Invariants: a job goes on while the socket is down; a result is
// delivered before the next job is asked for; a runner that is not ready, or was told to stop, asks for nothing.
import type { PlatformFrame, RunnerFrame, RunResult, Work } from "../contract.ts";
import { backoffMs, RECONNECT } from "./backoff.ts";
import type { Box } from "./box.ts";
import type { CatalogKeeper } from "./catalog-keeper.ts";
import { deliverResult, deliveryMs } from "./deliver.ts";
import { Job } from "./job.ts";
import { type Log, sleep, words } from "./log.ts";
import { PoolRoutes, Refused } from "./platform.ts";
import { PlatformSocket } from "./platform-socket.ts";
import type { Readiness } from "./readiness.ts";

export type PullOptions = { platform: string; pool: string; token: string };

/** The socket has this long to confirm a result before it goes by HTTP as well (ms). */
const RESULT_ACK_MS = 5_000;
/** Tries in a row that never opened: then the long poll asks, which also says why. */
const SOCKET_TRIES = 3;
const POLL_MS = 20_000;
/** Before the next job after one that came to nothing: its document could not be fetched, or its lease was lost (ms). */
const GIVEN_UP_MS = 1_000;
/** Refusals of our token in a row before we stop: [G10] 401 and 403 are faults of configuration. */
const REFUSALS = 5;
/** What a hello says of what is missing: so many things, of so many characters each (the contract's bounds). */
const MISSING_MOST = 20;
const MISSING_LENGTH = 200;

export class Misconfigured extends Error {}

export class PullRunner {
  readonly #box: Box;
  readonly #platform: string;
  readonly #routes: PoolRoutes;
  readonly #log: Log;
  readonly #socket: PlatformSocket;
  readonly #catalog: CatalogKeeper;
  readonly #readiness: Readiness;
  readonly #stopping = new AbortController();
  readonly #ended: PromiseWithResolvers<void> = Promise.withResolvers();
  #job: Job | null = null;
  #next: Work | null = null;
  #resultAck: ((status: string) => void) | null = null;
  #polling = false;
  #refusals = 0;

  constructor({ box, catalog, readiness, log }: { box: Box; catalog: CatalogKeeper; readiness: Readiness; log: Log }, options: PullOptions) {
    this.#box = box;
    this.#platform = options.platform;
    this.#routes = new PoolRoutes(options.platform, options.pool, options.token);
    this.#log = log;
    this.#catalog = catalog;
    this.#readiness = readiness;
    const hooks = {
      hello: () => this.#hello(),
      opened: () => log("socket_up", {}),
      frame: (frame: PlatformFrame) => this.#frame(frame),
      down: (failures: number) => this.#down(failures),
    };
    this.#socket = new PlatformSocket(this.#routes.nextSocket, hooks, log);
  }

  /** Works until `stop`; throws Misconfigured when the platform does not know this runner's token. */
  run(): Promise<void> {
    this.#socket.open();
    return this.#ended.promise;
  }

  /** The stage goes along, so that whoever waits for this GPU sees it come up. The catalog of one that is not ready may lack what it will have. */
  #hello(): RunnerFrame {
    const { stage, missing, ready } = this.#readiness;
    const lacking = missing.slice(0, MISSING_MOST).map((what) => what.slice(0, MISSING_LENGTH));
    return { type: "hello", runner: this.#box.info, stage, missing: lacking, ...(ready ? { catalog_digest: this.#catalog.digest } : {}), ...(this.#job === null ? {} : { lease_id: this.#job.lease }) };
  }

  /** No new work; the running job is interrupted and reported. Resolves when its result is delivered, at most after `withinMs`. */
  async stop(withinMs: number): Promise<void> {
    this.#stopping.abort();
    this.#job?.stop("drain");
    const deadline = Date.now() + withinMs;
    while (this.#job !== null && Date.now() < deadline) await Promise.race([this.#job.finished, sleep(deadline - Date.now())]);
    this.#socket.close();
    this.#ended.resolve();
  }

  /** What this ComfyUI has may have changed: says so. */
  async announceCatalog(): Promise<void> {
    if (!this.#readiness.ready) return;
    await this.#catalog.publish(this.#routes).catch((error: unknown) => this.#log("catalog_unsent", { error: words(error) }));
  }

  #frame(frame: PlatformFrame): void {
    if (frame.type === "welcome") return void this.#welcome(frame.want_catalog);
    if (frame.type === "work") return this.#take(frame.work);
    if (frame.type === "result_ack") return this.#confirmed(frame);
    this.#job?.channel.receive(frame);
    // A lease we know nothing of is over: the platform thinks us busy with work that never reached us.
    if (frame.type === "stale" && frame.lease_id !== this.#job?.lease) this.#ask();
  }

  /** A late word about an earlier result says nothing about the present one. */
  #confirmed({ job_id, attempt, status }: PlatformFrame & { type: "result_ack" }): void {
    const dispatch = this.#job?.dispatch;
    if (dispatch?.job_id === job_id && dispatch.attempt === attempt) this.#resultAck?.(status);
  }

  async #welcome(wantCatalog: boolean): Promise<void> {
    this.#refusals = 0;
    this.#job?.channel.linkUp();
    if (wantCatalog) await this.announceCatalog();
    this.#ask();
  }

  #ask(): void {
    if (this.#job === null && this.#readiness.ready && !this.#stopping.signal.aborted) this.#socket.send({ type: "next" });
  }

  /** Readiness changed: a new hello says so and takes back a standing wish for work; the answer to it asks anew, when ready. After a job it is said then. */
  tellStage(): void {
    if (this.#job === null) this.#socket.greet();
  }

  #down(failures: number): void {
    this.#job?.channel.linkDown();
    this.#resultAck?.("down");
    if (failures >= SOCKET_TRIES) void this.#poll();
  }

  #take(work: Work): void {
    if (work.claim.lease_id === this.#job?.lease || work.claim.lease_id === this.#next?.claim.lease_id) return;
    if (this.#job !== null) {
      // Given although nobody asked: kept until the present job is done, its lease decides whether that is too late.
      this.#next = work;
      return;
    }
    const job = new Job(this.#box, work.dispatch, work.claim, this.#platform, this.#socket, this.#log);
    this.#job = job;
    // Given in the moment we were told to go: handed back at once, instead of being missed when its lease ends.
    if (this.#stopping.signal.aborted) job.stop("drain");
    job.finished = this.#do(job);
  }

  async #do(job: Job): Promise<void> {
    const result = await job.run();
    if (result !== null) await this.#deliver(job, result);
    await job.leave();
    this.#job = null;
    const next = this.#next;
    this.#next = null;
    if (next !== null) return this.#take(next);
    // Nothing came of it: asking at once would bring the same again.
    if (result === null) await sleep(GIVEN_UP_MS, this.#stopping.signal);
    if (!this.#readiness.ready) return this.tellStage();
    if (result === null || !job.askedForNext) this.#ask();
  }

  /** Over the socket, in one breath with the wish for more; by HTTP when the socket does not confirm it. */
  async #deliver(job: Job, result: RunResult): Promise<void> {
    const next = !this.#stopping.signal.aborted && !job.unwell;
    if (this.#socket.up) {
      const confirmed = Promise.withResolvers<string>();
      this.#resultAck = confirmed.resolve;
      const timer = setTimeout(() => confirmed.resolve("late"), RESULT_ACK_MS);
      this.#socket.send({ type: "result", job_id: job.dispatch.job_id, attempt: job.dispatch.attempt, result, next });
      job.askedForNext = next;
      const status = await confirmed.promise;
      this.#resultAck = null;
      clearTimeout(timer);
      this.#log("result_sent", { job: job.dispatch.job_id, status: result.status, answer: status });
      if (status !== "late" && status !== "down") return;
      job.askedForNext = false;
    }
    await job.channel.flush(RESULT_ACK_MS);
    const delivery = await deliverResult(job.routes, result, deliveryMs(job.leaseSeconds), this.#log);
    this.#log("result_posted", { job: job.dispatch.job_id, status: result.status, answer: delivery });
  }

  /** While sockets are refused: the long poll, until a socket opens again. */
  async #poll(): Promise<void> {
    if (this.#polling) return;
    this.#polling = true;
    let failures = 0;
    while (!this.#socket.up && !this.#stopping.signal.aborted) {
      if (this.#job !== null || !this.#readiness.ready) {
        await sleep(500, this.#stopping.signal);
        continue;
      }
      try {
        const answer = await this.#routes.next(this.#box.info, this.#catalog.digest, POLL_MS);
        failures = 0;
        this.#refusals = 0;
        if (answer.want_catalog) await this.announceCatalog();
        if (answer.work !== undefined) this.#take(answer.work);
      } catch (error) {
        if (error instanceof Refused && (error.status === 401 || error.status === 403) && ++this.#refusals >= REFUSALS) {
          this.#ended.reject(new Misconfigured(`The platform refuses this runner's token (${error.message}). Ask the operator for a new pool token.`));
          return;
        }
        this.#log("poll_failed", { error: words(error) });
        await sleep(backoffMs(RECONNECT, failures++, Math.random()), this.#stopping.signal);
      }
    }
    this.#polling = false;
  }
}
