// What the instructor sees of jobs and of what was done: lists, pages, search, a job's story, the audit.
import { env } from "cloudflare:workers";
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import type { JobPage } from "../../durable-objects/instructor-contract.ts";
import { openWorkshop } from "../../workers/workshop.ts";
import { openRoom, type Room } from "./steering.ts";

async function everyPage(room: Room, query: string): Promise<{ jobs: string[]; pages: number }> {
  const jobs: string[] = [];
  let before: number | null = null;
  let pages = 0;
  do {
    const page: JobPage = await room.jobs(`?${query}${before === null ? "" : `&before=${before}`}`);
    jobs.push(...page.jobs.map(({ job }) => job));
    before = page.next;
    pages += 1;
  } while (before !== null && pages < 50);
  return { jobs, pages };
}

describe("the list of jobs", () => {
  it("pages through all of them, newest first, each once", async () => {
    const room = await openRoom("pages");
    const all: string[] = [];
    for (let n = 0; n < 11; n++) all.push(await room.submit(n % 2 === 0 ? "user001" : "user002"));
    const { jobs, pages } = await everyPage(room, "limit=4");
    expect([jobs, pages]).toEqual([all.toReversed(), 3]);
    expect((await everyPage(room, "limit=11")).pages).toBe(1);
    expect((await everyPage(room, "seat=user002&limit=2")).jobs).toEqual(all.filter((_, n) => n % 2 === 1).toReversed());
  });

  it("filters by state and seat, and finds text in id, seat and state", async () => {
    const room = await openRoom("search");
    const [a, b, c] = [await room.submit("user001"), await room.submit("user002"), await room.submit("user001")];
    await room.act("POST", `/jobs/${b}/cancel`);
    const work = await room.next();
    expect(work?.dispatch.job_id).toBe(a);
    await room.finish(work!, "failed");
    const find = async (query: string): Promise<string[]> => (await room.jobs(`?${query}`)).jobs.map(({ job }) => job);
    expect(await find("state=cancelled")).toEqual([b]);
    expect(await find("state=failed,cancelled")).toEqual([b, a]);
    expect(await find(`q=${c.slice(0, 8)}`)).toEqual([c]);
    expect(await find("q=USER002")).toEqual([b]);
    expect(await find("q=fail")).toEqual([a]);
    expect(await find("q=%25")).toEqual([]);
    expect((await room.story(a)).job).toMatchObject({ state: "failed", error: "no such sampler", live: null });
    expect((await room.overview()).counts).toMatchObject({ failed: 1, cancelled: 1, succeeded: 0 });
  });

  it("[Q7] keeps a job's record and its story when its seat empties its history", async () => {
    const room = await openRoom("emptied");
    const job = await room.submit("user001");
    await room.finish((await room.next())!);
    await openWorkshop(env, "emptied").deleteHistory("user001", "all");
    expect((await room.jobs("?state=succeeded")).jobs.map((one) => one.job)).toEqual([job]);
    expect((await room.story(job)).timeline.length).toBeGreaterThan(2);
  });

  it("looks at a bounded stretch of a long history at a time and says where to go on", async () => {
    const room = await openRoom("history");
    const first = await room.submit("user001");
    await room.act("POST", `/jobs/${first}/cancel`);
    // A day of other people's jobs, as rows.
    await runInDurableObject(env.WORKSHOP.getByName("history"), (_, state) => {
      state.storage.sql.exec(`WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 45001)
        INSERT INTO jobs (seq, job, seat, number, state, created, ended, body_hash, outputs_to_execute, partial, inputs) SELECT i, 'old-' || i, 'user002', i, 'succeeded', i, i, '', '[]', 0, '[]' FROM n`);
      const value = JSON.parse(String(state.storage.sql.exec("SELECT value FROM queue_rows WHERE kind = 'workshop'").one().value)) as object;
      state.storage.sql.exec("UPDATE queue_rows SET value = ? WHERE kind = 'workshop'", JSON.stringify({ ...value, nextSeq: 45_002 }));
    });
    await evictDurableObject(env.WORKSHOP.getByName("history"));
    const { jobs, pages } = await everyPage(room, "seat=user001");
    expect([jobs, pages]).toEqual([[first], 3]);
  });
});

describe("a job's story", () => {
  it("tells every turn in order, with who and why", async () => {
    const room = await openRoom("story");
    const job = await room.submit("user001");
    const work = await room.next();
    await room.started(work!);
    await room.act("POST", `/jobs/${job}/evict`);
    const again = await room.next();
    expect(again?.dispatch).toMatchObject({ job_id: job, attempt: 2 });
    await room.finish(again!);
    const { timeline, complete, job: line } = await room.story(job);
    expect(complete).toBe(true);
    expect(line.state).toBe("succeeded");
    const told = timeline.map(({ type, says }) => `${type}: ${says}`);
    expect(told[0]).toBe("job_accepted: accepted as number 1");
    for (const [earlier, later] of [["job_dispatched: attempt 1 goes to gpu-1", "job_state: running: claimed by"], ["job_state: running: claimed by", "audit: instructor: evict"], ["audit: instructor: evict", "job_dispatched: attempt 2 goes to gpu-1"], ["job_dispatched: attempt 2", "job_ended: succeeded"]] as const) {
      expect(told.findIndex((one) => one.startsWith(earlier))).toBeGreaterThanOrEqual(0);
      expect(told.findIndex((one) => one.startsWith(earlier))).toBeLessThan(told.findIndex((one) => one.startsWith(later)));
    }
    expect(told.some((one) => /attempt 1 on gpu ended: evicted.*charged to nobody/.test(one))).toBe(true);
    const times = timeline.map(({ at }) => at);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    const stranger = await room.submit("user002");
    expect(JSON.stringify(timeline)).not.toContain(stranger);
  });
});

describe("[Q69] the audit", () => {
  it("has who, when and what it was before, newest first, in pages and by name", async () => {
    const room = await openRoom("audit");
    const from = Date.now();
    await room.act("PUT", "/mode", { mode: "fifo" });
    await room.act("PUT", "/seats/user001/weight", { weight: 150 });
    await room.act("PATCH", "/params", { seat_max: 5, queue_max: 50 });
    const rows = await room.audit("?by=instructor");
    expect(rows.map(({ what, target, previous, value }) => ({ what, target, previous, value }))).toEqual([
      { what: "params", target: null, previous: { seatMax: 32, queueMax: 600 }, value: { seatMax: 5, queueMax: 50 } },
      { what: "weight", target: "user001", previous: 100, value: 150 },
      { what: "mode", target: null, previous: "fair", value: "fifo" },
    ]);
    for (const { at, revision } of rows) {
      expect(at).toBeGreaterThanOrEqual(from);
      const logged = await runInDurableObject(env.WORKSHOP.getByName("audit"), (_, state) => state.storage.sql.exec("SELECT at, events FROM log WHERE revision = ?", revision).one());
      expect([logged.at, String(logged.events).includes('"audit"')]).toEqual([at, true]);
    }
    const { body } = await room.ask<{ rows: { what: string }[]; next: number | null }>("GET", "/audit?by=instructor&limit=2");
    expect([body.rows.map(({ what }) => what), body.next]).toEqual([["params", "weight"], rows[1]!.id]);
    expect((await room.audit(`?by=instructor&limit=2&before=${body.next}`)).map(({ what }) => what)).toEqual(["mode"]);
    expect((await room.audit("?target=user001")).map(({ what }) => what)).toEqual(["weight"]);
  });
});
