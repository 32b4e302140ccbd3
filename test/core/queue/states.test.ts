// Sections 1 and 2: ground rules and states.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { decide, effectsDue, emptyRows, hasChanges, restore, rowsOf } from "../../../durable-objects/queue/index.ts";
import type { Command, Rows } from "../../../durable-objects/queue/index.ts";
import { Room, bare } from "./room.ts";

const core = join(import.meta.dirname, "../../../durable-objects/queue");

function sources(): { file: string; text: string }[] {
  return readdirSync(core).filter((file) => file.endsWith(".ts")).map((file) => ({ file, text: readFileSync(join(core, file), "utf8") }));
}

describe("ground rules", () => {
  test("[Q1] the core imports only itself and reads no clock, no dice, no ids", () => {
    for (const { file, text } of sources()) {
      const imports = [...text.matchAll(/from "([^"]+)"/g)].map((match) => match[1]);
      expect(imports.filter((name) => !/^\.\/[a-z-]+\.ts$/.test(name ?? "")), file).toEqual([]);
      expect(text.match(/Date\.now|new Date|Math\.random|performance\.|crypto\.|setTimeout|fetch\(|async |await /g), file).toBeNull();
    }
  });

  test("[Q1] a refused command leaves the state as it was", () => {
    const room = new Room();
    room.submit("A1");
    const before = bare(rowsOf(room.state));
    for (const command of [
      { type: "set_mode", mode: "lottery", by: "ada" } as unknown as Command,
      { type: "set_weight", seat: "nobody", weight: 5, by: "ada" } as Command,
      { type: "evict", job: "nothing", by: "ada" } as Command,
      { type: "renew", job: "A1", attempt: 1, lease: "wrong", activity: true } as Command,
    ]) {
      const decision = room.do(command);
      expect(decision.ok).toBe(false);
      expect(hasChanges(decision.changes)).toBe(false);
    }
    expect(bare(rowsOf(room.state))).toEqual(before);
  });

  test("[Q2] every number in the rows is a safe integer", () => {
    const room = new Room({ slots: 3, pools: [{ maxInFlight: 3, rate: 3_330_000, speed: 130 }] });
    room.ok({ type: "set_weight", seat: "A", weight: 37, by: "ada" });
    for (const id of ["A1", "B1", "C1", "A2", "B2"]) room.submit(id, { e: 7_777 });
    room.at(3).start("A1");
    room.at(9.123).done("A1");
    room.at(600);
    const odd: string[] = [];
    JSON.stringify(rowsOf(room.state), (name, value: unknown) => {
      if (typeof value === "number" && !Number.isSafeInteger(value)) odd.push(`${name}: ${value}`);
      return value;
    });
    expect(odd).toEqual([]);
  });

  test("[Q3] every accepted job gets the workshop's next integer", () => {
    const room = new Room();
    expect(["A1", "B1", "A2"].map((id) => room.submit(id).seq)).toEqual([1, 2, 3]);
    room.refused(room.submission("A1"));
    expect(room.submit("C1").seq).toBe(4);
  });

  test("[Q4] what is due happens before the command, in order of due time", () => {
    const room = new Room({ slots: 2, pools: [{ maxInFlight: 2, claimBefore: 30_000 }] });
    room.submit("A1");
    room.at(5);
    room.submit("B1");
    room.now = 60_000;
    const late = room.refused({ type: "claim", job: "A1", attempt: 1, runner: "r", lease: "l" });
    expect(late.reason).toBe("superseded");
    expect(room.find("attempt_closed").map(({ record }) => record.job)).toEqual(["A1", "B1"]);
  });

  test("[Q4] due time decides, and at one due time the seq, whatever was dispatched first", () => {
    const room = new Room({ slots: 2, pools: [{ id: "slow", position: 0, claimBefore: 60_000 }, { id: "quick", position: 1, claimBefore: 30_000 }] });
    room.submit("A1");
    room.submit("B1");
    expect([room.attempt("A1").pool, room.attempt("B1").pool]).toEqual(["slow", "quick"]);
    room.at(60);
    expect(room.find("attempt_closed").map(({ record }) => record.job)).toEqual(["B1", "A1"]);
    const tied = new Room({ slots: 2, pools: [{ maxInFlight: 2, claimBefore: 30_000 }] });
    tied.ok({ type: "set_switch", to: "paused", by: "ada" });
    tied.submit("A1", { e: 50_000 });
    tied.submit("B1", { e: 1000 });
    tied.ok({ type: "set_switch", to: "open", by: "ada" });
    expect(tied.order()).toBe("B1 A1");
    tied.at(30);
    expect(tied.find("attempt_closed").map(({ record }) => record.job)).toEqual(["A1", "B1"]);
  });

  test("[Q4] several commands at one instant share one dispatch loop", () => {
    const room = new Room();
    const long = room.submission("A1", { e: 50_000 });
    const short = room.submission("B1", { e: 5_000 });
    const result = room.ok({ type: "batch", commands: [long, { ...short, seat: "A", id: "A1" }, short] });
    expect(result.map((one) => one.ok)).toEqual([true, false, true]);
    expect(room.order()).toBe("B1");
  });

  test("[Q5] the log replays to the same dispatches and the same rows", () => {
    const log: { command: Command; now: number }[] = [];
    const room = new Room();
    const rows = JSON.parse(JSON.stringify(rowsOf(room.state))) as Rows;
    const plain = room.do.bind(room);
    room.do = ((command: Command) => {
      log.push({ command, now: room.now });
      return plain(command);
    }) as typeof room.do;
    for (const id of ["A1", "A2", "B1"]) room.submit(id, { e: 20_000 });
    room.at(2).start("A1");
    room.at(21).done("A1");
    room.at(30).ok({ type: "cancel", job: "A2", seat: "A" });
    const replayed = restore(rows);
    const starts: string[] = [];
    for (const { command, now } of log) {
      for (const event of decide(replayed, command, now).events) if (event.type === "job_dispatched") starts.push(event.job);
    }
    expect(starts.join(" ")).toBe(room.order());
    expect(bare(rowsOf(replayed))).toEqual(bare(rowsOf(room.state)));
  });

  test("[Q6] what was committed but perhaps never sent is named again after a restart", () => {
    const room = new Room({ slots: 3 , pools: [{ maxInFlight: 3 }] });
    for (const id of ["A1", "B1", "C1"]) room.submit(id);
    room.ok({ type: "handed_over", job: "B1", attempt: 1, answer: "unknown" });
    room.claim("C1");
    room.ok({ type: "cancel", job: "C1", seat: "C" });
    room.crash();
    expect(effectsDue(room.state).map(({ type, job }) => `${type} ${job}`)).toEqual(["dispatch A1", "ask_status B1", "tell_runner C1"]);
  });
});

describe("states", () => {
  /** A room with X1 in the state asked for. */
  function inState(state: string): Room {
    const room = new Room();
    if (state === "waiting") room.submit("W1", { seat: "W" });
    room.submit("X1");
    if (state === "running" || state === "stopping" || state === "succeeded") room.start("X1");
    if (state === "stopping") room.ok({ type: "cancel", job: "X1", seat: "X" });
    if (state === "succeeded") room.done("X1");
    if (state === "cancelled") room.ok({ type: "cancel", job: "X1", seat: "X" });
    if (state === "failed") {
      room.start("X1");
      room.fail("X1", "node_error");
    }
    expect(room.stateOf("X1")).toBe(state);
    return room;
  }

  const moves: [string, string, (room: Room) => unknown, string][] = [
    ["waiting", "cancel", (room) => room.ok({ type: "cancel", job: "X1", seat: "X" }), "cancelled"],
    ["waiting", "clear", (room) => room.ok({ type: "clear", seat: "X", instructor: false }), "cancelled"],
    ["waiting", "dispatch", (room) => room.ok({ type: "set_max_in_flight", pool: "gpu", maxInFlight: 2 }) ?? room.ok({ type: "set_wanted", slots: 2, by: "ada" }), "dispatched"],
    ["dispatched", "claim", (room) => room.claim("X1"), "running"],
    ["dispatched", "refusal", (room) => room.ok({ type: "handed_over", job: "X1", attempt: 1, answer: "refused", code: "provider_capacity" }), "waiting"],
    ["dispatched", "refusal for good", (room) => room.ok({ type: "handed_over", job: "X1", attempt: 1, answer: "refused", code: "internal" }), "failed"],
    ["dispatched", "claim deadline", (room) => room.at(901), "waiting"],
    ["dispatched", "cancel", (room) => room.ok({ type: "cancel", job: "X1", seat: "X" }), "cancelled"],
    ["running", "success", (room) => room.done("X1"), "succeeded"],
    ["running", "node error", (room) => room.fail("X1", "node_error"), "failed"],
    ["running", "crash", (room) => room.fail("X1", "comfy_crash"), "waiting"],
    ["running", "lease lost", (room) => room.at(76), "waiting"],
    ["running", "cancel", (room) => room.ok({ type: "cancel", job: "X1", seat: "X" }), "stopping"],
    ["running", "interrupt", (room) => room.ok({ type: "interrupt", seat: "X" }), "stopping"],
    ["stopping", "success all the same", (room) => room.done("X1"), "cancelled"],
    ["stopping", "grace over", (room) => room.at(21), "cancelled"],
  ];
  test.each(moves)("[Q7] [Q8] %s, on %s", (from, _on, act, to) => {
    const room = inState(from);
    act(room);
    expect(room.stateOf("X1")).toBe(to);
  });

  test("[Q8] evict takes a dispatched or running job off its GPU", () => {
    for (const state of ["dispatched", "running"]) {
      const room = inState(state);
      room.ok({ type: "set_switch", to: "paused", by: "ada" });
      room.ok({ type: "evict", job: "X1", by: "ada" });
      expect(room.stateOf("X1")).toBe("waiting");
    }
  });

  test.each(["waiting", "stopping"])("[Q8] evicting a %s job is an illegal transition", (state) => {
    expect(inState(state).refused({ type: "evict", job: "X1", by: "ada" }).reason).toBe("illegal_transition");
  });

  test.each(["succeeded", "failed", "cancelled"])("[Q8] %s is the end: nothing moves it", (state) => {
    const room = inState(state);
    expect(room.ok({ type: "cancel", job: "X1", seat: "X", ...room.known("X1") })).toEqual({ answer: "already_finished", state });
    expect(room.refused({ type: "evict", job: "X1", by: "ada" }).reason).toBe("not_found");
    const result = room.refused({ type: "result", job: "X1", attempt: 1, lease: "other", digest: "", outcome: "succeeded", filesCommitted: true, ...room.known("X1") });
    expect(result.reason).toBe("stale");
    expect(room.find("job_ended")).toHaveLength(1);
  });

  test("[Q7] a cancel keeps the terminal record", () => {
    const room = inState("cancelled");
    expect(room.find("job_ended")[0]?.record).toMatchObject({ id: "X1", seat: "X", state: "cancelled", reason: { code: "cancelled" }, acceptedAt: 0, endedAt: 0 });
  });

  test("[Q9] attempts are numbered from 1, one open at a time, and close with an outcome", () => {
    const room = new Room({ params: { backoff: 0 } });
    room.submit("A1");
    expect(room.attempt("A1").state).toBe("open");
    room.ok({ type: "handed_over", job: "A1", attempt: 1, answer: "submitted", ref: "abc" });
    expect(room.attempt("A1")).toMatchObject({ state: "submitted", ref: "abc" });
    room.claim("A1");
    expect(room.attempt("A1").state).toBe("claimed");
    room.start("A1");
    expect(room.attempt("A1").state).toBe("started");
    room.fail("A1", "container_lost");
    expect(room.attempt("A1")).toMatchObject({ number: 2, state: "open" });
    expect(room.state.attempts.size).toBe(1);
    room.done("A1");
    expect(room.find("attempt_closed").map(({ record }) => `${record.number} ${record.outcome}`)).toEqual(["1 lost", "2 succeeded"]);
  });

  test("[Q10] success needs its files, failure needs a reason", () => {
    const room = inState("running");
    const leased = room.leased("X1");
    expect(room.refused({ type: "result", ...leased, digest: "d", outcome: "succeeded", filesCommitted: false }).reason).toBe("files_uncommitted");
    expect(room.refused({ type: "result", ...leased, digest: "d", outcome: "failed", reason: { code: "node_error", message: "" } }).reason).toBe("reason_missing");
    expect(room.stateOf("X1")).toBe("running");
    room.ok({ type: "result", ...leased, digest: "d", outcome: "failed", reason: { code: "node_error", message: "KSampler: no", node_id: "3" } });
    expect(room.ended.get("X1")?.reason).toEqual({ code: "node_error", message: "KSampler: no", node_id: "3" });
  });

  test("[Q11] a phase is what the runner said, nothing before", () => {
    const room = inState("dispatched");
    expect(room.attempt("X1").phase).toBeNull();
    room.claim("X1");
    expect(room.attempt("X1").phase).toBeNull();
    room.ok({ type: "phase", ...room.leased("X1"), phase: { name: "loading" } });
    expect(room.attempt("X1").phase).toEqual({ name: "loading" });
    expect(room.find("job_phase")).toMatchObject([{ job: "X1", phase: { name: "loading" } }]);
  });

  test("[Q12] records and events speak the one published vocabulary", () => {
    const words = new Set<string>();
    for (const [, , act, to] of moves) {
      const room = inState(moves.find((move) => move[2] === act)?.[0] ?? "");
      act(room);
      words.add(to);
      for (const event of room.events) {
        if (event.type === "job_state") words.add(event.from).add(event.to);
        if (event.type === "job_ended") words.add(event.from).add(event.record.state);
      }
    }
    expect([...words].sort()).toEqual(["cancelled", "dispatched", "failed", "running", "stopping", "succeeded", "waiting"]);
  });
});

test("[Q6] an empty workshop decides and asks for nothing", () => {
  const decision = decide(restore(emptyRows()), { type: "tick" }, 0);
  expect([decision.events, decision.effects]).toEqual([[], []]);
});
