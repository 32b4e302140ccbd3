// Section 8: what follows when an attempt goes wrong: retries by class, their bounds, circuits of pools.

import { describe, expect, test } from "vitest";
import { defaultParams, nextWake } from "../../../durable-objects/queue/index.ts";
import { classOf, judge } from "../../../durable-objects/queue/outcome.ts";
import { Room } from "./room.ts";

const two = [{ id: "a", position: 0 }, { id: "b", position: 1 }];

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

  const first: [string, { retry: boolean; refundAnyway: boolean; counted: boolean; circuit: boolean; exclude: string[] }][] = [
    ["node_error", { retry: false, refundAnyway: false, counted: true, circuit: false, exclude: [] }],
    ["exec_timeout", { retry: false, refundAnyway: false, counted: true, circuit: false, exclude: [] }],
    ["oom", { retry: true, refundAnyway: false, counted: true, circuit: false, exclude: [] }],
    ["comfy_crash", { retry: true, refundAnyway: false, counted: true, circuit: false, exclude: [] }],
    ["container_lost", { retry: true, refundAnyway: true, counted: true, circuit: false, exclude: [] }],
    ["claim_timeout", { retry: true, refundAnyway: true, counted: true, circuit: true, exclude: ["a"] }],
    ["missing_model", { retry: true, refundAnyway: true, counted: true, circuit: false, exclude: ["a"] }],
    ["provider_capacity", { retry: true, refundAnyway: true, counted: false, circuit: true, exclude: [] }],
    ["provider_funds", { retry: true, refundAnyway: true, counted: false, circuit: true, exclude: [] }],
    ["upload_failed", { retry: false, refundAnyway: true, counted: true, circuit: false, exclude: [] }],
    ["internal", { retry: false, refundAnyway: true, counted: true, circuit: false, exclude: [] }],
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

  const sizes = [{ id: "small", position: 0, memory: 24_000 }, { id: "other", position: 1, memory: 24_000 }, { id: "large", position: 2, memory: 80_000 }];

  /** How the attempts of a job went, in the order in which they closed. */
  const told = (room: Room) => room.find("attempt_closed").map(({ record }) => [record.pool, record.code, record.refunded, record.settled]);

  test("[Q54] [Q55] a started run that is out of memory twice moves to a pool with more, refunded, and the third time is the last", () => {
    for (const third of ["succeeded", "oom"] as const) {
      const room = new Room({ slots: 3, pools: sizes, params: { backoff: 0 } });
      room.submit("A1", { e: 20_000 });
      for (const pool of ["small", "small"]) {
        expect(room.attempt("A1")).toMatchObject({ pool, fresh: room.attempt("A1").number > 1 });
        room.start("A1");
        room.at(room.now / 1000 + 5).fail("A1", "oom");
      }
      expect(room.attempt("A1")).toMatchObject({ number: 3, pool: "large" });
      expect(room.job("A1").excluded.map(({ pool }) => pool).sort()).toEqual(["other", "small"]);
      room.start("A1");
      room.at(17);
      if (third === "oom") room.fail("A1", "oom");
      else room.done("A1", 7000);
      expect(room.ended.get("A1")).toMatchObject({ state: third === "oom" ? "failed" : "succeeded", attempts: 3 });
      expect(told(room)).toEqual([["small", "oom", true, 0], ["small", "oom", true, 0], ["large", third === "oom" ? "oom" : null, false, 7000]]);
      expect(room.v("A")).toBe(7000);
    }
  });

  test("[Q54] [Q55] what fails otherwise after one further attempt is not run again, wherever it was", () => {
    for (const codes of [["oom", "comfy_crash"], ["comfy_crash", "oom"]]) {
      const room = new Room({ slots: 3, pools: sizes, params: { backoff: 0 } });
      room.submit("A1");
      for (const code of codes) {
        room.start("A1");
        room.fail("A1", code);
      }
      expect(room.ended.get("A1")).toMatchObject({ state: "failed", attempts: 2, reason: { code: codes[1] } });
    }
  });

  test.each(["oom", "comfy_crash"])("[Q54] [Q30] %s that ends its job is charged with what it took, the one before it is not", (code) => {
    for (const started of [false, true]) {
      const room = new Room({ params: { backoff: 0 } });
      room.submit("A1", { e: 20_000 });
      for (let attempt = 1; attempt <= 2; attempt++) {
        if (started) room.start("A1");
        else room.claim("A1", `runner ${attempt}`);
        room.at(attempt * 50);
        room.ok({ type: "result", ...room.leased("A1"), digest: "", outcome: "failed", reason: { code, message: "no" }, timings: { execMs: 50_000, loadMs: 0 } });
      }
      expect(room.ended.get("A1")).toMatchObject({ state: "failed", attempts: 2, settled: 50_000 });
      expect(told(room)).toEqual([["gpu", code, true, 0], ["gpu", code, false, 50_000]]);
      expect([room.v("A"), room.n("A")]).toEqual([50_000, 1000]);
    }
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

  test("[Q55] the backoff doubles with every counted attempt, up to a minute", () => {
    const room = new Room({ slots: 2, pools: two, params: { attemptsMax: 9, lastResort: 0 } });
    room.submit("A1");
    const waits: number[] = [];
    for (let attempt = 1; attempt <= 8; attempt++) {
      room.claim("A1", `r${attempt}`);
      room.ok({ type: "runner_lost", runner: `r${attempt}` });
      const { notBefore } = room.job("A1");
      waits.push((notBefore - room.now) / 1000);
      room.at(notBefore / 1000);
    }
    expect(waits).toEqual([2, 4, 8, 16, 32, 60, 60, 60]);
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

  test("[Q56] a provider's Retry-After counts from one second to one hour", () => {
    for (const [said, rest] of [[0, 1000], [999, 1000], [7000, 7000], [3_600_001, 3_600_000], [1e12, 3_600_000]] as const) {
      const room = new Room();
      room.submit("A1");
      room.ok({ type: "handed_over", job: "A1", attempt: 1, answer: "refused", code: "provider_capacity", retryAfter: said });
      expect(room.find("circuit_opened")).toMatchObject([{ until: rest }]);
    }
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
