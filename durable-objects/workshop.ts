// The workshop object: the thin shell around the queue. load -> decide -> commit -> effects; RPC, socket handlers, alarm, and nothing that could live elsewhere.
// Invariants: state first, frames and calls after the commit [Q6]; the alarm handler never throws and always arms the next wake [CF11]; no await between load and commit.
import { DurableObject } from "cloudflare:workers";
import type { ClaimAnswer, ClaimRequest, FileName, RunnerEvent, RunResult, StorageType, UploadFile, Work } from "../gpu-adapter/contract.ts";
import type * as door from "./contract.ts";
import { SOCKET_HEADERS } from "./contract.ts";
import { Engine } from "./engine.ts";
import { findFile, listFiles, storeInput } from "./file-store.ts";
import { type Delivered, JobKeeper } from "./job-keeper.ts";
import { endedCount, forgetHistory, historyBody, historyEntryBody, insertJob, jobDetail, jobPage, knownJob, queueBody } from "./job-store.ts";
import { migrate } from "./migrations.ts";
import { poolConfig } from "./pool-setup.ts";
import { type Command, type CommandType, type Decision, type Effect, effectsDue, forecast, nextWake, retryAfterSeconds } from "./queue/index.ts";
import { refused } from "./refusals.ts";
import { RunRelay } from "./run-relay.ts";
import { RunnerDesk, knownEnd } from "./runner-desk.ts";
import { RunnerHall } from "./runner-hall.ts";
import { RunnerProtocol } from "./runner-protocol.ts";
import { SeatHall } from "./seat-hall.ts";
import { markOnce, putSeats, raiseSeatRevision, readSeatLog, readSettings, seatIdentity, seatList, seatRevision, trimSeatLogs, writeSettings } from "./seat-store.ts";
import { type DashboardSocket, type RunnerSocket, Sockets } from "./sockets.ts";
import { integer, objectSql, type Sql, text } from "./sql.ts";
import { submitCommand } from "./submit-command.ts";

export class Workshop extends DurableObject<Env> {
  readonly #sql: Sql;
  readonly #engine: Engine;
  readonly #sockets: Sockets;
  readonly #relay: RunRelay;
  readonly #keeper: JobKeeper;
  readonly #desk: RunnerDesk;
  readonly #protocol: RunnerProtocol;
  readonly #runners: RunnerHall;
  readonly #seats: SeatHall;
  #armed: number | null = null;
  #forecasted: { at: number; jobs: ReturnType<typeof forecast> } = { at: 0, jobs: new Map() };

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#sql = objectSql(ctx.storage);
    migrate(this.#sql);
    this.#engine = new Engine(this.#sql, () => Date.now());
    const remaining = (seat: string): number => this.#remaining(seat);
    const now = (): number => this.#engine.now();
    const workshop = (): string => this.#meta("workshop") ?? "";
    const run = <T extends CommandType>(command: Extract<Command, { type: T }>, record?: (decision: Decision<T>) => void, delivered?: Delivered): Decision<T> => this.#run(command, record, delivered);
    this.#sockets = new Sockets(ctx, remaining);
    this.#relay = new RunRelay(this.#sql, this.#sockets);
    this.#keeper = new JobKeeper(this.#sql, this.#relay, this.#sockets);
    this.#desk = new RunnerDesk({ sql: this.#sql, engine: this.#engine, relay: this.#relay, env, workshop });
    this.#protocol = new RunnerProtocol({ sql: this.#sql, desk: this.#desk, relay: this.#relay, run, now, workshop });
    this.#runners = new RunnerHall({ sockets: this.#sockets, engine: this.#engine, desk: this.#desk, protocol: this.#protocol, run, poolSetup: (pool) => this.#poolSetup(pool) });
    this.#seats = new SeatHall({ sql: this.#sql, sockets: this.#sockets, relay: this.#relay, remaining, now });
    // What was committed before a restart may never have been sent; each of these may safely be done again.
    for (const effect of effectsDue(this.#engine.state)) this.#effect(effect);
    this.#arm();
  }

  // ---- the one way state changes --------------------------------------------------------------------------------------------------
  #run<T extends CommandType>(command: Extract<Command, { type: T }>, record: (decision: Decision<T>) => void = () => undefined, delivered: Delivered | null = null): Decision<T> {
    const now = this.#engine.now();
    let decision: Decision<T>;
    try {
      decision = this.#engine.run<T>(command, (made) => {
        record(made);
        this.#keeper.record(made, now, delivered);
      });
    } catch (error) {
      this.#keeper.drop();
      this.#relay.reset();
      throw error;
    }
    this.#keeper.tell();
    for (const effect of decision.effects) this.#effect(effect);
    this.#arm();
    return decision;
  }

  /** Effects leave after the commit; what comes of them comes back as a command. */
  #effect(effect: Effect): void {
    switch (effect.type) {
      case "dispatch":
      case "hand_over_again":
        this.ctx.waitUntil(this.#runners.offer(effect).catch((error: unknown) => this.#complain("offer_failed", error)));
        return;
      case "tell_runner":
        this.#runners.tellRunner(effect.job, effect.attempt, effect.lease, effect.what);
        return;
      case "ask_status":
      case "provider_cancel":
        // A pulling runner has no provider to ask: its socket and its lease say everything.
        return;
    }
  }

  #complain(event: string, error: unknown): void {
    console.error(JSON.stringify({ event, workshop: this.#meta("workshop"), revision: this.#engine.revision, error: error instanceof Error ? error.message : String(error) }));
  }

  /** Arms the alarm no later than the next moment something falls due; an early alarm finds nothing and arms again. */
  #arm(): void {
    const wake = nextWake(this.#engine.state, this.#engine.now());
    if (wake === null || (this.#armed !== null && this.#armed <= wake && this.#armed > this.#engine.now())) return;
    this.#armed = wake;
    void this.ctx.storage.setAlarm(wake);
  }

  override alarm(): void {
    this.#armed = null;
    try {
      this.#run<"tick">({ type: "tick" });
      for (const pool of this.#engine.state.pools.keys()) this.#runners.count(pool);
      trimSeatLogs(this.#sql);
    } catch (error) {
      this.#complain("tick_failed", error);
    } finally {
      this.#arm();
    }
  }

  // ---- operator and identity ---------------------------------------------------------------------------------------------------------
  create(setup: door.WorkshopSetup): door.Answer<{ created: boolean }> {
    if (this.#meta("workshop") !== null) return { ok: true, created: false };
    this.#sql.transaction(() => {
      this.#setMeta("workshop", setup.workshop);
      this.#setMeta("title", setup.title);
      putSeats(this.#sql, setup.seats);
    });
    for (const pool of setup.pools) this.putPool(pool);
    return { ok: true, created: true };
  }

  putSeats(seats: door.SeatCredential[]): door.Answer<{ added: string[]; changed: string[] }> {
    return this.#made() ?? { ok: true, ...this.#sql.transaction(() => putSeats(this.#sql, seats)) };
  }

  putPool(pool: door.PoolSetup): door.Answer<object> {
    const missing = this.#made();
    if (missing) return missing;
    this.#setMeta(`pool:${pool.id}`, JSON.stringify(pool));
    const decision = this.#run<"upsert_pool">({ type: "upsert_pool", pool: poolConfig(pool, this.#engine.state.pools.get(pool.id), this.#engine.state.pools.size) });
    if (!decision.ok) return refused(decision);
    const wanted = [...this.#engine.state.pools.keys()].reduce((sum, id) => sum + (this.#poolSetup(id)?.max_in_flight ?? 0), 0);
    if (this.#engine.state.workshop.wanted < wanted) this.#run<"set_wanted">({ type: "set_wanted", slots: wanted, by: "operator" });
    this.#runners.count(pool.id);
    return { ok: true };
  }

  seatIds(): door.Answer<{ title: string; seats: { seat: string; role: door.Role }[] }> {
    return this.#made() ?? { ok: true, title: this.#meta("title") ?? "", seats: seatList(this.#sql) };
  }

  identity(seat: string): door.Answer<{ identity: door.SeatIdentity }> {
    const identity = seatIdentity(this.#sql, seat);
    return identity ? { ok: true, identity } : (this.#made() ?? { ok: false, reason: "no_such_seat", message: `There is no seat ${seat} in this workshop.` });
  }

  health(): door.Answer<{ health: door.Health }> {
    const missing = this.#made();
    if (missing) return missing;
    const { workshop, jobs, attempts } = this.#engine.state;
    const runners = this.#sockets.runners().filter(({ at }) => at.runner !== null);
    return {
      ok: true,
      health: {
        workshop: this.#meta("workshop") ?? "",
        revision: this.#engine.revision,
        mode: workshop.mode,
        switches: workshop.switch,
        jobs: { waiting: jobs.size - attempts.size, live: attempts.size, ended: endedCount(this.#sql) },
        runners: runners.map(({ at }) => ({ id: at.runner?.id ?? "", pool: at.pool, busy: at.job !== null, gpu: at.runner?.gpu_name ?? null, comfyui: at.runner?.comfyui_version ?? null, last_seen: at.since })),
        seats: seatList(this.#sql).length,
        sockets: this.#sockets.count(),
      },
    };
  }

  // ---- a seat's prompts --------------------------------------------------------------------------------------------------------------
  submit(submit: door.Submit): door.Answer<door.Submitted> {
    const identity = seatIdentity(this.#sql, submit.seat);
    if (!identity) return { ok: false, reason: "no_such_seat", message: `There is no seat ${submit.seat} in this workshop.` };
    const key = submit.idempotency_key ?? (submit.minted ? null : submit.job);
    const known = knownJob(this.#sql, submit.seat, key, submit.job);
    const live = known !== null && this.#engine.state.jobs.has(known.job);
    const end = known === null || live ? undefined : knownEnd(this.#sql, known.job);
    const now = this.#engine.now();
    const decision = this.#run<"submit">(submitCommand(submit, identity.role === "instructor", key, end), (made) => {
      if (made.ok && !made.result.repeated) insertJob(this.#sql, { submit, seq: made.result.seq, number: submit.front ? -made.result.seq : made.result.seq, state: "waiting", now });
    });
    if (!decision.ok) return refused(decision, decision.reason === "seat_queue_full" || decision.reason === "queue_full" ? retryAfterSeconds(this.#forecast(now), this.#engine.state, submit.seat, now) : undefined);
    return { ok: true, job: decision.result.job, number: decision.result.repeated && known ? known.number : submit.front ? -decision.result.seq : decision.result.seq, repeated: decision.result.repeated };
  }

  queueRemaining(seat: string): number {
    return this.#remaining(seat);
  }

  queueBody(seat: string, ifNoneMatch: string | null): door.Validated {
    return this.#validated(seat, "queue", "", ifNoneMatch, () => queueBody(this.#sql, seat));
  }

  history(seat: string, query: { max_items: number | null; offset: number | null }, ifNoneMatch: string | null): door.Validated {
    return this.#validated(seat, "history", `${query.max_items ?? ""}.${query.offset ?? ""}`, ifNoneMatch, () => historyBody(this.#sql, seat, query));
  }

  historyEntry(seat: string, job: string): string {
    return historyEntryBody(this.#sql, seat, job);
  }

  deleteHistory(seat: string, jobs: string[] | "all"): void {
    this.#sql.transaction(() => {
      if (forgetHistory(this.#sql, seat, jobs) > 0) raiseSeatRevision(this.#sql, seat);
    });
  }

  jobs(seat: string, query: door.JobsQuery, ifNoneMatch: string | null): { etag: string; rows: door.JobRow[] | null; total: number } {
    const etag = this.#etag(seat, "jobs", JSON.stringify(query));
    return ifNoneMatch === etag ? { etag, rows: null, total: 0 } : { etag, ...jobPage(this.#sql, seat, query) };
  }

  jobDetail(seat: string, job: string): door.JobDetail | null {
    return jobDetail(this.#sql, seat, job);
  }

  cancel(seat: string, jobs: string[]): door.CancelAnswer[] {
    return jobs.map((job) => {
      const decision = this.#run<"cancel">({ type: "cancel", job, seat, known: knownEnd(this.#sql, job) });
      return decision.ok ? decision.result.answer : "not_found";
    });
  }

  removeWaiting(seat: string, jobs: string[] | "all"): door.CancelAnswer[] {
    if (jobs === "all") {
      const decision = this.#run<"clear">({ type: "clear", seat, instructor: false });
      return decision.ok ? decision.result.removed.map(() => "removed_waiting") : [];
    }
    const decision = this.#run<"delete">({ type: "delete", seat, ids: jobs });
    const removed = new Set(decision.ok ? decision.result.removed : []);
    return jobs.map((job) => (removed.has(job) ? "removed_waiting" : "not_found"));
  }

  interrupt(seat: string, job: string | null): door.CancelAnswer[] {
    const decision = this.#run<"interrupt">(job === null ? { type: "interrupt", seat } : { type: "interrupt", seat, job });
    return decision.ok ? decision.result.stopping.map(() => "stopping") : [];
  }

  seatLog(seat: string): { t: string; m: string }[] {
    return readSeatLog(this.#sql, seat);
  }

  // ---- a seat's settings and files --------------------------------------------------------------------------------------------------
  settings(seat: string): Record<string, unknown> {
    return readSettings(this.#sql, seat);
  }

  putSettings(seat: string, values: Record<string, unknown>): void {
    this.#sql.transaction(() => writeSettings(this.#sql, seat, values));
  }

  putInput(input: door.NewInput): door.Answer<door.InputStored> {
    return { ok: true, ...this.#sql.transaction(() => storeInput(this.#sql, input, `f_${crypto.randomUUID()}`, this.#engine.now())) };
  }

  resolveFile(seat: string, name: FileName): door.StoredFile | null {
    return findFile(this.#sql, seat, name);
  }

  listFiles(seat: string, type: StorageType, subfolder: string | null): door.StoredFile[] {
    return listFiles(this.#sql, seat, type, subfolder);
  }

  once(seat: string, key: string): boolean {
    return markOnce(this.#sql, seat, key);
  }

  // ---- catalogs and runners ----------------------------------------------------------------------------------------------------------
  setCatalog(pool: string, digest: string, summary: { comfyui_version: string }): void {
    this.#sql.all(
      "INSERT INTO catalogs (pool, digest, reported, comfyui_version) VALUES (?, ?, ?, ?) ON CONFLICT (pool) DO UPDATE SET digest = excluded.digest, reported = excluded.reported, comfyui_version = excluded.comfyui_version",
      pool, digest, this.#engine.now(), summary.comfyui_version,
    );
  }

  catalogs(): door.PoolCatalog[] {
    return this.#sql.all("SELECT pool, digest, reported FROM catalogs ORDER BY reported DESC").map((row) => ({ pool: text(row, "pool"), digest: text(row, "digest"), reported: integer(row, "reported") }));
  }

  async claim(ref: door.AttemptRef, claim: ClaimRequest, baseUrl: string): Promise<door.Answer<{ claim: ClaimAnswer }>> {
    return await this.#desk.claim(ref, claim, baseUrl);
  }

  events(ref: door.AttemptRef, lease: string, events: RunnerEvent[], preview: { seq: number; frame: ArrayBuffer } | null): door.Answer<{ ack: number; cancel: boolean; lease_ttl_s: number }> {
    if (preview) this.#protocol.preview(ref, lease, new Uint8Array(preview.frame));
    return this.#protocol.events(ref, lease, events);
  }

  grantUploads(ref: door.AttemptRef, lease: string, files: UploadFile[]): door.Answer<door.UploadGrant> {
    return this.#protocol.grantUploads(ref, lease, files);
  }

  commitFiles(ref: door.AttemptRef, lease: string, files: door.CommitFile[]): door.Answer<{ files: (FileName & { file_id: string })[] }> {
    return this.#protocol.commitFiles(ref, lease, files);
  }

  result(ref: door.AttemptRef, result: RunResult): door.Answer<{ status: "accepted" | "already" }> {
    return this.#protocol.result(ref, result);
  }

  async next(pool: string, request: { runner: ClaimRequest["runner"]; catalog_digest?: string; wait_ms: number; base_url: string }): Promise<door.Answer<{ work: Work | null; want_catalog: boolean }>> {
    const work = await this.#runners.poll(pool, { runner: request.runner, catalog_digest: request.catalog_digest }, request.wait_ms, request.base_url);
    return { ok: true, work, want_catalog: !this.#desk.knowsCatalog(pool, request.catalog_digest) };
  }

  // ---- sockets -----------------------------------------------------------------------------------------------------------------------
  override fetch(request: Request): Response {
    const header = (name: keyof typeof SOCKET_HEADERS): string => request.headers.get(SOCKET_HEADERS[name]) ?? "";
    if (this.#meta("workshop") === null) return new Response("There is no such workshop.", { status: 404 });
    const { 0: client, 1: server } = new WebSocketPair();
    switch (header("kind")) {
      case "seat":
        this.#seats.enter(server, header("seat"), decodeURIComponent(header("client")));
        break;
      case "runner":
        this.#sockets.accept<RunnerSocket>(server, (order) => ({ kind: "runner", pool: header("pool"), order, runner: null, base_url: header("origin"), waiting: false, lease: null, job: null, attempt: 0, since: Date.now() }));
        break;
      case "dashboard":
        this.#sockets.accept<DashboardSocket>(server, (order) => ({ kind: "dashboard", order }));
        break;
      default:
        return new Response("This door takes a known kind of socket.", { status: 400 });
    }
    return new Response(null, { status: 101, webSocket: client });
  }

  override webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): void {
    const at = this.#sockets.read(socket);
    if (at.kind === "seat") this.#seats.message(socket, at, message);
    else if (at.kind === "runner") this.#runners.message(socket, at, message);
  }

  override webSocketClose(socket: WebSocket, code: number): void {
    const at = this.#sockets.read(socket);
    // 1005, 1006 and 1015 are words of the protocol's own and may not be sent.
    socket.close(code === 1005 || code === 1006 || code === 1015 ? 1000 : code);
    if (at.kind === "runner") this.#runners.count(at.pool, socket);
  }

  override webSocketError(socket: WebSocket): void {
    const at = this.#sockets.read(socket);
    if (at.kind === "runner") this.#runners.count(at.pool, socket);
  }

  /** Places and times of waiting jobs, run forward at most once a second [Q76]. */
  #forecast(now: number): ReturnType<typeof forecast> {
    if (now - this.#forecasted.at >= 1000) this.#forecasted = { at: now, jobs: forecast(this.#engine.state, now) };
    return this.#forecasted.jobs;
  }

  // ---- small things ------------------------------------------------------------------------------------------------------------------
  #remaining(seat: string): number {
    return integer(this.#sql.all("SELECT count(*) AS n FROM jobs WHERE seat = ? AND ended IS NULL", seat)[0] ?? {}, "n");
  }

  #etag(seat: string, kind: string, query: string): string {
    return `"${kind}-${seatRevision(this.#sql, seat)}-${query.replaceAll(/[^\w.,:-]/g, "")}"`;
  }

  #validated(seat: string, kind: string, query: string, ifNoneMatch: string | null, body: () => string): door.Validated {
    const etag = this.#etag(seat, kind, query);
    return { etag, body: ifNoneMatch === etag ? null : body() };
  }

  #poolSetup(pool: string): door.PoolSetup | null {
    const value = this.#meta(`pool:${pool}`);
    return value === null ? null : (JSON.parse(value) as door.PoolSetup);
  }

  #made(): door.Refusal | null {
    return this.#meta("workshop") === null ? { ok: false, reason: "no_such_workshop", message: "There is no such workshop. An operator creates it first." } : null;
  }

  #meta(key: string): string | null {
    const row = this.#sql.all("SELECT value FROM meta WHERE key = ?", key)[0];
    return row ? text(row, "value") : null;
  }

  #setMeta(key: string, value: string): void {
    this.#sql.all("INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", key, value);
  }
}
