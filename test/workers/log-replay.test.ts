// The event log holds everything [Q5][I11]: a random afternoon in workerd, exported over the operator's door and run through the pure core again, gives the same
// decisions and the same state; also after hibernation at any point, and after the log's beginning was trimmed away.
import { env } from "cloudflare:workers";
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { type LogLine, Replay, type Replayed, type Dispatch } from "../../durable-objects/log-replay.ts";
import { keepLog, type Keep } from "../../durable-objects/log-store.ts";
import { loadRows } from "../../durable-objects/queue-store.ts";
import { restore } from "../../durable-objects/queue/index.ts";
import { objectSql } from "../../durable-objects/sql.ts";
import type { Work } from "../../gpu-adapter/contract.ts";
import { basic, call, OPERATOR } from "./edge/edge.ts";
import { openRoom, type Room } from "./steering.ts";

async function exported(name: string, query = ""): Promise<LogLine[]> {
  const answer = await call(`/ops/v1/workshops/${name}/log${query}`, { headers: OPERATOR });
  expect(answer.status).toBe(200);
  return new TextDecoder().decode(await answer.arrayBuffer()).trim().split("\n").map((line) => JSON.parse(line) as LogLine);
}

function replay(lines: LogLine[]): { replayed: Replayed; dispatches: Dispatch[] } {
  const dispatches: Dispatch[] = [];
  const run = new Replay((dispatch) => dispatches.push(dispatch));
  for (const line of lines) run.take(line);
  return { replayed: run.result(), dispatches };
}

/** The generator of the spec's workloads: same seed, same afternoon. */
function dice(seed: number): (sides: number) => number {
  let x = seed >>> 0;
  return (sides) => {
    x = (Math.imul(1_664_525, x) + 1_013_904_223) >>> 0;
    return Math.floor((x / 2 ** 32) * sides);
  };
}

/** One random thing somebody does. Refusals are part of an afternoon. */
async function something(room: Room, roll: (sides: number) => number, jobs: string[], running: Work[]): Promise<void> {
  const seat = `user00${1 + roll(3)}`;
  const job = jobs[roll(Math.max(1, jobs.length))] ?? crypto.randomUUID();
  const act = async (method: string, path: string, body: object = {}): Promise<void> => void (await room.ask(method, path, body));
  switch (roll(20)) {
    case 0: case 1: case 2: case 3: case 4: case 5:
      jobs.push(await room.submit(seat, { model_signature: `m${roll(2)}`, timing_signature: `t${roll(4)}`, front: roll(5) === 0, background: roll(6) === 0, output_kind: roll(3) === 0 ? "video" : "image" }).catch(() => crypto.randomUUID()));
      return;
    case 6: case 7: case 8: {
      const work = await room.next(`runner-${roll(2)}`);
      if (work) running.push(work);
      return;
    }
    case 9: case 10: case 11: {
      const [work] = running.splice(roll(running.length + 1), 1);
      if (work && roll(2) === 0) await room.started(work);
      if (work) await room.finish(work, roll(4) === 0 ? "failed" : "succeeded");
      return;
    }
    case 12: return await act("POST", `/jobs/${job}/cancel`);
    case 13: return await act("POST", `/jobs/${job}/${["bump", "unbump", "evict"][roll(3)]}`);
    case 14: return await act("PUT", "/mode", { mode: ["fifo", "round_robin", "fair", "priority"][roll(4)] });
    case 15: return await act("PUT", `/seats/${seat}/weight`, { weight: 10 + roll(400) });
    case 16: return await act("PUT", `/seats/${seat}/paused`, { paused: roll(2) === 0 });
    case 17: return await act("PUT", `/jobs/${job}/${roll(2) === 0 ? "class" : "priority"}`, roll(2) === 0 ? { class: roll(4) } : { priority: roll(16) });
    case 18: return await act("PATCH", "/params", { slack_ms: roll(60_000), reserved_slots: roll(3) });
    default:
      if (roll(3) === 0) await act("POST", "/round");
      else if (roll(2) === 0) await runDurableObjectAlarm(env.WORKSHOP.getByName(room.name));
      else await evictDurableObject(env.WORKSHOP.getByName(room.name));
  }
}

async function afternoon(name: string, seed: number, things: number): Promise<Room> {
  const room = await openRoom(name, 3);
  const roll = dice(seed);
  const [jobs, running]: [string[], Work[]] = [[], []];
  for (let n = 0; n < things; n++) await something(room, roll, jobs, running);
  return room;
}

describe("[Q5][I11] export and replay", () => {
  it.each([[1], [7], [42]])("a random afternoon (seed %i) replays to the same decisions and the same state", async (seed) => {
    const name = `afternoon-${seed}`;
    await afternoon(name, seed, 120);
    const lines = await exported(name);
    const end = lines.at(-1);
    const { replayed, dispatches } = replay(lines);
    expect(lines[0]).toMatchObject({ kind: "head", workshop: name, base: 0 });
    expect(end).toMatchObject({ kind: "end", revision: replayed.revision, digest: replayed.digest, stored: replayed.digest });
    expect([replayed.differs, replayed.gaps]).toEqual([null, []]);
    expect(replayed.entries).toBe(lines.filter(({ kind }) => kind === "entry").length);
    expect(dispatches.length).toBeGreaterThan(5);
    const text = JSON.stringify(lines);
    expect(text).not.toContain("SaveImage");
    expect(text).not.toContain("cma_");
  });

  it("an entry that is missing or was changed is noticed", async () => {
    await afternoon("tampered", 3, 60);
    const lines = await exported("tampered");
    const dispatched = lines.findIndex((line) => line.kind === "entry" && line.events.some(({ type }) => type === "job_dispatched"));
    expect(replay(lines.toSpliced(dispatched, 1)).replayed.gaps).toHaveLength(1);
    const entry = lines[dispatched] as LogLine & { kind: "entry" };
    const other = { ...entry, events: entry.events.map((event) => (event.type === "job_dispatched" ? { ...event, slot: "gpu-9" } : event)) };
    expect(replay(lines.toSpliced(dispatched, 1, other)).replayed.differs).toMatchObject({ revision: entry.revision });
  });

  it("a trimmed log begins with a base and replays from there; what is gone is said to be gone", async () => {
    const room = await afternoon("trimmed", 11, 60);
    const stub = env.WORKSHOP.getByName("trimmed");
    const trim = async (keep: Keep): Promise<void> =>
      await runInDurableObject(stub, (_, state) => {
        const sql = objectSql(state.storage);
        const revision = Number(sql.all("SELECT MAX(revision) AS n FROM log")[0]?.n);
        keepLog(sql, restore(loadRows(sql)), revision, Date.now(), keep);
      });
    await trim({ every: 10, entries: 1_000_000, ms: 1e12 });
    const middle = (await exported("trimmed")).findLast((line) => line.kind === "end")!.revision;
    for (let n = 0; n < 8; n++) await room.submit("user001");
    await room.act("PUT", "/switch", { to: "paused" });
    await trim({ every: 1_000_000, entries: 5, ms: 1e12 });
    const lines = await exported("trimmed");
    expect(lines[0]).toMatchObject({ base: middle });
    expect(lines.filter(({ kind }) => kind === "entry").length).toBeLessThan(20);
    const { replayed } = replay(lines);
    expect([replayed.differs, replayed.gaps]).toEqual([null, []]);
    expect(lines.at(-1)).toMatchObject({ digest: replayed.digest, stored: replayed.digest });
    const gone = await call("/ops/v1/workshops/trimmed/log?since=1", { headers: OPERATOR });
    expect([gone.status, (await gone.json()) as object]).toMatchObject([410, { error: { reason: "gone", message: expect.stringContaining("Ask without since") } }]);
    const tail = await exported("trimmed", `?since=${middle + 2}`);
    expect([tail[0], tail[1]]).toMatchObject([{ base: null, since: middle + 2 }, { kind: "entry", revision: middle + 3 }]);
    expect(() => replay(tail)).toThrow(/without a base/);
  });

  it("[CF12] is the operator's alone", async () => {
    const room = await openRoom("log-door");
    const path = "/ops/v1/workshops/log-door/log";
    const as = async (headers: Record<string, string>): Promise<number> => (await call(path, { headers })).status;
    expect([await as({}), await as(basic("instructor", room.shop.instructor)), await as({ authorization: `Bearer ${room.shop.poolToken}` }), await as(OPERATOR)]).toEqual([401, 401, 401, 200]);
    expect((await call(`${path}?since=yesterday`, { headers: OPERATOR })).status).toBe(400);
    expect((await call("/ops/v1/workshops/nobody-made-this/log", { headers: OPERATOR })).status).toBe(404);
  });

  it("a long log travels page by page and arrives whole", async () => {
    const room = await openRoom("long-log");
    const body = "x".repeat(2000);
    await room.submit("user001");
    await runInDurableObject(env.WORKSHOP.getByName("long-log"), (_, state) => {
      const top = Number(state.storage.sql.exec("SELECT MAX(revision) AS n FROM log").one().n);
      state.storage.sql.exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500) INSERT INTO log (revision, at, command, events) SELECT ? + i, 1, '{"type":"tick"}', '[{"type":"alarm","message":"${body}"}]' FROM n`, top);
    });
    const lines = await exported("long-log");
    const revisions = lines.flatMap((line) => (line.kind === "entry" ? [line.revision] : []));
    expect(revisions).toEqual(revisions.map((_, index) => index + 1));
    expect(revisions.length).toBeGreaterThan(1500);
    expect(lines.at(-1)?.kind).toBe("end");
  });
});
