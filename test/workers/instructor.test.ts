// The instructor's acts, each by its effect: what it says it did, what the workshop looks like afterwards, what takes it back [Q69].
import { env } from "cloudflare:workers";
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { PARAMETERS } from "../../durable-objects/param-names.ts";
import { defaultParams } from "../../durable-objects/queue/index.ts";
import { openRoom, type Room } from "./steering.ts";

/** Two jobs of user001 and one of user002, and no GPU: everything waits. */
async function waiting(name: string): Promise<{ room: Room; a: string; b: string; c: string }> {
  const room = await openRoom(name);
  return await line(room);
}

/** The same behind a GPU that is busy with something of the instructor's: there is an order. */
async function behind(name: string): Promise<{ room: Room; a: string; b: string; c: string }> {
  const room = await openRoom(name);
  await room.submit("instructor");
  await room.next("runner-0");
  return await line(room);
}

async function line(room: Room): Promise<{ room: Room; a: string; b: string; c: string }> {
  return { room, a: await room.submit("user001"), b: await room.submit("user001"), c: await room.submit("user002") };
}

describe("the workshop's switches", () => {
  it("[Q64] a paused workshop takes prompts and starts none; resumed, it starts at once; both can be taken back", async () => {
    const { room, a } = await waiting("pause");
    const paused = await room.act("PUT", "/switch", { to: "paused" });
    expect(paused.did).toMatch(/paused/);
    expect(await room.next()).toBeNull();
    await room.submit("user002");
    expect((await room.overview()).workshop.switch).toBe("paused");
    expect((await room.undo(paused)).did).toMatch(/open again/);
    expect((await room.next())?.dispatch.job_id).toBe(a);
    const back = await room.audit("?what=switch");
    expect(back.map(({ by, previous, value, undone, undoes }) => ({ by, previous, value, undone, undoes }))).toEqual([
      { by: "instructor", previous: "paused", value: "open", undone: false, undoes: true },
      { by: "instructor", previous: "open", value: "paused", undone: true, undoes: false },
    ]);
  });

  it("[Q66] a draining workshop refuses prompts, and closes by itself when the last one has ended", async () => {
    const room = await openRoom("drain");
    const job = await room.submit("user001");
    await room.act("PUT", "/switch", { to: "draining" });
    await expect(room.submit("user001")).rejects.toThrow(/not take|drain|no new|closed/i);
    const work = await room.next();
    expect(work?.dispatch.job_id).toBe(job);
    expect(await room.finish(work!)).toBe(200);
    expect((await room.overview()).workshop.switch).toBe("closed");
  });

  it("[Q51] the order changes live and back, every waiting prompt keeps its place", async () => {
    const { room, b, c } = await waiting("mode");
    await room.next("runner-9");
    const before = (await room.jobs()).jobs.map(({ job, seq }) => ({ job, seq }));
    const done = await room.act("PUT", "/mode", { mode: "fifo" });
    expect(done.undo?.does).toMatch(/fair/);
    expect((await room.jobs()).jobs.map(({ job, seq }) => ({ job, seq }))).toEqual(before);
    await room.undo(done);
    expect((await room.overview()).workshop.mode).toBe("fair");
    expect((await room.line()).sort()).toEqual([b, c].sort());
    expect(before).toHaveLength(3);
  });

  it("[Q51] parameters count at once and go back; an unknown one is refused with the list of those there are", async () => {
    const { room } = await waiting("params");
    const done = await room.act("PATCH", "/params", { seat_max: 2, aged_ms: 30_000 });
    expect((await room.overview()).workshop.params).toMatchObject({ seat_max: 2, aged_ms: 30_000 });
    await expect(room.submit("user001")).rejects.toThrow();
    await room.undo(done);
    expect((await room.overview()).workshop.params).toMatchObject({ seat_max: 32, aged_ms: 600_000 });
    await room.submit("user001");
    const refused = await room.refusal("PATCH", "/params", { patience: 3 });
    expect([refused.status, refused.body.error.reason]).toEqual([400, "bad_request"]);
    expect(refused.body.error.message).toMatch(/no parameter "patience".*Nothing was changed.*head_start_ms/);
    const low = await room.refusal("PATCH", "/params", { attempts_max: 0 });
    expect(low).toEqual({ status: 400, body: { error: { reason: "bad_request", message: 'Parameter "attempts_max" must be a whole number of at least 1. Nothing was changed. Correct the value and send it again.', details: { parameter: "attempts_max", least: 1, value: "0" } } } });
  });

  it("[Q51] every parameter of the core has a name here, can be set by it and goes back", async () => {
    const { room } = await waiting("every-param");
    const { params } = (await room.overview()).workshop;
    expect(Object.values(PARAMETERS).map(({ core }) => core).sort()).toEqual(Object.keys(defaultParams).sort());
    const done = await room.act("PATCH", "/params", Object.fromEntries(Object.entries(params).map(([name, value]) => [name, value + 1])));
    expect((await room.overview()).workshop.params).toMatchObject({ company_ms: 900_001, attempts_max: 4 });
    await room.undo(done);
    expect((await room.overview()).workshop.params).toEqual(params);
  });

  it("[Q68] fewer slots end no run, more start one at once; [Q16] a budget holds back what it cannot pay", async () => {
    const { room, a } = await waiting("slots");
    const work = await room.next();
    expect(work?.dispatch.job_id).toBe(a);
    const none = await room.act("PUT", "/slots", { slots: 0 });
    expect((await room.overview()).slots).toMatchObject([{ job: a, open: false }]);
    expect(await room.finish(work!)).toBe(200);
    expect(await room.next()).toBeNull();
    await room.undo(none);
    expect(await room.next()).not.toBeNull();
    const budget = await room.act("PUT", "/budget", { budget: 5_000_000 });
    expect(budget.did).toContain("5.00");
    expect((await room.overview()).workshop.budget).toBe(5_000_000);
    await room.undo(budget);
    expect((await room.overview()).workshop.budget).toBeNull();
  });

  it("[Q21] demo goes on and off by itself or by hand, and says that it has no undo", async () => {
    const { room, a, b, c } = await behind("demo");
    const on = await room.act("PUT", "/demo", { on: true });
    expect([on.undo, on.final]).toEqual([null, "Switch demo off to end it."]);
    const demo = await room.submit("instructor");
    expect(await room.line()).toEqual([demo, a, c, b]);
    expect((await room.overview()).workshop.demo_until).toBeGreaterThan(Date.now());
    await room.act("PUT", "/demo", { on: false });
    expect((await room.jobs("?state=waiting")).jobs.every(({ live }) => live?.lane === "normal")).toBe(true);
  });

  it("[Q34] a new round levels every seat and cannot be taken back", async () => {
    const { room, a } = await waiting("round");
    const work = await room.next();
    expect(work?.dispatch.job_id).toBe(a);
    const done = await room.act("POST", "/round");
    expect(done.undo).toBeNull();
    expect(done.final).toMatch(/cannot/);
    const levels = await runInDurableObject(env.WORKSHOP.getByName("round"), (_, state) => state.storage.sql.exec("SELECT value FROM queue_rows WHERE kind = 'seat'").toArray().map((row) => (JSON.parse(String(row.value)) as { main: { v: number } }).main.v));
    expect(new Set(levels).size).toBe(1);
  });
});

describe("jobs", () => {
  it("[Q22] a bump goes to the front and back again, charged to its seat as always", async () => {
    const { room, a, b, c } = await behind("bump");
    expect(await room.line()).toEqual([a, c, b]);
    const done = await room.act("POST", `/jobs/${b}/bump`);
    expect(done.did).toMatch(/front/);
    // The seat pays for it, so the next turn is another seat's.
    expect(await room.line()).toEqual([b, c, a]);
    await room.undo(done);
    expect(await room.line()).toEqual([a, c, b]);
    await room.act("POST", `/jobs/${b}/bump`, { for_s: 60 });
    expect((await room.story(b)).job.live?.bumped_until).toBeGreaterThan(Date.now() + 50_000);
    const unbumped = await room.act("POST", `/jobs/${b}/unbump`);
    await room.undo(unbumped);
    expect((await room.story(b)).job.live?.lane).toBe("demo");
    const again = await room.act("POST", `/jobs/${b}/bump`);
    expect([again.undo, again.final]).toEqual([null, expect.stringMatching(/already/)]);
  });

  it("[Q22] a bump for a time ends by itself", async () => {
    const { room, b } = await waiting("bump-ends");
    await room.act("POST", `/jobs/${b}/bump`, { for_s: 1 });
    await expect.poll(async () => (await room.story(b)).job.live?.lane, { timeout: 8000 }).toBe("normal");
    expect((await room.story(b)).timeline.map(({ says }) => says).join("; ")).toMatch(/time at the front was over/);
  });

  it("[Q19] a job moves within its seat and back; not among strangers", async () => {
    const { room, a, b, c } = await behind("move");
    const done = await room.act("POST", `/jobs/${b}/move`, { before: a });
    const ofSeat = async (): Promise<string[]> => (await room.line()).filter((job) => job !== c);
    expect(await ofSeat()).toEqual([b, a]);
    await room.undo(done);
    expect(await ofSeat()).toEqual([a, b]);
    const last = await room.act("POST", `/jobs/${a}/move`, { before: null });
    expect(await ofSeat()).toEqual([b, a]);
    await room.undo(last);
    expect(await ofSeat()).toEqual([a, b]);
    const refused = await room.refusal("POST", `/jobs/${a}/move`, { before: c });
    expect(refused.status).toBe(404);
    const itself = await room.refusal("POST", `/jobs/${a}/move`, { before: a });
    expect([itself.status, itself.body.error]).toEqual([400, { reason: "bad_request", message: "A job cannot stand before itself. Nothing was changed. Name another waiting job of user001 in before, or send null to put it last.", details: { job: a } }]);
    expect(await ofSeat()).toEqual([a, b]);
  });

  it("[Q18][Q50] class and priority are set and set back, and the audit has both", async () => {
    const { room, a, b } = await behind("class");
    const priority = await room.act("PUT", `/jobs/${b}/priority`, { priority: 9 });
    expect((await room.line()).indexOf(b)).toBeLessThan((await room.line()).indexOf(a));
    await room.undo(priority);
    const klass = await room.act("PUT", `/jobs/${b}/class`, { class: 0 });
    expect((await room.story(b)).job.live?.class).toBe(0);
    await room.undo(klass);
    expect((await room.story(b)).job.live).toMatchObject({ class: 2, priority: 0 });
    const rows = await room.audit(`?target=${b}`);
    expect(rows.map(({ what, previous, value, undone, undoes }) => [what, previous, value, undone, undoes])).toEqual([
      ["class", 0, 2, false, true], ["class", 2, 0, true, false], ["priority", 9, 0, false, true], ["priority", 0, 9, true, false],
    ]);
    expect((await room.refusal("PUT", `/jobs/${b}/class`, { class: 7 })).status).toBe(400);
  });

  it("[Q59] a cancel says what happened: removed, stopping, ended already, unknown", async () => {
    const { room, a, b } = await waiting("cancel");
    const removed = await room.act("POST", `/jobs/${b}/cancel`);
    expect([removed.result.answer, removed.undo]).toEqual(["removed_waiting", null]);
    expect(removed.final).toMatch(/cannot be brought back/);
    const work = await room.next();
    expect(work?.dispatch.job_id).toBe(a);
    expect((await room.act("POST", `/jobs/${a}/cancel`)).result.answer).toBe("stopping");
    expect((await room.story(a)).job.state).toBe("stopping");
    expect(await room.finish(work!, "cancelled")).toBe(200);
    const ended = await room.act("POST", `/jobs/${a}/cancel`);
    expect([ended.result.answer, ended.did]).toEqual(["already_finished", expect.stringContaining("already ended (cancelled)")]);
    const unknown = await room.refusal("POST", `/jobs/${crypto.randomUUID()}/cancel`);
    expect([unknown.status, unknown.body.error.reason]).toEqual([404, "not_found"]);
    expect(unknown.body.error.message).toMatch(/Nothing was changed/);
  });

  it("[Q63] an evicted run goes back to the head of its seat and its lease is worth nothing", async () => {
    const { room, a, b } = await waiting("evict");
    const work = await room.next();
    expect(work?.dispatch.job_id).toBe(a);
    await room.act("PUT", "/switch", { to: "paused" });
    const done = await room.act("POST", `/jobs/${a}/evict`);
    expect(done.undo).toBeNull();
    expect((await room.line()).filter((job) => job === a || job === b)).toEqual([a, b]);
    expect(await room.finish(work!)).toBe(409);
    const refused = await room.refusal("POST", `/jobs/${b}/evict`);
    expect([refused.status, refused.body.error.message]).toEqual([409, expect.stringMatching(/Only a dispatched or running job.*Nothing was changed/)]);
  });

  it("[Q63] clearing wants the name repeated, says what it would do, and then does it", async () => {
    const { room, a, c } = await waiting("clear");
    const asked = await room.refusal("POST", "/seats/user001/clear");
    expect([asked.status, asked.body.error.details]).toEqual([400, { waiting: 2, running: 0, confirm: "user001" }]);
    expect(asked.body.error.message).toMatch(/Nothing was removed.*2 waiting prompts of user001.*"confirm": "user001"/);
    expect((await room.refusal("POST", "/seats/user001/clear", { confirm: "user002" })).status).toBe(400);
    const done = await room.act("POST", "/seats/user001/clear", { confirm: "user001" });
    expect(done.did).toBe("Cancelled 2 waiting prompts of user001.");
    expect(await room.line()).toEqual([c]);
    expect((await room.story(a)).job.state).toBe("cancelled");
    expect((await room.refusal("POST", "/clear", { confirm: "everything" })).status).toBe(400);
    const work = await room.next();
    await room.submit("user002");
    const all = await room.act("POST", "/clear", { confirm: "clear", running: true });
    expect(all.did).toBe("Cancelled 1 waiting prompt and stopped 1 running one of every seat.");
    expect((await room.story(work!.dispatch.job_id)).job.state).toBe("stopping");
  });
});

describe("seats and pools", () => {
  it("[Q65] a paused seat waits while others run, and goes on when it is taken back", async () => {
    const { room, a, c } = await waiting("seat-pause");
    const done = await room.act("PUT", "/seats/user001/paused", { paused: true });
    expect((await room.story(a)).job.live).toMatchObject({ place: null, eta: null, reason: expect.stringMatching(/seat_paused|no_gpu/) });
    const work = await room.next();
    expect(work?.dispatch.job_id).toBe(c);
    await room.undo(done);
    expect((await room.overview()).seats.find(({ seat }) => seat === "user001")).toMatchObject({ paused: false, waiting: 2 });
    expect((await room.refusal("PUT", "/seats/nobody/paused", { paused: true })).body.error.reason).toBe("no_such_seat");
  });

  it("[Q25][Q78] weight, group and envelope are set, seen and set back", async () => {
    const { room } = await waiting("seat-set");
    const seat = async (): Promise<unknown> => (await room.overview()).seats.find((one) => one.seat === "user001");
    const acts = [await room.act("PUT", "/seats/user001/weight", { weight: 200 }), await room.act("PUT", "/seats/user001/group", { group: "blue" }), await room.act("PUT", "/seats/user001/budget", { budget: 1_000_000 })];
    expect(await seat()).toMatchObject({ weight: 200, group: "blue", budget: 1_000_000 });
    for (const done of acts) await room.undo(done);
    expect(await seat()).toMatchObject({ weight: 100, group: null, budget: null });
    expect((await room.refusal("PUT", "/seats/user001/weight", { weight: 5 })).status).toBe(400);
  });

  it("[Q67][Q78] a draining pool takes nothing new, and a pool may serve one group only", async () => {
    const { room, a, b } = await waiting("pool");
    const drained = await room.act("PUT", "/pools/gpu/draining", { draining: true });
    expect(await room.next()).toBeNull();
    await room.undo(drained);
    const work = await room.next();
    expect(work?.dispatch.job_id).toBe(a);
    const groups = await room.act("PUT", "/pools/gpu/groups", { groups: ["blue"] });
    expect((await room.overview()).pools).toMatchObject([{ pool: "gpu", groups: ["blue"], draining: false }]);
    expect((await room.story(b)).job.live?.reason).toBe("group_closed");
    await room.finish(work!);
    expect(await room.next()).toBeNull();
    await room.undo(groups);
    expect(await room.next()).not.toBeNull();
    expect((await room.refusal("PUT", "/pools/nowhere/draining", { draining: true })).status).toBe(404);
  });
});

describe("taking back", () => {
  it("works once, within ten seconds, and never over a newer change", async () => {
    const { room } = await waiting("undo");
    const first = await room.act("PUT", "/mode", { mode: "fifo" });
    // The offer is written a moment before the answer is: ten seconds, less what lies between.
    expect(first.undo!.until - first.at).toBeLessThanOrEqual(10_000);
    expect(first.undo!.until).toBeGreaterThan(first.at + 5_000);
    const second = await room.act("PUT", "/mode", { mode: "round_robin" });
    const newer = await room.refusal("POST", `/undo/${first.undo!.id}`);
    expect([newer.status, newer.body.error.message]).toEqual([409, expect.stringMatching(/changed again since.*Nothing was done/)]);
    await room.undo(second);
    const twice = await room.refusal("POST", `/undo/${second.undo!.id}`);
    expect([twice.status, twice.body.error.message]).toEqual([409, expect.stringMatching(/taken back already/)]);
    await runInDurableObject(env.WORKSHOP.getByName("undo"), (_, state) => void state.storage.sql.exec("UPDATE undo SET until = until - 11000 WHERE id = ?", first.undo!.id));
    expect((await room.refusal("POST", `/undo/${first.undo!.id}`)).status).toBe(410);
    expect((await room.refusal("POST", "/undo/u_nothing")).status).toBe(404);
    expect((await room.overview()).workshop.mode).toBe("fifo");
  });

  it("[CF13] an offer outlives the object's memory", async () => {
    const { room, a, b } = await behind("undo-sleep");
    const moved = await room.act("POST", `/jobs/${b}/move`, { before: a });
    const paused = await room.act("PUT", "/seats/user002/paused", { paused: true });
    await evictDurableObject(env.WORKSHOP.getByName("undo-sleep"));
    await room.undo(paused);
    await room.undo(moved);
    expect((await room.line()).filter((job) => job === a || job === b)).toEqual([a, b]);
    expect((await room.overview()).seats.find(({ seat }) => seat === "user002")?.paused).toBe(false);
  });

  it("what changes nothing offers nothing to take back", async () => {
    const { room } = await waiting("noop");
    const done = await room.act("PUT", "/switch", { to: "open" });
    expect([done.undo, done.final]).toEqual([null, "Nothing was changed, so there is nothing to take back."]);
  });
});
