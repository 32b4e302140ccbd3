// Section 5: the ledgers.

import { describe, expect, test } from "vitest";
import { decayed, decayFactor } from "../../../durable-objects/queue/fairness.ts";
import { Room } from "./room.ts";

const calm = { claimBefore: 1e10, startAfterClaim: 1e10, silence: 1e10, lease: 1e10 };

function room(slots = 1, params = {}): Room {
  return new Room({ slots, pools: [{ maxInFlight: slots, ...calm }], params });
}

describe("charge and settle", () => {
  test("[Q25] a weight is 10 to 1000 percent, 100 unless set", () => {
    const r = room();
    expect(r.refused({ type: "set_weight", seat: "A", weight: 9, by: "ada" }).reason).toBe("invalid_value");
    expect(r.refused({ type: "set_weight", seat: "A", weight: 100.5, by: "ada" }).reason).toBe("invalid_value");
    r.ok({ type: "set_weight", seat: "A", weight: 1000, by: "ada" });
    r.submit("B1");
    expect([r.state.seats.get("A")?.weight, r.state.seats.get("B")?.weight]).toEqual([1000, 100]);
  });

  test("[Q29] dispatch charges time and turns by weight, and the attempt remembers", () => {
    const r = room();
    r.ok({ type: "set_weight", seat: "A", weight: 30, by: "ada" });
    r.submit("A1", { e: 10_000 });
    expect([r.v("A"), r.n("A")]).toEqual([33_333, 3333]);
    expect(r.attempt("A1").charged).toEqual({ v: 33_333, n: 3333 });
  });

  test("[Q30] the end settles what it took: loading apart, by pool speed, never more than was seen", () => {
    const timings: [number, { execMs: number; loadMs: number } | undefined, number][] = [
      [100, { execMs: 9000, loadMs: 2000 }, 7000],
      [100, { execMs: 60_000, loadMs: 0 }, 20_000],
      [150, { execMs: 9000, loadMs: 3000 }, 9000],
      [100, undefined, 15_000],
      [100, { execMs: 1000, loadMs: 5000 }, 0],
    ];
    for (const [speed, measured, expected] of timings) {
      const r = new Room({ pools: [{ ...calm, speed }] });
      r.submit("A1", { e: 30_000 });
      r.claim("A1");
      r.at(5).start("A1");
      r.at(20).ok({ type: "result", ...r.leased("A1"), digest: "", outcome: "succeeded", filesCommitted: true, ...(measured === undefined ? {} : { timings: measured }) });
      expect(r.v("A")).toBe(expected);
      expect(r.n("A")).toBe(1000);
    }
  });

  test("[Q30] cancelled before a claim, refused, expired, lost or evicted: a full refund, once", () => {
    const ways: ((r: Room) => unknown)[] = [
      (r) => r.ok({ type: "cancel", job: "A1", seat: "A" }),
      (r) => r.ok({ type: "handed_over", job: "A1", attempt: 1, answer: "refused", code: "provider_capacity" }),
      (r) => r.ok({ type: "evict", job: "A1", by: "ada" }),
      (r) => r.claim("A1") && r.ok({ type: "runner_lost", runner: "runner-gpu-1" }),
    ];
    for (const way of ways) {
      const r = room();
      r.submit("A1", { e: 30_000 });
      r.ok({ type: "set_switch", to: "paused", by: "ada" });
      expect([r.v("A"), r.n("A")]).toEqual([30_000, 1000]);
      r.at(10);
      way(r);
      r.at(20);
      expect([r.v("A"), r.n("A")]).toEqual([0, 0]);
      expect(r.find("attempt_closed").filter(({ record }) => record.refunded)).toHaveLength(1);
    }
  });

  test("[Q30] the seat's own cancel of a run is charged so far, the instructor's is not", () => {
    for (const [seat, expected] of [["A", 12_000], [null, 0]] as const) {
      const r = room();
      r.submit("A1", { e: 30_000 });
      r.start("A1");
      r.at(10).ok({ type: "cancel", job: "A1", seat });
      r.at(12).ok({ type: "result", ...r.leased("A1"), digest: "", outcome: "cancelled" });
      expect(r.v("A")).toBe(expected);
    }
  });
});

describe("stopped by the instructor", () => {
  test("[Q30] [Q63] running jobs the instructor clears are not charged to their seats", () => {
    for (const seat of ["A", null]) {
      const r = room(2);
      r.submit("A1", { e: 30_000 });
      r.submit("A2", { e: 30_000 });
      for (const id of ["A1", "A2"]) r.start(id);
      r.at(10).ok({ type: "clear", seat, instructor: true, running: true, by: "ada" });
      r.at(12);
      for (const id of ["A1", "A2"]) r.ok({ type: "result", ...r.leased(id), digest: "", outcome: "cancelled" });
      expect([r.v("A"), r.n("A")]).toEqual([0, 0]);
      expect(r.find("attempt_closed").map(({ record }) => record.refunded)).toEqual([true, true]);
    }
  });
});

describe("virtual time", () => {
  test("[Q26] [Q27] [Q28] a seat that no open slot may serve does not hold virtual time down", () => {
    const r = new Room({ pools: [{ ...calm, offers: ["image"] }] });
    r.submit("V1", { requires: ["video"], e: 1000 });
    r.submit("A1", { e: 10_000, requires: ["image"] });
    r.submit("A2", { e: 10_000, requires: ["image"] });
    expect(r.V).toBe(10_000);
    r.ok({ type: "set_offers", pool: "gpu", offers: ["image", "video"] });
    r.now = 10_000;
    r.done("A1", 10_000);
    expect(r.order()).toBe("A1 V1"); // it was waiting all along: no lift on becoming unblocked
    expect(r.v("V")).toBe(1000);
  });

  test("[Q28] [Q32] a paused seat is not contending", () => {
    const r = room(1);
    r.ok({ type: "set_switch", to: "paused", by: "ada" });
    r.submit("A1", { e: 10_000 });
    r.submit("B1", { e: 10_000 });
    r.ok({ type: "set_switch", to: "open", by: "ada" });
    expect([r.v("A"), r.V]).toEqual([10_000, 0]);
    r.ok({ type: "pause_seat", seat: "B", by: "ada" });
    expect(r.V).toBe(10_000);
  });

  test("[Q31] becoming active lifts to V, and nobody is forgiven by leaving", () => {
    const r = room(2);
    for (const id of ["A1", "A2", "A3"]) r.submit(id, { e: 30_000 });
    expect(r.V).toBe(60_000);
    r.submit("B1", { e: 5000 });
    expect(r.v("B")).toBe(60_000);
    r.ok({ type: "clear", seat: "A", instructor: false });
    r.submit("A4", { e: 5000 });
    expect(r.v("A")).toBeGreaterThanOrEqual(60_000);
  });

  test("[Q31] [Q65] resuming lifts to V, also while a job of the seat runs", () => {
    const r = room(2);
    r.submit("A1", { e: 10_000 });
    r.submit("A2", { e: 10_000 });
    r.submit("A3", { e: 10_000 });
    r.ok({ type: "pause_seat", seat: "A", by: "ada" });
    r.now = 5000;
    r.done("A1", 10_000);
    for (const id of ["B1", "B2", "B3"]) r.submit(id, { e: 100_000 });
    expect(r.stateOf("A2")).toBe("dispatched");
    const before = r.v("A");
    expect(r.V).toBeGreaterThan(before);
    const level = r.V;
    r.ok({ type: "resume_seat", seat: "A", by: "ada" });
    expect(r.v("A")).toBe(level);
    expect(r.n("A")).toBeGreaterThanOrEqual(r.state.workshop.main.n);
  });

  test("[Q32] V is the least ledger of those contending and never falls", () => {
    const r = room(2);
    r.submit("A1", { e: 30_000 });
    r.submit("B1", { e: 10_000 });
    expect(r.V).toBe(30_000); // A alone had raised it before B came
    r.ok({ type: "cancel", job: "A1", seat: "A" });
    expect([r.v("A"), r.V]).toEqual([0, 40_000]);
  });

  test("[Q33] v falls only by settlement, refund, decay and the debt cap", () => {
    const r = room(1);
    r.submit("A1", { e: 30_000 });
    r.submit("A2", { e: 30_000 });
    r.submit("B1", { e: 30_000 });
    const before = r.v("A");
    r.at(5).ok({ type: "set_weight", seat: "A", weight: 500, by: "ada" });
    r.ok({ type: "set_mode", mode: "fifo", by: "ada" });
    r.ok({ type: "pause_seat", seat: "A", by: "ada" });
    r.ok({ type: "resume_seat", seat: "A", by: "ada" });
    r.ok({ type: "cancel", job: "A2", seat: "A" });
    expect(r.v("A")).toBe(before);
  });

  test("[Q34] a new round makes everybody level and leaves the lists", () => {
    const r = room(1);
    r.submit("A1", { e: 50_000 });
    r.submit("B1", { e: 10_000 });
    r.submit("A2", { e: 10_000 });
    r.ok({ type: "new_round", by: "ada" });
    expect([r.v("A"), r.v("B"), r.n("A"), r.n("B")]).toEqual([r.V, r.V, r.state.workshop.main.n, r.state.workshop.main.n]);
    expect(r.has("new_round")).toBe(true);
    r.now = 10_000;
    r.done("A1", 50_000);
    expect(r.state.jobs.get("A2")?.place).toBe(3);
  });

  test("[Q35] what is owed wears off by the minute while a seat asks for nothing", () => {
    const r = room(2);
    r.submit("A1", { e: 100_000 });
    r.submit("B1", { e: 10_000 });
    r.now = 59_000;
    r.done("A1", 59_000);
    r.ok({ type: "set_demo", on: false, by: "ada" });
    const [v, V] = [r.v("A"), r.V];
    const owed = v - V;
    expect(owed).toBeLessThanOrEqual(0);
    r.submit("C1", { e: 400_000 });
    r.at(60);
    const later = r.v("C") - r.V;
    r.at(120);
    expect(r.v("C") - r.V).toBe(Math.floor((later * 988_514) / 1_000_000));
    r.submit("C2", { e: 1000 });
    r.submit("C3", { e: 1000 });
    r.submit("C4", { e: 1000 });
    const asking = r.v("C");
    r.at(600);
    expect(r.v("C")).toBe(asking);
  });

  test("[Q35] the factor follows the half-life; 0 switches decay off", () => {
    expect([60, 30, 1].map(decayFactor)).toEqual([988_514, 977_160, 500_000]);
    const r = room(2, { halfLifeMinutes: 0 });
    r.submit("B1", { e: 1000 });
    r.submit("A1", { e: 100_000 });
    const owed = r.v("A");
    r.at(3600);
    expect(r.v("A")).toBe(owed);
  });

  test("[Q35] turns wear off as GPU time does", () => {
    const r = room(2);
    r.submit("B1", { e: 1000 });
    r.submit("A1", { e: 100_000 });
    const N = () => r.state.workshop.main.n;
    expect([r.v("A") - r.V, r.n("A") - N()]).toEqual([100_000, 1000]);
    r.at(60);
    expect([r.v("A") - r.V, r.n("A") - N()]).toEqual([98_851, 988]);
    r.at(180);
    expect([r.v("A") - r.V, r.n("A") - N()]).toEqual([decayed(98_851, 988_514, 2), decayed(988, 988_514, 2)]);
  });

  test("[Q35] a day of silence wears off as much as any longer one", () => {
    const left = (minutes: number) => {
      const r = room(2, { halfLifeMinutes: 1440 });
      r.submit("B1", { e: 1000 });
      r.submit("A1", { e: 400_000 });
      r.at(minutes * 60);
      return [r.v("A") - r.V, r.n("A") - r.state.workshop.main.n];
    };
    expect(left(1440)).toEqual([1440].flatMap((minutes) => [400_000, 1000].map((owed) => decayed(owed, decayFactor(1440), minutes))));
    expect(left(1439)).not.toEqual(left(1440));
    expect(left(5000)).toEqual(left(1440));
  });

  test("[Q36] nobody owes more than ten GPU-minutes or ten turns", () => {
    const r = room(2, { halfLifeMinutes: 0 });
    r.submit("B1", { e: 1000 });
    r.submit("A1", { e: 5_000_000 });
    expect(r.v("A")).toBe(r.V + 600_000);
    const capped = room(30, { halfLifeMinutes: 0 });
    capped.submit("B1", { e: 1000 });
    for (let k = 1; k <= 25; k++) capped.submit(`A${k}`, { e: 1000 });
    expect(capped.n("A")).toBe(capped.state.workshop.main.n + 10_000);
    const off = room(2, { halfLifeMinutes: 0, debtMs: 0 });
    off.submit("B1", { e: 1000 });
    off.submit("A1", { e: 5_000_000 });
    expect(off.v("A")).toBeGreaterThan(off.V + 600_000);
  });
});
