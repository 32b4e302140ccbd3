// Machines that die at every step, gateways that lose or repeat, providers without capacity: every job still ends once, and the chain is walked [G35].
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Fleet } from "../../simulators/fleet/fleet.ts";
import { colourGraph, painterGraph, sleepGraph } from "../../e2e/support/seat-client.ts";
import { Verda, VERDA_DEFAULTS } from "../../simulators/verda/verda.ts";
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
  Object.assign(verda.switches, VERDA_DEFAULTS);
  await room.clear();
});

let colour = 1;
const graph = (): Record<string, unknown> => colourGraph(colour++, "faults");
const logged = (fleet: Fleet, event: string, job: string): boolean => fleet.replicas.some(({ runner }) => runner?.lines.some((line) => line.event === event && line.job === job) === true);
const submits = (pool: string): number => verda.host.count("POST", new RegExp(`^/${pool}/v1/jobs$`));
const outputsNamed = async (n: number, prefix: string): Promise<string[]> => (await room.client(n).json<string[]>("/internal/files/output")).filter((name) => name.includes(prefix));

describe.each([
  ["Verda hands the message to another machine", 2],
  ["Verda loses the message", 0],
] as const)("a machine dies and %s", (_, redeliver) => {
  const steps: [string, (fleet: Fleet, job: string) => Promise<void>][] = [
    [
      "before the claim",
      async (fleet) => {
        await until("a machine", () => fleet.replicas.length === 1 && fleet.replicas[0]!.state === "initializing");
        room.weather.fault({ path: /\/claim$/, times: 1000, what: "drop" });
        await until("the delivery", () => room.weather.count(/\/claim$/, "dropped") > 0);
        fleet.up[0]!.kill();
        room.weather.clear();
      },
    ],
    [
      "after the claim, before its run",
      async (fleet, job) => {
        await until("a claim", () => logged(fleet, "job", job));
        fleet.up[0]!.kill();
      },
    ],
    [
      "in the middle of its run",
      async (fleet, job) => {
        await until("a run", () => logged(fleet, "run_started", job));
        fleet.up[0]!.kill();
      },
    ],
    [
      "with its files stored and its result unsaid",
      async (fleet) => {
        room.weather.fault({ path: /\/result$/, times: 1000, what: "drop" });
        await until("the result's first try", () => room.weather.count(/\/result$/, "dropped") > 0);
        fleet.up[0]!.kill();
        room.weather.clear();
      },
    ],
    [
      "after its result arrived, before Verda heard it",
      async (fleet, job) => {
        await until("the result", () => room.weather.count(/\/result$/, 200) > 0);
        expect(job).not.toBe("");
        fleet.up[0]?.kill();
      },
    ],
  ];
  test.each(steps)("[Q54] kill -9 %s: the job ends once, with one picture", async (step, strike) => {
    // A message that Verda lost before its claim is nowhere, so this much is waited for it. It must be more than a cold start takes on a busy machine: the next
    // message meets one, and a second claim missed is the end of the job.
    const fleet = await room.pool("h200", { redeliver, sandboxArgs: ["--step-ms", "20"] }, { claim_ms: 15_000 });
    const client = room.client(1);
    const name = `kill-${redeliver}-${steps.findIndex(([title]) => title === step)}`;
    const job = await client.submit({ ...(painterGraph("a harbour in fog", redeliver * 10 + step.length, 12) as object), "9": { class_type: "SaveImage", inputs: { images: ["8", 0], filename_prefix: name } } });
    await strike(fleet, job);
    await pictureOf(client, job, 90);
    const entry = await client.ended(job);
    expect(Object.keys(await client.json<object>(`/history/${job}`))).toEqual([job]);
    expect(entry.outputs["9"]?.images).toHaveLength(1);
    // A picture of a lost attempt stays readable, but belongs to no history entry [G22].
    expect((await outputsNamed(1, name)).length).toBeLessThanOrEqual(2);
    expect(runsOf([fleet], job)).toBeLessThanOrEqual(2);
  });
});

describe("machines that are told to go", () => {
  test("[G31] SIGTERM in the middle of a run: `container_lost` is said at once, and the run begins again elsewhere", async () => {
    const fleet = await room.pool("h200", { max: 2 }, { max_in_flight: 1 });
    const client = room.client(2);
    const job = await client.submit(sleepGraph(3, 0x00ff77));
    await until("a run", () => logged(fleet, "run_started", job));
    const begun = Date.now();
    await fleet.replicas[0]!.terminate();
    expect(Date.now() - begun).toBeLessThan(10_000);
    await pictureOf(client, job, 60);
    expect(runsOf([fleet], job)).toBe(2);
    expect((await room.notes("h200")).filter((line) => line.includes(job))).toEqual([expect.stringMatching(/was told to stop/)]);
  });

  test("[Q54] a spot eviction without notice, twice: the pool is left, the next of the chain runs the job; the seat pays nothing for what was lost", async () => {
    const spot = await room.pool("h200-spot", { max: 2, redeliver: 0 }, { max_in_flight: 1, spot: true, rate: 1_150_000 });
    const sure = await room.pool("h200-sure", {}, { rate: 3_290_000 });
    const client = room.client(3);
    const job = await client.submit(sleepGraph(2, 0x0077ff));
    for (const n of [1, 2]) {
      await until(`run ${n}`, () => runsOf([spot], job) === n);
      spot.up[0]!.kill();
    }
    await pictureOf(client, job, 90);
    expect([runsOf([spot], job), runsOf([sure], job)]).toEqual([2, 1]);
    expect((await room.notes("h200-spot")).filter((line) => line.includes(job))).toHaveLength(2);
  });

  test("a scale-down that does not spare a working machine: the run begins again", async () => {
    const fleet = await room.pool("h200", { max: 2, redeliver: 1 }, { max_in_flight: 1 });
    const client = room.client(4);
    const job = await client.submit(sleepGraph(2, 0x777777));
    await until("a run", () => logged(fleet, "run_started", job));
    await fleet.scaleDown(0, false);
    await pictureOf(client, job, 60);
    expect(runsOf([fleet], job)).toBe(2);
  });

  test("and one that does: the run goes on", async () => {
    const fleet = await room.pool("h200", { max: 2 }, { max_in_flight: 1 });
    const client = room.client(4);
    const job = await client.submit(sleepGraph(2, 0x797979));
    await until("a run", () => logged(fleet, "run_started", job));
    await fleet.scaleDown(0, true);
    await pictureOf(client, job, 60);
    expect(runsOf([fleet], job)).toBe(1);
  });
});

describe("machines that are no use", () => {
  test("[Q57] accepted and never claimed: the claim's deadline passes, the next pool runs it", async () => {
    const dead = await room.pool("dead", {}, { claim_ms: 2_000 });
    dead.noCapacity = true;
    const alive = await room.pool("alive");
    const client = room.client(1);
    const job = await client.submit(graph());
    await pictureOf(client, job);
    expect([dead.started, runsOf([alive], job)]).toEqual([0, 1]);
    expect(await room.notes("dead")).toEqual(expect.arrayContaining([expect.stringMatching(/no machine came for the run in time: no jobs go there for \d+ s/)]));
  });

  test.each(["silent", "error"] as const)("[G34] a message past its TTL, %s: the job goes on", async (ttl) => {
    Object.assign(verda.switches, { ttl });
    const dead = await room.pool("dead", { ttlMs: 500 }, { claim_ms: 6_000 });
    dead.noCapacity = true;
    const alive = await room.pool("alive");
    const client = room.client(1);
    const job = await client.submit(graph());
    await pictureOf(client, job);
    expect(runsOf([alive], job)).toBe(1);
  });

  test("[G4] a machine that is busy answers 409: no GPU there for a moment, nothing lost, nothing counted", async () => {
    const fleet = await room.pool("h200", { max: 1, blind: true }, { max_in_flight: 2 });
    const [one, two] = [room.client(1), room.client(2)];
    const first = await one.submit(sleepGraph(2, 0x123456));
    await until("a run", () => logged(fleet, "run_started", first));
    const second = await two.submit(graph());
    await until("its 409", () => [...fleet.messages.values()].some(({ answer }) => answer?.status === 409));
    await until("the circuit", async () => (await room.state("h200")).circuit.code === "provider_capacity");
    await pictureOf(one, first);
    await pictureOf(two, second);
    expect([runsOf([fleet], first), runsOf([fleet], second)]).toEqual([1, 1]);
  });

  test("[G8] [G9] an image with another key refuses the signature: nothing runs, the operator is told, the next pool runs it", async () => {
    const wrong = await room.pool("wrong", { dispatchKey: "0".repeat(64) });
    const right = await room.pool("right");
    const client = room.client(2);
    const job = await client.submit(graph());
    await pictureOf(client, job);
    expect([runsOf([wrong], job), runsOf([right], job)]).toEqual([0, 1]);
    expect(await room.state("wrong")).toMatchObject({ circuit: { state: "open", code: "provider_config" } });
  });
});

describe("a provider that says no", () => {
  test.each([
    ["[G] 6.9 no capacity (503)", { status: 503, body: { code: "service_unavailable", message: "Not enough resources at the moment" } }, "provider_capacity"],
    ["[G] 6.9 sold out (500 in words)", { status: 500, body: "no_capacity: sold out" }, "provider_capacity"],
    ["[G] 6.9 no money (402)", { status: 402, body: { code: "insufficient_funds", message: "Not enough funds" } }, "provider_funds"],
    ["[G] 6.9 a key it does not take (401)", { status: 401, body: { message: "Unauthorized" } }, "provider_auth"],
    ["[G] 6.9 a key it does not take (404)", { status: 404, body: "Not Found" }, "provider_config"],
    ["[G] 6.9 a request it does not understand (400)", { status: 400, body: { code: "invalid_request", message: "bad" } }, "provider_config"],
  ] as const)("%s: the pool rests, the job goes down the chain and is not counted against", async (_, said, code) => {
    await room.pool("shut");
    const open = await room.pool("open");
    verda.host.fault({ path: /^\/shut\//, times: 100, what: said });
    const client = room.client(1);
    const job = await client.submit(graph());
    await pictureOf(client, job);
    expect(runsOf([open], job)).toBe(1);
    const { circuit } = await room.state("shut");
    // Its three seconds may be over by now; that they were taken is in the notes.
    expect(circuit.code).toBe(code);
    expect(["open", "half_open"]).toContain(circuit.state);
    expect((await room.notes("shut")).some((line) => /no jobs go there for 3 s; they go to the next pool/.test(line))).toBe(true);
  });

  test("[Q56] 429 with Retry-After: the pool rests as long as asked, then takes the job", async () => {
    const fleet = await room.pool("h200");
    verda.host.fault({ method: "POST", path: /^\/h200\/v1\/jobs$/, times: 1, what: { status: 429, headers: { "Retry-After": "1" }, body: { code: "rate_limit_exceeded", message: "slow down" } } });
    const client = room.client(1);
    const job = await client.submit(graph());
    await pictureOf(client, job);
    expect([submits("h200"), runsOf([fleet], job)]).toEqual([2, 1]);
  });

  test("[Q56] a paused deployment; the self-test says what is wrong", async () => {
    const fleet = await room.pool("h200");
    fleet.paused = true;
    const answer = await room.tested("h200", 3);
    expect(answer).toMatchObject({ verdict: "pending" });
    expect(answer.says).toMatch(/^h200: Verda answered 503: Deployment is paused; the next try is in \d+ s\.$/);
    expect(answer.advice).toMatch(/add a pool of another kind/);
  });

  test("the self-test of a pool with a wrong key is broken at once, and says which secret to set", async () => {
    await room.pool("h200", {}, { secret: "GPU_NOT_SET" });
    const answer = await room.tested("h200", 10);
    expect(answer).toMatchObject({ verdict: "broken" });
    expect(answer.says).toMatch(/^h200 does not work: The Worker's secret GPU_NOT_SET is not set\. Set it: npx wrangler secret put GPU_NOT_SET/);
  });
});

describe("the platform itself", () => {
  test("[G26] killed while a hand-over was on its way: after the restart it asks first, and the job runs once", async () => {
    const fleet = await room.pool("h200", { coldMs: 2_500 });
    const client = room.client(1);
    const job = await client.submit(graph());
    await until("the hand-over", () => submits("h200") === 1);
    room.stage.kill();
    await room.stage.start();
    await pictureOf(client, job, 60);
    expect(runsOf([fleet], job)).toBe(1);
    expect(submits("h200")).toBe(1);
  });

  test("[Q58] killed in the middle of a run: the runner goes on and its picture counts", async () => {
    const fleet = await room.pool("h200", {}, { lease_ms: 20_000 });
    const client = room.client(2);
    const job = await client.submit(sleepGraph(4, 0x445566));
    await until("a run", () => logged(fleet, "run_started", job));
    room.stage.kill();
    await room.stage.start();
    await pictureOf(client, job, 60);
    expect(runsOf([fleet], job)).toBe(1);
    expect(LEASE_MS).toBeLessThan(20_000);
  });
});
