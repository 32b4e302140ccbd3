// Machines kept up and paid for, on the real queue and the object's own tables with a provider made of words.
import { describe, expect, it } from "vitest";
import type { PoolSetup } from "../../durable-objects/contract.ts";
import { Engine } from "../../durable-objects/engine.ts";
import { FactStore } from "../../durable-objects/gpu/facts.ts";
import { Journal } from "../../durable-objects/gpu/journal.ts";
import { Keeper } from "../../durable-objects/gpu/keeper.ts";
import { poolConfig } from "../../durable-objects/pool-setup.ts";
import type { PoolProviders } from "../../durable-objects/pool-providers.ts";
import type { Run } from "../../durable-objects/runner-protocol.ts";
import type { Sql } from "../../durable-objects/sql.ts";
import { type Capacity, type Control, type Controlled, type GpuProvider, rejected, UNSUPPORTED } from "../../gpu-adapter/port.ts";
import { withSql } from "./object-sql.ts";

const EUR = 1_000_000;
const machines = (up: number): Capacity => ({ outcome: "known", available: true, replicas: { running: up }, up, min: 0, max: 4, paused: false, state: "healthy" });

class Bench {
  now = 1_000_000;
  said: Capacity = machines(0);
  scaling: Controlled = { outcome: "done" };
  readonly asked: Control[] = [];
  questions = 0;
  readonly engine: Engine;
  readonly facts: FactStore;
  readonly journal: Journal;
  readonly keeper: Keeper;
  #work: Promise<void>[] = [];

  constructor(sql: Sql, more: Partial<PoolSetup> = {}) {
    const setup: PoolSetup = { id: "h200", provider: "verda", max_in_flight: 2, endpoint: "https://x.example/h200", secret: "GPU_X", rate: 6 * EUR, ...more };
    this.engine = new Engine(sql, () => this.now);
    const run: Run = (command) => this.engine.run(command);
    run<"upsert_pool">({ type: "upsert_pool", pool: poolConfig(setup, undefined, 0) });
    const provider = {
      capacity: async () => { this.questions++; return this.said; },
      control: async (control: Control) => { this.asked.push(control); return this.scaling; },
      price: async () => ({ outcome: "known" as const, microPerHour: 3 * EUR, currency: "USD", source: "a list" }),
    } as unknown as GpuProvider;
    this.facts = new FactStore(sql);
    this.journal = new Journal(sql);
    this.keeper = new Keeper({
      engine: this.engine, facts: this.facts, journal: this.journal, run, setup: (pool) => (pool === "h200" ? setup : null), providers: { open: () => provider } as unknown as PoolProviders,
      keep: (work) => void this.#work.push(work), complain: (event, error) => { throw new Error(event, { cause: error }); }, rearm: () => undefined,
    });
  }

  async at(ms: number): Promise<void> {
    this.now = ms;
    this.keeper.tick();
    for (const work of this.#work.splice(0)) await work;
  }

  /** Goes from wake-up to wake-up until then. */
  async until(ms: number): Promise<void> {
    for (let wake = this.keeper.nextWake(); wake !== null && wake <= ms; wake = this.keeper.nextWake()) await this.at(Math.max(wake, this.now + 1));
    this.now = ms;
  }

  get spent(): number {
    return this.engine.state.workshop.spent;
  }
}

describe("keeping machines up", () => {
  it("an unused pool is never asked anything and sets no alarm", () =>
    withSql(async (sql) => {
      const bench = new Bench(sql);
      await bench.at(2_000_000);
      expect([bench.keeper.nextWake(), bench.questions, bench.asked]).toEqual([null, 0, []]);
    }));

  it("an order is applied once, watched, and taken back when it ends", () =>
    withSql(async (sql) => {
      const bench = new Bench(sql);
      bench.facts.put("h200", { order: { replicas: 1, until: 1_600_000 } });
      bench.said = machines(1);
      await bench.until(1_599_000);
      expect(bench.asked).toEqual([{ action: "scale", min: 1 }]);
      await bench.until(1_700_000);
      expect(bench.asked).toEqual([{ action: "scale", min: 1 }, { action: "scale", min: 0 }]);
      bench.said = machines(0);
      await bench.until(3_000_000);
      expect(bench.keeper.nextWake(), "nothing is up: nothing more to ask").toBeNull();
    }));

  it("a booked session starts machines ahead of it by the measured time", () =>
    withSql(async (sql) => {
      const bench = new Bench(sql, { sessions: [{ from: 10_000_000, to: 20_000_000, replicas: 2 }], startup_p50_ms: 60_000, startup_p90_ms: 120_000 });
      expect(bench.keeper.nextWake()).toBe(10_000_000 - 120_000);
      await bench.at(10_000_000 - 120_000);
      expect(bench.asked).toEqual([{ action: "scale", min: 2 }]);
    }));

  it("a refusal is tried again later and later, said once, and Retry-After is heeded", () =>
    withSql(async (sql) => {
      const bench = new Bench(sql);
      bench.facts.put("h200", { order: { replicas: 1, until: 9_000_000 } });
      bench.scaling = { outcome: "unknown", message: "no answer" };
      await bench.at(1_000_000);
      expect(bench.keeper.nextWake()).toBe(1_030_000);
      await bench.at(1_030_000);
      expect(bench.keeper.nextWake()).toBe(1_090_000);
      bench.scaling = rejected("provider_rate_limited", "slowly", 200_000);
      await bench.at(1_090_000);
      expect(bench.keeper.nextWake()).toBe(1_290_000);
      expect(bench.journal.read(10, "h200").filter(({ kind }) => kind === "alarm")).toHaveLength(1);
      bench.scaling = { outcome: "done" };
      await bench.at(1_290_000);
      expect(bench.facts.of("h200")).toMatchObject({ applied: 1, fault: null });
    }));

  it("a provider without machines to keep up says so and is left alone", () =>
    withSql(async (sql) => {
      const bench = new Bench(sql);
      bench.scaling = UNSUPPORTED;
      bench.facts.put("h200", { order: { replicas: 1, until: 9_000_000 } });
      await bench.at(1_000_000);
      expect([bench.facts.of("h200").order, bench.journal.read(1, "h200")[0]?.line]).toEqual([null, "this provider has no machines that could be kept up"]);
    }));
});

describe("what idle machines cost", () => {
  it("time between two answers that saw them up, at the pool's rate; not the machine that starts in between", () =>
    withSql(async (sql) => {
      const bench = new Bench(sql);
      bench.facts.put("h200", { applied: 1, order: { replicas: 1, until: 90_000_000 } });
      bench.said = machines(1);
      await bench.at(1_000_000);
      expect(bench.spent).toBe(0);
      await bench.at(1_060_000);
      expect(bench.spent).toBe(100_000);
      bench.said = machines(3);
      await bench.at(1_120_000);
      expect(bench.spent).toBe(200_000);
      await bench.at(1_180_000);
      expect(bench.spent).toBe(500_000);
    }));

  it("a gap nobody watched is not charged, and silence is no answer", () =>
    withSql(async (sql) => {
      const bench = new Bench(sql);
      bench.facts.put("h200", { applied: 1, order: { replicas: 1, until: 90_000_000 } });
      bench.said = machines(1);
      await bench.at(1_000_000);
      await bench.at(1_000_000 + 6 * 60_000);
      expect(bench.spent).toBe(0);
      bench.said = { outcome: "unknown", message: "no answer" };
      await bench.at(1_500_000);
      expect(bench.facts.of("h200")).toMatchObject({ said: null, silent: "no answer" });
      bench.said = machines(1);
      await bench.at(2_500_000);
      expect(bench.spent).toBe(0);
    }));

  it("the provider's price becomes the pool's rate, times the factor, and is said", () =>
    withSql(async (sql) => {
      const bench = new Bench(sql, { price_factor: 0.9 });
      bench.facts.put("h200", { applied: 1, order: { replicas: 1, until: 900_000_000 } });
      bench.said = machines(1);
      await bench.at(100_000_000);
      expect(bench.engine.state.pools.get("h200")?.rate).toBe(2_700_000);
      expect(bench.journal.read(1, "h200")[0]?.line).toBe("costs 2.70 EUR per hour and machine (a list: 3.00 USD)");
    }));

  it("a pool that leaves with machines kept up lets them go, or says that they may still cost money", () =>
    withSql(async (sql) => {
      const bench = new Bench(sql);
      bench.facts.put("h200", { applied: 2 });
      const provider = { control: async () => ({ outcome: "unknown", message: "no answer" }) } as unknown as GpuProvider;
      await bench.keeper.letGo("h200", provider);
      expect(bench.journal.read(1, "h200")[0]).toMatchObject({ kind: "alarm", line: expect.stringMatching(/^2 of its machines may still be kept up at the provider, and cost money: no answer\./) });
      expect(bench.facts.of("h200").applied).toBeNull();
    }));
});
