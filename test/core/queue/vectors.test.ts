// The spec's vectors, section 14: letter = seat, durations in seconds, e = real time, one signature, weight 100, default parameters.

import { describe, expect, test } from "vitest";
import { forecast } from "../../../durable-objects/queue/index.ts";
import { estimate } from "../../../durable-objects/queue/estimate.ts";
import { decayed, decayFactor } from "../../../durable-objects/queue/fairness.ts";
import { reserveOf } from "../../../durable-objects/queue/budget.ts";
import { ideal, Ideal, idealPool, order, runsFor, times, told, type IdealJob, type IdealWorld } from "../../simulators/queue/ideal.ts";
import type { Command, Submit } from "../../../durable-objects/queue/index.ts";
import { Room } from "./room.ts";

type Plain = Exclude<Command, { type: "batch" }>;

/** "A1 A2:10 B1" with a default duration in seconds. */
function jobs(words: string, seconds: number, at = 0, more: Partial<IdealJob> = {}): IdealJob[] {
  return words.split(" ").map((word) => {
    const [id = "", own] = word.split(":");
    return { id, seat: id[0] ?? "", at: at * 1000, ms: (own === undefined ? seconds : Number(own)) * 1000, ...more };
  });
}

function many(seat: string, from: number, to: number): string {
  return Array.from({ length: to - from + 1 }, (_, n) => `${seat}${from + n}`).join(" ");
}

function play(world: IdealWorld): Ideal {
  return ideal(world);
}

const demoOn: Plain = { type: "set_demo", on: true, by: "ada" };
const demoJob = { submit: { instructor: true } satisfies Partial<Submit> };

describe("vectors", () => {
  const interleaved = jobs("A1 A2 B1 C1 C2 A3", 10);
  test("[T1] [Q50] round_robin gives every seat its turn", () => {
    expect(order(play({ mode: "round_robin", jobs: interleaved }).starts)).toBe("A1 B1 C1 A2 C2 A3");
  });
  test("[T2] [Q50] fifo is first come, first served", () => {
    expect(order(play({ mode: "fifo", jobs: interleaved }).starts)).toBe("A1 A2 B1 C1 C2 A3");
  });
  test("[T3] [Q46] κ bounds the head start of short jobs", () => {
    const world = play({ jobs: [...jobs("A1 A2 A3", 100), ...jobs(many("B", 1, 10), 10)] });
    expect(times(world.starts)).toBe("B1@0 B2@10 B3@20 B4@30 B5@40 A1@50 B6@150 B7@160 B8@170 B9@180 B10@190 A2@200 A3@300");
  });
  test("[T4] [Q31] a newcomer starts level with the least served seat", () => {
    const world = play({ jobs: [...jobs(many("A", 1, 5), 60), ...jobs("B1 B2 B3", 60, 150)] });
    expect(order(world.starts)).toBe("A1 A2 A3 A4 B1 A5 B2 B3");
  });
  test("[T5] [Q45] the cap is soft: no slot idles, and it holds while others wait", () => {
    const world = play({ slots: 4, jobs: [...jobs(many("A", 1, 8), 60), ...jobs("B1 B2 B3", 60, 1)] });
    expect(told(world.starts)).toBe("A1@0/0 A2@0/1 A3@0/2 A4@0/3 A5@60/0 B1@60/1 A6@60/2 B2@60/3 A7@120/0 B3@120/1 A8@120/2");
  });
  const x = { signature: "x" };
  const y = { signature: "y" };
  test("[T6] [Q47] a warm model goes first", () => {
    expect(order(play({ jobs: [...jobs("A1", 10, 0, x), ...jobs("B1", 10, 0, y), ...jobs("C1", 10, 0, x)] }).starts)).toBe("A1 C1 B1");
  });
  test("[T7] [Q47] nobody is passed over more than D times", () => {
    const world = play({ jobs: [...jobs("A1", 10, 0, x), ...jobs("B1", 10, 0, y), ...jobs(many("C", 1, 7), 5, 0, x)] });
    expect(order(world.starts)).toBe("C1 A1 C2 C3 C4 C5 B1 C6 C7");
  });
  test("[T8] [Q47] δ ends the stickiness earlier", () => {
    const world = play({ jobs: [...jobs("A1", 10, 0, x), ...jobs("B1", 10, 0, y), ...jobs(many("C", 1, 7), 12, 0, x)] });
    expect(times(world.starts)).toBe("A1@0 C1@10 C2@22 C3@34 B1@46 C4@56 C5@68 C6@80 C7@92");
  });
  test("[T9] [Q47] within one list at most L jobs overtake", () => {
    const world = play({ jobs: [...jobs("A1", 10, 0, x), ...jobs("A2", 10, 0, y), ...jobs(many("A", 3, 9), 10, 0, x)] });
    expect(order(world.starts)).toBe("A1 A3 A4 A5 A6 A2 A7 A8 A9");
  });
  test("[T10] [Q25] twice the weight, twice the turns", () => {
    const weight: Plain = { type: "set_weight", seat: "A", weight: 200, by: "ada" };
    const list = [...jobs(many("A", 1, 8), 10), ...jobs(many("B", 1, 4), 10)].map((job) => ({ ...job, at: 1000 }));
    const world = play({ jobs: list, acts: [{ at: 0, command: weight }] });
    expect(order(world.starts)).toBe("A1 A2 B1 A3 A4 B2 A5 A6 B3 A7 A8 B4");
  });
  test("[T11] [Q30] wrong estimates are settled with what it took", () => {
    const wrong = jobs("A1 A2", 10).map((job) => ({ ...job, e: 100_000 }));
    const world = play({ jobs: [...wrong, ...jobs("B1", 50).map((job) => ({ ...job, e: 20_000 })), ...jobs("B2 B3", 10)] });
    expect(times(world.starts)).toBe("B1@0 A1@50 B2@60 A2@70 B3@80");
  });
  test("[T12] [Q54] a lost container: refunded, and at the head of its seat again", () => {
    expect(lostAtThirty(0)).toBe("A1@0 A1@30 B1@90 A2@150");
  });
  test("[T13] [Q55] with a backoff the next seat goes first", () => {
    expect(lostAtThirty(2000)).toBe("A1@0 B1@30 A1@90 A2@150");
  });
  test("[T14] [Q59] a cancelled job costs its seat nothing and nobody their turn", () => {
    const world = play({ jobs: jobs("A1 A2 B1 A3 B2", 60), acts: [{ at: 5000, command: { type: "cancel", job: "A2", seat: "A" } }] });
    expect(times(world.starts)).toBe("A1@0 B1@60 A3@120 B2@180");
  });
  test("[T15] [Q30] cancelled while running: charged for what it ran", () => {
    const world = new Ideal({ jobs: jobs("A1 A2 B1 B2", 60), acts: [] });
    world.step();
    world.now = 5000;
    world.do({ type: "cancel", job: "A1", seat: "A" });
    world.now = 20_000;
    world.do({ type: "result", job: "A1", attempt: 1, lease: "A1/1", digest: "", outcome: "cancelled" });
    expect(world.state.seats.get("A")?.main.v).toBe(20_000);
    world.run();
    expect(times(world.starts)).toBe("A1@0 B1@20 A2@80 B2@140");
  });
  test("[T16] [Q65] a paused seat keeps its places and lifts on resume", () => {
    const world = play({
      jobs: jobs("A1 A2 B1 B2 C1 C2", 60),
      acts: [
        { at: 0, command: { type: "pause_seat", seat: "B", by: "ada" } },
        { at: 120_000, command: { type: "resume_seat", seat: "B", by: "ada" } },
      ],
    });
    expect(order(world.starts)).toBe("A1 C1 A2 B1 C2 B2");
  });
  test("[T17] [Q42] demo takes its slot, the class keeps the others", () => {
    const world = play({ slots: 2, jobs: [...jobs("A1 A2 B1 B2", 10, 1), ...jobs("I1 I2 I3", 10, 1, demoJob)], acts: [{ at: 0, command: demoOn }] });
    expect(told(world.starts.map((start) => ({ ...start, at: start.at - 1000 })))).toBe("I1@0/0 A1@0/1 I2@10/0 B1@10/1 I3@20/0 A2@20/1 B2@30/0");
  });
  test("[T18] [Q42] with one slot demo and class alternate", () => {
    const world = play({ jobs: [...jobs("A1 B1 B2", 10, 1), ...jobs("I1 I2 I3", 10, 1, demoJob)], acts: [{ at: 0, command: demoOn }] });
    expect(order(world.starts)).toBe("I1 A1 I2 B1 I3 B2");
  });
  test("[T19] [Q22] a bump changes when, never how much", () => {
    const world = play({ jobs: jobs("A1 A2 B1 C1", 10), acts: [{ at: 5000, command: { type: "bump", job: "C1", by: "ada" } }] });
    expect(order(world.starts)).toBe("A1 C1 B1 A2");
    expect(world.state.seats.get("C")?.main.v).toBe(10_000);
  });
  const classed = ["A1/3/0", "B1/2/0", "B2/2/5", "C1/1/0", "A2/2/0", "C2/0/0"].map((word): IdealJob => {
    const [id = "", level, priority] = word.split("/");
    return { id, seat: id[0] ?? "", at: 0, ms: 10_000, submit: { class: Number(level), userPriority: Number(priority) } };
  });
  test("[T20] [Q50] priority: the smallest class among the heads first, strictly", () => {
    expect(order(play({ mode: "priority", jobs: classed }).starts)).toBe("C2 C1 B2 A2 B1 A1");
  });
  test("[T21] [Q18] fair ignores classes and keeps a seat's own priorities", () => {
    expect(order(play({ jobs: classed }).starts)).toBe("A1 B2 C1 B1 A2 C2");
  });
  test("[T22] [Q18] front means front of my jobs", () => {
    const list = [...jobs("A1 B1 A2", 10), ...jobs("A3", 10, 0, { submit: { front: true } })];
    expect(order(play({ jobs: list }).starts)).toBe("B1 A3 A1 A2");
    expect(order(play({ mode: "fifo", jobs: list }).starts)).toBe("A3 A1 B1 A2");
  });
  test("[T23] [Q51] the mode changes while a job runs", () => {
    const world = play({ mode: "fifo", jobs: jobs("A1 A2 A3 B1 C1", 10), acts: [{ at: 5000, command: { type: "set_mode", mode: "fair", by: "ada" } }] });
    expect(order(world.starts)).toBe("A1 B1 C1 A2 A3");
  });
  const short = [...jobs("E0", 10), ...jobs("A1 B1 C1 D1", 200), ...jobs("E1", 10, 30)];
  test("[T24] [Q43] one of four slots is kept for short work, for a while", () => {
    expect(told(play({ slots: 4, jobs: short }).starts)).toBe("E0@0/0 A1@0/1 B1@0/2 C1@0/3 E1@30/0 D1@150.001/0");
  });
  test("[T25] [Q43] with r = 0 nothing is kept", () => {
    expect(told(play({ slots: 4, params: { reserved: 0 }, jobs: short }).starts)).toBe("E0@0/0 A1@0/1 B1@0/2 C1@0/3 D1@10/0 E1@200/1");
  });
  const background = { submit: { background: true } };
  test("[T26] [Q48] background leaves the kept slot alone", () => {
    expect(told(play({ slots: 4, jobs: jobs("G1 G2 G3 G4 G5", 10, 0, background) }).starts)).toBe("G1@0/0 G2@0/1 G3@0/2 G4@10/0 G5@10/1");
  });
  test("[T27] [Q48] background waits while anything else can use the slot", () => {
    const world = play({ jobs: [...jobs("G1 G2", 10, 0, background), ...jobs("A1 A2", 10, 5)] });
    expect(times(world.starts)).toBe("G1@0 A1@10 A2@20 G2@30");
  });
  test("[T28] [Q44] aging takes head starts away, never fairness", () => {
    const list = [...jobs("A1", 60), ...jobs(`${many("B", 1, 14)} ${many("C", 1, 14)}`, 5)];
    const aged = play({ params: { aged: 30_000 }, jobs: list }).starts;
    expect(times(aged.slice(0, 8))).toBe("B1@0 C1@5 B2@10 C2@15 B3@20 C3@25 B4@30 A1@35");
    expect(play({ jobs: list }).starts.find(({ id }) => id === "A1")?.at).toBe(110_000);
  });
  test("[T29] [Q41] only slots that offer everything may run a job", () => {
    const pools = [idealPool({ id: "images", position: 0, offers: ["image"] }), idealPool({ id: "all", position: 1, offers: ["image", "video"] })];
    const needs = (kind: string) => ({ submit: { requires: [kind] } });
    const list = [...jobs("A1", 200, 0, needs("video")), ...jobs("A2", 10, 0, needs("image")), ...jobs("B1", 200, 0, needs("video")), ...jobs("B2", 10, 0, needs("image"))];
    expect(told(play({ pools, jobs: list }).starts.slice(0, 2))).toBe("A1@0/1 B2@0/0");
  });
  test("[T30] [Q35] decay has a half-life of 60 minutes", () => {
    expect([1, 2, 60].map((minutes) => decayed(1_000_000, decayFactor(60), minutes))).toEqual([988_514, 977_159, 499_979]);
  });
  test("[T31] [Q71] estimates from runs", () => {
    expect(estimate([9000, 10_000, 11_000, 12_000, 30_000], "image")).toEqual({ e: 11_000, e90: 30_000, rough: false });
    expect(estimate([10_000], "image")).toEqual({ e: 10_000, e90: 15_000, rough: false });
    expect(estimate([], "video")).toEqual({ e: 240_000, e90: 480_000, rough: true });
  });
  test("[T32] [Q16] what is set aside for a job", () => {
    expect(reserveOf(240_000, 3_330_000)).toBe(222_000);
  });
  function forecastRoom(): Room {
    const room = new Room({ pools: [{ lease: 600_000 }], params: { company: 0 } });
    room.submit("A1", { e: 60_000, e90: 90_000 });
    room.start("A1");
    room.submit("B1", { e: 10_000, e90: 20_000 });
    room.submit("A2", { e: 60_000, e90: 90_000 });
    return room;
  }
  test("[T33] [Q73] places and bands from running forward", () => {
    const room = forecastRoom().at(20);
    expect(forecast(room.state, room.now)).toEqual(
      new Map([
        ["B1", { place: 1, start50: 60_000, start90: 90_000 }],
        ["A2", { place: 2, start50: 70_000, start90: 110_000 }],
      ]),
    );
  });
  test("[T34] [Q73] a run over its estimate is given a quarter more", () => {
    const room = forecastRoom().at(80);
    expect(forecast(room.state, room.now).get("B1")).toEqual({ place: 1, start50: 95_000, start90: 102_500 });
  });
});

function lostAtThirty(backoff: number): string {
  const world = new Ideal({ params: { backoff }, jobs: jobs("A1 B1 A2", 60) });
  world.step();
  world.now = 30_000;
  world.do({ type: "runner_lost", runner: "runner of gpu-1" });
  return times(world.run().starts);
}

test("[Q71] the vectors' made-up estimates are what the table says", () => {
  expect(estimate(runsFor(60_000, 90_000), "image")).toEqual({ e: 60_000, e90: 90_000, rough: false });
});
