// RunPod's queue and our thin app on Modal, as documented, with real runners behind them: what differs from Verda is tested here, what is equal too, once.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { colourGraph, sleepGraph } from "../../e2e/support/seat-client.ts";
import { Modal } from "../../simulators/modal/modal.ts";
import { Runpod, RUNPOD_DEFAULTS } from "../../simulators/runpod/runpod.ts";
import { type Deploy, type GpuRoom, LEASE_MS, openGpuRoom, pictureOf, runsOf, until } from "./support/gpu-room.ts";

let colour = 1;
const graph = (): Record<string, unknown> => colourGraph(colour++, "other-providers");

type Simulator = Deploy & { open(): Promise<string>; vars: Record<string, string>; host: { fair(): void; calls: { method: string; path: string; body: unknown }[]; fault(fault: object): void; count(method: string, path: RegExp): number } };

describe.each([
  ["RunPod", () => new Runpod(), /\/run$/, /\/status\//, /\/cancel\//],
  ["Modal", () => new Modal(), /\/submit$/, /\/status\//, /\/cancel\//],
] as const)("%s", (name, make, submitPath, statusPath, cancelPath) => {
  let simulator: Simulator;
  let room: GpuRoom<Simulator>;
  beforeAll(async () => {
    simulator = make();
    await simulator.open();
    room = await openGpuRoom(simulator, simulator.vars);
  });
  afterAll(async () => {
    await room?.end();
  });
  afterEach(async () => {
    simulator.host.fair();
    simulator.host.calls.length = 0;
    if (simulator instanceof Runpod) Object.assign(simulator.switches, RUNPOD_DEFAULTS);
    await room.clear();
  });

  test("[G7] a cold start: two seats, two machines, two pictures", async () => {
    const fleet = await room.pool("gpu", { max: 2, coldMs: 300 });
    const [one, two] = [room.client(1), room.client(2)];
    const jobs = [await one.submit(graph()), await two.submit(graph())] as const;
    await pictureOf(one, jobs[0]);
    await pictureOf(two, jobs[1]);
    expect(jobs.map((job) => runsOf([fleet], job))).toEqual([1, 1]);
    expect(JSON.stringify(simulator.host.calls.filter(({ path }) => submitPath.test(path)).map(({ body }) => body))).not.toMatch(/webhook|\/files\//);
  });

  test("[G11] [G27] the answer to a hand-over is lost: it goes once more, and one of them runs", async () => {
    const fleet = await room.pool("gpu", { max: 2, coldMs: 300 }, { max_in_flight: 1 });
    simulator.host.fault({ method: "POST", path: submitPath, times: 1, what: "lose" });
    const client = room.client(1);
    const job = await client.submit(graph());
    await pictureOf(client, job);
    expect(runsOf([fleet], job)).toBe(1);
    // RunPod takes no id of ours and cannot be asked; our app on Modal can.
    expect(simulator.host.count("POST", submitPath)).toBe(name === "RunPod" ? 2 : 1);
  });

  test("[G4] [G10] the same input run again by the provider: the second is answered `skipped`", async () => {
    const fleet = await room.pool("gpu", { max: 2 }, { max_in_flight: 1 });
    const client = room.client(1);
    const job = await client.submit(sleepGraph(1, colour++));
    await until("a run", () => runsOf([fleet], job) === 1);
    const [first] = fleet.messages.values();
    fleet.put("again", first!.body);
    await pictureOf(client, job);
    await until("the repeat's answer", () => fleet.messages.get("again")?.state === "completed");
    expect(fleet.messages.get("again")?.answer?.body).toMatchObject({ outcome: "skipped", reason: expect.stringMatching(/^(duplicate|finished)/) as string });
    expect(runsOf([fleet], job)).toBe(1);
  });

  test("[G11] [Q58] a machine dies and the provider runs the same input elsewhere: the new runner takes the attempt over, and the old lease can write nothing more", async () => {
    // The next machine starts slower than the lease ends: before that its claim would be a duplicate.
    const fleet = await room.pool("gpu", { max: 2, redeliver: 1, coldMs: LEASE_MS + 2_000 }, { max_in_flight: 1, reclaim_ms: 30_000 });
    const client = room.client(2);
    const job = await client.submit(sleepGraph(2, colour++));
    await until("a run", () => runsOf([fleet], job) === 1);
    fleet.up[0]!.kill();
    await pictureOf(client, job, 90);
    expect(runsOf([fleet], job)).toBe(2);
    // One attempt all along: the provider's own repeat was let in again when the lease was over.
    expect(room.weather.passed.some(({ path }) => path.endsWith("/attempts/2/claim"))).toBe(false);
  });

  test("[G29] cancel before the claim reaches the provider", async () => {
    const fleet = await room.pool("gpu", { coldMs: 2_000 });
    const client = room.client(3);
    const job = await client.submit(graph());
    await until("the hand-over", () => simulator.host.count("POST", submitPath) === 1);
    await client.post("/queue", { delete: [job] });
    await until("the cancel", () => simulator.host.count("POST", cancelPath) === 1);
    expect([...fleet.messages.values()].map(({ state }) => state)).toEqual(["cancelled"]);
  });

  test("[G25] the runner's result is turned away at our door: what the provider stored of it counts", async () => {
    const fleet = await room.pool("gpu");
    room.weather.fault({ path: /\/result$/, times: 1, what: 403 });
    const client = room.client(1);
    const job = await client.submit(graph());
    await pictureOf(client, job);
    expect(runsOf([fleet], job)).toBe(1);
    expect(simulator.host.count("GET", statusPath)).toBeGreaterThan(0);
  });

  test("[G8] an image with another key: its refusal is read from the stored answer, the next pool runs the job", async () => {
    const wrong = await room.pool("wrong", { dispatchKey: "f".repeat(64) });
    const right = await room.pool("right");
    const client = room.client(1);
    const job = await client.submit(graph());
    await pictureOf(client, job);
    expect([runsOf([wrong], job), runsOf([right], job)]).toEqual([0, 1]);
    expect((await room.state("wrong")).circuit).toMatchObject({ code: "provider_config" });
  });

  test.each([
    [401, "provider_auth"],
    [429, "provider_rate_limited"],
    [503, "provider_capacity"],
  ])("[G] 6.9 a hand-over answered %d opens the circuit with %s", async (status, code) => {
    await room.pool("shut");
    await room.pool("open");
    simulator.host.fault({ method: "POST", path: new RegExp(`/shut${submitPath.source}`), times: 10, what: { status, body: { error: "no" } } });
    const client = room.client(1);
    await pictureOf(client, await client.submit(graph()));
    expect((await room.state("shut")).circuit).toMatchObject({ code });
  });

  test("warm and cool change the provider's least number of machines", async () => {
    const fleet = await room.pool("gpu", { max: 2 });
    await room.room.ops("POST", "/pools/gpu/warm", { replicas: 1 });
    await until("a machine", () => fleet.up.length === 1);
    expect(await room.state("gpu", true)).toMatchObject({ machines: { up: 1 }, warm: { applied: 1 } });
    await room.room.ops("POST", "/pools/gpu/cool");
    await until("none kept", () => fleet.options.min === 0);
  });
});

describe("RunPod alone", () => {
  let runpod: Runpod;
  let room: GpuRoom<Runpod>;
  beforeAll(async () => {
    runpod = new Runpod();
    await runpod.open();
    room = await openGpuRoom(runpod, runpod.vars);
  });
  afterAll(async () => {
    await room?.end();
  });
  afterEach(async () => {
    Object.assign(runpod.switches, RUNPOD_DEFAULTS);
    runpod.host.calls.length = 0;
    await room.clear();
  });

  test("[G] 6.10 the policy leaves room for a cold start, the longest run and its upload", async () => {
    await room.pool("gpu", {}, { exec_ms: 600_000, claim_ms: 900_000 });
    const client = room.client(1);
    await pictureOf(client, await client.submit(graph()));
    const [run] = runpod.host.calls.filter(({ path }) => path.endsWith("/gpu/run"));
    expect(run?.body).toMatchObject({ policy: { executionTimeout: 1_500_000, ttl: 2_400_000 } });
  });

  test("throttled workers and max workers 0 are no capacity, and said so", async () => {
    const fleet = await room.pool("gpu");
    runpod.switches.throttled = true;
    expect(await room.state("gpu", true)).toMatchObject({ machines: { up: 0, state: "throttled" } });
    runpod.switches.throttled = false;
    await room.room.ops("POST", "/pools/gpu/control", { action: "pause" });
    expect(await room.state("gpu", true)).toMatchObject({ machines: { paused: true, state: "max workers 0" } });
    expect(fleet.options.max).toBe(0);
  });

  test("the job RunPod says FAILED before any claim goes on elsewhere at once, not at the claim's deadline", async () => {
    const dying = await room.pool("dying", { redeliver: 0 }, { claim_ms: 60_000 });
    const alive = await room.pool("alive");
    room.weather.fault({ path: /\/claim$/, times: 1000, what: "drop" });
    const client = room.client(1);
    const job = await client.submit(graph());
    await until("the delivery", () => room.weather.count(/\/claim$/, "dropped") > 0);
    dying.up[0]!.kill();
    room.weather.clear();
    await pictureOf(client, job, 30);
    expect(runsOf([alive], job)).toBe(1);
  });
});

describe("Modal alone", () => {
  test("[G] 3: a web function that was cut answers 303, which means: not yet", async () => {
    const modal = new Modal();
    await modal.open();
    const room = await openGpuRoom(modal, modal.vars);
    try {
      await room.pool("gpu", { coldMs: 5_000 });
      modal.cuts = 2;
      const client = room.client(1);
      await pictureOf(client, await client.submit(graph()));
      expect(modal.cuts).toBe(0);
    } finally {
      await room.end();
    }
  });
});
