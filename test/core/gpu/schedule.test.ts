// How many machines are kept up, and when that changes; what the room costs and how long its money lasts.
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { moneyOf, type Spending } from "../../../durable-objects/gpu/money.ts";
import { coolOrder, nextChange, quantile, wishAt } from "../../../durable-objects/gpu/schedule.ts";

const class1 = { from: 1000, to: 2000, replicas: 2 };
const class2 = { from: 1500, to: 3000, replicas: 3 };

describe("machines kept up", () => {
  test("a booked session begins early by the time machines need, and ends on time; the larger of two counts", () => {
    expect(wishAt([class1], null, 100, 899)).toEqual({ replicas: 0, why: "none", until: null });
    expect(wishAt([class1], null, 100, 900)).toEqual({ replicas: 2, why: "session", until: 2000 });
    expect(wishAt([class1, class2], null, 0, 1600)).toEqual({ replicas: 3, why: "session", until: 3000 });
    expect(wishAt([class1], null, 100, 2000)).toEqual({ replicas: 0, why: "none", until: null });
  });

  test("the operator's order goes before sessions and ends by itself", () => {
    const order = { replicas: 5, until: 1200 };
    expect(wishAt([class1], order, 0, 1100)).toEqual({ replicas: 5, why: "order", until: 1200 });
    expect(wishAt([class1], order, 0, 1200)).toEqual({ replicas: 2, why: "session", until: 2000 });
  });

  test("cooling passes over a session that runs, and is forgotten afterwards", () => {
    expect(coolOrder([class1], 100, 500)).toBeNull();
    const order = coolOrder([class1, class2], 100, 950);
    expect(order).toEqual({ replicas: 0, until: 2000 });
    expect(wishAt([class1, class2], order, 100, 1999).replicas).toBe(0);
    expect(wishAt([class1, class2], order, 100, 2000).replicas).toBe(3);
  });

  test("between now and the next change nothing changes", () => {
    const session = fc.record({ from: fc.integer({ min: 0, max: 1000 }), length: fc.integer({ min: 1, max: 500 }), replicas: fc.integer({ min: 0, max: 3 }) }).map(({ from, length, replicas }) => ({ from, to: from + length, replicas }));
    const order = fc.option(fc.record({ replicas: fc.integer({ min: 0, max: 3 }), until: fc.integer({ min: 0, max: 1500 }) }));
    fc.assert(
      fc.property(fc.array(session, { maxLength: 4 }), order, fc.integer({ min: 0, max: 100 }), fc.integer({ min: 0, max: 1600 }), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (sessions, told, lead, now, part) => {
        const next = nextChange(sessions, told, lead, now);
        const later = next === null ? now + Math.floor(part * 5000) : now + Math.floor(part * (next - now));
        expect(wishAt(sessions, told, lead, later).replicas).toBe(wishAt(sessions, told, lead, now).replicas);
      }),
    );
  });

  test("quantiles by nearest rank", () => {
    expect([quantile([], 0.5), quantile([7], 0.9), quantile([3, 1, 2], 0.5), quantile([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 0.9)]).toEqual([null, 7, 2, 9]);
  });
});

describe("money", () => {
  const eur = 1_000_000;
  const room: Spending = { budget: 20 * eur, spent: 5 * eur, reserved: eur, busy: [3 * eur, 3 * eur], idle: [{ machines: 2, rate: 2 * eur }] };

  test("[Q16] what is set aside is not free; idle machines burn too; the rest lasts as long as the pace says", () => {
    expect(moneyOf(room, 1000)).toMatchObject({ left: 14 * eur, burn_per_hour: 10 * eur, lasts_until: 1000 + 90 * 60_000 });
    expect(moneyOf(room, 1000).says).toBe("5.00 EUR of 20.00 EUR spent, 14.00 EUR free for new jobs; 10.00 EUR per hour at this pace; it lasts 90 min.");
    expect(moneyOf({ ...room, busy: [], idle: [{ machines: 1, rate: eur }] }, 0).says).toContain("it lasts 15 h 0 min");
  });

  test("no budget, no pace, nothing left", () => {
    expect(moneyOf({ ...room, budget: null }, 0)).toMatchObject({ left: null, lasts_until: null, says: "5.00 EUR spent, no budget set; 10.00 EUR per hour at this pace." });
    expect(moneyOf({ ...room, busy: [], idle: [] }, 0)).toMatchObject({ burn_per_hour: 0, lasts_until: null, says: "5.00 EUR of 20.00 EUR spent, 14.00 EUR free for new jobs; nothing costs money right now." });
    expect(moneyOf({ ...room, spent: 25 * eur }, 7)).toMatchObject({ left: 0, lasts_until: 7 });
    expect(moneyOf({ ...room, spent: 25 * eur }, 7).says).toMatch(/^The budget of 20\.00 EUR is used up or set aside/);
  });
});
