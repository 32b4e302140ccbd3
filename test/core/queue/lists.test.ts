// Section 4: lists, lanes, who may jump.

import { describe, expect, test } from "vitest";
import { Room } from "./room.ts";

/** One slot, taken by a job of seat Z, so that everything else waits. */
function busy(options: ConstructorParameters<typeof Room>[0] = {}): Room {
  const room = new Room({ pools: [{ lease: 1e9, startAfterClaim: 1e9, silence: 1e9, claimBefore: 1e9 }], ...options });
  room.submit("Z1", { e: 1000 });
  room.start("Z1");
  room.starts.length = 0;
  return room;
}

/** End whatever runs, one after the other, until nothing is live. */
function drain(room: Room): string {
  while (room.state.jobs.size > 0) {
    const live = [...room.state.jobs.values()].find((job) => job.state !== "waiting");
    if (live === undefined) break;
    room.now += 10_000;
    room.done(live.id, 10_000);
  }
  return room.order();
}

describe("a seat's own list", () => {
  test("[Q18] higher priority first, then place", () => {
    const room = busy();
    room.submit("A1");
    room.submit("A2", { userPriority: 5 });
    room.submit("A3", { userPriority: 15 });
    room.submit("A4", { userPriority: 5 });
    room.ok({ type: "set_priority", seat: "A", job: "A1", userPriority: 6 });
    expect(drain(room)).toBe("A3 A1 A2 A4");
  });

  test("[Q18] front is one less than the smallest place of the seat's waiting jobs", () => {
    const room = busy();
    room.submit("A1");
    room.submit("A2", { front: true });
    room.submit("A3", { front: true });
    room.submit("B1", { front: true });
    expect(["A1", "A2", "A3", "B1"].map((id) => room.job(id).place)).toEqual([2, 1, 0, 5]);
    expect(room.ok({ type: "cancel", job: "B1", seat: "B" })).toEqual({ answer: "removed_waiting" });
    expect(drain(room)).toBe("A3 A2 A1");
  });

  test("[Q18] a retried job stands before everything its seat has waiting", () => {
    const room = new Room({ params: { backoff: 0 } });
    room.submit("A1");
    room.submit("A2", { front: true });
    room.start("A1");
    room.submit("A3", { front: true });
    room.fail("A1", "container_lost");
    expect(room.job("A1")).toMatchObject({ seq: 1, place: 0, state: "dispatched", attempts: 2 });
  });

  test("[Q18] priorities outside 0 to 15 are refused", () => {
    const room = busy();
    expect(room.refused(room.submission("A1", { userPriority: 16 })).reason).toBe("invalid_value");
    room.submit("A1");
    expect(room.refused({ type: "set_priority", seat: "A", job: "A1", userPriority: -1 }).reason).toBe("invalid_value");
    expect(room.refused({ type: "set_priority", seat: "B", job: "A1", userPriority: 1 }).reason).toBe("not_found");
  });

  test("[Q19] a move permutes the places involved and nothing else", () => {
    const room = busy();
    for (const id of ["A1", "B1", "A2", "A3", "A4"]) room.submit(id);
    room.ok({ type: "move", seat: "A", job: "A4", before: "A2" });
    expect(["A1", "A2", "A3", "A4", "B1"].map((id) => room.job(id).place)).toEqual([2, 5, 6, 4, 3]);
    room.ok({ type: "move", seat: "A", job: "A1", before: null });
    expect(["A1", "A2", "A3", "A4"].map((id) => room.job(id).place)).toEqual([6, 4, 5, 2]);
    room.ok({ type: "set_switch", to: "open", by: "ada" });
    expect(drain(room)).toBe("B1 A4 A2 A3 A1");
  });

  test("[Q19] only own waiting jobs of equal class and priority change places", () => {
    const room = busy();
    room.submit("A1");
    room.submit("A2", { userPriority: 1 });
    room.submit("B1");
    expect(room.refused({ type: "move", seat: "A", job: "A1", before: "A2" }).reason).toBe("not_found");
    expect(room.refused({ type: "move", seat: "A", job: "A1", before: "B1" }).reason).toBe("not_found");
    expect(room.refused({ type: "move", seat: "B", job: "A1", before: null }).reason).toBe("not_found");
    expect(room.refused({ type: "move", seat: "Z", job: "Z1", before: null }).reason).toBe("illegal_transition");
  });
});

describe("lanes", () => {
  const instructor = { instructor: true };

  test("[Q20] demo before normal before background", () => {
    const room = busy({ slots: 1 });
    room.submit("G1", { background: true });
    room.submit("A1");
    room.ok({ type: "set_demo", on: true, by: "ada" });
    room.submit("I1", instructor);
    expect(["G1", "A1", "I1"].map((id) => room.job(id).lane)).toEqual(["background", "normal", "demo"]);
    expect(drain(room)).toBe("I1 A1 G1");
  });

  test("[Q21] only the instructor's submits enter demo, and only while it is on", () => {
    const room = busy();
    room.submit("I1", instructor);
    room.ok({ type: "set_demo", on: true, by: "ada" });
    room.submit("I2", instructor);
    room.submit("A1");
    expect(["I1", "I2", "A1"].map((id) => room.job(id).lane)).toEqual(["normal", "demo", "normal"]);
    expect(room.find("demo_changed")).toMatchObject([{ on: true, until: 900_000 }]);
  });

  test("[Q21] switching demo on again begins its time anew and adds nothing to it", () => {
    const room = busy();
    room.ok({ type: "set_demo", on: true, by: "ada" });
    room.at(100).ok({ type: "set_demo", on: true, by: "ada" });
    expect(room.state.workshop.demoUntil).toBe(1_000_000);
    expect(room.find("demo_changed").map(({ until }) => until)).toEqual([900_000, 1_000_000]);
    room.at(999.999);
    expect(room.state.workshop.demoUntil).not.toBeNull();
    room.at(1000);
    expect(room.state.workshop.demoUntil).toBeNull();
  });

  test("[Q21] demo switches itself off and its waiting jobs keep their places in normal", () => {
    const room = busy();
    room.ok({ type: "set_demo", on: true, by: "ada" });
    room.submit("I1", instructor);
    room.submit("I2", instructor);
    room.at(899);
    expect(room.job("I1").lane).toBe("demo");
    room.at(900);
    expect([room.job("I1").lane, room.job("I1").place, room.job("I2").place]).toEqual(["normal", 2, 3]);
    expect(room.find("demo_changed").map(({ on }) => on)).toEqual([true, false]);
  });

  test("[Q21] [Q22] [Q24] when demo ends, bumped jobs return to the lane they were submitted to", () => {
    for (const end of [(room: Room) => room.ok({ type: "set_demo", on: false, by: "ada" }), (room: Room) => room.at(100)]) {
      const room = busy({ params: { demoMax: 100_000 } });
      room.ok({ type: "set_demo", on: true, by: "ada" });
      room.submit("I1", instructor);
      room.submit("G1", { background: true });
      room.submit("A1");
      room.submit("H1", { background: true });
      for (const job of ["G1", "A1"]) room.ok({ type: "bump", job, by: "ada" });
      room.ok({ type: "bump", job: "H1", forMs: 2_000_000, by: "ada" });
      end(room);
      expect(["I1", "G1", "A1", "H1"].map((id) => [room.job(id).lane, room.job(id).place, room.job(id).bumpUntil])).toEqual([["normal", 2, null], ["background", 3, null], ["normal", 4, null], ["background", 5, null]]);
      expect(drain(room)).toBe("I1 A1 G1 H1");
      expect(room.find("attempt_closed").map(({ record }) => [record.job, record.ledger])).toEqual([["Z1", "main"], ["I1", "main"], ["A1", "main"], ["G1", "background"], ["H1", "background"]]);
    }
  });

  test("[Q22] a bump takes a fresh turn in the demo lane and is charged as always", () => {
    const room = busy();
    room.submit("A1", { e: 5000 });
    room.submit("B1", { e: 5000 });
    room.ok({ type: "bump", job: "B1", by: "ada" });
    room.ok({ type: "bump", job: "A1", by: "ada" });
    room.now = 10_000;
    room.done("Z1");
    expect(room.order()).toBe("B1");
    expect(room.attempt("B1")).toMatchObject({ ledger: "main", charged: { v: 5000, n: 1000 } });
    expect(room.refused({ type: "bump", job: "B1", by: "ada" }).reason).toBe("illegal_transition");
  });

  test("[Q22] a bump can end by time or be taken back", () => {
    const room = busy();
    room.submit("A1", { background: true });
    room.submit("B1");
    room.ok({ type: "bump", job: "A1", forMs: 60_000, by: "ada" });
    room.at(59);
    expect(room.job("A1").lane).toBe("demo");
    room.at(60);
    expect(room.job("A1")).toMatchObject({ lane: "background", bumpUntil: null, place: 2 });
    room.ok({ type: "bump", job: "B1", by: "ada" });
    room.ok({ type: "unbump", job: "B1", by: "ada" });
    expect(room.job("B1")).toMatchObject({ lane: "normal", place: 3 });
    expect(room.refused({ type: "unbump", job: "B1", by: "ada" }).reason).toBe("illegal_transition");
    expect(room.refused({ type: "bump", job: "B1", forMs: 0, by: "ada" }).reason).toBe("invalid_value");
  });

  test("[Q23] background is served only when nothing else can use the slot", () => {
    const room = busy();
    room.submit("G1", { background: true });
    room.submit("G2", { background: true, seat: "G" });
    room.submit("A1");
    room.submit("A2");
    expect(drain(room)).toBe("A1 A2 G1 G2");
  });

  test("[Q24] the instructor's demo is nobody's charge; a bumped job and background have their ledgers", () => {
    const room = new Room({ slots: 3, pools: [{ maxInFlight: 3 }], params: { demoSlots: 3 } });
    room.ok({ type: "set_demo", on: true, by: "ada" });
    room.submit("I1", { ...instructor, e: 5000 });
    room.submit("G1", { background: true, e: 5000 });
    expect(room.attempt("I1")).toMatchObject({ ledger: null, charged: { v: 0, n: 0 } });
    expect(room.attempt("G1").ledger).toBe("background");
    expect(room.state.seats.get("I")).toMatchObject({ main: { v: 0, n: 0 }, background: { v: 0, n: 0 } });
    expect(room.state.seats.get("G")).toMatchObject({ main: { v: 0, n: 0 }, background: { v: 5000, n: 1000 } });
  });
});
