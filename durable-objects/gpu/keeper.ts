// Keeps machines up when they are wanted and knows what they cost: asks providers to scale, counts idle machines as money spent, takes prices and
// measured starts into the chain. Invariants: an unused pool is never asked anything, so an idle workshop costs nothing; what a provider refuses is tried
// again later and later, and said; at most two calls are under way.
import type { RunnerInfo } from "../../gpu-adapter/contract.ts";
import type { GpuProvider, Rejected, Unknown } from "../../gpu-adapter/port.ts";
import type { AttemptRef, PoolSetup } from "../contract.ts";
import type { Engine } from "../engine.ts";
import { Lane } from "../lane.ts";
import type { PoolProviders } from "../pool-providers.ts";
import { poolConfig } from "../pool-setup.ts";
import { attemptKey } from "../queue-store.ts";
import type { Run } from "../runner-protocol.ts";
import type { FactStore } from "./facts.ts";
import type { Journal } from "./journal.ts";
import { nextChange, quantile, wishAt, type Wish } from "./schedule.ts";

/** While machines cost money the provider is asked this often (ms): Verda allows 60 questions a minute per path. */
const ASK_MS = 60_000;
/** Idle time between two answers further apart than this is not counted (ms): nobody saw it. */
const GAP_MS = 5 * 60_000;
const PRICE_MS = 24 * 3_600_000;
/** Machines of a session start this long before it when no start was measured (ms); cold starts are minutes ([G] section 0). */
export const LEAD_MS = 5 * 60_000;
const STARTS_KEPT = 20;
const RUNNERS_KEPT = 50;
const RETRY_MS = { first: 30_000, most: 600_000 };

export type KeeperParts = { engine: Engine; providers: PoolProviders; facts: FactStore; journal: Journal; run: Run; setup: (pool: string) => PoolSetup | null; keep: (work: Promise<void>) => void; complain: (event: string, error: unknown) => void; rearm: () => void };

export class Keeper {
  readonly #parts: KeeperParts;
  readonly #lane = new Lane(2);
  readonly #busy = new Set<string>();

  constructor(parts: KeeperParts) {
    this.#parts = parts;
  }

  wish(pool: string): Wish {
    return wishAt(this.#sessions(pool), this.#parts.facts.of(pool).order, this.#lead(pool), this.#now());
  }

  tick(): void {
    const now = this.#now();
    for (const pool of this.#pools()) {
      if (this.#busy.has(pool)) continue;
      if (this.#scaleAt(pool) <= now) this.#later(pool, () => this.#scale(pool));
      else if (this.#askAt(pool) <= now) this.#later(pool, () => this.ask(pool));
    }
  }

  /** ms since the epoch; null when nothing is wanted, running or known to be up. */
  nextWake(): number | null {
    let least = Infinity;
    for (const pool of this.#pools()) {
      if (this.#busy.has(pool)) continue;
      const change = nextChange(this.#sessions(pool), this.#parts.facts.of(pool).order, this.#lead(pool), this.#now());
      least = Math.min(least, this.#scaleAt(pool), this.#askAt(pool), change ?? Infinity);
    }
    return least === Infinity ? null : least;
  }

  /** A first claim by a machine that started for it is a measured cold start [Q73]. */
  claimed(ref: AttemptRef, runner: RunnerInfo): void {
    const attempt = this.#parts.engine.state.attempts.get(attemptKey(ref.job, ref.attempt));
    if (attempt === undefined || attempt.claimedAt === null || this.#provider(attempt.pool) === null) return;
    const facts = this.#parts.facts.of(attempt.pool);
    if (facts.runners.includes(runner.id)) return;
    const waited = attempt.claimedAt - attempt.dispatchedAt;
    const cold = runner.cold_start_ms !== undefined && waited >= runner.cold_start_ms;
    const starts = cold ? [...facts.starts, waited].slice(-STARTS_KEPT) : facts.starts;
    this.#parts.facts.put(attempt.pool, { runners: [...facts.runners, runner.id].slice(-RUNNERS_KEPT), starts });
    if (cold) this.#takeStarts(attempt.pool, starts);
  }

  #takeStarts(pool: string, starts: readonly number[]): void {
    const there = this.#parts.engine.state.pools.get(pool);
    const [startup50, startup90] = [quantile(starts, 0.5), quantile(starts, 0.9)];
    if (there === undefined || startup50 === null || startup90 === null) return;
    // Small shifts are not worth a new chain and a new forecast of everybody.
    const far = (a: number, b: number): boolean => Math.abs(a - b) > Math.max(1000, b / 5);
    if (far(startup50, there.startup50) || far(startup90, there.startup90)) this.#upsert(pool, { startup50, startup90 });
  }

  #upsert(pool: string, change: { startup50?: number; startup90?: number; rate?: number }): void {
    const setup = this.#parts.setup(pool);
    const there = this.#parts.engine.state.pools.get(pool);
    if (setup === null || there === undefined) return;
    this.#parts.run<"upsert_pool">({ type: "upsert_pool", pool: { ...poolConfig(setup, there, there.position), rate: there.rate, ...change } });
  }

  // ---- scaling ------------------------------------------------------------------------------------------------------------------------------
  /** When the provider is to be asked for another number of machines; Infinity when it has the right one. */
  #scaleAt(pool: string): number {
    const { applied, fault } = this.#parts.facts.of(pool);
    if (this.wish(pool).replicas === (applied ?? 0)) return Infinity;
    return fault?.retryAt ?? 0;
  }

  async #scale(pool: string): Promise<void> {
    const wish = this.wish(pool);
    const provider = this.#provider(pool);
    if (provider === null) return;
    const said = await provider.control({ action: "scale", min: wish.replicas });
    const { facts } = this.#parts;
    switch (said.outcome) {
      case "done":
        facts.put(pool, { applied: wish.replicas, fault: null, askAt: this.#now() + 5_000 });
        return this.#note(pool, "info", wish.replicas === 0 ? "no machine is kept up any more; they go when nothing runs" : `${wish.replicas} machine${wish.replicas === 1 ? " is" : "s are"} kept up (${wish.why === "session" ? "a booked session" : "asked for by the operator"})`);
      case "unsupported":
        facts.put(pool, { applied: wish.replicas, order: null, fault: null });
        return this.#note(pool, "warning", "this provider has no machines that could be kept up");
      case "rejected":
      case "unknown":
        return this.#failed(pool, said);
    }
  }

  #failed(pool: string, said: Rejected | Unknown): void {
    const { facts } = this.#parts;
    const failures = (facts.of(pool).fault?.failures ?? 0) + 1;
    const wait = (said.outcome === "rejected" ? said.retryAfterMs : undefined) ?? Math.min(RETRY_MS.most, RETRY_MS.first * 2 ** (failures - 1));
    facts.put(pool, { fault: { message: said.message, failures, retryAt: this.#now() + Math.max(1000, wait) } });
    if (failures === 1) this.#note(pool, "alarm", `the number of machines could not be changed: ${said.message}`);
  }

  /** A pool leaves the chain, or another deployment takes its name: nothing is kept up there for us any more, and what was known of it is forgotten. */
  async letGo(pool: string, provider: GpuProvider | null): Promise<void> {
    const { applied } = this.#parts.facts.of(pool);
    this.#parts.facts.forget(pool);
    if (provider === null || applied === null || applied === 0) return;
    const said = await provider.control({ action: "scale", min: 0 });
    if (said.outcome === "rejected" || said.outcome === "unknown") this.#note(pool, "alarm", `${applied} of its machines may still be kept up at the provider, and cost money: ${said.message}. Set its least number of machines to 0 there.`);
  }

  // ---- what machines cost -------------------------------------------------------------------------------------------------------------------
  /** Whether machines of this pool may cost money now. */
  #active(pool: string): boolean {
    const { said, applied } = this.#parts.facts.of(pool);
    return (applied ?? 0) > 0 || (said?.up ?? 0) > 0 || this.#claimed(pool) > 0;
  }

  #askAt(pool: string): number {
    return this.#active(pool) ? this.#parts.facts.of(pool).askAt : Infinity;
  }

  /** Asks the provider for its machines; idle ones are counted as spent since its last answer. */
  async ask(pool: string): Promise<void> {
    const provider = this.#provider(pool);
    if (provider === null) return;
    const said = await provider.capacity();
    const now = this.#now();
    const before = this.#parts.facts.of(pool);
    if (said.outcome !== "known") {
      this.#parts.facts.put(pool, { silent: said.outcome === "unsupported" ? null : said.message, said: null, askAt: now + 5 * ASK_MS });
      return;
    }
    const { outcome: _known, ...capacity } = said;
    this.#parts.facts.put(pool, { said: { ...capacity, at: now }, silent: null, askAt: now + ASK_MS });
    if (before.said !== null && now - before.said.at <= GAP_MS) this.#charge(pool, Math.min(before.said.up, capacity.up), now - before.said.at);
    if (this.#parts.setup(pool)?.price_factor !== undefined && now - (before.price?.at ?? 0) > PRICE_MS) await this.askPrice(pool);
  }

  #charge(pool: string, up: number, ms: number): void {
    const rate = this.#parts.engine.state.pools.get(pool)?.rate ?? 0;
    const micro = Math.ceil((Math.max(0, up - this.#claimed(pool)) * rate * ms) / 3_600_000);
    if (micro > 0) this.#parts.run<"record_spend">({ type: "record_spend", micro });
  }

  /** The provider's price becomes the pool's rate, times the pool's factor. */
  async askPrice(pool: string): Promise<void> {
    const factor = this.#parts.setup(pool)?.price_factor;
    const provider = this.#provider(pool);
    if (provider === null || factor === undefined) return;
    const price = await provider.price();
    if (price.outcome !== "known") return price.outcome === "unsupported" ? undefined : this.#note(pool, "warning", `its price could not be read: ${price.message}`);
    const rate = Math.ceil(price.microPerHour * factor);
    const was = this.#parts.engine.state.pools.get(pool)?.rate;
    this.#parts.facts.put(pool, { price: { microPerHour: price.microPerHour, currency: price.currency, source: price.source, at: this.#now() } });
    if (was === rate) return;
    this.#upsert(pool, { rate });
    this.#note(pool, "info", `costs ${(rate / 1_000_000).toFixed(2)} EUR per hour and machine (${price.source}: ${(price.microPerHour / 1_000_000).toFixed(2)} ${price.currency})`);
  }

  #claimed(pool: string): number {
    let count = 0;
    for (const attempt of this.#parts.engine.state.attempts.values()) if (attempt.pool === pool && attempt.lease !== null) count++;
    return count;
  }

  #pools(): string[] {
    return [...this.#parts.engine.state.pools.keys()].filter((pool) => {
      const provider = this.#parts.setup(pool)?.provider;
      return provider !== undefined && provider !== "pull";
    });
  }

  #provider(pool: string): GpuProvider | null {
    return this.#parts.providers.open(pool);
  }

  #sessions(pool: string): NonNullable<PoolSetup["sessions"]> {
    return this.#parts.setup(pool)?.sessions ?? [];
  }

  #lead(pool: string): number {
    return this.#parts.engine.state.pools.get(pool)?.startup90 || LEAD_MS;
  }

  #note(pool: string, kind: "info" | "warning" | "alarm", line: string): void {
    this.#parts.journal.note({ at: this.#now(), pool, kind, line });
  }

  #now(): number {
    return this.#parts.engine.now();
  }

  #later(pool: string, work: () => Promise<void>): void {
    this.#busy.add(pool);
    const done = this.#lane.enter(pool, async () => {
      try {
        await work();
      } catch (error) {
        this.#parts.complain("keeper_failed", error);
        this.#parts.facts.put(pool, { askAt: this.#now() + ASK_MS });
      } finally {
        this.#busy.delete(pool);
        this.#parts.rearm();
      }
    });
    this.#parts.keep(done);
  }
}
