// Sections 6 and 7: slots, dispatch, modes. The order of dispatch itself is proven by vectors, order checks and the reference picker.

import { describe, expect, test } from "vitest";
import { Room } from "./room.ts";

const calm = { claimBefore: 1e10, startAfterClaim: 1e10, silence: 1e10, lease: 1e10 };

function open(room: Room): string {
  return room.state.derived.open.map((slot) => slot.key).join(" ");
}

describe("slots", () => {
  test("[Q37] a slot is warm for the last job dispatched there and idle since its last attempt ended", () => {
    const room = new Room({ pools: [calm] });
    expect(room.state.slots.get("gpu-1")).toMatchObject({ warm: null, idleSince: 0, attempt: null, open: true, runner: null });
    room.submit("A1", { signature: "sdxl" });
    room.at(12).done("A1");
    expect(room.state.slots.get("gpu-1")).toMatchObject({ warm: "sdxl", idleSince: 12_000, attempt: null, runner: "runner-gpu-1" });
  });

  test("[Q37] a runner seen elsewhere: the slot it was on forgets it and its warmth", () => {
    const room = new Room({ slots: 2, pools: [{ ...calm, maxInFlight: 2 }] });
    room.submit("A1", { signature: "sdxl" });
    room.claim("A1", "r1");
    room.submit("B1", { signature: "flux" });
    room.claim("B1", "r1");
    expect(room.state.slots.get("gpu-1")).toMatchObject({ runner: null, warm: null });
    expect(room.state.slots.get("gpu-2")).toMatchObject({ runner: "r1", warm: "flux" });
  });

  test("[Q38] the plan walks the chain until the wanted W is reached", () => {
    const room = new Room({ slots: 3, pools: [{ id: "spot", position: 1, maxInFlight: 2 }, { id: "own", position: 0, maxInFlight: 1 }, { id: "late", position: 2, maxInFlight: 9 }] });
    expect(open(room)).toBe("own-1 spot-1 spot-2");
    room.ok({ type: "set_wanted", slots: 5, by: "ada" });
    expect(open(room)).toBe("own-1 spot-1 spot-2 late-1 late-2");
    room.ok({ type: "drain_pool", pool: "spot", draining: true, by: "ada" });
    expect(open(room)).toBe("own-1 late-1 late-2 late-3 late-4");
  });

  test("[Q38] work that no open slot may run opens one slot further down the chain", () => {
    const room = new Room({ slots: 1, pools: [{ id: "images", position: 0, offers: ["image"] }, { id: "videos", position: 1, offers: ["video"], maxInFlight: 4 }] });
    expect(open(room)).toBe("images-1");
    room.submit("A1", { requires: ["image"] });
    room.submit("A2", { requires: ["video"] });
    expect(room.attempt("A2").slot).toBe("videos-1");
    room.ok({ type: "tick" });
    expect(open(room)).toBe("images-1");
    expect(room.stateOf("A2")).toBe("dispatched");
  });

  test("[Q38] what a paused seat waits for opens no slot further down the chain, in whatever lane it waits", () => {
    for (const lane of ["normal", "background", "demo"]) {
      const room = new Room({ slots: 1, pools: [{ id: "images", position: 0, offers: ["image"] }, { id: "videos", position: 1, offers: ["video"], maxInFlight: 4 }] });
      room.ok({ type: "pause_seat", seat: "V", by: "ada" });
      room.submit("V1", { requires: ["video"], background: lane === "background" });
      if (lane === "demo") room.ok({ type: "bump", job: "V1", by: "ada" });
      expect(open(room)).toBe("images-1");
      room.ok({ type: "resume_seat", seat: "V", by: "ada" });
      expect(room.attempt("V1").slot).toBe("videos-1");
    }
  });

  test("[Q39] there are never more live attempts than slots", () => {
    const room = new Room({ slots: 2, pools: [{ ...calm, maxInFlight: 2 }] });
    for (let k = 1; k <= 6; k++) room.submit(`A${k}`);
    expect([...room.state.attempts.values()].map(({ slot }) => slot).sort()).toEqual(["gpu-1", "gpu-2"]);
  });

  test("[Q40] nothing is chosen while dispatching is off", () => {
    const room = new Room({ pools: [calm] });
    room.ok({ type: "set_switch", to: "paused", by: "ada" });
    room.submit("A1");
    expect(room.starts).toEqual([]);
    room.ok({ type: "set_switch", to: "open", by: "ada" });
    expect(room.order()).toBe("A1");
  });

  test("[Q41] the head is the first runnable job: time not come, nodes missing, pool excluded are passed by", () => {
    const room = new Room({ slots: 1, pools: [{ ...calm, id: "one", position: 0, offers: ["a"] }] });
    room.submit("A1", { requires: ["a", "rare"] });
    room.submit("A2", { requires: ["a"] });
    expect(room.order()).toBe("A2");
    room.ok({ type: "set_offers", pool: "one", offers: ["a", "rare"] });
    room.now = 1000;
    room.done("A2");
    expect(room.order()).toBe("A2 A1");
  });

  test("[Q42] demo never takes more than its slots", () => {
    const room = new Room({ slots: 4, pools: [{ ...calm, maxInFlight: 4 }] });
    room.ok({ type: "set_demo", on: true, by: "ada" });
    for (const id of ["I1", "I2", "I3"]) room.submit(id, { instructor: true });
    expect(room.order()).toBe("I1");
    room.ok({ type: "set_params", params: { demoSlots: 9 }, by: "ada" });
    expect(room.order()).toBe("I1 I2 I3");
    room.submit("I4", { instructor: true });
    expect(room.stateOf("I4")).toBe("waiting"); // W − 1 at most
  });

  test("[Q43] a held head takes its seat out: its later jobs do not overtake", () => {
    const room = new Room({ slots: 4, pools: [{ ...calm, maxInFlight: 4 }] });
    room.submit("E1", { e: 10_000 });
    for (const id of ["A1", "B1", "C1"]) room.submit(id, { e: 200_000 });
    room.now = 5000;
    room.done("E1");
    room.submit("D1", { e: 200_000 });
    room.submit("D2", { e: 10_000 });
    expect(room.stateOf("D1")).toBe("waiting");
    expect(room.stateOf("D2")).toBe("waiting");
    room.submit("F1", { e: 10_000 });
    expect(room.stateOf("F1")).toBe("dispatched");
  });

  test("[Q43] with three slots none is kept for short work, with four one is", () => {
    for (const [slots, state] of [[3, "dispatched"], [4, "waiting"]] as const) {
      const room = new Room({ slots, pools: [{ ...calm, maxInFlight: slots }] });
      room.submit("E1", { e: 10_000 });
      for (const id of ["A1", "B1", "C1"].slice(0, slots - 1)) room.submit(id, { e: 200_000 });
      room.now = 5000;
      room.done("E1");
      room.submit("D1", { e: 200_000 });
      expect(room.stateOf("D1")).toBe(state);
    }
  });

  test("[Q44] an aged head goes first when its seat has nothing live and nobody was served less", () => {
    const room = new Room({ slots: 1, pools: [calm], params: { aged: 10_000 } });
    room.submit("Z1", { e: 1000 });
    room.submit("A1", { e: 60_000 });
    room.submit("B1", { e: 1000 });
    room.now = 10_001;
    room.done("Z1", 1000);
    expect(room.starts.at(-1)).toMatchObject({ id: "A1", why: expect.stringContaining("waited too long") });
  });

  test("[Q45] the cap is the share of the contending seats, and soft", () => {
    const room = new Room({ slots: 4, pools: [{ ...calm, maxInFlight: 4 }] });
    room.ok({ type: "set_switch", to: "paused", by: "ada" });
    for (let k = 1; k <= 8; k++) room.submit(`A${k}`, { e: 1000 });
    room.submit("B1", { e: 59_000 });
    room.ok({ type: "set_switch", to: "open", by: "ada" });
    expect(room.order()).toBe("A1 A2 B1 A3");
  });

  test("[Q45] [Q25] the cap is a seat's share by weight, rounded up: twice the weight, twice the slots", () => {
    for (const [weight, order] of [[100, "A1 B1 A2 B2"], [200, "A1 B1 A2 A3"]] as const) {
      const room = new Room({ slots: 4, pools: [{ ...calm, maxInFlight: 4 }], params: { reserved: 0 } });
      room.ok({ type: "set_switch", to: "paused", by: "ada" });
      room.ok({ type: "set_weight", seat: "A", weight, by: "ada" });
      for (let n = 1; n <= 4; n++) for (const seat of ["A", "B"]) room.submit(`${seat}${n}`, { e: 20_000 });
      room.ok({ type: "set_switch", to: "open", by: "ada" });
      expect(room.order()).toBe(order);
    }
    const room = new Room({ slots: 3, pools: [{ ...calm, maxInFlight: 3 }] }); // A's share is 3 × 2/3: two slots while B has work
    room.ok({ type: "set_weight", seat: "A", weight: 200, by: "ada" });
    for (let n = 1; n <= 8; n++) for (const seat of ["A", "B"]) room.submit(`${seat}${n}`, { e: 20_000 });
    for (let second = 20; second <= 60; second += 20) {
      room.now = second * 1000;
      const live = [...room.state.attempts.values()].map(({ job }) => job);
      room.ok({ type: "set_switch", to: "paused", by: "ada" });
      for (const job of live) room.done(job, 20_000);
      room.ok({ type: "set_switch", to: "open", by: "ada" });
      expect([...room.state.attempts.values()].map(({ seat }) => seat).sort()).toEqual(["A", "A", "B"]);
    }
  });

  test("[Q46] equal keys go by seq", () => {
    const room = new Room({ slots: 1, pools: [calm] });
    room.ok({ type: "set_switch", to: "paused", by: "ada" });
    for (const id of ["C1", "A1", "B1"]) room.submit(id, { e: 7000 });
    room.ok({ type: "set_switch", to: "open", by: "ada" });
    expect(room.order()).toBe("C1");
  });

  test("[Q47] a warm pick says so, and counts for those it passed over", () => {
    const room = new Room({ pools: [calm] });
    room.submit("Z1", { signature: "x", e: 1000 });
    room.submit("A1", { signature: "y", e: 1000 });
    room.submit("B1", { signature: "z", e: 1000 });
    room.submit("B2", { signature: "x", e: 1000 });
    room.now = 1000;
    room.done("Z1", 1000);
    expect(room.starts.at(-1)).toMatchObject({ id: "B2", why: "reordered: warm model on gpu-1" });
    expect([room.job("A1").passed, room.job("B1").passed]).toEqual([1, 1]);
  });

  test("[Q48] background work needs more idle slots than are kept", () => {
    const room = new Room({ slots: 4, pools: [{ ...calm, maxInFlight: 4 }] });
    for (let k = 1; k <= 4; k++) room.submit(`G${k}`, { background: true });
    expect(room.order()).toBe("G1 G2 G3");
    room.ok({ type: "set_mode", mode: "fifo", by: "ada" });
    expect(room.order()).toBe("G1 G2 G3 G4");
  });

  test("[Q49] the slot: warm, then chain, then never used, then idle longest, then number", () => {
    const room = new Room({ slots: 4, pools: [{ ...calm, id: "a", position: 0, maxInFlight: 3 }, { ...calm, id: "b", position: 1 }], params: { reserved: 0 } });
    const run = (id: string, signature: string, at: number) => {
      room.now = at * 1000;
      room.submit(id, { signature, e: 1000 });
      const { slot } = room.attempt(id);
      return slot;
    };
    expect(run("A1", "x", 1)).toBe("a-1");
    expect(run("B1", "y", 2)).toBe("a-2");
    room.now = 3000;
    room.done("B1", 1000);
    room.now = 4000;
    room.done("A1", 1000);
    expect(run("C1", "z", 5)).toBe("a-3"); // never used
    expect(run("D1", "x", 6)).toBe("a-1"); // warm
    expect(run("E1", "w", 7)).toBe("a-2"); // chain before never used
    expect(run("F1", "w", 8)).toBe("b-1");
  });
});

describe("modes", () => {
  test("[Q50] fifo takes turns by the smallest seq of a seat, whatever its list says", () => {
    const room = new Room({ mode: "fifo", pools: [calm] });
    room.submit("Z1");
    room.submit("A1");
    room.submit("B1");
    room.submit("A2", { userPriority: 9 });
    for (const id of ["Z1", "A2", "A1", "B1"]) {
      room.now += 1000;
      room.done(id, 1000);
    }
    expect(room.order()).toBe("Z1 A2 A1 B1");
  });

  test("[Q50] [Q48] priority: classes count among background jobs too, in other modes they do not", () => {
    const priority = ["priority", "Z1 H2 H1 G1"] as const;
    const fair = ["fair", "Z1 G1 H1 H2"] as const;
    for (const [[mode, order], first] of [[priority, "G"], [priority, "H"], [fair, "G"], [fair, "H"]] as const) {
      const room = new Room({ mode, pools: [calm] });
      room.ok({ type: "set_weight", seat: first, weight: 100, by: "ada" }); // who was known first makes no difference
      room.submit("Z1", { e: 1000 });
      room.submit("G1", { background: true, class: 3, e: 1000 });
      room.submit("H1", { background: true, class: 2, e: 1000 });
      room.submit("H2", { background: true, class: 1, e: 1000 });
      for (const id of order.split(" ")) {
        room.now += 1000;
        room.done(id, 1000);
      }
      expect(room.order()).toBe(order);
    }
  });

  test("[Q51] a mode nobody knows is refused and the old one stays", () => {
    const room = new Room({ mode: "round_robin" });
    expect(room.refused({ type: "set_mode", mode: "lottery" as "fifo", by: "ada" }).reason).toBe("unknown_mode");
    expect(room.state.workshop.mode).toBe("round_robin");
  });

  test("[Q51] changing mode, weights or parameters keeps jobs, places, ledgers and live attempts", () => {
    const room = new Room({ pools: [calm] });
    for (const [id, level] of [["A1", 2], ["A2", 3], ["B1", 1], ["A3", 0]] as const) room.submit(id, { class: level, e: 9000 });
    const picture = () => JSON.stringify([[...room.state.jobs.values()].map(({ id, place, seq, state }) => [id, place, seq, state]), [...room.state.seats.values()].map(({ main }) => main), [...room.state.attempts.keys()]]);
    const before = picture();
    for (const mode of ["priority", "fifo", "round_robin", "fair"] as const) room.ok({ type: "set_mode", mode, by: "ada" });
    room.ok({ type: "set_params", params: { headStart: 0, slack: 0 }, by: "ada" });
    room.ok({ type: "set_weight", seat: "A", weight: 300, by: "ada" });
    expect(picture()).toBe(before);
    expect(room.refused({ type: "set_params", params: { aged: -1 }, by: "ada" }).reason).toBe("invalid_value");
    expect(room.refused({ type: "set_params", params: { luck: 7 } as never, by: "ada" }).reason).toBe("invalid_value");
  });

  test("[Q42] demo keeps at least one slot, so that a bumped job always gets its turn", () => {
    const room = new Room({ pools: [calm] });
    expect(room.refused({ type: "set_params", params: { demoSlots: 0 }, by: "ada" })).toMatchObject({ reason: "invalid_value", numbers: { parameter: "demoSlots", least: 1 } });
    room.ok({ type: "set_params", params: { demoSlots: 1 }, by: "ada" });
  });

  test("[Q2] no duration is longer than thirty days, so that no time reaches 2^53", () => {
    const room = new Room({ pools: [calm] });
    const durations = ["headStart", "slack", "long", "hold", "aged", "demoMax", "debtMs", "stopGrace", "backoff", "backoffMax", "lastResort", "circuit", "circuitMax", "quarantine", "company"] as const;
    const most = 30 * 86_400_000;
    for (const name of durations) {
      for (const value of [most + 1, Number.MAX_SAFE_INTEGER]) {
        expect(room.refused({ type: "set_params", params: { [name]: value }, by: "ada" }), name).toMatchObject({ reason: "invalid_value", numbers: { parameter: name, most } });
      }
      room.ok({ type: "set_params", params: { [name]: most }, by: "ada" });
    }
    room.submit("A1");
    room.submit("B1");
    expect(room.refused({ type: "bump", job: "B1", forMs: Number.MAX_SAFE_INTEGER, by: "ada" }).reason).toBe("invalid_value");
    room.now = 1_800_000_000_000;
    room.ok({ type: "bump", job: "B1", forMs: most, by: "ada" });
    room.ok({ type: "set_demo", on: true, by: "ada" });
    expect([room.state.workshop.demoUntil, room.job("B1").bumpUntil]).toEqual([room.now + most, room.now + most]);
  });
});
