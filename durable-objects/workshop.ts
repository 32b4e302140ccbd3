// The workshop object: RPC methods (those of a seat are in seat-rpc.ts) and socket handlers, each handed on to the door it belongs to. Everything with a
// thought in it lives there.
import type { ClaimAnswer, ClaimRequest, FileName, RunnerEvent, RunResult, UploadFile, Work } from "../gpu-adapter/contract.ts";
import type * as door from "./contract.ts";
import { SOCKET_HEADERS } from "./contract.ts";
import { InstructorDoor } from "./instructor-door.ts";
import type * as steer from "./instructor-contract.ts";
import { logPage } from "./log-store.ts";
import { OperatorDoor } from "./operator-door.ts";
import { SeatRpc } from "./seat-rpc.ts";
import { GpuDoor } from "./gpu/door.ts";
import type * as gpu from "./gpu-contract.ts";
import { Shell } from "./shell.ts";
import type { AttemptSocket, RunnerSocket } from "./sockets.ts";
import { integer, text } from "./sql.ts";

export class Workshop extends SeatRpc {
  readonly #shell: Shell;
  readonly #operator: OperatorDoor;
  readonly #gpu: GpuDoor;
  readonly #instructor: InstructorDoor;

  constructor(ctx: DurableObjectState, env: Env) {
    const shell = new Shell(ctx, env);
    super(ctx, env, shell);
    this.#shell = shell;
    this.#operator = new OperatorDoor(this.#shell);
    this.#gpu = new GpuDoor(this.#shell);
    this.#instructor = new InstructorDoor(this.#shell);
  }

  override alarm(): void {
    this.#shell.alarm();
  }

  // ---- operator and identity ---------------------------------------------------------------------------------------------------------
  create(setup: door.WorkshopSetup): door.Answer<{ created: boolean }> {
    return this.#operator.create(setup);
  }

  putSeats(seats: door.SeatCredential[]): door.Answer<{ added: string[]; changed: string[] }> {
    return this.#operator.putSeats(seats);
  }

  putPool(pool: door.PoolSetup, origin?: string): door.Answer<object> {
    return this.#operator.putPool(pool, origin);
  }

  poolKey(pool: string, shared?: string): door.Answer<{ key: string }> {
    return this.#operator.poolKey(pool, shared);
  }

  seatIds(): door.Answer<{ title: string; seats: { seat: string; role: door.Role }[] }> {
    return this.#operator.seatIds();
  }

  identity(seat: string): door.Answer<{ identity: door.SeatIdentity }> {
    return this.#operator.identity(seat);
  }

  health(): door.Answer<{ health: door.Health }> {
    return this.#operator.health();
  }

  /** A page of the event log, as lines of JSON; see log-store.ts. */
  logPage(since: number, cursor: string | null): door.Answer<{ lines: string; next: string | null }> {
    const { sql, engine } = this.#shell;
    const missing = this.#shell.missing();
    if (missing) return missing;
    const page = logPage(sql, engine.state, { workshop: this.#shell.meta("workshop") ?? "", revision: engine.revision }, since, cursor);
    return page.ok ? page : { ok: false, reason: "gone", message: `The log no longer reaches back to revision ${since}: it begins at ${page.oldest}. Ask without since for a base and everything after it.` };
  }

  // ---- the instructor ----------------------------------------------------------------------------------------------------------------
  instruct(by: string, instruction: steer.Instruction): door.Answer<{ done: steer.Done }> {
    return this.#instructor.instruct(by, instruction);
  }

  undo(by: string, id: string): door.Answer<{ done: steer.Done }> {
    return this.#instructor.undo(by, id);
  }

  searchJobs(search: steer.JobSearch): door.Answer<{ page: steer.JobPage }> {
    return this.#instructor.searchJobs(search);
  }

  jobStory(job: string): door.Answer<{ story: steer.JobStory }> {
    return this.#instructor.jobStory(job);
  }

  overview(): door.Answer<{ revision: number; at: number; overview: steer.Overview }> {
    return this.#instructor.overview();
  }

  audit(search: steer.AuditSearch): door.Answer<{ rows: steer.AuditRow[]; next: number | null }> {
    return this.#instructor.audit(search);
  }

  // ---- catalogs and runners ----------------------------------------------------------------------------------------------------------
  setCatalog(pool: string, digest: string, summary: { comfyui_version: string; offers?: string[] }): void {
    if (summary.offers !== undefined) this.#shell.run<"set_offers">({ type: "set_offers", pool, offers: summary.offers.sort() });
    this.#shell.sql.all(
      "INSERT INTO catalogs (pool, digest, reported, comfyui_version) VALUES (?, ?, ?, ?) ON CONFLICT (pool) DO UPDATE SET digest = excluded.digest, reported = excluded.reported, comfyui_version = excluded.comfyui_version",
      pool, digest, this.#shell.engine.now(), summary.comfyui_version,
    );
  }

  catalogs(): door.PoolCatalog[] {
    const all = this.#shell.sql.all("SELECT pool, digest, reported FROM catalogs ORDER BY reported DESC").map((row) => ({ pool: text(row, "pool"), digest: text(row, "digest"), reported: integer(row, "reported") }));
    // A pool that was taken out of the chain has no say any more, unless nobody else has: the last report serves.
    const present = all.filter(({ pool }) => this.#shell.engine.state.pools.get(pool)?.removed === false);
    return present.length > 0 ? present : all;
  }

  expectedCatalog(ref: door.AttemptRef): { pool: string; digest: string } | null {
    return this.#shell.desk.expectedCatalog(ref);
  }

  async claim(ref: door.AttemptRef, claim: ClaimRequest, baseUrl: string): Promise<door.Answer<{ claim: ClaimAnswer }>> {
    const answer = await this.#shell.desk.claim(ref, claim, baseUrl);
    if (answer.ok) this.#shell.gpus.claimed(ref, claim.runner);
    return answer;
  }

  events(ref: door.AttemptRef, lease: string, events: RunnerEvent[], preview: { seq: number; frame: ArrayBuffer } | null): door.Answer<{ ack: number; cancel: boolean; lease_ttl_s: number }> {
    if (preview) this.#shell.protocol.preview(ref, lease, new Uint8Array(preview.frame));
    return this.#shell.protocol.events(ref, lease, events);
  }

  grantUploads(ref: door.AttemptRef, lease: string, files: UploadFile[]): door.Answer<door.UploadGrant> {
    return this.#shell.protocol.grantUploads(ref, lease, files);
  }

  commitFiles(ref: door.AttemptRef, lease: string, files: door.CommitFile[]): door.Answer<{ files: (FileName & { file_id: string })[] }> {
    return this.#shell.protocol.commitFiles(ref, lease, files);
  }

  result(ref: door.AttemptRef, result: RunResult): door.Answer<{ status: "accepted" | "already" }> {
    const answer = this.#shell.protocol.result(ref, result);
    if (answer.ok) this.#shell.dispatcher.settled(ref);
    return answer;
  }

  async next(pool: string, request: { runner: ClaimRequest["runner"]; catalog_digest?: string; wait_ms: number; base_url: string }): Promise<door.Answer<{ work: Work | null; want_catalog: boolean }>> {
    const work = await this.#shell.runners.poll(pool, { runner: request.runner, catalog_digest: request.catalog_digest }, request.wait_ms, request.base_url);
    return { ok: true, work, want_catalog: !this.#shell.desk.knowsCatalog(pool, request.catalog_digest) };
  }

  // ---- GPUs --------------------------------------------------------------------------------------------------------------------------
  async gpus(ask: boolean): Promise<door.Answer<{ view: gpu.GpuView }>> {
    return await this.#gpu.gpus(ask);
  }

  poolNotes(limit: number, pool: string | null): door.Answer<{ notes: gpu.PoolNoteView[] }> {
    return this.#gpu.notes(limit, pool);
  }

  removePool(pool: string, by: string): door.Answer<object> {
    return this.#gpu.remove(pool, by);
  }

  setSlots(slots: number, by: string): door.Answer<object> {
    return this.#gpu.setSlots(slots, by);
  }

  setBudget(budget: number | null, by: string): door.Answer<object> {
    return this.#gpu.setBudget(budget, by);
  }

  warmPool(pool: string, replicas: number, until: number, by: string): door.Answer<{ says: string }> {
    return this.#gpu.warm(pool, replicas, until, by);
  }

  coolPool(pool: string, by: string): door.Answer<{ says: string }> {
    return this.#gpu.cool(pool, by);
  }

  async controlPool(pool: string, action: gpu.PoolAction): Promise<door.Answer<{ says: string }>> {
    return await this.#gpu.control(pool, action);
  }

  async poolLogs(pool: string, limit: number): Promise<door.Answer<{ lines: { at: string; line: string }[] }>> {
    return await this.#gpu.logs(pool, limit);
  }

  testPool(pool: string): door.Answer<{ test: gpu.TestView }> {
    return this.#gpu.test(pool);
  }

  poolTest(pool: string): door.Answer<{ test: gpu.TestView }> {
    return this.#gpu.look(pool);
  }

  // ---- sockets -----------------------------------------------------------------------------------------------------------------------
  override fetch(request: Request): Response {
    const header = (name: keyof typeof SOCKET_HEADERS): string => request.headers.get(SOCKET_HEADERS[name]) ?? "";
    if (this.#shell.meta("workshop") === null) return new Response("There is no such workshop.", { status: 404 });
    const { 0: client, 1: server } = new WebSocketPair();
    switch (header("kind")) {
      case "seat":
        this.#shell.seats.enter(server, header("seat"), decodeURIComponent(header("client")));
        this.#shell.room.touch();
        break;
      case "runner":
        this.#shell.sockets.accept<RunnerSocket>(server, (order) => ({ kind: "runner", pool: header("pool"), order, runner: null, base_url: header("origin"), waiting: false, lease: null, job: null, attempt: 0, since: Date.now() }));
        break;
      case "attempt":
        this.#shell.sockets.accept<AttemptSocket>(server, (order) => ({ kind: "attempt", job: header("job"), attempt: Number(header("attempt")), lease: "", order }));
        break;
      case "dashboard":
        this.#shell.room.dashboards.enter(server, header("since") === "" ? null : Number(header("since")));
        break;
      default:
        return new Response("This door takes a known kind of socket.", { status: 400 });
    }
    return new Response(null, { status: 101, webSocket: client });
  }

  override webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): void {
    const at = this.#shell.sockets.read(socket);
    if (at.kind === "seat") this.#shell.seats.message(socket, at, message);
    else if (at.kind === "runner") this.#shell.runners.message(socket, at, message);
    else if (at.kind === "attempt") this.#shell.runners.attemptMessage(socket, at, message);
  }

  override webSocketClose(socket: WebSocket, code: number): void {
    const at = this.#shell.sockets.read(socket);
    // 1005, 1006 and 1015 are words of the protocol's own and may not be sent.
    socket.close(code === 1005 || code === 1006 || code === 1015 ? 1000 : code);
    if (at.kind === "runner") this.#shell.runners.count(at.pool, socket);
    this.#shell.room.touch();
  }

  override webSocketError(socket: WebSocket): void {
    const at = this.#shell.sockets.read(socket);
    if (at.kind === "runner") this.#shell.runners.count(at.pool, socket);
  }
}
