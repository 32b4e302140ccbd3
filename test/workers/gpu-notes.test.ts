// What the object writes down of hand-overs and pools, on its own tables.
import { describe, expect, it } from "vitest";
import { codeWords, Journal, noteOf } from "../../durable-objects/gpu/journal.ts";
import { Handovers } from "../../durable-objects/handovers.ts";
import type { QueueEvent } from "../../durable-objects/queue/index.ts";
import { ERRORS } from "../../gpu-adapter/errors.ts";
import { withSql } from "./object-sql.ts";

describe("hand-overs", () => {
  it("are written before the call and after it; another reading finds the same", () =>
    withSql((sql) => {
      const one = { job: "a", attempt: 1 };
      const handovers = new Handovers(sql);
      handovers.sending(one, "h200", 100);
      expect(new Handovers(sql).get(one)).toEqual({ ...one, pool: "h200", state: "sending", sends: 1, ref: null, nextPoll: 100, polls: 0, unreadable: 0 });
      handovers.handed(one, "ref-1", 500);
      handovers.sending(one, "h200", 600);
      handovers.handed(one, null, 900);
      handovers.polled(one, 1200, true);
      handovers.polled(one, 1500, true);
      expect(new Handovers(sql).all()).toEqual([{ ...one, pool: "h200", state: "handed", sends: 2, ref: "ref-1", nextPoll: 1500, polls: 2, unreadable: 2 }]);
      handovers.polled(one, 1800, false);
      expect(handovers.get(one)?.unreadable).toBe(0);
      handovers.forget(one);
      handovers.handed(one, "late", 1);
      expect([handovers.all(), new Handovers(sql).all()]).toEqual([[], []]);
    }));
});

describe("the journal", () => {
  const note = (event: unknown): [string, string] | null => {
    const found = noteOf(event as QueueEvent, 10_000);
    return found === null ? null : [found.kind, found.line];
  };

  it("says in words why jobs go elsewhere", () => {
    expect(note({ type: "circuit_opened", pool: "h200", code: "provider_capacity", until: 40_000, failures: 1, alarm: false })).toEqual(["warning", "the provider has no machine free: no jobs go there for 30 s; they go to the next pool that can run them, or wait"]);
    expect(note({ type: "circuit_opened", pool: "h200", code: "provider_auth", until: 10_100, failures: 4, alarm: true })).toEqual(["alarm", "the provider does not accept the key (4 times in a row): no jobs go there for 1 s; they go to the next pool that can run them, or wait"]);
    expect(note({ type: "circuit_closed", pool: "h200" })?.[1]).toContain("as before");
    expect(note({ type: "budget_crossed", scope: "workshop", spent: 8_000_000, budget: 10_000_000 })?.[1]).toBe("80 % of the workshop's budget is spent: 8.00 of 10.00 EUR");
    expect(note({ type: "attempt_closed", record: { outcome: "lost", code: "container_lost", pool: "h200", job: "j1" }, reason: { message: "The replica was evicted" } })?.[1]).toBe("job j1: The replica was evicted; it costs the seat nothing");
    expect(note({ type: "attempt_closed", record: { outcome: "succeeded", code: null, pool: "h200", job: "j1" } })).toBeNull();
    expect(note({ type: "pool_changed", pool: "h200", what: "offers" })).toBeNull();
  });

  it("has words for every code", () => {
    for (const code of Object.keys(ERRORS)) expect(codeWords(code), code).toMatch(/^\S/);
  });

  it("keeps the newest, cuts what is long, and reads one pool or all", () =>
    withSql((sql) => {
      const journal = new Journal(sql);
      for (let n = 0; n < 510; n++) journal.note({ at: n, pool: n % 2 === 0 ? "a" : "b", kind: "info", line: `${n} ${"x".repeat(2000)}` });
      const all = journal.read(1000, null);
      expect([all.length, all[0]?.at, all.at(-1)?.at, all[0]?.line.length]).toEqual([500, 509, 10, 1000]);
      expect(journal.read(3, "a").map(({ at }) => at)).toEqual([508, 506, 504]);
    }));
});
