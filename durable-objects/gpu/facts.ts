// What is known of each pool's machines: measured starts, what the provider said last, what was asked of it. Read once, written through.
import type { Capacity } from "../../gpu-adapter/port.ts";
import { type Sql, text } from "../sql.ts";
import type { Order } from "./schedule.ts";

export type Said = Omit<Capacity & { outcome: "known" }, "outcome"> & { at: number };
export type PoolFacts = {
  /** ms from hand-over to claim of the last cold starts, oldest first. */
  starts: number[];
  /** Runners that have claimed here before, newest last. */
  runners: string[];
  said: Said | null;
  /** Why the last question to the provider had no answer. */
  silent: string | null;
  order: Order | null;
  /** The number of machines the provider was last asked to keep; null: never asked, its own setting stands. */
  applied: number | null;
  /** Why the last change was not made, and when it is tried again (ms). */
  fault: { message: string; failures: number; retryAt: number } | null;
  price: { microPerHour: number; currency: string; source: string; at: number } | null;
  /** When the provider is asked next while machines cost money (ms). */
  askAt: number;
};

const NOTHING: PoolFacts = { starts: [], runners: [], said: null, silent: null, order: null, applied: null, fault: null, price: null, askAt: 0 };

export class FactStore {
  readonly #sql: Sql;
  #facts: Map<string, PoolFacts> | null = null;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  of(pool: string): PoolFacts {
    return this.#all().get(pool) ?? NOTHING;
  }

  put(pool: string, change: Partial<PoolFacts>): PoolFacts {
    const facts = { ...this.of(pool), ...change };
    this.#sql.all("INSERT INTO pool_facts (pool, facts) VALUES (?, ?) ON CONFLICT (pool) DO UPDATE SET facts = excluded.facts", pool, JSON.stringify(facts));
    this.#all().set(pool, facts);
    return facts;
  }

  forget(pool: string): void {
    this.#sql.all("DELETE FROM pool_facts WHERE pool = ?", pool);
    this.#all().delete(pool);
  }

  #all(): Map<string, PoolFacts> {
    this.#facts ??= new Map(this.#sql.all("SELECT pool, facts FROM pool_facts").map((row) => [text(row, "pool"), { ...NOTHING, ...(JSON.parse(text(row, "facts")) as Partial<PoolFacts>) }]));
    return this.#facts;
  }
}
