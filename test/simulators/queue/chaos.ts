// A workshop where anything may happen next: random commands, runners that crash, lie, repeat themselves and come back from the dead.
// Every step is decided twice, by the state that lived on and was asked for a forecast, and by one restored from its rows (a crash before every command).

import * as fc from "fast-check";
import { decide, defaultPool, emptyRows, forecast, nextWake, restore, rowsOf } from "../../../durable-objects/queue/index.ts";
import type { Command, Decision, Params, PoolConfig, QueueState, Rows, Terminal } from "../../../durable-objects/queue/index.ts";

type Plain = Exclude<Command, { type: "batch" }>;

/** One random step: what kind, and dice to interpret against the state of the moment. */
export interface Step {
  kind: number;
  a: number;
  b: number;
  c: number;
}

export const steps = (maxLength: number): fc.Arbitrary<Step[]> =>
  fc.noBias(fc.array(fc.record({ kind: fc.nat(999), a: fc.nat(9999), b: fc.nat(9999), c: fc.nat(9999) }), { minLength: maxLength >> 1, maxLength, size: "max" }));

const seats = ["ada", "bo", "cy", "dee", "ed"];
const codes = ["node_error", "oom", "comfy_crash", "container_lost", "exec_timeout", "missing_model", "upload_failed", "internal", "input_missing"];
const refusals = ["provider_capacity", "provider_rate_limited", "provider_auth", "provider_unknown", "internal"];

const pools: PoolConfig[] = [
  { ...defaultPool, id: "one", position: 0, maxInFlight: 2, rate: 1_000_000, memory: 24_000, reclaim: 0, claimBefore: 60_000, offers: ["node", "sdxl"] },
  { ...defaultPool, id: "two", position: 1, maxInFlight: 3, rate: 3_000_000, memory: 80_000, reclaim: 60_000, startup50: 60_000, startup90: 200_000, speed: 150 },
  { ...defaultPool, id: "red", position: 2, maxInFlight: 1, rate: 2_000_000, groups: ["red"], claimBefore: 60_000 },
];

export interface Entry {
  command: Command;
  now: number;
}

export class Chaos {
  state: QueueState;
  readonly initial: Rows;
  readonly log: Entry[] = [];
  readonly decisions: Decision[] = [];
  readonly accepted = new Set<string>();
  readonly ended = new Map<string, Terminal>();
  readonly leases: { job: string; attempt: number; lease: string; runner: string }[] = [];
  /** Attempts ever closed, and money and time outside them. */
  readonly closed = new Map<string, Decision["events"][number] & { type: "attempt_closed" }>();
  recorded = 0;
  now = 1_700_000_000_000;
  private serial = 0;
  private readonly watch: ((world: Chaos, before: Rows, entry: Entry, decision: Decision) => void) | undefined;

  constructor(params: Partial<Params> = {}, watch?: (world: Chaos, before: Rows, entry: Entry, decision: Decision) => void) {
    this.watch = watch;
    this.initial = emptyRows(params);
    this.state = restore(structuredClone(this.initial));
    this.do({ type: "batch", commands: [...pools.map((pool): Plain => ({ type: "upsert_pool", pool })), { type: "set_wanted", slots: 4, by: "ada" }] });
  }

  /** Decide on the living state and on one made from its rows; both must say the same. */
  do(command: Command): Decision {
    const before = JSON.parse(JSON.stringify(rowsOf(this.state))) as Rows;
    const revived = restore(structuredClone(before));
    this.foresee(before);
    const decision = decide(this.state, command, this.now);
    const again = decide(revived, command, this.now);
    const [mine, theirs] = [picture(this.state, decision), picture(revived, again)];
    if (mine !== theirs) throw new Error(`a crash changed what ${command.type} did:\n${mine}\n${theirs}`);
    const entry = { command, now: this.now };
    this.log.push(entry);
    this.decisions.push(decision);
    this.note(command, decision);
    this.watch?.(this, before, entry, decision);
    return decision;
  }

  /** [Q73] Places and times are asked for at any moment, and nothing may come of it. */
  private foresee(before: Rows): void {
    const lists = derivedPicture(this.state);
    forecast(this.state, this.now);
    if (JSON.stringify(rowsOf(this.state)) !== JSON.stringify(before)) throw new Error("a forecast changed a row");
    if (derivedPicture(this.state) !== lists) throw new Error("a forecast changed what is derived from the rows");
  }

  private note(command: Command, decision: Decision): void {
    for (const event of decision.events) {
      if (event.type === "job_accepted") this.accepted.add(event.job);
      if (event.type === "job_ended") {
        if (this.ended.has(event.job)) throw new Error(`${event.job} ended twice`);
        this.ended.set(event.job, event.record);
      }
      if (event.type === "attempt_closed") {
        if (this.closed.has(event.record.key)) throw new Error(`${event.record.key} closed twice`);
        this.closed.set(event.record.key, event);
      }
    }
    if (decision.ok && command.type === "record_spend") this.recorded += command.micro;
    if (decision.ok && command.type === "claim" && !this.leases.some(({ lease }) => lease === command.lease)) {
      this.leases.push({ job: command.job, attempt: command.attempt, lease: command.lease, runner: command.runner });
    }
  }

  step({ kind, a, b, c }: Step): void {
    this.now += a % 23 === 0 ? (b % 200) * 1000 : b % 3000;
    const wake = nextWake(this.state, this.now);
    if (a % 13 === 0 && wake !== null && wake - this.now < 1_000_000) this.now = Math.max(this.now, wake);
    this.do(this.command(kind, a, b, c));
  }

  private pick<T>(list: readonly T[], dice: number): T | undefined {
    return list[dice % Math.max(1, list.length)];
  }

  private command(kind: number, a: number, b: number, c: number): Command {
    if (kind < 300) return this.submit(a, b, c);
    if (kind < 720) return this.runner(kind, a, b, c) ?? { type: "tick" };
    if (kind < 880) return this.seat(kind, a, b, c) ?? { type: "tick" };
    if (kind < 900) return { type: "tick" };
    return this.instructor(kind - 900, a, b, c);
  }

  private submit(a: number, b: number, c: number): Plain {
    const again = c % 11 === 0 ? this.pick([...this.accepted], b) : undefined;
    const id = again ?? `job-${++this.serial}`;
    const seat = this.pick(seats, a) as string;
    const known = this.ended.get(id);
    return {
      type: "submit",
      id,
      seat,
      instructor: seat === "ada",
      background: b % 9 === 0,
      front: c % 6 === 0,
      userPriority: b % 8 === 0 ? c % 16 : 0,
      class: c % 5 === 0 ? b % 4 : 2,
      signature: ["sdxl", "flux", "wan"][c % 3] as string,
      timing: `t${b % 6}`,
      kind: (["image", "video", "other"] as const)[b % 3] as "image",
      requires: a % 4 === 0 ? ["node", "wan"] : ["node"],
      bytes: 100,
      idempotency: { key: id, hash: "h" },
      ...(known === undefined ? {} : { known: known.seat === seat ? { byKey: known, byId: known } : { byId: known } }),
    };
  }

  /** What providers and runners say, now or much too late. */
  private runner(kind: number, a: number, b: number, c: number): Plain | null {
    const attempts = [...this.state.attempts.values()];
    const attempt = this.pick(attempts, a);
    const held = c % 9 === 0 ? this.pick(this.leases, a) : this.current(a);
    const known = held === undefined ? undefined : this.ended.get(held.job);
    const leased = held === undefined ? null : { job: held.job, attempt: held.attempt, lease: held.lease, ...(known === undefined ? {} : { known }) };
    if (kind < 340 && attempt !== undefined) return this.provider(attempt.job, attempt.number, b, c);
    if (kind < 470 && attempt !== undefined) return { type: "claim", job: attempt.job, attempt: attempt.number, runner: `runner-${attempt.slot}${b % 5 === 0 ? "-other" : ""}`, lease: `lease-${++this.serial}`, coldMs: c };
    if (kind < 474) return { type: "runner_lost", runner: `runner-one-${1 + (b % 2)}` };
    if (leased === null) return null;
    if (kind < 540) return { type: "started", ...leased };
    if (kind < 580) return { type: "renew", ...leased, activity: b % 2 === 0 };
    const timings = b % 2 === 0 ? { timings: { execMs: b * 20, loadMs: c } } : {};
    const result = { type: "result" as const, ...leased, digest: `digest-${c % 3}`, ...timings };
    if (kind < 660) return { ...result, outcome: "succeeded", filesCommitted: c % 10 !== 0 };
    if (kind < 710) return { ...result, outcome: "failed", reason: { code: this.pick(codes, b) as string, message: "it said so" } };
    return { ...result, outcome: "cancelled" };
  }

  private current(dice: number): { job: string; attempt: number; lease: string } | undefined {
    const claimed = [...this.state.attempts.values()].filter(({ lease }) => lease !== null);
    const attempt = this.pick(claimed, dice);
    return attempt === undefined ? undefined : { job: attempt.job, attempt: attempt.number, lease: attempt.lease?.id ?? "" };
  }

  private provider(job: string, attempt: number, b: number, c: number): Plain {
    switch (b % 6) {
      case 0:
      case 1:
        return { type: "handed_over", job, attempt, answer: "submitted", ref: `ref-${c}` };
      case 2:
        return { type: "handed_over", job, attempt, answer: "unknown" };
      case 3:
        return { type: "handed_over", job, attempt, answer: "refused", code: this.pick(refusals, c) as string, ...(c % 2 === 0 ? { retryAfter: c * 10 } : {}) };
      default:
        return { type: "provider_status", job, attempt, status: (["known", "absent", "failed", "unknown"] as const)[c % 4] as "known" };
    }
  }

  private seat(kind: number, a: number, b: number, c: number): Plain | null {
    const job = this.pick([...this.state.jobs.values()], a);
    const ended = this.pick([...this.ended.values()], a);
    if (kind < 730 && ended !== undefined) return { type: "cancel", job: ended.id, seat: ended.seat, known: ended };
    if (job === undefined) return null;
    const seat = b % 10 === 0 ? (this.pick(seats, c) as string) : job.seat;
    if (kind < 790) return { type: "cancel", job: job.id, seat: c % 5 === 0 ? null : seat };
    if (kind < 805) return { type: "interrupt", seat, ...(c % 2 === 0 ? { job: job.id } : {}) };
    if (kind < 810) return { type: "clear", seat, instructor: false };
    if (kind < 820) return { type: "delete", seat, ids: [job.id, "nothing"] };
    if (kind < 850) return { type: "move", seat, job: job.id, before: c % 3 === 0 ? null : (this.pick([...this.state.jobs.keys()], c) ?? null) };
    return { type: "set_priority", seat, job: job.id, userPriority: c % 16 };
  }

  /** A pool with work on it: removed, it stays until that has ended [Q67]. */
  private busyPool(dice: number): string | undefined {
    return this.pick([...this.state.attempts.values()], dice)?.pool;
  }

  /** The first pool that is not in the chain. */
  private missingPool(): PoolConfig | undefined {
    return pools.find(({ id }) => this.state.pools.get(id)?.removed ?? true);
  }

  private instructor(kind: number, a: number, b: number, c: number): Command {
    const by = "ada";
    const seat = this.pick(seats, a) as string;
    const job = this.pick([...this.state.jobs.keys()], b) ?? "nothing";
    const pool = this.pick(pools, b) as PoolConfig;
    const acts: (() => Command)[] = [
      () => ({ type: "set_mode", mode: (["fifo", "round_robin", "fair", "priority"] as const)[b % 4] as "fair", by }),
      () => ({ type: "set_params", params: { slack: (b % 4) * 20_000, reserved: c % 2, aged: 60_000 * (1 + (a % 10)), demoSlots: 1 + (a % 2) }, by }),
      () => ({ type: "set_weight", seat, weight: 10 + (b % 991), by }),
      () => ({ type: "pause_seat", seat, by }),
      () => ({ type: "resume_seat", seat, by }),
      () => ({ type: "resume_seat", seat, by }),
      () => ({ type: "set_group", seat, group: b % 2 === 0 ? "red" : null, by }),
      () => ({ type: "set_envelope", seat, budget: b % 2 === 0 ? b * 1000 : null, by }),
      () => ({ type: "set_budget", budget: b % 2 === 0 ? this.state.workshop.spent + b * 1000 : null, by }),
      () => ({ type: "set_switch", to: (["paused", "open", "open", "draining", "open"] as const)[b % 5] as "open", by }),
      () => ({ type: "set_switch", to: "open", by }),
      () => ({ type: "drain_pool", pool: pool.id, draining: c % 3 === 0, by }),
      () => (c % 4 === 0 ? { type: "remove_pool", pool: pool.id, by } : { type: "upsert_pool", pool, by }),
      () => (c % 2 === 0 ? { type: "remove_pool", pool: this.busyPool(a) ?? pool.id, by } : { type: "upsert_pool", pool: this.missingPool() ?? pool, by }),
      () => ({ type: "set_max_in_flight", pool: pool.id, maxInFlight: c % 4 }),
      () => ({ type: "set_offers", pool: pool.id, offers: c % 2 === 0 ? null : ["node"] }),
      () => ({ type: "set_wanted", slots: c % 7, by }),
      () => ({ type: "set_demo", on: c % 2 === 0, by }),
      () => ({ type: "new_round", by }),
      () => ({ type: "record_spend", micro: b, seat }),
      () => ({ type: "record_runs", timing: `t${b % 6}`, runs: [a * 10, b * 10, c * 10] }),
      () => ({ type: "bump", job, by, ...(c % 2 === 0 ? { forMs: 1 + c * 10 } : {}) }),
      () => ({ type: "unbump", job, by }),
      () => ({ type: "evict", job, by }),
      () => ({ type: "set_class", job, class: c % 4, by }),
      () => ({ type: "batch", commands: [this.submit(a, b, c), { type: "cancel", job, seat: null }, this.submit(b, c, a)] }),
    ];
    return (acts[(kind + a) % acts.length] as () => Command)();
  }
}

/** What is derived from the rows, as one string; jobs by id. */
function derivedPicture({ derived }: QueueState): string {
  const seen = new WeakSet<object>();
  return JSON.stringify(derived, (name, value: unknown) => {
    if (name === "head" || name === "capable") return null; // room for one choice, and answers remembered: neither says anything new
    if (value instanceof Map) return [...value];
    if (value instanceof Set) return [...value];
    if (typeof value === "object" && value !== null && !Array.isArray(value) && "acceptedAt" in value) {
      if (seen.has(value)) return (value as unknown as { id: string }).id;
      seen.add(value);
    }
    return value;
  });
}

/** What a decision did and left behind, as one string. */
function picture(state: QueueState, { events, effects, changes, ...rest }: Decision): string {
  const rows = rowsOf(state);
  const by = <T>(list: readonly T[], key: (record: T) => string) => [...list].sort((x, y) => (key(x) < key(y) ? -1 : 1));
  const jobs = by(rows.jobs, ({ id }) => id).map((job) => ({ ...job, profile: 0 }));
  const said = events.map((event) => (event.type === "job_ended" ? { ...event, last: { ...event.last, profile: 0 } } : event));
  const touched = Object.entries(changes).map(([name, value]) => [name, value instanceof Set ? [...value].sort() : value]);
  const others = [by(rows.attempts, ({ key }) => key), by(rows.seats, ({ id }) => id), by(rows.pools, ({ id }) => id), by(rows.slots, ({ key }) => key), by(rows.runners, ({ id }) => id), by(rows.estimates, ({ timing }) => timing)];
  return JSON.stringify([rest, said, effects, touched, rows.workshop, rows.params, jobs, others], null, 1);
}
