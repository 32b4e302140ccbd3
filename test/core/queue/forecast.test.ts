// Section 11 and groups: estimates, places, ETA bands, when to wake.

import { describe, expect, test } from "vitest";
import { forecast, nextWake, rowsOf, timingSignature } from "../../../durable-objects/queue/index.ts";
import { estimate } from "../../../durable-objects/queue/estimate.ts";
import { Room, bare } from "./room.ts";

const calm = { claimBefore: 1e10, startAfterClaim: 1e10, silence: 1e10, lease: 1e10 };

describe("estimates", () => {
  test("[Q70] the timing signature: models, node classes with counts, bit length of the work", () => {
    const parts = { signature: "sdxl+vae", classes: { KSampler: 2, CLIPTextEncode: 2, VAEDecode: 1 }, width: 1024, height: 1024, steps: 20 };
    expect(timingSignature(parts)).toBe("sdxl+vae|CLIPTextEncode:2,KSampler:2,VAEDecode:1|25");
    expect(timingSignature({ ...parts, classes: { VAEDecode: 1, KSampler: 2, CLIPTextEncode: 2 } })).toBe(timingSignature(parts));
    expect(timingSignature({ ...parts, width: 2048, height: 2048, frames: 81, batch: 4 })).toMatch(/\|35$/);
    expect(timingSignature({ signature: "", classes: {} })).toBe("||1");
    expect(timingSignature({ signature: "", classes: {}, width: Number.NaN, frames: -5, steps: Number.POSITIVE_INFINITY })).toBe("||1");
  });

  test("[Q71] bounds: at least a second, e90 at least e, the last twenty runs", () => {
    expect(estimate([3, 4, 5], "image")).toEqual({ e: 1000, e90: 1000, rough: false });
    expect(estimate([1000, 4000], "image")).toEqual({ e: 1000, e90: 6000, rough: false });
    expect((["image", "audio", "video", "3d", "other"] as const).map((kind) => estimate([], kind).e)).toEqual([10_000, 60_000, 240_000, 120_000, 30_000]);
    const room = new Room();
    room.ok({ type: "record_runs", timing: "t", runs: Array.from({ length: 50 }, (_, n) => n * 1000) });
    expect(room.state.estimates.get("t")?.runs).toHaveLength(20);
    expect(room.state.estimates.get("t")?.runs[0]).toBe(30_000);
    expect(room.refused({ type: "record_runs", timing: "t", runs: [1.5] }).reason).toBe("invalid_value");
  });

  test("[Q71] only succeeded runs are kept, on the reference GPU's clock", () => {
    const room = new Room({ slots: 2, pools: [{ ...calm, maxInFlight: 2, speed: 200 }] });
    room.submit("A1");
    room.start("A1");
    room.submit("B1");
    room.start("B1");
    room.at(8);
    room.fail("B1", "node_error");
    expect(room.state.estimates.get("never run")).toBeUndefined();
    room.done("A1");
    expect(room.state.estimates.get("never run")?.runs).toEqual([16_000]);
  });

  test("[Q72] waiting jobs are re-read, live ones keep what they were charged; rows are not rewritten", () => {
    const room = new Room({ pools: [calm] });
    room.submit("A1");
    room.submit("A2");
    const decision = room.do({ type: "record_runs", timing: "never run", runs: [3000, 3000, 3000] });
    expect([room.attempt("A1").e, room.job("A2").e, room.job("A2").rough]).toEqual([10_000, 3000, false]);
    expect([...decision.changes.jobs]).toEqual([]);
    room.crash();
    expect([room.attempt("A1").e, room.job("A2").e]).toEqual([10_000, 3000]);
  });
});

describe("forecast", () => {
  test("[Q73] running forward changes nothing", () => {
    const room = new Room({ slots: 2, pools: [{ ...calm, maxInFlight: 2 }] });
    for (const id of ["A1", "A2", "A3", "B1", "B2"]) room.submit(id, { e: 9000, signature: id });
    room.ok({ type: "set_demo", on: true, by: "ada" });
    const before = bare(rowsOf(room.state));
    const profiles = JSON.stringify(room.state.derived.profiles);
    forecast(room.state, room.now);
    expect(bare(rowsOf(room.state))).toEqual(before);
    expect(JSON.stringify(room.state.derived.profiles)).toBe(profiles);
  });

  test("[Q73] [Q67] [I1] running forward ends a removed pool's last run on the copy only", () => {
    const room = new Room({ slots: 2, pools: [{ ...calm, id: "gpu", position: 0, lease: 75_000 }, { ...calm, id: "two", position: 1 }] });
    for (const id of ["A1", "B1", "A2", "B2"]) room.submit(id, { e: 9000 });
    room.start("A1");
    room.ok({ type: "remove_pool", pool: "gpu", by: "ada" });
    const before = bare(rowsOf(room.state));
    const chain = structuredClone(room.state.derived.chain);
    const open = structuredClone(room.state.derived.open);
    expect([...forecast(room.state, room.now).keys()].sort()).toEqual(["A2", "B2"]);
    expect(bare(rowsOf(room.state))).toEqual(before);
    expect([room.state.derived.chain, room.state.derived.open]).toEqual([chain, open]);
    expect(room.ok({ type: "renew", ...room.leased("A1"), activity: true })).toMatchObject({ ttl: 75_000 });
    room.at(10).done("A1");
    expect([...room.state.pools.keys()]).toEqual(["two"]);
  });

  test("[Q73] [Q67] a run of a removed pool can still be claimed after a forecast", () => {
    const room = new Room({ slots: 2, pools: [{ ...calm, id: "gpu", position: 0 }, { ...calm, id: "two", position: 1 }] });
    for (const id of ["A1", "B1", "A2"]) room.submit(id, { e: 9000 });
    room.ok({ type: "remove_pool", pool: "gpu", by: "ada" });
    forecast(room.state, room.now);
    room.done("A1");
    expect(room.stateOf("A1")).toBe("succeeded");
  });

  test("[Q73] a cold slot adds the pool's startup, a warm one does not", () => {
    const room = new Room({ slots: 1, pools: [{ ...calm, startup50: 120_000, startup90: 300_000, keepWarm: 60_000 }] });
    room.submit("A1", { e: 10_000 });
    room.submit("A2", { e: 10_000 });
    room.at(20);
    expect(forecast(room.state, room.now).get("A2")).toEqual({ place: 1, start50: 130_000, start90: 310_000 });
    room.start("A1");
    expect(forecast(room.state, room.now).get("A2")).toEqual({ place: 1, start50: 30_000, start90: 30_000 });
  });

  test("[Q71] [Q73] a switch of models takes as long as runners said it takes", () => {
    const room = new Room({ pools: [calm] });
    room.submit("A1", { e: 10_000, signature: "sdxl" });
    room.start("A1");
    room.at(40).ok({ type: "result", ...room.leased("A1"), digest: "", outcome: "succeeded", filesCommitted: true, timings: { execMs: 40_000, loadMs: 30_000 } });
    room.submit("B1", { e: 10_000, signature: "flux" });
    room.start("B1");
    room.submit("C1", { e: 10_000, signature: "sdxl" });
    room.submit("D1", { e: 10_000, signature: "sdxl" });
    room.submit("E1", { e: 10_000, signature: "sdxl" });
    const said = forecast(room.state, room.now);
    expect(["C1", "D1", "E1"].map((id) => said.get(id))).toMatchObject([{ start50: 50_000 }, { start50: 90_000 }, { start50: 100_000 }]);
  });

  test("[Q73] faster pools finish sooner", () => {
    const room = new Room({ pools: [{ ...calm, speed: 200 }] });
    room.submit("A1", { e: 10_000 });
    room.start("A1");
    room.submit("A2", { e: 10_000 });
    expect(forecast(room.state, 0).get("A2")).toMatchObject({ start50: 5000 });
  });

  test("[Q73] waits for notBefore, the end of the hold and the end of demo", () => {
    const room = new Room({ slots: 4, pools: [{ ...calm, maxInFlight: 4 }] });
    room.submit("E1", { e: 10_000 });
    for (const id of ["A1", "B1", "C1"]) room.submit(id, { e: 900_000 });
    for (const id of ["E1", "A1", "B1", "C1"]) room.start(id);
    room.at(10).done("E1");
    room.submit("D1", { e: 900_000 });
    expect(forecast(room.state, room.now).get("D1")).toMatchObject({ start50: 120_001 });
    const lost = new Room({ pools: [calm] });
    lost.submit("A1");
    lost.claim("A1");
    lost.fail("A1", "container_lost");
    expect(forecast(lost.state, lost.now).get("A1")).toMatchObject({ place: 1, start50: 2000 });
    const demo = new Room({ slots: 2, pools: [{ ...calm, maxInFlight: 2 }] });
    demo.ok({ type: "set_demo", on: true, by: "ada" });
    demo.submit("I1", { instructor: true, e: 2_000_000 });
    demo.submit("I2", { instructor: true });
    expect(forecast(demo.state, demo.now).get("I2")).toMatchObject({ start50: 900_000 }); // demo has its one slot; the other is the class's until then
  });

  test("[Q73] [Q22] a bump for a time ends in the forecast as it will in truth", () => {
    const room = new Room({ pools: [calm], params: { company: 0 } });
    room.submit("Z1", { e: 10_000 });
    room.start("Z1");
    room.submit("B1", { e: 240_000 });
    room.submit("A1", { e: 10_000 });
    room.ok({ type: "bump", job: "B1", forMs: 1000, by: "ada" });
    const said = forecast(room.state, room.now);
    expect(said.get("A1")).toEqual({ place: 1, start50: 10_000, start90: 10_000 });
    expect(said.get("B1")).toEqual({ place: 2, start50: 20_000, start90: 20_000 });
    room.at(10).done("Z1");
    room.at(20).done("A1");
    expect(room.starts.map(({ id, at }) => `${id}@${at}`)).toEqual(["Z1@0", "A1@10", "B1@20"]);
  });

  test("[Q73] [Q22] the end of a bump is a moment of its own: an idle slot is taken then", () => {
    const room = new Room({ slots: 2, pools: [{ ...calm, maxInFlight: 2 }], params: { company: 0 } });
    room.ok({ type: "set_switch", to: "paused", by: "ada" });
    for (const id of ["A1", "B1"]) room.submit(id, { e: 900_000 });
    room.ok({ type: "bump", job: "A1", by: "ada" });
    room.ok({ type: "bump", job: "B1", forMs: 7000, by: "ada" });
    room.ok({ type: "set_switch", to: "open", by: "ada" });
    expect([room.stateOf("A1"), room.stateOf("B1")]).toEqual(["dispatched", "waiting"]); // demo takes one slot
    expect(forecast(room.state, room.now).get("B1")).toEqual({ place: 1, start50: 7000, start90: 7000 });
    room.at(7);
    expect(room.starts.at(-1)).toMatchObject({ id: "B1", at: 7 });
  });

  test("[Q74] no time without a reason, and the reason is the true one", () => {
    const reasons = (act: (room: Room) => void, options = {}) => {
      const room = new Room({ pools: [{ ...calm, offers: ["a"] }], ...options });
      room.submit("Z1", { requires: ["a"], e: 10_000 });
      room.submit("A1", { requires: ["a"] });
      act(room);
      return forecast(room.state, room.now).get("A1");
    };
    expect(reasons((room) => room.ok({ type: "set_switch", to: "paused", by: "x" }))).toEqual({ reason: "paused" });
    expect(reasons((room) => room.ok({ type: "set_switch", to: "closed", by: "x" }))).toEqual({ reason: "closed" });
    expect(reasons((room) => room.ok({ type: "pause_seat", seat: "A", by: "x" }))).toEqual({ reason: "seat_paused" });
    expect(reasons((room) => room.ok({ type: "set_offers", pool: "gpu", offers: [] }))).toEqual({ reason: "no_capable_gpu" });
    expect(reasons((room) => room.ok({ type: "set_wanted", slots: 0, by: "x" }))).toEqual({ reason: "no_gpu" });
    expect(reasons((room) => room.ok({ type: "drain_pool", pool: "gpu", draining: true, by: "x" }))).toEqual({ reason: "no_gpu" });
    expect(reasons((room) => room.ok({ type: "handed_over", job: "Z1", attempt: 1, answer: "refused", code: "provider_capacity" }))).toEqual({ reason: "no_gpu", until: 60_000 });
    const behind = (e: number) => reasons((room) => room.ok({ type: "bump", job: room.submit("B1", { requires: ["a"], e }).job, by: "x" }));
    expect(behind(86_400_001)).toEqual({ reason: "beyond_a_day" });
    expect(behind(86_000_000)).toMatchObject({ place: 2, start50: 86_010_000 });
  });

  test("[Q74] [Q75] an entry holds the job's own place and times, nobody's name", () => {
    const room = new Room({ pools: [calm] });
    for (const id of ["A1", "B1", "C1"]) room.submit(id, { e: 10_000 });
    for (const [id, entry] of forecast(room.state, 0)) {
      expect(["B1", "C1"]).toContain(id);
      expect(Object.keys(entry).sort()).toEqual(["place", "start50", "start90"]);
      if ("start50" in entry) expect(entry.start90).toBeGreaterThanOrEqual(entry.start50);
    }
  });

  test("[Q73] [Q5] a forecast is a function of state and time: asked twice, or after a crash, it says the same", () => {
    const room = new Room({ slots: 3, pools: [{ ...calm, maxInFlight: 3 }] });
    for (let k = 1; k <= 20; k++) room.submit(`${"ABCD"[k % 4]}${k}`, { e: 1000 * k, signature: `s${k % 3}` });
    const first = [...forecast(room.state, 5000)];
    expect([...forecast(room.state, 5000)]).toEqual(first);
    room.crash();
    expect([...forecast(room.state, 5000)]).toEqual(first);
  });

  test("[Q77] nothing to wait for: no alarm", () => {
    const room = new Room();
    expect(nextWake(room.state, 0)).toBeNull();
    room.ok({ type: "set_switch", to: "paused", by: "ada" });
    room.submit("A1");
    expect(nextWake(room.state, 0)).toBeNull();
  });

  test("[Q77] backoff and hold wake only while a slot idles; demo and bumps by their end", () => {
    const room = new Room({ slots: 1, pools: [calm] });
    room.submit("A1");
    room.claim("A1");
    room.fail("A1", "container_lost");
    expect(nextWake(room.state, 0)).toBe(2000);
    room.submit("B1");
    expect(nextWake(room.state, 0)).toBe(1e10);
    room.ok({ type: "bump", job: "A1", forMs: 70_000, by: "ada" });
    expect(nextWake(room.state, 0)).toBe(70_000);
    room.ok({ type: "set_demo", on: true, by: "ada" });
    room.at(71);
    expect(nextWake(room.state, room.now)).toBe(900_000);
  });
});

describe("company", () => {
  function here(company: number): Room {
    const room = new Room({ pools: [calm], params: { company } });
    room.submit("A1", { e: 10_000 });
    room.submit("B1", { e: 10_000 });
    room.submit("A2", { e: 10_000 });
    room.submit("A3", { e: 10_000 });
    room.submit("A4", { e: 10_000 });
    return room;
  }

  test("[Q73] the far end of the band expects those present to send more, the near end nobody", () => {
    const [alone, kept] = [forecast(here(0).state, 0), forecast(here(900_000).state, 0)];
    expect(alone.get("A4")).toEqual({ place: 4, start50: 40_000, start90: 40_000 });
    expect(kept.get("A4")).toEqual({ place: 4, start50: 40_000, start90: 50_000 }); // B is expected once more
    expect([...kept.keys()].sort()).toEqual(["A2", "A3", "A4", "B1"]);
  });

  test("[Q73] who has not sent anything for a while, or is paused, is not expected", () => {
    for (const leave of [(room: Room) => room.ok({ type: "pause_seat", seat: "B", by: "x" }), (room: Room) => (room.now = 901_000)]) {
      const room = here(900_000);
      room.ok({ type: "cancel", job: "B1", seat: "B" });
      leave(room);
      const entry = forecast(room.state, room.now).get("A4");
      expect(entry !== undefined && "start90" in entry ? entry.start90 - entry.start50 : null).toBe(0);
    }
  });
});

describe("groups", () => {
  const pools = [{ id: "all", position: 0, ...calm }, { id: "red", position: 1, groups: ["red"], ...calm }];

  test("[Q78] a pool that serves groups serves nobody else, and comes first for its own", () => {
    const room = new Room({ slots: 2, pools });
    room.ok({ type: "set_group", seat: "R", group: "red", by: "ada" });
    room.submit("R1");
    expect(room.attempt("R1").pool).toBe("red");
    room.submit("A1");
    room.submit("A2");
    expect([room.attempt("A1").pool, room.stateOf("A2")]).toEqual(["all", "waiting"]);
    room.submit("R2");
    room.done("A1");
    expect(room.attempt("A2").pool).toBe("all");
  });

  test("[Q78] moving a seat is live: places stay, runs go on, and a closed group says so", () => {
    const room = new Room({ slots: 1, pools: [{ id: "red", position: 0, groups: ["red"], ...calm }] });
    room.submit("A1");
    expect(forecast(room.state, 0).get("A1")).toEqual({ reason: "group_closed" });
    room.ok({ type: "set_group", seat: "A", group: "red", by: "ada" });
    expect(room.stateOf("A1")).toBe("dispatched");
    room.submit("A2");
    room.ok({ type: "set_group", seat: "A", group: null, by: "ada" });
    expect([room.stateOf("A1"), room.job("A2").place]).toEqual(["dispatched", 2]);
  });

  /** A's job is kept from `all`, the pool for everybody, and waits for its group's pool, which is full. */
  function keptFromAll(code: string): Room {
    const room = new Room({ slots: 2, pools: [{ id: "all", position: 0, ...calm, claimBefore: 30_000 }, { id: "grp", position: 1, groups: ["x"], ...calm }], params: { backoff: 0 } });
    room.ok({ type: "set_group", seat: "A", group: "x", by: "ada" });
    room.ok({ type: "set_group", seat: "X", group: "x", by: "ada" });
    room.submit("X1", { e: 3_600_000 });
    expect(room.attempt("X1").pool).toBe("grp");
    room.submit("A1");
    expect(room.attempt("A1").pool).toBe("all");
    if (code === "claim_timeout") room.at(30);
    else {
      room.claim("A1");
      room.fail("A1", code);
    }
    expect(room.job("A1")).toMatchObject({ state: "waiting", excluded: [{ pool: "all", code }] });
    return room;
  }

  test("[Q78] [Q55] [I14] a job moved to where it excludes every pool is tried there again as a last resort", () => {
    const room = keptFromAll("claim_timeout");
    room.at(100).ok({ type: "set_group", seat: "A", group: null, by: "ada" });
    expect(room.job("A1")).toMatchObject({ state: "waiting", excluded: [], notBefore: 130_000 });
    expect(nextWake(room.state, room.now)).toBe(130_000);
    expect(forecast(room.state, room.now).get("A1")).toMatchObject({ place: 1, start50: 130_000 });
    room.at(130);
    expect(room.attempt("A1").pool).toBe("all");
  });

  test("[Q78] [Q55] a job moved to where no pool will ever run it fails and says why; other seats' jobs stay as they are", () => {
    const room = keptFromAll("missing_model");
    room.submit("A2");
    room.claim("A2");
    room.fail("A2", "missing_model");
    room.submit("Y1", { seat: "X" });
    room.claim("Y1");
    room.fail("Y1", "missing_model");
    room.ok({ type: "set_group", seat: "A", group: null, by: "ada" });
    expect(["A1", "A2"].map((id) => room.ended.get(id)?.reason?.code)).toEqual(["missing_model", "missing_model"]);
    expect(room.job("Y1")).toMatchObject({ state: "waiting", excluded: [{ pool: "all", code: "missing_model" }] });
  });
});
