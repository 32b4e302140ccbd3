// The chaos suite's second set of books (test/e2e/chaos/ledgers.ts) agrees with the core, and notices when the core forgets a refund or invents a charge.
import { describe, expect, test } from "vitest";
import { type Command, decide, emptyRows, type QueueState, restore } from "../../durable-objects/queue/index.ts";
import { keepLedgers } from "../e2e/chaos/ledgers.ts";
import { ideal } from "../simulators/queue/ideal.ts";
import { burst, room } from "../simulators/queue/workloads.ts";

type Entry = { revision: number; at: number; command: Command };

/** Twelve seats that come and go for a quarter of an hour and more, estimates that miss, and a runner lost every minute. */
function afternoon(): { entries: Entry[]; begin: () => QueueState } {
  const entries: Entry[] = [];
  const acts = Array.from({ length: 20 }, (_, n) => ({ at: 60_500 * (n + 1), command: { type: "runner_lost" as const, runner: `runner of gpu-${1 + (n % 4)}` } }));
  ideal({ slots: 4, mode: "fair", jobs: room(3), acts, each: (_state, command, at) => void entries.push({ revision: entries.length + 1, at, command: structuredClone(command) }) });
  return { entries, begin: () => restore(emptyRows()) };
}

describe("[I10] the second set of books", () => {
  const { entries, begin } = afternoon();

  test("adds up over an afternoon with lifts and decay: what stayed charged is what ran", () => {
    const { faults, events, charged, lifts, decays } = keepLedgers(begin(), entries);
    expect(faults).toEqual([]);
    expect([lifts > 20, decays > 5]).toEqual([true, true]);
    const closed = events.flatMap((event) => (event.type === "attempt_closed" ? [event.record] : []));
    expect(closed.filter(({ outcome }) => outcome === "succeeded")).toHaveLength(180);
    expect(closed.filter(({ refunded }) => refunded).length).toBeGreaterThan(5);
    for (const [seat, { v, n }] of charged) {
      const own = closed.filter((record) => record.seat === seat && !record.refunded);
      expect([seat, v, n]).toEqual([seat, own.reduce((sum, { settled }) => sum + settled, 0), own.length * 1000]);
    }
  });

  test("[Q36] adds up where the debt cap cuts", () => {
    const busy: Entry[] = [];
    ideal({ slots: 4, mode: "fair", params: { seatMax: 100 }, jobs: burst(), each: (_state, command, at) => void busy.push({ revision: busy.length + 1, at, command: structuredClone(command) }) });
    const state = restore(emptyRows({ seatMax: 100 }));
    expect(keepLedgers(state, busy).faults).toEqual([]);
    const uncapped = restore(emptyRows({ seatMax: 100, debtMs: 0, debtJobs: 0 }));
    expect(keepLedgers(uncapped, busy).faults).toEqual([]);
    expect([...uncapped.seats.values()].some(({ id, main }) => main.n > (state.seats.get(id)?.main.n ?? 0))).toBe(true);
  });

  const wrongs: [name: string, spoil: (state: QueueState, n: number) => void][] = [
    ["a charge too many", (state, n) => n === 150 && void ([...state.seats.values()][2]!.main.v += 1)],
    ["a refund forgotten", (state, n) => n === 150 && void ([...state.seats.values()][2]!.main.n += 1000)],
    ["credit for being away", (state, n) => n === 150 && void ([...state.seats.values()].forEach(({ main }) => (main.v -= 5)))],
  ];
  test.each(wrongs)("notices %s", (_, spoil) => {
    let n = 0;
    const { faults } = keepLedgers(begin(), entries, (state, command, now) => {
      const decision = decide(state, command, now);
      spoil(state, ++n);
      return decision;
    });
    expect(faults[0]).toMatch(/^150: [vn] of s\d+ went from/);
  });
});
