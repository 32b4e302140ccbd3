// Verda, as its documentation says it works: real runners behind a simulated gateway, the real Worker in front. Where the documentation is silent, under
// each answer it could give [G34].
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { colourGraph, sleepGraph } from "../../e2e/support/seat-client.ts";
import { Verda, VERDA_DEFAULTS } from "../../simulators/verda/verda.ts";
import { type GpuRoom, openGpuRoom, pictureOf, runsOf, until } from "./support/gpu-room.ts";

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
  verda.tamper = (body) => body;
  Object.assign(verda.switches, VERDA_DEFAULTS);
  await room.clear();
});

const submits = (pool: string): number => verda.host.count("POST", new RegExp(`^/${pool}/v1/jobs$`));
let colour = 1;
const graph = (): Record<string, unknown> => colourGraph(colour++, "verda");

describe("a hand-over", () => {
  test("[G7] the self-test sends a picture the whole way to a machine that must start first, and says so in words", async () => {
    await room.pool("h200", { coldMs: 300 });
    const answer = await room.tested("h200");
    expect(answer.says).toMatch(/^h200 works: a picture went the whole way in [\d.]+ s\. A machine came after [\d.]+ s \(a cold start;/);
    expect(answer).toMatchObject({ verdict: "works", advice: null, stages: [{ done: true }, { done: true }, { done: true }, { done: true }] });
    expect(await room.state("h200")).toMatchObject({ catalog: { nodes: expect.any(Number) as number }, startup: { measured: 1 } });
  });

  test("[G8] is one asynchronous request under our own id, small, without prompt or file address", async () => {
    await room.pool("h200");
    const client = room.client(1);
    const job = await client.submit(colourGraph(4, "nobody-else-s-name"));
    await pictureOf(client, job);
    const [call] = verda.host.calls.filter(({ method, path }) => method === "POST" && path === "/h200/v1/jobs");
    expect(call?.header("prefer")).toBe("respond-async");
    expect(call?.header("authorization")).toBe(`Bearer ${verda.inferenceKey}`);
    expect(call?.body).toMatchObject({ dispatch_id: call?.header("x-inference-id") });
    const text = JSON.stringify(call?.body);
    expect(text.length).toBeLessThan(8192);
    expect(text).not.toMatch(/nobody-else-s-name|\/files\//);
    expect(call?.body).toMatchObject({ job_id: job, attempt: 1, detach: false });
  });

  test("[G6] never more hand-overs than slots and one that is just answering: two machines, five jobs, five pictures, each run once", async () => {
    const fleet = await room.pool("h200", { max: 2 });
    const clients = [1, 2, 3].map((n) => room.client(n));
    const jobs = await Promise.all([0, 1, 2, 0, 1].map(async (n) => ({ client: clients[n]!, job: await clients[n]!.submit(graph()) })));
    let most = 0;
    const watch = setInterval(() => {
      most = Math.max(most, [...fleet.messages.values()].filter(({ state }) => state === "queued" || state === "delivered").length);
    }, 5);
    for (const { client, job } of jobs) await pictureOf(client, job);
    clearInterval(watch);
    expect(most).toBeLessThanOrEqual(3);
    expect(jobs.map(({ job }) => runsOf([fleet], job))).toEqual([1, 1, 1, 1, 1]);
    expect(submits("h200")).toBe(5);
  });
});

describe.each(["number", "string"] as const)("status as a %s", (statusAs) => {
  test("[G27] the answer to a hand-over is lost: the status by our own id says it arrived, and it is not sent again", async () => {
    Object.assign(verda.switches, { statusAs });
    const fleet = await room.pool("h200", { coldMs: 500 });
    verda.host.fault({ method: "POST", path: /^\/h200\/v1\/jobs$/, times: 1, what: "lose" });
    const client = room.client(1);
    const job = await client.submit(graph());
    await pictureOf(client, job);
    expect(submits("h200")).toBe(1);
    expect(verda.host.count("GET", /^\/status\/h200$/)).toBeGreaterThan(0);
    expect(runsOf([fleet], job)).toBe(1);
  });

  test("[G27] the hand-over never arrived: it is sent once more, with the same id", async () => {
    Object.assign(verda.switches, { statusAs });
    const fleet = await room.pool("h200");
    verda.host.fault({ method: "POST", path: /^\/h200\/v1\/jobs$/, times: 1, what: "drop" });
    const client = room.client(1);
    const job = await client.submit(graph());
    await pictureOf(client, job);
    expect([submits("h200"), runsOf([fleet], job)]).toEqual([2, 1]);
    const ids = verda.host.calls.filter(({ method, path }) => method === "POST" && path === "/h200/v1/jobs").map(({ header }) => header("x-inference-id"));
    expect(new Set(ids).size).toBe(1);
  });
});

describe.each(["dedupe", "second", "overwrite"] as const)("a second submit under one id: %s", (repeatedId) => {
  test("[G11] [G27] neither answer nor status is to be had: the same dispatch goes once more, and the claim lets one run", async () => {
    Object.assign(verda.switches, { repeatedId });
    const fleet = await room.pool("h200", { max: 2, coldMs: 300 }, { max_in_flight: 1 });
    verda.host.fault({ method: "POST", path: /^\/h200\/v1\/jobs$/, times: 1, what: "lose" });
    verda.host.fault({ path: /^\/status\/h200$/, times: 1, what: { status: 500, body: "oops" } });
    const client = room.client(2);
    const job = await client.submit(graph());
    await pictureOf(client, job);
    expect([submits("h200"), runsOf([fleet], job)]).toEqual([2, 1]);
    // Every message is answered: the one that lost the claim says `skipped`.
    await until("all messages answered", () => [...fleet.messages.values()].every(({ state }) => state === "completed"));
    const outcomes = [...fleet.messages.values()].map(({ answer }) => (answer?.body as { outcome?: string } | undefined)?.outcome).sort();
    expect(outcomes).toEqual(repeatedId === "dedupe" ? ["succeeded"] : repeatedId === "second" ? ["skipped", "succeeded"] : expect.arrayContaining([expect.stringMatching(/skipped|succeeded/)]));
  });
});

describe.each([404, 202, 204] as const)("a result that is not ready answers %d", (notReady) => {
  test("[G25] the runner's result is turned away at our door: its answer stands at Verda, its proof holds, and it counts", async () => {
    Object.assign(verda.switches, { notReady });
    const fleet = await room.pool("h200");
    room.weather.fault({ path: /\/result$/, times: 1, what: 403 });
    const client = room.client(1);
    const job = await client.submit(graph());
    await pictureOf(client, job);
    expect(runsOf([fleet], job)).toBe(1);
    expect(room.weather.count(/\/result$/, 200)).toBe(0);
    expect(verda.host.count("GET", /^\/result\/h200$/)).toBeGreaterThan(0);
  });
});

test("[G25] a stored answer without a proof that holds is nobody's word: the job runs again when the lease is over, and its one picture is the one it made first", async () => {
  const fleet = await room.pool("h200");
  room.weather.fault({ path: /\/result$/, times: 1, what: 403 });
  verda.tamper = (body) => ({ ...(body as object), result: { ...(body as { result: object }).result, status: "cancelled" } });
  const client = room.client(1);
  const job = await client.submit(graph());
  await pictureOf(client, job);
  expect(runsOf([fleet], job)).toBe(2);
  expect(verda.host.count("GET", /^\/result\/h200$/)).toBeGreaterThan(0);
});

describe("cancel", () => {
  test("[G29] before the claim: the message drains, its claim is answered `gone`, nothing runs", async () => {
    const fleet = await room.pool("h200", { coldMs: 800 });
    const client = room.client(3);
    const job = await client.submit(graph());
    await until("the hand-over", () => submits("h200") === 1);
    expect((await client.post("/queue", { delete: [job] })).status).toBe(200);
    await until("the message to drain", () => [...fleet.messages.values()].every(({ state }) => state === "completed"));
    expect([...fleet.messages.values()].map(({ answer }) => answer?.body)).toMatchObject([{ outcome: "cancelled" }]);
    expect(runsOf([fleet], job)).toBe(0);
    expect(await client.json("/queue")).toEqual({ queue_running: [], queue_pending: [] });
  });

  test("[G29] during the run: the runner interrupts, and the machine takes the next job", async () => {
    const fleet = await room.pool("h200");
    const client = room.client(3);
    await client.open();
    const job = await client.submit(sleepGraph(60));
    await client.heard("its start", (m) => m.type === "execution_start" && m.data.prompt_id === job);
    expect((await client.post("/interrupt", { prompt_id: job })).status).toBe(200);
    await client.heard("its interruption", (m) => m.type === "execution_interrupted" && m.data.prompt_id === job);
    await pictureOf(client, await client.submit(graph()));
    expect(fleet.started).toBe(1);
    client.close();
  });
});

describe("the control plane", () => {
  test("[G32] warm keeps a machine up, cool lets it go; one token serves all calls", async () => {
    const fleet = await room.pool("h200", { max: 2 });
    const { says } = await room.room.ops<{ says: string }>("POST", "/pools/h200/warm", { replicas: 1, minutes: 30 });
    expect(says).toMatch(/^1 machine of h200 will be kept up until/);
    await until("a machine", () => fleet.up.length === 1);
    expect(await room.state("h200", true)).toMatchObject({ machines: { up: 1, min: 1, state: "healthy" }, warm: { wanted: 1, applied: 1, fault: null } });
    await room.room.ops("POST", "/pools/h200/cool");
    await until("min 0", async () => (await room.state("h200")).warm.applied === 0);
    expect(fleet.options.min).toBe(0);
    expect((await room.notes("h200")).filter((line) => /machine.* kept up/.test(line)).slice(-2)).toEqual([expect.stringMatching(/^1 machine is kept up/), expect.stringMatching(/^no machine is kept up/)]);
    expect(verda.grants).toEqual(["client_credentials"]);
  });

  test("a booked session keeps machines up by itself; cool passes it over", async () => {
    const fleet = await room.pool("h200", { max: 2 }, { sessions: [{ from: Date.now() - 1000, to: Date.now() + 3_600_000, replicas: 1 }] });
    await until("a machine", () => fleet.up.length === 1);
    expect(await room.state("h200")).toMatchObject({ warm: { wanted: 1, why: "session", applied: 1 } });
    await room.room.ops("POST", "/pools/h200/cool");
    await until("min 0", () => fleet.options.min === 0);
    expect(await room.state("h200")).toMatchObject({ warm: { wanted: 0, why: "order" } });
  });

  test("a change that is answered 500 was made all the same: reading says so", async () => {
    Object.assign(verda.switches, { applied500: true });
    const fleet = await room.pool("h200", { max: 2 });
    await room.room.ops("POST", "/pools/h200/warm", { replicas: 1 });
    await until("applied", async () => (await room.state("h200")).warm.applied === 1);
    expect(fleet.options.min).toBe(1);
  });

  test("429 with Retry-After: the change is made later, and nobody asks in between", async () => {
    await room.pool("h200", { max: 2 });
    verda.host.fault({ path: /\/scaling$/, times: 1, what: { status: 429, headers: { "Retry-After": "2" }, body: { code: "rate_limit_exceeded", message: "slow down" } } });
    await room.room.ops("POST", "/pools/h200/warm", { replicas: 1 });
    await until("the fault said", async () => (await room.state("h200")).warm.fault?.includes("429") === true);
    const asked = verda.host.count("GET", /\/scaling$/);
    await until("applied", async () => (await room.state("h200")).warm.applied === 1);
    expect(verda.host.count("GET", /\/scaling$/)).toBe(asked + 2);
  });

  test("a token that Verda no longer takes is replaced once, by a new sign-in", async () => {
    await room.pool("h200");
    await room.state("h200", true);
    verda.tokens.clear();
    expect(await room.state("h200", true)).toMatchObject({ machines: { state: "healthy" } });
  });

  test("pause is seen and said; resume goes on; logs come from the machines", async () => {
    const fleet = await room.pool("h200", { min: 1 });
    await until("a machine", () => fleet.up.length === 1);
    await room.room.ops("POST", "/pools/h200/control", { action: "pause" });
    expect(await room.state("h200", true)).toMatchObject({ machines: { paused: true, state: "paused" } });
    await room.room.ops("POST", "/pools/h200/control", { action: "resume" });
    expect(await room.state("h200", true)).toMatchObject({ machines: { paused: false } });
    const { lines } = await room.room.ops<{ lines: { line: string }[] }>("GET", "/pools/h200/logs");
    expect(lines.some(({ line }) => line.includes("listening"))).toBe(true);
  });

  test("the price list sets the rate, in the workshop's currency", async () => {
    await room.pool("h200", {}, { price_factor: 0.5, spot: true });
    await until("the rate", async () => (await room.state("h200")).rate === 575_000);
    expect(await room.notes("h200")).toEqual(expect.arrayContaining([expect.stringMatching(/costs 0\.5[78] EUR per hour and machine/)]));
  });
});
