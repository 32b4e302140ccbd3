// Sections 9 and 10: cancel, clear, interrupt, evict; pause, drain, switches.

import { describe, expect, test } from "vitest";
import { Room, pool } from "./room.ts";

describe("cancel", () => {
  test("[Q59] the answer says what happened", () => {
    const room = new Room();
    room.submit("A1");
    room.submit("A2");
    room.start("A1");
    const cancel = (job: string, seat: string | null) => room.ok({ type: "cancel", job, seat, ...room.known(job) });
    expect(cancel("A2", "B")).toEqual({ answer: "not_found" });
    expect(cancel("A2", "A")).toEqual({ answer: "removed_waiting" });
    expect(cancel("A2", "A")).toEqual({ answer: "already_finished", state: "cancelled" });
    expect(cancel("A2", "B")).toEqual({ answer: "not_found" });
    expect(cancel("A1", "A")).toEqual({ answer: "stopping" });
    expect(cancel("A1", "A")).toEqual({ answer: "stopping" });
    room.done("A1");
    expect(cancel("A1", null)).toEqual({ answer: "already_finished", state: "cancelled" });
    expect(cancel("nothing", null)).toEqual({ answer: "not_found" });
  });

  test("[Q60] dispatched and unclaimed: the slot frees, the provider is told, a late claim finds it gone", () => {
    const room = new Room();
    room.submit("A1");
    room.submit("B1");
    room.ok({ type: "handed_over", job: "A1", attempt: 1, answer: "submitted", ref: "p-1" });
    const decision = room.do({ type: "cancel", job: "A1", seat: "A" });
    expect(decision.effects).toMatchObject([{ type: "provider_cancel", job: "A1", attempt: 1, ref: "p-1" }, { type: "dispatch", job: "B1" }]);
    expect(room.find("attempt_closed")).toMatchObject([{ record: { outcome: "cancelled", refunded: true } }]);
    expect(room.refused({ type: "claim", job: "A1", attempt: 1, runner: "r", lease: "l", ...room.known("A1") }).reason).toBe("gone");
  });

  test("[Q61] running: told at once and on every heartbeat, cancelled at its end whatever it says", () => {
    const room = new Room();
    room.submit("A1");
    room.start("A1");
    const told = room.do({ type: "cancel", job: "A1", seat: "A" });
    expect(told.effects).toMatchObject([{ type: "tell_runner", job: "A1", what: "cancel" }]);
    expect(room.ok({ type: "renew", ...room.leased("A1"), activity: true }).cancel).toBe(true);
    expect(room.done("A1")).toEqual({ answer: "accepted", state: "cancelled" });
    expect(room.stateOf("A1")).toBe("cancelled");
  });

  test("[Q61] it ends after the grace, or with the lease, whichever is first", () => {
    for (const [lease, end] of [[75_000, 30], [15_000, 15]] as const) {
      const room = new Room({ pools: [{ lease }] });
      room.submit("A1");
      room.start("A1");
      room.at(10).ok({ type: "cancel", job: "A1", seat: "A" });
      const leased = room.leased("A1");
      room.at(end - 0.001);
      expect(room.stateOf("A1")).toBe("stopping");
      room.at(end);
      expect(room.stateOf("A1")).toBe("cancelled");
      const late = room.refused({ type: "result", ...leased, digest: "late", outcome: "succeeded", filesCommitted: true, ...room.known("A1") });
      expect(late.reason).toBe("conflict");
    }
  });

  test("[Q61] with the lease already over nobody has to be waited for", () => {
    const room = new Room({ pools: [{ reclaim: 60_000 }] });
    room.submit("A1");
    room.start("A1");
    room.at(80);
    expect(room.ok({ type: "cancel", job: "A1", seat: "A" })).toEqual({ answer: "removed_waiting" });
    expect(room.stateOf("A1")).toBe("cancelled");
  });

  function mixed(): Room {
    const room = new Room({ slots: 2, pools: [{ maxInFlight: 2 }] });
    for (const id of ["A1", "A2", "A3", "B1"]) room.submit(id);
    room.start("A1");
    return room;
  }

  test("[Q62] clear takes own waiting and dispatched jobs only", () => {
    const room = mixed();
    expect(room.ok({ type: "clear", seat: "A", instructor: false })).toEqual({ removed: ["A2", "A3"], stopping: [] });
    expect(["A1", "B1"].map((id) => room.stateOf(id))).toEqual(["running", "dispatched"]);
    expect(room.refused({ type: "clear", seat: null, instructor: false }).reason).toBe("invalid_value");
  });

  test("[Q62] delete takes those named, if they are own and have not begun", () => {
    const room = mixed();
    expect(room.ok({ type: "delete", seat: "A", ids: ["A1", "A3", "B1", "nothing"] })).toEqual({ removed: ["A3"] });
    expect(room.stateOf("A1")).toBe("running");
  });

  test("[Q62] interrupt stops own running jobs only: the one named, or all", () => {
    const room = mixed();
    expect(room.ok({ type: "interrupt", seat: "A", job: "A2" })).toEqual({ stopping: [] });
    expect(room.ok({ type: "interrupt", seat: "B" })).toEqual({ stopping: [] });
    room.start("A2");
    expect(room.ok({ type: "interrupt", seat: "A" })).toEqual({ stopping: ["A1", "A2"] });
    expect(room.stateOf("A3")).toBe("waiting");
  });

  test("[Q63] the instructor cancels, clears everybody, and evicts with a full refund to the head of the seat", () => {
    const room = mixed();
    room.at(5).ok({ type: "evict", job: "A1", by: "ada" });
    expect(room.find("attempt_closed")).toMatchObject([{ record: { job: "A1", outcome: "evicted", refunded: true } }]);
    expect(room.job("A1").place).toBe(2); // before A3, its seat's only waiting job
    expect(room.ok({ type: "clear", seat: null, instructor: true, running: true, by: "ada" }).removed).toHaveLength(4);
    expect(room.state.jobs.size).toBe(0);
    expect(room.find("audit").map(({ what }) => what)).toEqual(["evict", "clear"]);
  });

  test("[Q63] evict tells the runner its lease is over", () => {
    const room = mixed();
    expect(room.do({ type: "evict", job: "A1", by: "ada" }).effects).toMatchObject([{ type: "tell_runner", job: "A1", what: "evicted" }, { type: "dispatch" }]);
    expect(room.do({ type: "evict", job: "A2", by: "ada" }).effects[0]).toMatchObject({ type: "provider_cancel", job: "A2" });
  });
});

describe("switches", () => {
  test("[Q64] pause admits and dispatches nothing, live runs go on, resume dispatches at once", () => {
    const room = new Room();
    room.submit("A1");
    room.start("A1");
    room.ok({ type: "set_switch", to: "paused", by: "ada" });
    room.submit("B1");
    room.done("A1");
    expect(room.stateOf("B1")).toBe("waiting");
    room.ok({ type: "set_switch", to: "open", by: "ada" });
    expect(room.stateOf("B1")).toBe("dispatched");
  });

  test("[Q65] a paused seat's jobs keep their places; others are served", () => {
    const room = new Room();
    room.ok({ type: "pause_seat", seat: "A", by: "ada" });
    room.submit("A1");
    room.submit("B1");
    expect(room.order()).toBe("B1");
    room.done("B1");
    expect(room.stateOf("A1")).toBe("waiting");
    room.ok({ type: "resume_seat", seat: "A", by: "ada" });
    expect(room.stateOf("A1")).toBe("dispatched");
    expect(room.find("seat_changed").map(({ what }) => what)).toEqual(["paused", "resumed"]);
  });

  test("[Q66] draining dispatches, admits nothing, and closes when all has ended", () => {
    const room = new Room();
    room.submit("A1");
    room.submit("B1");
    room.ok({ type: "set_switch", to: "draining", by: "ada" });
    expect(room.refused(room.submission("C1")).reason).toBe("not_admitting");
    room.done("A1");
    expect(room.state.workshop.switch).toBe("draining");
    room.done("B1");
    expect(room.state.workshop.switch).toBe("closed");
    expect(room.find("switch_changed").map(({ to }) => to)).toEqual(["draining", "closed"]);
    expect(room.refused(room.submission("C1")).numbers.state).toBe("closed");
    expect(room.refused({ type: "set_switch", to: "ajar" as "open", by: "ada" }).reason).toBe("invalid_value");
  });

  test("[Q67] a draining pool gets nothing new, finishes what it has, and its slots move down the chain", () => {
    const room = new Room({ slots: 1, pools: [{ id: "a", position: 0 }, { id: "b", position: 1 }] });
    room.submit("A1");
    room.start("A1");
    room.ok({ type: "drain_pool", pool: "a", draining: true, by: "ada" });
    room.submit("B1");
    expect(room.attempt("B1").pool).toBe("b");
    room.done("A1");
    room.submit("C1");
    expect(room.stateOf("C1")).toBe("waiting");
    room.ok({ type: "drain_pool", pool: "a", draining: false, by: "ada" });
    expect(room.attempt("C1").pool).toBe("a");
  });

  test("[Q67] a removed pool finishes what it has, then its rows go", () => {
    const room = new Room();
    room.submit("A1");
    room.start("A1");
    room.ok({ type: "remove_pool", pool: "gpu", by: "ada" });
    expect(room.state.pools.has("gpu")).toBe(true);
    expect(room.refused({ type: "drain_pool", pool: "gpu", draining: true, by: "ada" }).reason).toBe("not_found");
    room.done("A1");
    expect([room.state.pools.size, room.state.slots.size]).toEqual([0, 0]);
  });

  test("[Q67] a pool removed while draining and set up again before it is gone does not drain", () => {
    const room = new Room({ slots: 2, pools: [{ maxInFlight: 2 }] });
    room.submit("A1");
    room.start("A1");
    room.ok({ type: "drain_pool", pool: "gpu", draining: true, by: "ada" });
    room.ok({ type: "upsert_pool", pool: pool({ maxInFlight: 2 }) }); // new numbers alone do not end a drain
    room.submit("B1");
    expect(room.stateOf("B1")).toBe("waiting");
    room.ok({ type: "remove_pool", pool: "gpu", by: "ada" });
    room.ok({ type: "upsert_pool", pool: pool({ maxInFlight: 2 }) });
    expect([room.stateOf("A1"), room.stateOf("B1")]).toEqual(["running", "dispatched"]);
    expect(room.state.pools.get("gpu")).toMatchObject({ draining: false, removed: false });
  });

  test("[Q68] W changes live: raising it dispatches at once, lowering it ends nothing", () => {
    const room = new Room({ slots: 1, pools: [{ maxInFlight: 3 }] });
    for (const id of ["A1", "B1", "C1"]) room.submit(id);
    room.ok({ type: "set_wanted", slots: 3, by: "ada" });
    expect(room.state.attempts.size).toBe(3);
    room.ok({ type: "set_wanted", slots: 1, by: "ada" });
    expect(room.state.attempts.size).toBe(3);
    expect(room.find("slots_changed").at(-1)).toMatchObject({ open: ["gpu-1"], draining: ["gpu-2", "gpu-3"] });
    room.submit("D1");
    room.done("C1");
    room.done("B1");
    expect(room.stateOf("D1")).toBe("waiting");
    room.done("A1");
    expect(room.stateOf("D1")).toBe("dispatched");
    expect(room.refused({ type: "set_wanted", slots: -1, by: "ada" }).reason).toBe("invalid_value");
  });

  test("[Q69] instructor commands leave who, what and the previous value", () => {
    const room = new Room();
    room.ok({ type: "set_mode", mode: "fifo", by: "ada" });
    room.ok({ type: "set_weight", seat: "A", weight: 250, by: "bo" });
    room.ok({ type: "set_params", params: { slack: 7 }, by: "ada" });
    room.ok({ type: "set_budget", budget: 5, by: "ada" });
    expect(room.find("audit")).toMatchObject([
      { by: "ada", what: "mode", previous: "fair", value: "fifo" },
      { by: "bo", what: "weight", target: "A", previous: 100, value: 250 },
      { by: "ada", what: "params", previous: { slack: 30_000 }, value: { slack: 7 } },
      { by: "ada", what: "budget", previous: null, value: 5 },
    ]);
  });
});
