// Perfect GPUs in virtual time: a run starts when it is dispatched and takes exactly as long as it was told. For vectors and workloads.
// Events at one instant are applied first (completions in dispatch order, then arrivals), then one dispatch loop runs.

import { decide, defaultPool, emptyRows, loadTiming, nextWake, restore } from "../../../durable-objects/queue/index.ts";
import type { Command, Decision, Kind, Mode, Params, PoolConfig, QueueState, Submit } from "../../../durable-objects/queue/index.ts";

type Plain = Exclude<Command, { type: "batch" }>;

export interface IdealJob {
  id: string;
  seat: string;
  /** Arrival, ms. */
  at: number;
  /** How long it really runs, ms, loading apart. */
  ms: number;
  /** What the queue believes; the real time unless said. */
  e?: number;
  e90?: number;
  signature?: string;
  submit?: Partial<Submit>;
}

export interface Start {
  id: string;
  seat: string;
  at: number;
  /** From 0, in slot order of pools given. */
  slot: number;
  load: number;
}

export interface Ended extends Start {
  end: number;
  ms: number;
}

export interface IdealWorld {
  slots?: number;
  pools?: PoolConfig[];
  mode?: Mode;
  params?: Partial<Params>;
  jobs: readonly IdealJob[];
  /** Cost of a model switch, ms. */
  load?: number;
  /** Commands at their times, after arrivals of the same instant. */
  acts?: readonly { at: number; command: Plain }[];
  /** Stop looking after this moment, ms. */
  until?: number;
  each?: (state: QueueState, command: Command, now: number, decision: Decision) => void;
}

/** Deadlines that never fall due: nothing is lost among perfect GPUs. */
const never = 1e13;

export function idealPool(overrides: Partial<PoolConfig> = {}): PoolConfig {
  return {
    ...defaultPool,
    id: "gpu",
    claimBefore: never,
    startAfterClaim: never,
    silence: never,
    lease: never,
    execLimit: { image: never, audio: never, video: never, "3d": never, other: never },
    ...overrides,
  };
}

export function submitOf(job: IdealJob): Submit {
  return {
    type: "submit",
    id: job.id,
    seat: job.seat,
    instructor: false,
    background: false,
    front: false,
    userPriority: 0,
    class: 2,
    signature: job.signature ?? "one",
    timing: timingOf(job),
    kind: "image" as Kind,
    requires: [],
    bytes: 1000,
    idempotency: null,
    ...job.submit,
  };
}

function timingOf(job: IdealJob): string {
  return `takes ${job.e ?? job.ms}…${job.e90 ?? job.e ?? job.ms}`;
}

/** Twenty runs whose median and ninth decile are what the queue shall believe. */
export function runsFor(e: number, e90: number): number[] {
  return [...Array<number>(17).fill(e), ...Array<number>(3).fill(e90)];
}

interface Running {
  end: number;
  serial: number;
  start: Start;
  attempt: number;
  ms: number;
}

export class Ideal {
  readonly state: QueueState;
  readonly starts: Start[] = [];
  readonly ended: Ended[] = [];
  readonly running = new Map<string, Running>();
  now = 0;
  private readonly warm = new Map<string, string>();
  private readonly known = new Map<string, IdealJob>();
  private readonly slotOrder: string[];
  private readonly world: IdealWorld;
  private readonly arrivals: { at: number; command: Plain }[];
  private next = 0;

  constructor(world: IdealWorld) {
    this.world = world;
    const pools = world.pools ?? [idealPool({ maxInFlight: world.slots ?? 1 })];
    this.state = restore(emptyRows(world.params));
    this.slotOrder = pools.flatMap((pool) => Array.from({ length: pool.maxInFlight }, (_, n) => `${pool.id}-${n + 1}`));
    const submits = world.jobs.map((job) => ({ at: job.at, command: submitOf(job) as Plain }));
    this.arrivals = [...submits, ...(world.acts ?? [])].sort((a, b) => a.at - b.at);
    this.do({ type: "batch", commands: pools.map((pool) => ({ type: "upsert_pool", pool })) });
    this.do({ type: "set_wanted", slots: this.slotOrder.length, by: "setup" });
    if (world.mode !== undefined) this.do({ type: "set_mode", mode: world.mode, by: "setup" });
    const timings = new Map(world.jobs.map((job) => [timingOf(job), runsFor(job.e ?? job.ms, job.e90 ?? job.e ?? job.ms)]));
    for (const signature of world.load ? new Set(world.jobs.map((job) => job.signature ?? "one")) : []) timings.set(loadTiming(signature), [world.load ?? 0]);
    for (const [timing, runs] of timings) this.do({ type: "record_runs", timing, runs });
    for (const job of world.jobs) this.known.set(job.id, job);
  }

  /** Decide one command now, and let perfect GPUs take what it dispatches. */
  do(command: Command): Decision {
    const decision = decide(this.state, command, this.now);
    this.world.each?.(this.state, command, this.now, decision);
    const taken: Plain[] = [];
    for (const event of decision.events) if (event.type === "attempt_closed") this.running.delete(event.record.job);
    for (const effect of decision.effects) if (effect.type === "dispatch") taken.push(...this.take(effect.job, effect.attempt, effect.slot));
    if (taken.length > 0) this.do({ type: "batch", commands: taken });
    return decision;
  }

  private take(id: string, attempt: number, slot: string): Plain[] {
    const job = this.known.get(id);
    if (job === undefined) throw new Error(`unknown job ${id}`);
    const signature = job.signature ?? "one";
    const load = this.warm.get(slot) === signature ? 0 : (this.world.load ?? 0);
    this.warm.set(slot, signature);
    const start = { id, seat: job.seat, at: this.now, slot: this.slotOrder.indexOf(slot), load };
    this.starts.push(start);
    this.running.set(id, { end: this.now + load + job.ms, serial: this.starts.length, start, attempt, ms: job.ms });
    const lease = `${id}/${attempt}`;
    return [
      { type: "claim", job: id, attempt, runner: `runner of ${slot}`, lease },
      { type: "started", job: id, attempt, lease },
    ];
  }

  /** When something happens next; Infinity when nothing does. */
  nextAt(): number {
    let at = Math.min(this.arrivals[this.next]?.at ?? Infinity, nextWake(this.state, this.now) ?? Infinity);
    for (const run of this.running.values()) at = Math.min(at, run.end);
    return at;
  }

  /** Everything of the next instant at once; false when nothing is left. */
  step(): boolean {
    const at = this.nextAt();
    if (at === Infinity || at > (this.world.until ?? 1e12)) return false;
    this.now = Math.max(at, this.now);
    const commands: Plain[] = [];
    const done = [...this.running.values()].filter((run) => run.end <= this.now).sort((a, b) => a.serial - b.serial);
    for (const run of done) {
      const { start, attempt, ms } = run;
      this.ended.push({ ...start, end: this.now, ms });
      commands.push({
        type: "result",
        job: start.id,
        attempt,
        lease: `${start.id}/${attempt}`,
        digest: "",
        outcome: "succeeded",
        filesCommitted: true,
        timings: { execMs: start.load + ms, loadMs: start.load },
      });
    }
    while ((this.arrivals[this.next]?.at ?? Infinity) <= this.now) commands.push((this.arrivals[this.next++] as { command: Plain }).command);
    this.do(commands.length === 0 ? { type: "tick" } : { type: "batch", commands });
    return true;
  }

  run(): this {
    while (this.step());
    return this;
  }
}

export function ideal(world: IdealWorld): Ideal {
  return new Ideal(world).run();
}

/** "A1@0/1 B1@10/0": seconds (with decimals where needed) and slot. */
export function told(starts: readonly Start[]): string {
  return starts.map(({ id, at, slot }) => `${id}@${at / 1000}/${slot}`).join(" ");
}

/** "A1 B1". */
export function order(starts: readonly Start[]): string {
  return starts.map(({ id }) => id).join(" ");
}

/** "A1@0 B1@10". */
export function times(starts: readonly Start[]): string {
  return starts.map(({ id, at }) => `${id}@${at / 1000}`).join(" ");
}

/** FNV-1a (32 bit) over `id@startMs/slot;` of every dispatch in order: two implementations that dispatch alike agree on it. */
export function orderCheck(starts: readonly Start[]): string {
  let hash = 0x811c9dc5;
  for (const { id, at, slot } of starts) {
    for (const char of `${id}@${at}/${slot};`) {
      hash ^= char.charCodeAt(0);
      hash = Math.imul(hash, 0x01000193) >>> 0;
    }
  }
  return (hash >>> 0).toString(16).padStart(8, "0");
}
