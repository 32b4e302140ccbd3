// What the people in the room are told: places and times that are true, notices, the live overview; and that nobody is told what they did not ask for.
import { env } from "cloudflare:workers";
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import type { DashboardFrame, Overview } from "../../durable-objects/instructor-contract.ts";
import type { PlaceRow } from "../../durable-objects/place-view.ts";
import { basic, call } from "./edge/edge.ts";
import { type Heard, listen, type Listener } from "./listener.ts";
import { openRoom, type Room } from "./steering.ts";

type QueueMessage = { revision: number; now: number; jobs: PlaceRow[]; workshop: { mode: string; switch: string; demo: boolean } };

const seatHeaders = (room: Room, n: number): Record<string, string> => basic(`user00${n}`, room.shop.passwords[n - 1]!);

/** A page of a seat that asks for our messages. */
async function page(room: Room, n: number, asks = true): Promise<Listener> {
  const listener = await listen(`/${room.name}/user00${n}/ws?clientId=page${n}`, seatHeaders(room, n));
  if (asks) listener.say({ type: "comfyume_hello" });
  return listener;
}

const queueWhere = (fits: (data: QueueMessage) => boolean) => (message: Heard): boolean => message.type === "comfyume_queue" && fits(message.data as QueueMessage);

async function queueOf(listener: Listener, fits: (data: QueueMessage) => boolean = () => true): Promise<QueueMessage> {
  return (await listener.until(queueWhere(fits))).data as QueueMessage;
}

async function dashboard(room: Room, since = ""): Promise<Listener> {
  return await listen(`/${room.name}/dashboard/api/v1/socket${since}`, basic("instructor", room.shop.instructor));
}

/** A runner that is busy, so that there is an order and a time. */
async function busy(name: string, seats = 2): Promise<Room> {
  const room = await openRoom(name, seats);
  await room.submit("instructor");
  await room.next("runner-0");
  return room;
}

describe("a seat's places", () => {
  it("[Q74][Q75] each page hears of its own jobs only: place, how many are ahead, and a band of times", async () => {
    const room = await busy("places");
    const [one, two] = [await page(room, 1), await page(room, 2)];
    const a = await room.submit("user001");
    const b = await room.submit("user002");
    const c = await room.submit("user001");
    const heard = await queueOf(one, ({ jobs }) => jobs.length === 2);
    expect(heard.workshop).toEqual({ mode: "fair", switch: "open", demo: false });
    expect(heard.jobs.map(({ id, place, ahead, state, lane }) => ({ id, place, ahead, state, lane }))).toEqual([
      { id: a, place: 1, ahead: 0, state: "waiting", lane: "normal" },
      { id: c, place: 3, ahead: 2, state: "waiting", lane: "normal" },
    ]);
    const other = await queueOf(two, ({ jobs }) => jobs.length === 1);
    expect(other.jobs[0]).toMatchObject({ id: b, place: 2, ahead: 1 });
    expect(JSON.stringify(two.heard)).not.toContain(a);
    for (const { eta } of heard.jobs) {
      expect(eta!.from).toBeGreaterThan(heard.now);
      expect(eta!.to).toBeGreaterThanOrEqual(eta!.from);
    }
    one.close();
    two.close();
  });

  it("[Q74] without a GPU there is no time but the reason; a pause says so; nothing is invented", async () => {
    const room = await openRoom("reasons");
    const listener = await page(room, 1);
    const job = await room.submit("user001");
    expect((await queueOf(listener, ({ jobs }) => jobs[0]?.reason === "no_gpu")).jobs).toEqual([{ id: job, state: "waiting", lane: "normal", place: null, ahead: null, eta: null, reason: "no_gpu" }]);
    await room.act("PUT", "/switch", { to: "paused" });
    expect((await queueOf(listener, ({ jobs }) => jobs[0]?.reason === "paused")).workshop.switch).toBe("paused");
    listener.close();
  });

  it("[Q11] a phase is shown when the runner said so, and the end takes the job away", async () => {
    const room = await openRoom("phases");
    const listener = await page(room, 1);
    const job = await room.submit("user001");
    const work = await room.next();
    await room.started(work!);
    expect((await queueOf(listener, ({ jobs }) => jobs[0]?.phase !== undefined)).jobs).toMatchObject([{ id: job, state: "running", place: null, phase: { name: "executing" } }]);
    await room.finish(work!);
    listener.forget();
    expect((await queueOf(listener, ({ jobs }) => jobs.length === 0)).jobs).toEqual([]);
    listener.close();
  });

  it("[Q76] a page that did not ask hears none of it, because the stock page would complain about words it does not know", async () => {
    const room = await busy("stock");
    const [stock, own] = [await page(room, 1, false), await page(room, 1)];
    stock.say({ type: "feature_flags", data: { supports_preview_metadata: true } });
    await room.submit("user001");
    await queueOf(own, ({ jobs }) => jobs.length === 1);
    await room.act("POST", "/notices", { text: "Lunch" });
    await own.until(({ type }) => type === "comfyume_notice");
    await stock.until(({ type }) => type === "feature_flags");
    expect(new Set(stock.heard.map(({ type }) => type))).toEqual(new Set(["status", "feature_flags"]));
    stock.close();
    own.close();
  });

  it("a page may ask in its feature flags", async () => {
    const room = await openRoom("flags");
    const listener = await page(room, 1, false);
    listener.say({ type: "feature_flags", data: { comfyume: true } });
    await listener.until(({ type }) => type === "feature_flags");
    expect((await queueOf(listener)).jobs).toEqual([]);
    listener.close();
  });

  it("the same is there over HTTP, validated, and beside each live job of the list", async () => {
    const room = await busy("http-places");
    const job = await room.submit("user001");
    const headers = seatHeaders(room, 1);
    const first = await call(`/${room.name}/user001/api/comfyume/queue`, { headers });
    const body = (await first.json()) as QueueMessage;
    expect(body.jobs).toMatchObject([{ id: job, place: 1, ahead: 0, eta: { from: expect.any(Number), to: expect.any(Number) } }]);
    const etag = first.headers.get("etag") ?? "";
    const again = await call(`/${room.name}/user001/api/comfyume/queue`, { headers: { ...headers, "if-none-match": etag } });
    expect(again.status).toBe(304);
    const list = (await (await call(`/${room.name}/user001/api/jobs`, { headers })).json()) as { jobs: { id: string; comfyume?: object }[] };
    expect(list.jobs).toMatchObject([{ id: job, comfyume: { place: 1, ahead: 0, lane: "normal" } }]);
    const detail = (await (await call(`/${room.name}/user001/api/jobs/${job}`, { headers })).json()) as object;
    expect(detail).toMatchObject({ comfyume: { place: 1 } });
    await room.act("POST", `/jobs/${job}/cancel`);
    const gone = await call(`/${room.name}/user001/api/comfyume/queue`, { headers: { ...headers, "if-none-match": etag } });
    expect([gone.status, ((await gone.json()) as QueueMessage).jobs]).toEqual([200, []]);
  });

  it("[Q17] the start shown first is kept as the quote, and whether it was kept is counted", async () => {
    const room = await busy("quotes");
    const listener = await page(room, 1);
    const job = await room.submit("user001");
    const { jobs } = await queueOf(listener, (data) => data.jobs[0]?.eta !== null && data.jobs.length === 1);
    await expect.poll(async () => (await room.story(job)).quoted, { timeout: 8000 }).not.toBeNull();
    const { quoted } = await room.story(job);
    expect(Math.abs(quoted!.from - jobs[0]!.eta!.from)).toBeLessThan(2000);
    const work = await room.next();
    expect(work?.dispatch.job_id).toBe(job);
    await room.started(work!);
    await room.finish(work!);
    expect((await room.overview()).counts).toMatchObject({ succeeded: 1, quoted: 1, kept: 1 });
    listener.close();
  });
});

describe("a runner that is coming up", () => {
  const runner = { id: "runner-cold", version: "1", mode: "pull" as const };
  const lines = (overview: Overview): [string, string, string | null][] => overview.room.runners.map(({ id, says, stage }) => [id, says, stage]);
  const dial = async (room: Room): Promise<Listener> => await listen(`/runner/v1/${room.name}/pools/gpu/next`, { authorization: `Bearer ${room.shop.poolToken}` });
  const hello = async (listener: Listener, more: object): Promise<void> => {
    listener.forget();
    listener.say({ type: "hello", runner, ...more });
    await listener.until(({ type }) => type === "welcome");
  };

  it("[G30] is seen with each stage and with what it lacks, and has no slot until it asks for work", async () => {
    const room = await openRoom("coming-up");
    const [live, listener] = [await dashboard(room), await dial(room)];
    const seen = async (says: string): Promise<void> => void (await live.until(({ overview }) => (overview as Partial<Overview> | undefined)?.room?.runners.some((one) => one.says === says) ?? false));
    await hello(listener, { stage: "process", missing: [] });
    await seen("starting: ComfyUI does not answer yet");
    const job = await room.submit("user001");
    await hello(listener, { runner: { ...runner, gpu_name: "H200", comfyui_version: "0.3.64" }, stage: "comfyui", missing: ["model loras/late.safetensors"] });
    await seen("not ready, missing: model loras/late.safetensors");
    await hello(listener, { stage: "inventory", missing: [] });
    await seen("starting: everything is there, ComfyUI's cache is emptied");
    expect((await room.overview()).slots).toEqual([]);
    expect(listener.heard.some(({ type }) => type === "work")).toBe(false);
    await hello(listener, { stage: "ready", missing: [] });
    listener.say({ type: "next" });
    const work = (await listener.until(({ type }) => type === "work")) as unknown as { work: { dispatch: { job_id: string } } };
    expect(work.work.dispatch.job_id).toBe(job);
    await seen("busy");
    expect((await room.overview()).slots).toHaveLength(1);
    for (const one of [live, listener]) one.close();
  });

  it("[CF13] hibernation: its stage is still known, and it is still offered nothing", async () => {
    const room = await openRoom("cold-sleep");
    const listener = await dial(room);
    await hello(listener, { stage: "comfyui", missing: ["node class Late"] });
    await evictDurableObject(env.WORKSHOP.getByName(room.name));
    const { room: there } = await room.overview();
    expect(there.runners).toMatchObject([{ id: "runner-cold", stage: "comfyui", missing: ["node class Late"], busy: false }]);
    await room.submit("user001");
    expect((await room.overview()).counts).toMatchObject({ waiting: 1, dispatched: 0 });
    await hello(listener, { stage: "ready", missing: [] });
    listener.say({ type: "next" });
    await listener.until(({ type }) => type === "work");
    listener.close();
  });

  it("[G30] one that rests, because its ComfyUI went away, gives its slot back; an older one without stages is taken as it was", async () => {
    const room = await openRoom("rests");
    const listener = await dial(room);
    await hello(listener, {});
    expect(lines(await room.overview())).toEqual([["runner-cold", "connected, has not asked for work", null]]);
    listener.say({ type: "next" });
    await expect.poll(async () => lines(await room.overview())).toEqual([["runner-cold", "idle", "ready"]]);
    expect((await room.overview()).slots).toHaveLength(1);
    await hello(listener, { stage: "process", missing: [] });
    expect(lines(await room.overview())).toEqual([["runner-cold", "starting: ComfyUI does not answer yet", "process"]]);
    expect((await room.overview()).slots).toEqual([]);
    listener.close();
  });

  it("a hello that says more than the contract allows is refused, and changes nothing", async () => {
    const room = await openRoom("too-much");
    const listener = await dial(room);
    listener.say({ type: "hello", runner, stage: "warming", missing: [] });
    await listener.until(({ type }) => type === "error");
    listener.forget();
    listener.say({ type: "hello", runner, stage: "comfyui", missing: Array.from({ length: 21 }, (_, n) => `model ${n}`) });
    await listener.until(({ type }) => type === "error");
    expect((await room.overview()).room.runners).toEqual([]);
    listener.close();
  });
});

describe("notices", () => {
  it("reach every seat that listens, or one, and who comes later hears what still holds", async () => {
    const room = await openRoom("notices");
    const one = await page(room, 1);
    const done = await room.act("POST", "/notices", { text: "5-minute break", level: "warning" });
    expect((await one.until(({ type }) => type === "comfyume_notice")).data).toMatchObject({ text: "5-minute break", level: "warning", seat: null });
    await room.act("POST", "/notices", { text: "Your model is ready", seat: "user002" });
    const two = await page(room, 2);
    await two.until(({ type, data }) => type === "comfyume_notice" && data?.seat === "user002");
    expect(two.heard.filter(({ type }) => type === "comfyume_notice").map(({ data }) => data?.text)).toEqual(["5-minute break", "Your model is ready"]);
    const listed = (await (await call(`/${room.name}/user001/api/comfyume/notices`, { headers: seatHeaders(room, 1) })).json()) as { notices: { text: string }[] };
    expect(listed.notices.map(({ text }) => text)).toEqual(["5-minute break"]);
    await room.undo(done);
    expect((await one.until(({ data }) => data?.withdrawn === true)).data).toMatchObject({ text: "5-minute break" });
    expect((await room.overview()).room.notices.map(({ text }) => text)).toEqual(["Your model is ready"]);
    expect((await room.audit("?by=instructor")).map(({ what, target, value, undone, undoes }) => [what, target, value, undone, undoes])).toEqual([
      ["withdraw", null, null, false, true], ["announce", "user002", "Your model is ready", false, false], ["announce", null, "5-minute break", true, false],
    ]);
    one.close();
    two.close();
  });

  it("are gone when their time is over or they are taken down", async () => {
    const room = await openRoom("notices-end");
    const { result } = await room.act("POST", "/notices", { text: "Soon over" });
    const { id } = result.notice as { id: number };
    await room.act("DELETE", `/notices/${id}`);
    expect((await room.refusal("DELETE", `/notices/${id}`)).status).toBe(404);
    await room.act("POST", "/notices", { text: "Old news" });
    await runInDurableObject(env.WORKSHOP.getByName(room.name), (_, state) => void state.storage.sql.exec("UPDATE notices SET until = at"));
    expect((await room.overview()).room.notices).toEqual([]);
    expect((await room.refusal("POST", "/notices", { text: "  " })).status).toBe(400);
    expect((await room.refusal("POST", "/notices", { text: "Hello", seat: "nobody" })).body.error.reason).toBe("no_such_seat");
  });
});

describe("[CF14] the live overview", () => {
  const frames = (listener: Listener): DashboardFrame[] => listener.heard as unknown as DashboardFrame[];

  it("begins whole, goes on with what changed, and adds up to what a fresh look says", async () => {
    const room = await busy("overview");
    const live = await dashboard(room);
    await live.until(({ type }) => type === "overview");
    const job = await room.submit("user001");
    await live.until(({ type, overview }) => type === "changes" && ((overview as Partial<Overview>).jobs?.shown.some((one) => one.job === job) ?? false));
    await room.act("PUT", "/mode", { mode: "priority" });
    await live.until(({ overview }) => (overview as Partial<Overview>).workshop?.mode === "priority");
    let seen: Partial<Overview> = {};
    let revision = 0;
    for (const frame of frames(live)) {
      if (frame.type === "changes") expect(frame.from).toBeLessThanOrEqual(revision);
      expect(frame.revision).toBeGreaterThanOrEqual(revision);
      revision = frame.revision;
      seen = { ...seen, ...frame.overview };
    }
    const fresh = await room.overview();
    expect({ ...seen, jobs: seen.jobs?.shown.map((one) => one.job) }).toEqual({ ...fresh, jobs: fresh.jobs.shown.map((one) => one.job) });
    live.close();
  });

  it("a page that comes back with the revision it has seen hears only what no revision counts; with an older one, everything", async () => {
    const room = await busy("resume");
    const first = await dashboard(room);
    const { revision } = (await first.until(({ type }) => type === "overview")) as unknown as DashboardFrame;
    first.close();
    const same = await dashboard(room, `?since=${revision}`);
    const frame = (await same.until(() => true)) as unknown as DashboardFrame;
    expect([frame.type, Object.keys(frame.overview).sort()]).toEqual(["changes", ["jobs", "room", "seats"]]);
    const older = await dashboard(room, "?since=1");
    expect((await older.until(() => true)).type).toBe("overview");
    same.close();
    older.close();
  });

  it("[CF13] hibernation: sockets live on, the state is read again, and who asked is still told", async () => {
    const room = await busy("sleep");
    const [live, listener, stock] = [await dashboard(room), await page(room, 1), await page(room, 2, false)];
    await queueOf(listener);
    await live.until(({ type }) => type === "overview");
    const before = await room.overview();
    await evictDurableObject(env.WORKSHOP.getByName(room.name));
    for (const one of [live, listener, stock]) one.forget();
    const job = await room.submit("user001");
    expect((await queueOf(listener, ({ jobs }) => jobs.length === 1)).jobs[0]).toMatchObject({ id: job, place: 1 });
    // What dashboards knew is forgotten with the memory: the next frame is whole again.
    const frame = (await live.until(({ overview }) => overview !== undefined)) as unknown as DashboardFrame;
    expect(frame.type).toBe("overview");
    await room.submit("user002");
    await stock.until(({ type }) => type === "status");
    expect(stock.heard.every(({ type }) => type === "status")).toBe(true);
    const after = await room.overview();
    expect({ ...after.workshop, reserved: 0 }).toEqual({ ...before.workshop, reserved: 0 });
    expect(after.seats.map(({ seat, pages }) => [seat, pages])).toEqual([["instructor", 0], ["user001", 1], ["user002", 1]]);
    for (const one of [live, listener, stock]) one.close();
  });
});
