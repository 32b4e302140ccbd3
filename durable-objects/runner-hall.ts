// Pulling runners: who is here, who waits for work, who gets which dispatch [G] 6.12. A runner is known by its socket (or its long poll);
// the pool has as many slots as runners are here, so a dispatch always finds a hand to take it.
import type { ClaimRequest, RunnerFrame, RunnerInfo, Work } from "../gpu-adapter/contract.ts";
import type { AttemptRef, PoolSetup } from "./contract.ts";
import type { Engine } from "./engine.ts";
import type { Entry } from "./gathering.ts";
import type { Attempt, CommandOf, Results } from "./queue/index.ts";
import type { Granted, RunnerDesk } from "./runner-desk.ts";
import { readFrame, tell } from "./runner-frames.ts";
import type { Run, RunnerProtocol } from "./runner-protocol.ts";
import type { AttemptSocket, RunnerSocket, Sockets } from "./sockets.ts";

/** A polling runner counts as present for this long after its last question (ms). */
const POLLER_PRESENT_MS = 60_000;

type Offer = { job: string; attempt: number; pool: string; claimBefore: number };
/** A runner that waits, and the dispatch it gets in the transaction that makes it. `granted` once its claim was accepted. */
export type Hand = { offer: Offer; socket: WebSocket; at: RunnerSocket & { runner: RunnerInfo }; claim: CommandOf<"claim">; granted: Granted | null };
type Poller = { pool: string; seen: number; request: ClaimRequest; baseUrl: string; answer: ((work: Promise<Work | null> | null) => void) | null };

export class RunnerHall {
  readonly #sockets: Sockets;
  readonly #engine: Engine;
  readonly #desk: RunnerDesk;
  readonly #protocol: RunnerProtocol;
  readonly #run: Run;
  readonly #poolSetup: (pool: string) => PoolSetup | null;
  readonly #gather: (entry: Entry) => void;
  readonly #touch: () => void;
  readonly #pollers = new Map<string, Poller>();
  /** Frames that came behind a result that is not decided yet, by socket: they are read after it. */
  readonly #behind = new Map<WebSocket, (string | ArrayBuffer)[]>();

  constructor(parts: { sockets: Sockets; engine: Engine; desk: RunnerDesk; protocol: RunnerProtocol; run: Run; gather: (entry: Entry) => void; poolSetup: (pool: string) => PoolSetup | null; /** a runner came, or stands otherwise than before */ touch: () => void }) {
    this.#sockets = parts.sockets;
    this.#engine = parts.engine;
    this.#desk = parts.desk;
    this.#protocol = parts.protocol;
    this.#run = parts.run;
    this.#gather = parts.gather;
    this.#poolSetup = parts.poolSetup;
    this.#touch = parts.touch;
  }

  /** A waiting runner for a dispatch that is being decided: whoever held its slot last, for its models are warm. It waits no longer from here on. */
  hand(offer: Offer): Hand | null {
    const chosen = this.#waiting(offer);
    if (!chosen) return null;
    const claim = this.#desk.claimCommand(offer, { runner: chosen.at.runner });
    this.#sockets.write(chosen.socket, { ...chosen.at, waiting: false, job: offer.job, attempt: offer.attempt, lease: claim.lease });
    return { offer, ...chosen, claim, granted: null };
  }

  /** The hand stays empty: nothing was committed, or its claim was refused. */
  letGo({ socket, at }: Hand): void {
    this.#sockets.write(socket, at);
  }

  /** After the commit: the work goes out. */
  async fill({ offer, socket, at, granted }: Hand): Promise<void> {
    if (granted === null) return;
    const work = await this.#desk.grantedWork(offer, { runner: at.runner }, at.base_url, granted);
    // What cannot be given, because its prompt is gone, is not the runner's fault: the lease runs out.
    if ("dispatch" in work) tell(socket, { type: "work", work });
    else this.#ask(socket, at, null);
  }

  #waiting(offer: Offer): { socket: WebSocket; at: RunnerSocket & { runner: RunnerInfo } } | undefined {
    const waiting = this.#sockets.runners(offer.pool).filter((one): one is { socket: WebSocket; at: RunnerSocket & { runner: RunnerInfo } } => one.at.waiting && one.at.runner !== null && one.socket.readyState === WebSocket.OPEN && !this.#keptAway(one.at.runner.id));
    const slot = this.#engine.state.attempts.get(`${offer.job}#${offer.attempt}`)?.slot;
    const familiar = slot === undefined ? null : (this.#engine.state.slots.get(slot)?.runner ?? null);
    return waiting.find(({ at }) => at.runner.id === familiar) ?? waiting[0];
  }

  /** Gives a committed dispatch to a waiting runner of its pool; without one it stays open until somebody asks. */
  async offer(offer: Offer): Promise<void> {
    const chosen = this.#waiting(offer);
    if (chosen) return await this.#handOver(chosen.socket, chosen.at, offer);
    for (const poller of this.#pollers.values()) {
      if (poller.pool !== offer.pool || !poller.answer || this.#keptAway(poller.request.runner.id)) continue;
      poller.answer(this.#workFor(poller, offer));
      return;
    }
  }

  async #workFor({ request, baseUrl }: Pick<Poller, "request" | "baseUrl">, offer: Offer): Promise<Work | null> {
    const work = await this.#desk.work(offer, request, baseUrl);
    return "dispatch" in work ? work : null;
  }

  /** [Q52] A runner in quarantine would be refused; it is offered nothing and has no slot. */
  #keptAway(runner: string): boolean {
    return (this.#engine.state.runners.get(runner)?.quarantinedUntil ?? 0) > this.#engine.now();
  }

  async #handOver(socket: WebSocket, at: RunnerSocket, offer: Offer): Promise<void> {
    if (!at.runner) return;
    this.#sockets.write(socket, { ...at, waiting: false, job: offer.job, attempt: offer.attempt, lease: null });
    const work = await this.#desk.work(offer, { runner: at.runner }, at.base_url).catch((error: unknown) => {
      this.#sockets.write(socket, { ...at, waiting: true, job: null, attempt: 0, lease: null });
      throw error;
    });
    if (!("dispatch" in work)) return this.#ask(socket, at, null);
    this.#sockets.write(socket, { ...at, waiting: false, job: offer.job, attempt: offer.attempt, lease: work.claim.lease_id });
    tell(socket, { type: "work", work });
  }

  /** A runner asks for work: the oldest open dispatch of its pool, or it waits. */
  #ask(socket: WebSocket, at: RunnerSocket, lost = this.#lostOnTheWay(at)): void {
    this.#sockets.write(socket, { ...at, waiting: true, job: null, attempt: 0, lease: null });
    this.#touch();
    this.count(at.pool);
    if (lost) return void this.#handOver(socket, at, lost);
    const open = this.#openDispatch(at.pool);
    if (open) void this.offer(open);
  }

  /** What this runner has claimed and asks beside: the frame with the work never reached it. The claim repeated gives the same again [Q52]. */
  #lostOnTheWay({ pool, runner }: Pick<RunnerSocket, "pool" | "runner">): Offer | null {
    if (!runner) return null;
    const held = [...this.#engine.state.attempts.values()].find((attempt) => attempt.pool === pool && attempt.lease?.runner === runner.id && this.#engine.state.jobs.get(attempt.job)?.state === "running");
    return held ? { job: held.job, attempt: held.number, pool, claimBefore: held.claimBefore } : null;
  }

  #openDispatch(pool: string): Offer | null {
    const open = [...this.#engine.state.attempts.values()].filter((attempt) => attempt.pool === pool && (attempt.state === "open" || attempt.state === "submitted" || attempt.reclaimUntil !== null));
    const first = open.sort((a, b) => a.serial - b.serial)[0];
    return first ? { job: first.job, attempt: first.number, pool, claimBefore: first.claimBefore } : null;
  }

  /** A text or binary message from a runner's pool socket. */
  message(socket: WebSocket, at: RunnerSocket, message: string | ArrayBuffer): void {
    const behind = this.#behind.get(socket);
    if (behind) return void behind.push(message);
    if (typeof message !== "string") {
      if (at.job !== null && at.lease !== null) this.#protocol.preview({ job: at.job, attempt: at.attempt }, at.lease, new Uint8Array(message).subarray(5));
      return;
    }
    const frame = readFrame(socket, message);
    if (frame !== null) this.#frame(socket, at, frame);
  }

  /** A message on an attempt's own events socket [G15]: hello names the lease, then events and previews as on a pool's socket. */
  attemptMessage(socket: WebSocket, at: AttemptSocket, message: string | ArrayBuffer): void {
    const ref: AttemptRef = { job: at.job, attempt: at.attempt };
    if (typeof message !== "string") return this.#protocol.preview(ref, at.lease, new Uint8Array(message).subarray(5));
    const frame = readFrame(socket, message);
    if (frame === null) return;
    if (frame.type === "event") return this.#event(socket, ref, frame);
    if (frame.type !== "hello" || frame.lease_id === undefined) return;
    if (!this.#desk.holder(ref, frame.lease_id).ok) return tell(socket, { type: "stale", lease_id: frame.lease_id, reason: "stale" });
    this.#sockets.write(socket, { ...at, lease: frame.lease_id });
    tell(socket, { type: "ack", lease_id: frame.lease_id, seq: this.#protocol.acknowledged(at.job) });
    if (this.#protocol.stopping(ref)) tell(socket, { type: "cancel", lease_id: frame.lease_id });
  }

  #event(socket: WebSocket, ref: AttemptRef, frame: RunnerFrame & { type: "event" }): void {
    const answer = this.#protocol.events(ref, frame.lease_id, [frame.event]);
    if (!answer.ok) return tell(socket, { type: "stale", lease_id: frame.lease_id, reason: answer.reason });
    if (frame.event.type !== "comfy" || frame.event.message.type === "executed") tell(socket, { type: "ack", lease_id: frame.lease_id, seq: answer.ack });
    if (frame.event.type === "heartbeat") tell(socket, { type: "lease", lease_id: frame.lease_id, lease_ttl_s: answer.lease_ttl_s });
    if (answer.cancel) tell(socket, { type: "cancel", lease_id: frame.lease_id });
  }

  #frame(socket: WebSocket, at: RunnerSocket, frame: RunnerFrame): void {
    switch (frame.type) {
      case "hello":
        return this.#hello(socket, at, frame);
      case "next":
        return this.#ask(socket, at);
      case "event":
        return this.#event(socket, this.#refOf(socket, at, frame.lease_id), frame);
      case "result":
        return this.#result(socket, frame);
    }
  }

  /** A result is decided together with whatever else arrives meanwhile; the work that takes its place is claimed in the same transaction. */
  #result(socket: WebSocket, frame: RunnerFrame & { type: "result" }): void {
    this.#behind.set(socket, []);
    let present = false;
    const done = (status: "accepted" | "already" | "stale" | "conflict"): void => {
      tell(socket, { type: "result_ack", job_id: frame.job_id, attempt: frame.attempt, status });
      const now = this.#sockets.read(socket) as RunnerSocket;
      if (present && now.waiting) this.#ask(socket, now);
      this.#readOn(socket);
    };
    this.#gather({
      prepare: () => {
        const at = this.#sockets.read(socket) as RunnerSocket;
        // Waiting first: the slot that this result frees may be filled by the same decision, and this runner is to get it.
        // A result that comes again while the runner has other work says nothing about that work.
        present = at.job === null || (at.job === frame.job_id && at.attempt === frame.attempt);
        if (present) this.#sockets.write(socket, { ...at, waiting: frame.next, job: null, attempt: 0, lease: null });
        const ending = this.#protocol.ending({ job: frame.job_id, attempt: frame.attempt }, frame.result);
        if (ending === null) done("already");
        return ending && { ...ending, done: (answer) => done(answer.ok ? (answer.result as Results["result"]).answer : answer.reason === "conflict" ? "conflict" : "stale") };
      },
      // Nothing was decided and nothing is acknowledged: the runner sends it again.
      failed: () => this.#readOn(socket),
    });
  }

  #readOn(socket: WebSocket): void {
    const behind = this.#behind.get(socket) ?? [];
    this.#behind.delete(socket);
    for (const message of behind) this.message(socket, this.#sockets.read(socket) as RunnerSocket, message);
  }

  /** The attempt this lease holds, whatever the socket was last known for; a lease that holds nothing is refused by who is asked next [Q53]. */
  #refOf(socket: WebSocket, at: RunnerSocket, lease: string): AttemptRef {
    if (at.job !== null && at.lease === lease) return { job: at.job, attempt: at.attempt };
    const held = this.#heldBy(lease);
    if (held === undefined) return { job: "", attempt: 0 };
    this.#sockets.write(socket, { ...at, waiting: false, job: held.job, attempt: held.number, lease });
    return { job: held.job, attempt: held.number };
  }

  #heldBy(lease: string): Attempt | undefined {
    return [...this.#engine.state.attempts.values()].find((attempt) => attempt.lease?.id === lease);
  }

  #hello(socket: WebSocket, at: RunnerSocket, frame: RunnerFrame & { type: "hello" }): void {
    for (const other of this.#sockets.runners(at.pool)) {
      if (other.socket !== socket && other.at.runner?.id === frame.runner.id) other.socket.close(4000, "a newer connection of this runner");
    }
    const held = frame.lease_id === undefined ? undefined : this.#heldBy(frame.lease_id);
    const { stage = null, missing = [] } = frame;
    this.#sockets.write(socket, { ...at, runner: frame.runner, waiting: false, stage, missing, job: held?.job ?? null, attempt: held?.number ?? 0, lease: held ? (frame.lease_id ?? null) : null });
    this.#run<"runner_seen">({ type: "runner_seen", runner: frame.runner.id, pool: at.pool });
    this.#touch();
    this.count(at.pool);
    tell(socket, { type: "welcome", want_catalog: !this.#desk.knowsCatalog(at.pool, frame.catalog_digest) });
    if (frame.lease_id === undefined) return;
    if (!held) return tell(socket, { type: "stale", lease_id: frame.lease_id, reason: "stale" });
    tell(socket, { type: "ack", lease_id: frame.lease_id, seq: this.#protocol.acknowledged(held.job) });
    if (this.#protocol.stopping({ job: held.job, attempt: held.number })) tell(socket, { type: "cancel", lease_id: frame.lease_id });
  }

  /** Long poll: answers with work as soon as there is some, or null when `waitMs` is over. */
  async poll(pool: string, request: ClaimRequest, waitMs: number, baseUrl: string): Promise<Work | null> {
    const poller: Poller = { pool, seen: this.#engine.now(), request, baseUrl, answer: null };
    this.#pollers.get(request.runner.id)?.answer?.(null);
    this.#pollers.set(request.runner.id, poller);
    this.count(pool);
    const lost = this.#lostOnTheWay({ pool, runner: request.runner });
    if (lost) return await this.#workFor(poller, lost);
    const open = this.#openDispatch(pool);
    return await new Promise<Work | null>((resolve) => {
      const timer = setTimeout(() => finish(null), waitMs);
      const finish = (work: Promise<Work | null> | null): void => {
        clearTimeout(timer);
        poller.answer = null;
        resolve(work);
      };
      poller.answer = finish;
      if (open) void this.offer(open);
    });
  }

  /** Says down an attempt's socket what its runner must know now. */
  tellRunner(job: string, attempt: number, lease: string, what: "cancel" | "evicted"): void {
    for (const socket of this.#sockets.attempt(job, attempt)) tell(socket, what === "cancel" ? { type: "cancel", lease_id: lease } : { type: "stale", lease_id: lease, reason: "evicted" });
  }

  /** After time went by: a runner whose attempt ran out is told so. It drops the run, or, when the work never reached it, asks again. */
  release(pool: string): void {
    for (const { socket, at } of this.#sockets.runners(pool)) {
      if (at.lease === null || this.#heldBy(at.lease) !== undefined) continue;
      this.#sockets.write(socket, { ...at, job: null, attempt: 0, lease: null });
      tell(socket, { type: "stale", lease_id: at.lease, reason: "stale" });
    }
  }

  /**
   * Slots of a pulling pool follow the runners that take work: those that asked for it or have it. One that is connected and still starting its
   * ComfyUI has no slot, so no dispatch waits for it until it expires.
   */
  count(pool: string, gone?: WebSocket): void {
    const setup = this.#poolSetup(pool);
    if (setup?.provider !== "pull") return;
    const now = this.#engine.now();
    const here = new Set(this.#sockets.runners(pool).filter(({ socket, at }) => socket !== gone && at.runner !== null && !this.#keptAway(at.runner.id) && (at.waiting || at.job !== null)).map(({ at }) => at.runner?.id));
    for (const [id, poller] of this.#pollers) {
      if (this.#keptAway(id)) continue;
      if (poller.answer || now - poller.seen < POLLER_PRESENT_MS) here.add(id);
      else this.#pollers.delete(id);
    }
    const slots = Math.min(setup.max_in_flight, here.size);
    if (this.#engine.state.pools.get(pool)?.maxInFlight !== slots) this.#run<"set_max_in_flight">({ type: "set_max_in_flight", pool, maxInFlight: slots });
  }
}
