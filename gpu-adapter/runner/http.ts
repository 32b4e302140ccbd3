// Modes `http` and `http-once` [G3], [G4]: a dispatch comes as POST /v1/jobs, is claimed at the platform, run, reported; the request is held until then, so that the
// provider sees a working machine. Invariants: one job at a time; nothing is touched before the claim is granted; the answer says what the platform was told.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type ClaimAnswer, CONTRACT_VERSION, type Dispatch, type HeldAnswer, type RunnerHealth, type RunResult } from "../contract.ts";
import { stringifyJson } from "../json.ts";
import { backoffMs, RETRY } from "./backoff.ts";
import type { Box } from "./box.ts";
import type { CatalogKeeper } from "./catalog-keeper.ts";
import { deliverResult, deliveryMs, type Delivery } from "./deliver.ts";
import { checkDispatch, type Gate } from "./dispatch-check.ts";
import { exitCodeOf, type Served } from "./exit-code.ts";
import { Job } from "./job.ts";
import { type Log, sleep, words } from "./log.ts";
import { AttemptRoutes, PoolRoutes, Refused } from "./platform.ts";
import { PlatformSocket } from "./platform-socket.ts";
import type { Readiness } from "./readiness.ts";

export type HttpParts = { box: Box; catalog: CatalogKeeper; readiness: Readiness; gate: Gate; /** end after one job */ once: boolean; log: Log };

/** A dispatch is under 8 KB [G8]. */
const MAX_BODY_BYTES = 64 * 1024;
const FLUSH_MS = 5_000;

type Running = { job: Job | null; done: Promise<Served> };

export class HttpRunner {
  readonly #parts: HttpParts;
  readonly #server: Server;
  readonly #draining = new AbortController();
  readonly #ended: PromiseWithResolvers<number> = Promise.withResolvers();
  #running: Running | null = null;

  constructor(parts: HttpParts) {
    this.#parts = parts;
    this.#server = createServer((request, response) => void this.#serve(request, response));
    // A held request lasts as long as its job.
    this.#server.requestTimeout = 0;
  }

  /** Resolves with the port listened on. */
  async listen(host: string, port: number): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(port, host, resolve);
    });
    const address = this.#server.address();
    return typeof address === "object" && address !== null ? address.port : port;
  }

  /** Resolves with the exit code when the runner is done (`http-once`) or was stopped. */
  get ended(): Promise<number> {
    return this.#ended.promise;
  }

  /** No new work; the running job is interrupted and reported, at most for `withinMs`. */
  async stop(withinMs: number): Promise<void> {
    this.#draining.abort();
    const running = this.#running;
    running?.job?.stop("drain");
    const served = await Promise.race([running?.done, sleep(withinMs)]);
    // Told to go before its one job was brought home: whoever started this machine should know.
    const unfinished = running !== null && (served === undefined || exitCodeOf(served) === 1);
    await this.#close(this.#parts.once && unfinished ? 1 : 0);
  }

  health(): RunnerHealth {
    const { box, catalog, readiness } = this.#parts;
    const status = this.#draining.signal.aborted ? "draining" : !readiness.ready ? "starting" : this.#running !== null ? "busy" : "ok";
    const digest = catalog.digest === undefined ? {} : { catalog_digest: catalog.digest };
    return { status, stage: readiness.stage, missing: readiness.missing, uptime_s: Math.round(process.uptime()), jobs_done: box.jobsDone, ...digest, runner: box.info };
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? "/").split("?")[0];
    if (path === "/health" && (request.method === "GET" || request.method === "HEAD")) {
      const health = this.health();
      return answer(response, health.status === "ok" || health.status === "busy" ? 200 : 503, health);
    }
    if (path !== "/v1/jobs") return answer(response, 404, { error: "A runner answers POST /v1/jobs and GET /health only." });
    if (request.method !== "POST") return answer(response, 405, { error: "Jobs are handed over by POST." });
    try {
      await this.#jobs(request, response);
    } catch (error) {
      this.#parts.log("request_failed", { error: words(error) });
      if (!response.headersSent) answer(response, 500, { error: "The runner failed before it could claim the job." });
    }
  }

  async #jobs(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readJson(request);
    if (body === undefined) return answer(response, 400, { error: "The body is not JSON, or too large for a dispatch." });
    const verdict = await checkDispatch(body, this.#parts.gate, Date.now());
    if (!verdict.ok) {
      this.#parts.log("dispatch_refused", { status: verdict.status, message: verdict.message });
      return answer(response, verdict.status, { error: verdict.message });
    }
    const health = this.health();
    if (health.status !== "ok") return answer(response, health.status === "busy" ? 409 : 503, { error: health.status, message: "This runner takes one job at a time, when it is ready." });
    const running: Running = { job: null, done: Promise.resolve({ held: skipped(verdict.dispatch, ""), delivery: null }) };
    this.#running = running;
    running.done = this.#run(verdict.dispatch, running).finally(() => {
      this.#running = null;
    });
    if (verdict.dispatch.detach) answer(response, 202, { accepted: true, dispatch_id: verdict.dispatch.dispatch_id });
    const served = await running.done;
    if (!verdict.dispatch.detach) await sent(response, served.held);
    if (this.#parts.once) await this.#close(exitCodeOf(served));
  }

  async #run(dispatch: Dispatch, running: Running): Promise<Served> {
    const { box, log } = this.#parts;
    const base = dispatch.callback.base_url;
    const claim = await this.#claim(dispatch);
    if (typeof claim === "string") return { held: skipped(dispatch, claim), delivery: null };
    const routes = new AttemptRoutes(base, dispatch.callback.token, dispatch.job_id, dispatch.attempt);
    const socket = new PlatformSocket(routes.eventsSocket, {
      hello: () => ({ type: "hello", runner: box.info, lease_id: claim.lease_id }),
      opened: () => running.job?.channel.linkUp(),
      frame: (frame) => running.job?.channel.receive(frame),
      down: () => running.job?.channel.linkDown(),
    }, log);
    const job = new Job(box, dispatch, claim, base, socket, log);
    running.job = job;
    socket.open();
    if (claim.want_catalog) void this.#publish(dispatch);
    if (this.#draining.signal.aborted) job.stop("drain");
    const result = await job.run();
    const delivery = result === null ? "dropped" : await this.#deliver(job, result);
    socket.close();
    await job.leave();
    if (result === null) return { held: skipped(dispatch, "The lease was lost."), delivery };
    return { held: { ...envelope(dispatch), outcome: result.status, result, ...(delivery === "undelivered" ? { reason: "undelivered" } : {}) }, delivery };
  }

  /** The claim, or why there is none [G10]. A lost answer is asked for again until the dispatch is too old: the same runner gets the same lease. */
  async #claim(dispatch: Dispatch): Promise<ClaimAnswer | string> {
    const { box, catalog, log } = this.#parts;
    const routes = new AttemptRoutes(dispatch.callback.base_url, dispatch.callback.token, dispatch.job_id, dispatch.attempt);
    for (let failures = 0; ; failures++) {
      try {
        return await routes.claim({ dispatch_id: dispatch.dispatch_id, runner: box.info, ...(catalog.digest === undefined ? {} : { catalog_digest: catalog.digest }) });
      } catch (error) {
        log("claim_failed", { job: dispatch.job_id, attempt: dispatch.attempt, error: words(error) });
        if (error instanceof Refused) return `${error.reason ?? error.status}: ${error.message}`;
        const wait = backoffMs(RETRY, failures, Math.random());
        if (Date.now() + wait > dispatch.claim_before || this.#draining.signal.aborted) return "The platform did not answer the claim in time.";
        await sleep(wait, this.#draining.signal);
      }
    }
  }

  async #deliver(job: Job, result: RunResult): Promise<Delivery> {
    await job.channel.flush(this.#draining.signal.aborted ? 1_000 : FLUSH_MS);
    const delivery = await deliverResult(job.routes, result, deliveryMs(job.leaseSeconds), this.#parts.log);
    this.#parts.log("result_posted", { job: job.dispatch.job_id, status: result.status, answer: delivery });
    return delivery;
  }

  async #publish(dispatch: Dispatch): Promise<void> {
    const routes = new PoolRoutes(dispatch.callback.base_url, dispatch.pool, dispatch.callback.token);
    await this.#parts.catalog.publish(routes).catch((error: unknown) => this.#parts.log("catalog_unsent", { error: words(error) }));
  }

  async #close(code: number): Promise<void> {
    this.#server.close();
    this.#server.closeIdleConnections();
    this.#ended.resolve(code);
  }
}

function envelope(dispatch: Dispatch): Pick<HeldAnswer, "v" | "job_id" | "attempt" | "dispatch_id"> {
  return { v: CONTRACT_VERSION, job_id: dispatch.job_id, attempt: dispatch.attempt, dispatch_id: dispatch.dispatch_id };
}

function skipped(dispatch: Dispatch, reason: string): HeldAnswer {
  return { ...envelope(dispatch), outcome: reason.startsWith("gone") ? "cancelled" : "skipped", reason };
}

function answer(response: ServerResponse, status: number, body: object): void {
  const text = stringifyJson(body);
  response.writeHead(status, { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(text), "Cache-Control": "no-store" });
  response.end(text);
}

/** Resolves when the answer left this process, or the other side is gone. */
async function sent(response: ServerResponse, held: HeldAnswer): Promise<void> {
  const over = new Promise<void>((resolve) => {
    response.once("finish", resolve);
    response.once("close", resolve);
    if (response.destroyed) resolve();
  });
  if (!response.destroyed) answer(response, 200, held);
  await over;
}

/** Parsed JSON, or undefined when it is none or too long. */
async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    const buffer = chunk as Buffer;
    bytes += buffer.byteLength;
    if (bytes <= MAX_BODY_BYTES) chunks.push(buffer);
  }
  if (bytes > MAX_BODY_BYTES) return undefined;
  try {
    return JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch {
    return undefined;
  }
}
