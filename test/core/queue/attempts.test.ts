// Section 8: claims, leases, fencing, retries, circuits, deadlines.

import { describe, expect, test } from "vitest";
import { nextWake } from "../../../durable-objects/queue/index.ts";
import { classOf, judge } from "../../../durable-objects/queue/outcome.ts";
import { defaultParams } from "../../../durable-objects/queue/index.ts";
import { Room } from "./room.ts";

const two = [{ id: "a", position: 0 }, { id: "b", position: 1 }];

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

describe("retries", () => {
  test("[Q54] every code of the contract has its class", () => {
    const classes = Object.entries({
      user: ["validation", "node_error", "input_missing"],
      limit: ["exec_timeout"],
      oom: ["oom"],
      crash: ["comfy_crash"],
      lost: ["container_lost", "lease_expired"],
      never_started: ["claim_timeout", "start_timeout", "provider_unknown"],
      missing: ["missing_node", "missing_model"],
      capacity: ["provider_capacity", "provider_rate_limited"],
      config: ["provider_auth", "provider_config", "provider_funds"],
      upload: ["upload_failed"],
      internal: ["internal", "never heard of"],
    });
    for (const [kind, codes] of classes) for (const code of codes) expect(classOf(code)).toBe(kind);
  });

  const first: [string, { retry: boolean; refund: boolean; counted: boolean; circuit: boolean; exclude: string[] }][] = [
    ["node_error", { retry: false, refund: false, counted: true, circuit: false, exclude: [] }],
    ["exec_timeout", { retry: false, refund: false, counted: true, circuit: false, exclude: [] }],
    ["oom", { retry: true, refund: true, counted: true, circuit: false, exclude: [] }],
    ["comfy_crash", { retry: true, refund: true, counted: true, circuit: false, exclude: [] }],
    ["container_lost", { retry: true, refund: true, counted: true, circuit: false, exclude: [] }],
    ["claim_timeout", { retry: true, refund: true, counted: true, circuit: true, exclude: ["a"] }],
    ["missing_model", { retry: true, refund: true, counted: true, circuit: false, exclude: ["a"] }],
    ["provider_capacity", { retry: true, refund: true, counted: false, circuit: true, exclude: [] }],
    ["provider_funds", { retry: true, refund: true, counted: false, circuit: true, exclude: [] }],
    ["upload_failed", { retry: false, refund: true, counted: true, circuit: false, exclude: [] }],
    ["internal", { retry: false, refund: true, counted: true, circuit: false, exclude: [] }],
  ];
  test.each(first)("[Q54] the first %s", (code, expected) => {
    const room = new Room({ pools: two });
    room.submit("A1");
    room.start("A1");
    const attempt = { ...room.attempt("A1"), heard: true };
    expect(judge(room.job("A1"), attempt, code, defaultParams, [...room.state.pools.values()])).toMatchObject(expected);
  });

  test("[Q54] a silent run is tried once more", () => {
    const room = new Room({ pools: [{ lease: 1e9, silence: 50_000 }] });
    room.submit("A1");
    room.start("A1");
    room.at(50).at(52);
    expect(room.attempt("A1").number).toBe(2);
    room.start("A1");
    room.at(102);
    expect(room.ended.get("A1")?.reason?.code).toBe("exec_timeout");
  });

  test("[Q54] oom: a fresh start on the same pool; a lost job leaves the pool the second time", () => {
    const room = new Room({ slots: 2, pools: [{ id: "a", position: 0, memory: 24_000 }, { id: "b", position: 1, memory: 80_000 }], params: { backoff: 0 } });
    room.submit("A1");
    room.claim("A1");
    room.fail("A1", "oom");
    expect(room.attempt("A1")).toMatchObject({ pool: "a", fresh: true });
    room.claim("A1");
    room.fail("A1", "oom");
    expect(room.attempt("A1").pool).toBe("b");
    room.submit("B1");
    for (const pool of ["a", "a"]) {
      expect(room.attempt("B1").pool).toBe(pool);
      room.claim("B1");
      room.fail("B1", "container_lost");
    }
    expect(room.job("B1")).toMatchObject({ excluded: [{ pool: "a", code: "container_lost" }] });
  });

  test("[Q54] an answer lost: ask, hand over once more, then as never started", () => {
    const room = new Room({ slots: 2, pools: two, params: { backoff: 0 } });
    room.submit("A1");
    const lost = room.do({ type: "handed_over", job: "A1", attempt: 1, answer: "unknown" });
    expect(lost.effects).toMatchObject([{ type: "ask_status", job: "A1", attempt: 1, pool: "a" }]);
    const asked = room.do({ type: "provider_status", job: "A1", attempt: 1, status: "absent" });
    expect(asked.effects).toMatchObject([{ type: "hand_over_again", job: "A1", attempt: 1 }]);
    room.ok({ type: "handed_over", job: "A1", attempt: 1, answer: "unknown" });
    expect(room.find("circuit_opened")).toMatchObject([{ pool: "a", code: "provider_unknown" }]);
    room.ok({ type: "provider_status", job: "A1", attempt: 1, status: "absent" });
    expect(room.attempt("A1")).toMatchObject({ number: 2, pool: "b" });
    expect(room.refused({ type: "handed_over", job: "A1", attempt: 1, answer: "submitted" }).reason).toBe("superseded");
  });

  test("[Q54] known after all, claimed after all", () => {
    const room = new Room();
    room.submit("A1");
    room.ok({ type: "handed_over", job: "A1", attempt: 1, answer: "unknown" });
    room.ok({ type: "provider_status", job: "A1", attempt: 1, status: "known" });
    expect(room.attempt("A1").state).toBe("submitted");
    room.claim("A1");
    room.ok({ type: "provider_status", job: "A1", attempt: 1, status: "absent" });
    expect(room.refused({ type: "handed_over", job: "A1", attempt: 1, answer: "refused", code: "provider_capacity" }).reason).toBe("illegal_transition");
    expect(room.stateOf("A1")).toBe("running");
  });

  test("[Q55] at most three counted attempts, with growing backoff", () => {
    const room = new Room();
    room.submit("A1");
    const waits: number[] = [];
    for (let attempt = 1; attempt <= 3; attempt++) {
      room.claim("A1", `r${attempt}`);
      room.ok({ type: "runner_lost", runner: `r${attempt}` });
      const job = room.state.jobs.get("A1");
      if (job === undefined) break;
      waits.push(job.notBefore - room.now);
      expect(nextWake(room.state, room.now)).toBe(job.notBefore);
      room.at(job.notBefore / 1000);
    }
    expect(waits).toEqual([2000, 30_000]); // the second loss excluded the only pool: last resort
    expect(room.ended.get("A1")).toMatchObject({ state: "failed", attempts: 3, reason: { code: "container_lost" } });
  });

  test("[Q55] one further attempt after a first start, loss apart; refusals do not count", () => {
    const room = new Room({ params: { backoff: 0, circuit: 0 } });
    room.submit("A1");
    for (let k = 0; k < 5; k++) room.ok({ type: "handed_over", job: "A1", attempt: room.job("A1").attempts, answer: "refused", code: "provider_capacity" });
    expect(room.job("A1")).toMatchObject({ counted: 0, attempts: 6, state: "dispatched" });
    room.start("A1");
    room.fail("A1", "oom");
    room.start("A1");
    room.fail("A1", "oom");
    expect(room.ended.get("A1")?.reason?.code).toBe("oom");
  });

  test("[Q55] a job that excludes every pool: healing exclusions are dropped, lasting ones end it", () => {
    const room = new Room({ slots: 2, pools: two, params: { backoff: 0 } });
    room.submit("A1");
    room.claim("A1");
    room.fail("A1", "missing_model");
    expect(room.attempt("A1").pool).toBe("b");
    room.at(900);
    expect(room.job("A1")).toMatchObject({ state: "waiting", notBefore: 930_000, excluded: [{ pool: "a", code: "missing_model" }] });
    room.ok({ type: "remove_pool", pool: "b", by: "ada" });
    expect(room.ended.get("A1")).toMatchObject({ state: "failed", reason: { code: "claim_timeout" } });
    const all = new Room({ slots: 2, pools: two, params: { backoff: 0 } });
    all.submit("A1");
    for (const pool of ["a", "b"]) {
      expect(all.attempt("A1").pool).toBe(pool);
      all.claim("A1");
      all.fail("A1", "missing_node");
    }
    expect(all.ended.get("A1")?.reason?.code).toBe("missing_node");
  });

  test("[Q56] a circuit rests longer each time, half-opens with one slot, and a claim closes it", () => {
    const room = new Room({ slots: 2, pools: [{ maxInFlight: 2 }] });
    room.submit("A1");
    room.submit("B1");
    const refuse = (id: string) => room.ok({ type: "handed_over", job: id, attempt: room.job(id).attempts, answer: "refused", code: "provider_capacity" });
    refuse("A1");
    refuse("B1"); // handed over before the circuit opened: counts once
    expect(room.find("circuit_opened")).toMatchObject([{ failures: 1, until: 60_000 }]);
    expect(nextWake(room.state, room.now)).toBe(60_000);
    room.at(59);
    expect(room.state.attempts.size).toBe(0);
    room.at(60);
    expect(room.state.attempts.size).toBe(1);
    const tried = [...room.state.attempts.values()][0]?.job ?? "";
    refuse(tried);
    expect(room.find("circuit_opened").at(-1)).toMatchObject({ failures: 2, until: 180_000 });
    room.at(180);
    room.claim([...room.state.attempts.values()][0]?.job ?? "");
    expect(room.has("circuit_closed")).toBe(true);
    expect(room.state.attempts.size).toBe(2);
  });

  test("[Q56] the provider's Retry-After counts for more, ten minutes is the most otherwise", () => {
    const room = new Room();
    room.submit("A1");
    room.ok({ type: "handed_over", job: "A1", attempt: 1, answer: "refused", code: "provider_rate_limited", retryAfter: 7000 });
    expect(room.find("circuit_opened")).toMatchObject([{ until: 7000, alarm: false }]);
    for (let k = 0; k < 8; k++) {
      const until = nextWake(room.state, room.now) ?? 0;
      room.at(until / 1000);
      room.ok({ type: "handed_over", job: "A1", attempt: room.job("A1").attempts, answer: "refused", code: "provider_auth" });
    }
    const last = room.find("circuit_opened").at(-1);
    expect((last?.until ?? 0) - room.now).toBe(600_000);
    expect(last?.alarm).toBe(true);
  });
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
