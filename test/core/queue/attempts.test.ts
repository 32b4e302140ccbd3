// Section 8: claims, leases, fencing, deadlines.

import { describe, expect, test } from "vitest";
import { nextWake } from "../../../durable-objects/queue/index.ts";
import { Room } from "./room.ts";

function claimOf(room: Room, id: string, attempt: number, runner: string, lease = `l-${runner}-${attempt}`) {
  return { type: "claim" as const, job: id, attempt, runner, lease, ...room.known(id) };
}

describe("claims", () => {
  test("[Q52] granted to the current attempt, the same lease to the same runner, nothing to another", () => {
    const room = new Room();
    room.submit("A1");
    expect(room.ok(claimOf(room, "A1", 1, "r1", "l1"))).toEqual({ lease: "l1", ttl: 75_000, cancel: false, repeated: false });
    room.now = 5000;
    expect(room.ok(claimOf(room, "A1", 1, "r1", "l2"))).toEqual({ lease: "l1", ttl: 70_000, cancel: false, repeated: true });
    expect(room.refused(claimOf(room, "A1", 1, "r2")).reason).toBe("duplicate");
  });

  test("[Q52] gone, superseded, finished, not found", () => {
    const room = new Room({ slots: 4, pools: [{ maxInFlight: 4 }], params: { backoff: 0 } });
    for (const id of ["A1", "B1", "C1", "D1"]) room.submit(id);
    room.ok({ type: "cancel", job: "A1", seat: "A" });
    expect(room.refused(claimOf(room, "A1", 1, "r")).reason).toBe("gone");
    room.claim("B1");
    room.fail("B1", "container_lost");
    expect(room.refused(claimOf(room, "B1", 1, "r")).reason).toBe("superseded");
    room.done("C1");
    expect(room.refused(claimOf(room, "C1", 1, "r")).reason).toBe("finished");
    room.claim("D1");
    room.ok({ type: "cancel", job: "D1", seat: "D" });
    expect(room.refused(claimOf(room, "D1", 1, "other")).reason).toBe("gone");
    expect(room.refused(claimOf(room, "nobody", 1, "r")).reason).toBe("not_found");
  });

  test("[Q52] two crashes or start deadlines in a row keep a runner away for ten minutes", () => {
    const room = new Room({ params: { backoff: 0 } });
    for (const id of ["A1", "B1"]) {
      room.submit(id);
      room.claim(id, "bad");
      room.fail(id, "comfy_crash");
      room.ok({ type: "cancel", job: id, seat: id.slice(0, 1) });
    }
    expect(room.find("runner_quarantined")).toMatchObject([{ runner: "bad", until: 600_000 }]);
    room.submit("C1");
    expect(room.refused(claimOf(room, "C1", 1, "bad"))).toMatchObject({ reason: "quarantined", numbers: { until: 600_000 } });
    room.ok(claimOf(room, "C1", 1, "good"));
    room.done("C1");
    room.at(601).submit("D1");
    room.ok(claimOf(room, "D1", 1, "bad"));
  });

  test("[Q52] a run that ends otherwise clears a runner's strikes", () => {
    const room = new Room({ params: { backoff: 0 }, pools: [{ startAfterClaim: 10_000 }] });
    const crash = (id: string) => {
      room.submit(id);
      room.claim(id, "r");
      room.fail(id, "comfy_crash");
      room.ok({ type: "cancel", job: id, seat: id.slice(0, 1) });
    };
    crash("A1");
    room.submit("B1");
    room.claim("B1", "r");
    room.done("B1");
    crash("C1");
    expect(room.has("runner_quarantined")).toBe(false);
    room.submit("D1");
    room.claim("D1", "r");
    room.at(10);
    expect(room.has("runner_quarantined")).toBe(true);
  });
});

describe("fencing", () => {
  test("[Q53] any lease but the current one is stale and changes nothing", () => {
    const room = new Room({ params: { backoff: 0 } });
    room.submit("A1");
    const old = { job: "A1", attempt: 1, lease: room.claim("A1") };
    room.fail("A1", "container_lost");
    room.claim("A1", "r2");
    for (const command of [
      { type: "renew", ...old, activity: true },
      { type: "started", ...old },
      { type: "phase", ...old, phase: { name: "loading" } },
      { type: "result", ...old, digest: "d", outcome: "succeeded", filesCommitted: true },
      { type: "result", ...old, attempt: 2, digest: "d", outcome: "failed", reason: { code: "node_error", message: "late" } },
    ] as const) {
      expect(room.refused(command).reason).toBe("stale");
    }
    expect(room.stateOf("A1")).toBe("running");
  });

  test("[Q53] the first terminal write wins: a repeat is answered already, another conflict", () => {
    const room = new Room();
    room.submit("A1");
    room.start("A1");
    const leased = room.leased("A1");
    room.done("A1");
    const late = { type: "result", ...leased, ...room.known("A1") } as const;
    expect(room.ok({ ...late, digest: "digest of A1", outcome: "succeeded", filesCommitted: true })).toEqual({ answer: "already", state: "succeeded" });
    expect(room.refused({ ...late, digest: "other", outcome: "cancelled" }).reason).toBe("conflict");
    expect(room.find("job_ended")).toHaveLength(1);
  });

  test("[Q58] any frame renews the lease, and the pool says how long it is", () => {
    const room = new Room({ pools: [{ lease: 10_000 }] });
    room.submit("A1");
    room.start("A1");
    for (const second of [8, 16, 24]) {
      room.now = second * 1000;
      expect(room.ok({ type: "renew", ...room.leased("A1"), activity: false })).toMatchObject({ ttl: 10_000, cancel: false });
    }
    room.at(33.999);
    expect(room.stateOf("A1")).toBe("running");
    room.at(34);
    expect(room.find("attempt_closed")).toMatchObject([{ record: { outcome: "lost", code: "lease_expired", refunded: true } }]);
  });

  test("[Q58] after expiry the attempt stays claimable for the reclaim time, and a new claim fences the old lease", () => {
    const room = new Room({ pools: [{ reclaim: 60_000 }] });
    room.submit("A1");
    room.start("A1");
    const old = room.leased("A1");
    room.at(75);
    expect(room.stateOf("A1")).toBe("running");
    expect(room.find("lease_expired")).toMatchObject([{ until: 135_000 }]);
    expect(room.refused({ type: "renew", ...old, activity: true }).reason).toBe("stale");
    room.at(100).ok(claimOf(room, "A1", 1, "r2", "new"));
    expect(room.attempt("A1")).toMatchObject({ number: 1, lease: { id: "new", runner: "r2", expiresAt: 175_000 }, startedAt: null, reclaimUntil: null });
    expect(room.refused({ type: "result", ...old, digest: "d", outcome: "cancelled" }).reason).toBe("stale");
    room.at(175).at(235);
    expect(room.find("attempt_closed")).toMatchObject([{ record: { outcome: "lost" } }]);
  });
});

test("[Q58] the reclaim time runs from the lease's end, however late that is noticed", () => {
  const late = () => {
    const room = new Room({ pools: [{ reclaim: 60_000 }], params: { backoff: 0 } });
    room.submit("A1");
    room.start("A1");
    return room;
  };
  const room = late().at(100);
  expect(room.find("lease_expired")).toMatchObject([{ until: 135_000 }]);
  expect(nextWake(room.state, room.now)).toBe(135_000);
  room.at(135);
  expect(room.find("attempt_closed")).toMatchObject([{ record: { outcome: "lost", code: "lease_expired" } }]);
  const later = late().at(140);
  expect(later.refused(claimOf(later, "A1", 1, "r2")).reason).toBe("superseded");
});

describe("deadlines", () => {
  const clocks: [string, Record<string, number>, (room: Room) => void, number, string][] = [
    ["claim", { claimBefore: 30_000 }, () => {}, 30_000, "claim_timeout"],
    ["start", { startAfterClaim: 40_000 }, (room) => room.claim("A1"), 40_000, "start_timeout"],
    ["lease", { lease: 20_000 }, (room) => room.start("A1"), 20_000, "lease_expired"],
    ["silence", { silence: 25_000, lease: 1e9 }, (room) => room.start("A1"), 25_000, "exec_timeout"],
    ["execution", { silence: 1e9, lease: 1e9 }, (room) => room.start("A1"), 900_000, "exec_timeout"],
  ];
  test.each(clocks)("[Q57] %s", (_name, overrides, act, at, code) => {
    const room = new Room({ pools: [overrides] });
    room.submit("A1");
    act(room);
    expect(nextWake(room.state, room.now)).toBe(at);
    room.at((at - 1) / 1000);
    expect(room.find("attempt_closed")).toEqual([]);
    room.at(at / 1000);
    expect(room.find("attempt_closed")).toMatchObject([{ record: { code } }]);
  });

  test("[Q57] progress pushes silence back, a heartbeat does not; video may run longer", () => {
    const room = new Room({ pools: [{ lease: 1e9, silence: 300_000 }] });
    room.submit("A1", { kind: "video" });
    room.start("A1");
    room.at(200).ok({ type: "phase", ...room.leased("A1"), phase: { name: "executing", step: 1, steps: 9 } });
    room.at(400).ok({ type: "renew", ...room.leased("A1"), activity: false });
    expect(nextWake(room.state, room.now)).toBe(500_000);
    room.ok({ type: "renew", ...room.leased("A1"), activity: true });
    expect(nextWake(room.state, room.now)).toBe(700_000);
  });
});
