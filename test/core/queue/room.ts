// A workshop at the bench: short words for commands, a clock in seconds, and a check of every decision against the rows it leaves.

import { expect } from "vitest";
import { decide, defaultPool, emptyRows, restore, rowsOf } from "../../../durable-objects/queue/index.ts";
import type { Attempt, Command, Decision, Job, Known, Mode, Params, PoolConfig, QueueEvent, QueueState, Refusal, ResultOf, Rows, Submit, Terminal } from "../../../durable-objects/queue/index.ts";

export interface RoomOptions {
  slots?: number;
  pools?: Partial<PoolConfig>[];
  mode?: Mode;
  params?: Partial<Params>;
}

export function pool(overrides: Partial<PoolConfig> = {}): PoolConfig {
  return { ...defaultPool, id: "gpu", ...overrides };
}

/** Rows without what is derived: `profile` everywhere, and estimates of waiting jobs, which `restore` reads again. */
export function bare(rows: Rows): Rows {
  const copy = structuredClone(rows);
  for (const job of copy.jobs) job.profile = 0;
  const by = <T>(list: T[], key: (record: T) => string) => list.sort((a, b) => (key(a) < key(b) ? -1 : 1));
  by(copy.jobs, (job) => job.id);
  by(copy.attempts, (attempt) => attempt.key);
  by(copy.seats, (seat) => seat.id);
  by(copy.pools, (one) => one.id);
  by(copy.slots, (slot) => slot.key);
  by(copy.runners, (runner) => runner.id);
  by(copy.estimates, (estimate) => estimate.timing);
  return copy;
}

export class Room {
  state: QueueState;
  now = 0;
  events: QueueEvent[] = [];
  readonly ended = new Map<string, Terminal>();
  readonly starts: { id: string; at: number; slot: string; why: string }[] = [];
  private leases = 0;

  constructor(options: RoomOptions = {}) {
    this.state = restore(emptyRows(options.params));
    const pools = options.pools ?? [{ maxInFlight: options.slots ?? 1 }];
    for (const one of pools) this.ok({ type: "upsert_pool", pool: pool(one) });
    const all = pools.reduce((sum, one) => sum + (one.maxInFlight ?? 1), 0);
    this.ok({ type: "set_wanted", slots: options.slots ?? all, by: "setup" });
    if (options.mode !== undefined) this.ok({ type: "set_mode", mode: options.mode, by: "setup" });
    this.events = [];
  }

  /** Move the clock to a second and let what is due happen. */
  at(seconds: number): this {
    this.now = Math.round(seconds * 1000);
    this.do({ type: "tick" });
    return this;
  }

  do<C extends Command>(command: C): Decision<C["type"]> {
    const before = command.type === "tick" ? null : bare(rowsOf(this.state));
    const decision = decide(this.state, command, this.now);
    if (!decision.ok && before !== null && decision.events.length === 0) {
      const { minute: _then, ...rest } = before.workshop;
      const after = bare(rowsOf(this.state));
      expect({ ...after, workshop: { ...after.workshop, minute: 0 } }).toEqual({ ...before, workshop: { ...rest, minute: 0 } });
    }
    this.events.push(...decision.events);
    for (const event of decision.events) {
      if (event.type === "job_ended") this.ended.set(event.job, event.record);
      if (event.type === "job_dispatched") this.starts.push({ id: event.job, at: this.now / 1000, slot: event.slot, why: event.why });
    }
    return decision;
  }

  ok<C extends Command>(command: C): ResultOf<C["type"]> {
    const decision = this.do(command);
    if (!decision.ok) throw new Error(`${command.type} was refused: ${decision.reason}: ${decision.message}`);
    return decision.result as ResultOf<C["type"]>;
  }

  refused(command: Command): Refusal {
    const decision = this.do(command);
    if (decision.ok) throw new Error(`${command.type} was accepted`);
    expect(decision.message.length).toBeGreaterThan(10);
    return decision;
  }

  submission(id: string, overrides: Partial<Submit> & { e?: number; e90?: number } = {}): Submit {
    const { e, e90, ...rest } = overrides;
    if (e !== undefined) {
      const runs = [...Array<number>(17).fill(e), ...Array<number>(3).fill(e90 ?? e)];
      if (!this.state.estimates.has(`takes ${e}…${e90 ?? e}`)) this.ok({ type: "record_runs", timing: `takes ${e}…${e90 ?? e}`, runs });
    }
    return {
      type: "submit",
      id,
      seat: id.replace(/\d+$/, ""),
      instructor: false,
      background: false,
      front: false,
      userPriority: 0,
      class: 2,
      signature: "one",
      timing: e === undefined ? "never run" : `takes ${e}…${e90 ?? e}`,
      kind: "image",
      requires: [],
      bytes: 1000,
      idempotency: null,
      ...rest,
    };
  }

  submit(id: string, overrides: Partial<Submit> & { e?: number; e90?: number } = {}): ResultOf<"submit"> {
    return this.ok(this.submission(id, overrides));
  }

  job(id: string): Job {
    const job = this.state.jobs.get(id);
    if (job === undefined) throw new Error(`${id} is not live`);
    return job;
  }

  attempt(id: string): Attempt {
    const job = this.job(id);
    const attempt = this.state.attempts.get(`${id}#${job.attempts}`);
    if (attempt === undefined) throw new Error(`${id} has no live attempt`);
    return attempt;
  }

  /** Its state, live or ended. */
  stateOf(id: string): string {
    return this.state.jobs.get(id)?.state ?? this.ended.get(id)?.state ?? "unknown";
  }

  known(id: string): { known?: Known } {
    const ended = this.ended.get(id);
    return ended === undefined ? {} : { known: ended };
  }

  claim(id: string, runner = `runner-${this.attempt(id).slot}`): string {
    const lease = `lease-${++this.leases}`;
    this.ok({ type: "claim", job: id, attempt: this.job(id).attempts, runner, lease });
    return lease;
  }

  /** Claim (if nobody has) and start. */
  start(id: string): string {
    const attempt = this.attempt(id);
    const lease = attempt.lease?.id ?? this.claim(id);
    this.ok({ type: "started", job: id, attempt: attempt.number, lease });
    return lease;
  }

  leased(id: string): { job: string; attempt: number; lease: string } {
    const attempt = this.attempt(id);
    return { job: id, attempt: attempt.number, lease: attempt.lease?.id ?? "none" };
  }

  /** It succeeds now; started at its claim when nobody said otherwise. */
  done(id: string, execMs?: number): ResultOf<"result"> {
    if (this.attempt(id).startedAt === null) this.start(id);
    const timings = execMs === undefined ? {} : { timings: { execMs, loadMs: 0 } };
    return this.ok({ type: "result", ...this.leased(id), digest: `digest of ${id}`, outcome: "succeeded", filesCommitted: true, ...timings });
  }

  fail(id: string, code: string, message = `it said ${code}`): ResultOf<"result"> {
    return this.ok({ type: "result", ...this.leased(id), digest: `digest of ${id}`, outcome: "failed", reason: { code, message } });
  }

  order(): string {
    return this.starts.map(({ id }) => id).join(" ");
  }

  v(seat: string): number {
    return this.state.seats.get(seat)?.main.v ?? NaN;
  }

  n(seat: string): number {
    return this.state.seats.get(seat)?.main.n ?? NaN;
  }

  get V(): number {
    return this.state.workshop.main.v;
  }

  /** Crash: everything not in rows is gone. */
  crash(): this {
    this.state = restore(JSON.parse(JSON.stringify(rowsOf(this.state))) as Rows);
    return this;
  }

  has(type: QueueEvent["type"]): boolean {
    return this.events.some((event) => event.type === type);
  }

  find<T extends QueueEvent["type"]>(type: T): Extract<QueueEvent, { type: T }>[] {
    return this.events.filter((event): event is Extract<QueueEvent, { type: T }> => event.type === type);
  }
}
