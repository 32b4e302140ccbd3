// The chain of pools in a working room: shared deployments, groups, live changes, money [Q16] [Q38] [Q67] [Q78]; and a runner at an address of ours [G7].
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { colourGraph, sleepGraph } from "../../e2e/support/seat-client.ts";
import { Replica } from "../../simulators/fleet/replica.ts";
import { Verda } from "../../simulators/verda/verda.ts";
import { type GpuRoom, LEASE_MS, openGpuRoom, pictureOf, runsOf, until } from "./support/gpu-room.ts";

let room: GpuRoom<Verda>;
let verda: Verda;
beforeAll(async () => {
  verda = new Verda();
  await verda.open();
  room = await openGpuRoom(verda, verda.vars);
});
afterAll(async () => {
  await room?.end();
});
afterEach(async () => {
  verda.host.fair();
  verda.host.calls.length = 0;
  await room.room.ops("PUT", "/budget", { eur: null });
  await room.clear();
});

let colour = 1;
const graph = (): Record<string, unknown> => colourGraph(colour++, "chain");

describe("pools", () => {
  test("[G19] two workshops share one deployment: each gets its own pictures, from the same machine, and the machine forgets in between", async () => {
    const fleet = await room.pool("shared", {}, { shared_key: "both" });
    const other = await room.stage.workshop("other", 1, 1);
    await other.putPool("theirs", { ...verda.pool("shared"), max_in_flight: 1, lease_ms: LEASE_MS, claim_ms: 30_000, shared_key: "both" });
    expect(await other.dispatchKey("theirs")).toBe(await room.room.dispatchKey("shared"));
    let verdict = await other.ops<{ verdict: string; says: string }>("POST", "/pools/theirs/test");
    await until("the other workshop's self-test", async () => {
      verdict = await other.ops("GET", "/pools/theirs/test");
      return verdict.verdict !== "pending";
    });
    expect(verdict.verdict, verdict.says).toBe("works");
    const [ours, theirs] = [room.client(1), other.client(1)];
    const same = graph();
    const [one, two] = [await ours.submit(same), await theirs.submit(same)];
    await pictureOf(ours, one);
    await pictureOf(theirs, two);
    expect(fleet.started).toBe(1);
    expect([runsOf([fleet], one), runsOf([fleet], two)]).toEqual([1, 1]);
  });

  test("[Q78] a pool of a group serves its seats only, and before the pools for everybody", async () => {
    const all = await room.pool("all");
    const own = await room.pool("own", {}, { groups: ["reds"] });
    await room.room.seatGroup("user002", "reds");
    const [one, two] = [room.client(1), room.client(2)];
    const [plain, red] = [await one.submit(graph()), await two.submit(graph())];
    await pictureOf(one, plain);
    await pictureOf(two, red);
    expect([runsOf([all], plain), runsOf([own], plain), runsOf([own], red), runsOf([all], red)]).toEqual([1, 0, 1, 0]);
    await room.room.seatGroup("user002", null);
  });

  test("[Q67] a new pool in front takes the next jobs at once; what runs in the old one ends there", async () => {
    const old = await room.pool("old");
    const client = room.client(1);
    const running = await client.submit(sleepGraph(3, colour++));
    await until("a run", () => runsOf([old], running) === 1);
    await room.room.ops("PUT", "/slots", { slots: 1 });
    const fresh = await room.pool("fresh", {}, { position: 0 });
    await room.room.putPool("old", { ...verda.pool("old"), max_in_flight: 1, lease_ms: LEASE_MS, position: 1 });
    const next = await room.client(2).submit(graph());
    await pictureOf(room.client(2), next);
    await pictureOf(client, running);
    expect([runsOf([fresh], next), runsOf([old], running), runsOf([old], next)]).toEqual([1, 1, 0]);
    await room.room.ops("PUT", "/slots", { slots: 4 });
  });

  test("[Q73] measured cold starts are what the forecast reckons with", async () => {
    await room.pool("h200", { coldMs: 1_500 }, { startup_p50_ms: 60_000, startup_p90_ms: 120_000 });
    expect(await room.state("h200")).toMatchObject({ startup: { p50: 60_000, measured: 0 } });
    const client = room.client(1);
    await pictureOf(client, await client.submit(graph()));
    const { startup } = await room.state("h200");
    expect(startup.measured).toBe(1);
    expect(startup.p50).toBeGreaterThan(1_500);
    expect(startup.p50).toBeLessThan(60_000);
  });
});

describe("money", () => {
  test("[Q16] the budget stops new jobs, lets running ones finish, and says so at 80 %; spent money is time on machines", async () => {
    // 3600 EUR an hour: a second costs a euro.
    const fleet = await room.pool("dear", { min: 1 }, { rate: 3_600_000_000 });
    await until("a machine", () => fleet.up.length === 1);
    const client = room.client(1);
    const before = (await room.room.ops<{ spent: number }>("GET", "/budget")).spent / 1_000_000;
    await pictureOf(client, await client.submit(graph()));
    // Room for one run by its estimate of 10 s, 20 at most; while it runs nothing else is admitted, and it costs more than is left.
    const spent = (await room.room.ops<{ spent: number }>("GET", "/budget")).spent / 1_000_000;
    expect(spent).toBeGreaterThan(before);
    await room.room.ops("PUT", "/budget", { eur: spent + 20.5 });
    // A kind of graph nobody has run here: only such a one is reckoned with 10 and 20 s [Q71].
    const unseen = { ...sleepGraph(22, colour++), "3": { class_type: "SaveImage", inputs: { images: ["8", 0], filename_prefix: "dear" } }, "8": { class_type: "ImageInvert", inputs: { image: ["2", 0] } } };
    const running = await client.submit(unseen);
    await until("a run", () => runsOf([fleet], running) === 1);
    const refused = await room.client(2).post("/prompt", { prompt: graph() });
    expect(refused.status).toBe(402);
    expect(await refused.json()).toMatchObject({ error: { type: "budget_exhausted" } });
    await pictureOf(client, running, 60);
    const money = await room.room.ops<{ left: number; says: string; spent: number }>("GET", "/budget");
    expect(money.spent / 1_000_000).toBeGreaterThan(spent + 20);
    expect(await room.notes("")).toEqual(expect.arrayContaining([expect.stringMatching(/^80 % of the workshop's budget is spent: [\d.]+ of [\d.]+ EUR$/)]));
  });

  test("burn rate and forecast are in words", async () => {
    const fleet = await room.pool("h200", { min: 1 }, { rate: 3_600_000 });
    await until("a machine", () => fleet.up.length === 1);
    await room.state("h200", true);
    const { spent } = await room.room.ops<{ spent: number }>("GET", "/budget");
    const money = await room.room.ops<{ says: string; burn_per_hour: number }>("PUT", "/budget", { eur: spent / 1_000_000 + 7.2 });
    expect(money.burn_per_hour).toBe(3_600_000);
    expect(money.says).toMatch(/7\.20 EUR free for new jobs; 3\.60 EUR per hour at this pace; it lasts (2 h 0 min|119 min)/);
  });
});

describe("a runner at an address of ours", () => {
  test("[G7] the same contract without a provider: handed over detached, busy is no capacity, cancel by its own channel", async () => {
    await room.room.putPool("own", { provider: "local", endpoint: "http://127.0.0.1:9", max_in_flight: 0, position: 0 });
    const machine = new Replica({ dispatchKey: await room.room.dispatchKey("own"), allowOrigins: [room.weather.origin] });
    expect(await machine.ready).toBe(true);
    await room.room.putPool("own", { provider: "local", endpoint: machine.url, max_in_flight: 1, lease_ms: LEASE_MS, position: 0 });
    const client = room.client(1);
    await pictureOf(client, await client.submit(graph()));
    expect(await room.state("own", true)).toMatchObject({ machines: { up: 0, state: "ok", by_state: { ok: 1 } } });
    await client.open();
    const long = await client.submit(sleepGraph(60, colour++));
    await client.heard("its start", (m) => m.type === "execution_start" && m.data.prompt_id === long);
    await client.post("/interrupt", { prompt_id: long });
    await client.heard("its interruption", (m) => m.type === "execution_interrupted" && m.data.prompt_id === long);
    client.close();
    machine.kill();
    // Nobody is there any more: the pool rests, the next one takes over.
    const fleet = await room.pool("h200");
    const job = await client.submit(graph());
    await pictureOf(client, job);
    expect(runsOf([fleet], job)).toBe(1);
    await room.room.ops("DELETE", "/pools/own");
  });
});
