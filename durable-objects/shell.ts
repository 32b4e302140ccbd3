// The shell around the queue: load -> decide -> commit -> effects, and the parts it is made of. The object's doors (seat-door, operator-door, ...) use it.
// Invariants: state first, frames and calls after the commit [Q6]; what was asked of the alarm is never later than the next moment something falls due [CF11].
import type { Refusal, PoolSetup, Role } from "./contract.ts";
import { Dispatcher, POLL_MS } from "./dispatcher.ts";
import { Engine, type Step } from "./engine.ts";
import { Gpus } from "./gpu/gpus.ts";
import { Gathering } from "./gathering.ts";
import { type Delivered, JobKeeper } from "./job-keeper.ts";
import { LogFeed } from "./log-feed.ts";
import { migrate } from "./migrations.ts";
import { type BatchAnswer, type Command, type CommandType, type Decision, type Effect, effectsDue, nextWake, type Results } from "./queue/index.ts";
import { PoolProviders } from "./pool-providers.ts";
import { Room } from "./room.ts";
import { RunRelay } from "./run-relay.ts";
import { RunnerDesk } from "./runner-desk.ts";
import { type Hand, RunnerHall } from "./runner-hall.ts";
import { RunnerProtocol } from "./runner-protocol.ts";
import { SeatHall } from "./seat-hall.ts";
import { SeatRevisions, trimSeatLogs } from "./seat-store.ts";
import { Sockets } from "./sockets.ts";
import { objectSql, type Sql, text } from "./sql.ts";
import { Sweeper } from "./sweeper.ts";
import type { Forecasts } from "./place-view.ts";

/** ms within which another wake does for the sweeper too. */
const SWEEP_SLACK_MS = 60_000;

export class Shell {
  /** Roles by seat, as read; cleared when somebody changes seats. */
  readonly roles = new Map<string, Role>();
  readonly ctx: DurableObjectState;
  readonly sql: Sql;
  readonly engine: Engine;
  readonly sockets: Sockets;
  readonly logs: LogFeed;
  readonly relay: RunRelay;
  readonly desk: RunnerDesk;
  readonly protocol: RunnerProtocol;
  readonly runners: RunnerHall;
  readonly providers: PoolProviders;
  readonly dispatcher: Dispatcher;
  readonly gpus: Gpus;
  readonly seats: SeatHall;
  readonly room: Room;
  readonly revisions = new SeatRevisions();
  readonly gathering: Gathering;
  readonly #keeper: JobKeeper;
  readonly #sweeper: Sweeper;
  readonly #setups = new Map<string, PoolSetup>();
  readonly #meta = new Map<string, string>();
  #armed: number | null = null;

  constructor(ctx: DurableObjectState, env: Env) {
    this.ctx = ctx;
    this.sql = objectSql(ctx.storage);
    migrate(this.sql);
    this.engine = new Engine(this.sql, () => Date.now());
    const remaining = (seat: string): number => this.remaining(seat);
    const now = (): number => this.engine.now();
    const workshop = (): string => this.meta("workshop") ?? "";
    const run = <T extends CommandType>(command: Extract<Command, { type: T }>, record?: (decision: Decision<T>) => void, delivered?: readonly Delivered[]): Decision<T> => this.run(command, record, delivered);
    this.sockets = new Sockets(ctx, remaining);
    this.logs = new LogFeed(this.sql, this.sockets);
    this.relay = new RunRelay(this.sql, this.sockets);
    this.#keeper = new JobKeeper(this.sql, this.relay, this.sockets, this.logs, this.revisions, workshop);
    this.gathering = new Gathering({ sync: () => ctx.storage.sync(), run });
    this.desk = new RunnerDesk({ sql: this.sql, engine: this.engine, relay: this.relay, env, workshop, run, sharedKey: (pool) => this.poolSetup(pool)?.shared_key });
    this.protocol = new RunnerProtocol({ sql: this.sql, desk: this.desk, relay: this.relay, logs: this.logs, run, now, workshop });
    this.runners = new RunnerHall({ sockets: this.sockets, engine: this.engine, desk: this.desk, protocol: this.protocol, run, gather: (entry) => this.gathering.enter(entry), poolSetup: (pool) => this.poolSetup(pool), touch: () => this.room.touch() });
    this.providers = new PoolProviders({ env, setup: (pool) => this.poolSetup(pool), pool: (pool) => this.engine.state.pools.get(pool) });
    this.dispatcher = new Dispatcher({
      sql: this.sql, engine: this.engine, desk: this.desk, protocol: this.protocol, providers: this.providers, run,
      baseUrl: () => this.baseUrl(env),
      detached: (pool) => this.poolSetup(pool)?.provider === "local",
      pollMs: Number((env as { PROVIDER_POLL_MS?: string }).PROVIDER_POLL_MS) || POLL_MS,
      keep: (work) => ctx.waitUntil(work),
      complain: (event, error) => this.complain(event, error),
      rearm: () => this.#arm(),
    });
    this.room = new Room({ sql: this.sql, engine: this.engine, sockets: this.sockets, run, meta: (key) => this.meta(key), complain: (event, error) => this.complain(event, error) });
    this.seats = new SeatHall({ sql: this.sql, sockets: this.sockets, relay: this.relay, remaining, now, listens: (seat, client) => this.logs.listens(seat, client), greet: (socket, at) => this.room.greet(socket, at) });
    this.#sweeper = new Sweeper({ sql: this.sql, bucket: env.FILES, now, rearm: () => this.#arm(), complain: (event, error) => this.complain(event, error) });
    this.gpus = new Gpus(this);
    // What was committed before a restart may never have been sent; each of these may safely be done again.
    for (const effect of effectsDue(this.engine.state)) this.#effect(effect);
    this.#arm();
  }

  /**
   * Decides, commits (with `record` in the same transaction), tells the pages, sets effects going. A dispatch that finds a runner waiting is claimed for it
   * in the same transaction. Throws only when the database does.
   */
  run<T extends CommandType>(command: Extract<Command, { type: T }>, record: (decision: Decision<T>) => void = () => undefined, delivered: readonly Delivered[] = []): Decision<T> {
    const now = this.engine.now();
    const made: Decision[] = [];
    const hands: Hand[] = [];
    const note = (decision: Decision): void => {
      made.push(decision);
      this.#keeper.record(decision, now, delivered);
      this.room.record(decision, now);
    };
    let decision: Decision<T>;
    try {
      decision = this.engine.run<T>(command, (first) => (record(first), note(first)), (last) => this.#claims(last, hands, note));
    } catch (error) {
      for (const hand of hands) this.runners.letGo(hand);
      this.#keeper.drop();
      this.relay.reset();
      throw error;
    }
    this.#keeper.tell();
    for (const one of made.length > 0 ? made : [decision]) this.#after(one, hands);
    this.#arm();
    return decision;
  }

  /** The claims of waiting runners for what has just been dispatched, as one more command; null when nobody waits for any of it. */
  #claims(decision: Decision, hands: Hand[], note: (decision: Decision) => void): Step | null {
    const found = decision.effects.flatMap((effect) => (effect.type === "dispatch" && this.#pulls(effect.pool) ? [this.runners.hand(effect)] : [])).filter((hand) => hand !== null);
    const [first] = found;
    if (first === undefined) return null;
    hands.push(...found);
    const command: Command = found.length === 1 ? first.claim : { type: "batch", commands: found.map(({ claim }) => claim) };
    const record = (made: Decision): void => {
      const answers = found.length === 1 ? [made] : made.ok ? (made.result as BatchAnswer[]) : [];
      for (const [n, hand] of found.entries()) this.#grant(hand, answers[n]);
      note(made);
    };
    return { command, record };
  }

  #grant(hand: Hand, answer: BatchAnswer | undefined): void {
    if (!answer?.ok) return this.runners.letGo(hand);
    const { lease, ttl } = answer.result as Results["claim"];
    hand.granted = { lease, ttl, dispatchId: this.desk.granted(hand.offer, { runner: hand.at.runner }, lease) };
  }

  /** What a committed decision sets going. */
  #after(decision: Decision, hands: readonly Hand[]): void {
    this.room.tell(decision);
    this.gpus.heard(decision.events);
    for (const effect of decision.effects) {
      const hand = effect.type === "dispatch" ? hands.find(({ offer, granted }) => granted !== null && offer.job === effect.job && offer.attempt === effect.attempt) : undefined;
      if (hand) this.ctx.waitUntil(this.runners.fill(hand).catch((error: unknown) => this.complain("offer_failed", error)));
      else this.#effect(effect);
    }
  }

  /** Effects leave after the commit; what comes of them comes back as a command. */
  #effect(effect: Effect): void {
    switch (effect.type) {
      case "dispatch":
      case "hand_over_again":
        if (!this.#pulls(effect.pool)) return this.dispatcher.handOver(effect);
        this.ctx.waitUntil(this.runners.offer(effect).catch((error: unknown) => this.complain("offer_failed", error)));
        return;
      case "tell_runner":
        this.runners.tellRunner(effect.job, effect.attempt, effect.lease, effect.what);
        return;
      case "ask_status":
        // A pulling runner has no provider to ask: its socket and its lease say everything.
        if (!this.#pulls(effect.pool)) this.dispatcher.askStatus(effect);
        return;
      case "provider_cancel":
        this.dispatcher.takeBack(effect);
        return;
    }
  }

  #pulls(pool: string): boolean {
    const provider = this.poolSetup(pool)?.provider;
    return provider === undefined || provider === "pull";
  }

  /** Where runners of this workshop call [G5]: the address an operator last reached this server by, or the variable PUBLIC_URL. */
  baseUrl(env: object): string | null {
    const fixed = (env as { PUBLIC_URL?: unknown }).PUBLIC_URL;
    const origin = typeof fixed === "string" && fixed !== "" ? fixed.replace(/\/+$/, "") : this.meta("origin");
    return origin === null ? null : `${origin}/runner/v1/${this.meta("workshop") ?? ""}`;
  }

  complain(event: string, error: unknown): void {
    console.error(JSON.stringify({ event, workshop: this.meta("workshop"), revision: this.engine.revision, error: error instanceof Error ? error.message : String(error) }));
  }

  /** Arms the alarm no later than the next moment something falls due; an early alarm finds nothing and arms again. */
  #arm(): void {
    const soon = earliest(nextWake(this.engine.state, this.engine.now()), this.dispatcher.nextWake(), this.gpus.nextWake());
    // Sweeping is in no hurry: it is asked about only when nothing else wakes the object anyway.
    const wake = soon !== null && soon < this.engine.now() + SWEEP_SLACK_MS ? soon : earliest(soon, this.#sweeper.wake());
    if (wake === null || (this.#armed !== null && this.#armed <= wake && this.#armed > this.engine.now())) return;
    this.#armed = wake;
    void this.ctx.storage.setAlarm(wake);
  }

  /** To be called after rows were written that the alarm is to look at. */
  rearm(): void {
    this.#arm();
  }

  /** The alarm's work; never throws and always arms the next wake. */
  alarm(): void {
    this.#armed = null;
    try {
      this.run<"tick">({ type: "tick" });
      for (const pool of this.engine.state.pools.keys()) {
        this.runners.release(pool);
        this.runners.count(pool);
      }
      this.dispatcher.tick();
      this.gpus.tick();
      trimSeatLogs(this.sql);
      this.room.keepLog();
      this.ctx.waitUntil(this.#sweeper.run());
    } catch (error) {
      this.complain("tick_failed", error);
    } finally {
      this.#arm();
    }
  }

  /** Places and times of waiting jobs, run forward at most once a second [Q76]. */
  forecast(): Forecasts {
    return this.room.places.forecasts();
  }

  /** Waiting and running jobs of a seat: ComfyUI's `queue_remaining`. */
  remaining(seat: string): number {
    return this.#keeper.remaining(seat);
  }

  poolSetup(pool: string): PoolSetup | null {
    const known = this.#setups.get(pool);
    if (known) return known;
    const value = this.meta(`pool:${pool}`);
    const setup = value === null ? null : (JSON.parse(value) as PoolSetup);
    if (setup) this.#setups.set(pool, setup);
    return setup;
  }

  /** The refusal every door gives while nobody has created this workshop, or null. */
  missing(): Refusal | null {
    return this.meta("workshop") === null ? { ok: false, reason: "no_such_workshop", message: "There is no such workshop. An operator creates it first." } : null;
  }

  meta(key: string): string | null {
    const known = this.#meta.get(key);
    if (known !== undefined) return known;
    const row = this.sql.all("SELECT value FROM meta WHERE key = ?", key)[0];
    const value = row ? text(row, "value") : null;
    if (value !== null) this.#meta.set(key, value);
    return value;
  }

  setMeta(key: string, value: string): void {
    this.#meta.delete(key);
    if (key.startsWith("pool:")) this.#setups.delete(key.slice(5));
    this.sql.all("INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", key, value);
  }
}

function earliest(...moments: (number | null)[]): number | null {
  const known = moments.filter((moment) => moment !== null);
  return known.length === 0 ? null : Math.min(...known);
}
