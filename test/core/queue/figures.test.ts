// Section 16: two workloads anybody can rebuild, and the order in which their jobs must start.

import { describe, expect, test } from "vitest";
import type { Mode } from "../../../durable-objects/queue/index.ts";
import { ideal, orderCheck } from "../../simulators/queue/ideal.ts";
import { backlog, burst } from "../../simulators/queue/workloads.ts";

const unlimited = { seatMax: 1e9, queueMax: 1e9 };

describe("order checks", () => {
  test("[Q1] the workloads are the spec's", () => {
    const sum = (list: { ms: number }[]) => list.reduce((total, { ms }) => total + ms, 0);
    expect([burst().length, sum(burst())]).toEqual([117, 6_242_635]);
    expect([backlog().length, sum(backlog())]).toEqual([4159, 73_130_923]);
  });
  const burstChecks: [number, Mode, string, number][] = [
    [0, "fifo", "73f95bb8", 1656],
    [0, "round_robin", "6586de21", 1659],
    [0, "fair", "fb44e4f3", 1664],
    [60_000, "fifo", "238554b4", 2147],
    [60_000, "round_robin", "26a36061", 2173],
    [60_000, "fair", "fa50f490", 1841],
  ];
  test.each(burstChecks)("[Q39] [Q50] burst, %i ms per switch, %s dispatches as specified", (load, mode, check, makespan) => {
    const world = ideal({ slots: 4, mode, params: unlimited, jobs: burst(), load });
    expect(orderCheck(world.starts)).toBe(check);
    expect(Math.round(world.now / 1000)).toBe(makespan);
  });
  const backlogChecks: [number, Mode, string][] = [
    [4, "round_robin", "15d97114"],
    [4, "fair", "570bbcf8"],
    [8, "round_robin", "efbc8f6b"],
    [8, "fair", "d9f2010d"],
  ];
  test.each(backlogChecks)("[Q39] [Q50] backlog, %i slots, %s dispatches as specified", (slots, mode, check) => {
    expect(orderCheck(ideal({ slots, mode, params: unlimited, jobs: backlog() }).starts)).toBe(check);
  });
});
