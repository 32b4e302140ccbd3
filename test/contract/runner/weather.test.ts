// The runner in bad weather: every call of the contract may be lost on the way there or back, sockets may be cut at any moment, and a job still ends once.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { colourGraph, painterGraph, sleepGraph } from "../../e2e/support/seat-client.ts";
import { type BoxRoom, openBoxRoom } from "./support/box-room.ts";
import type { RunnerProcess } from "./support/runner-process.ts";

let box: BoxRoom;
let runner: RunnerProcess;
beforeAll(async () => {
  box = await openBoxRoom();
  runner = box.start();
  await runner.ready();
});
afterAll(async () => {
  await box?.end();
});
afterEach(() => box.weather.clear());

const runsOf = (job: string): number => runner.lines.filter((line) => line.event === "run_started" && line.job === job).length;

async function picture(n: number, job: string): Promise<void> {
  const client = box.room.client(n);
  const entry = await client.ended(job);
  expect(entry.status.status_str, JSON.stringify(entry.status)).toBe("success");
  const files = Object.values(entry.outputs).flatMap((output) => output.images ?? []);
  expect(files).toHaveLength(1);
  for (const file of files) {
    const answer = await client.picture(file);
    expect(answer.status).toBe(200);
    expect((await answer.arrayBuffer()).byteLength).toBeGreaterThan(50);
  }
}

describe("while a file is stored", () => {
  test.each([
    ["the request for a target is lost", { path: /\/uploads$/, times: 2, what: "drop" as const }],
    ["the answer with the target is lost", { path: /\/uploads$/, times: 1, what: "lose" as const }],
    ["the storage answers 503", { method: "PUT", path: /\/files\//, times: 2, what: 503 as const }],
    ["the PUT arrives and its answer is lost, so that the next is 412", { method: "PUT", path: /\/files\//, times: 1, what: "lose" as const }],
    ["the target is refused until a fresh one is asked for", { method: "PUT", path: /\/files\//, times: 1, what: 403 as const }],
    ["the commit's answer is lost", { path: /\/uploads\/commit$/, times: 2, what: "lose" as const }],
    ["the commit never arrives", { path: /\/uploads\/commit$/, times: 2, what: "drop" as const }],
  ])("[G21] [G28] %s: the picture comes, and the node ran once", async (_, fault) => {
    box.weather.fault(fault);
    const job = await box.room.client(1).submit(colourGraph(Math.floor(Math.random() * 0xffffff), "stormy"));
    await picture(1, job);
    expect(runsOf(job)).toBe(1);
    expect(box.weather.passed.some(({ status }) => status === "dropped" || status === "lost" || status === fault.what), "the fault was met").toBe(true);
  });
});

describe("while sockets are cut", () => {
  test("[G16] in the middle of a run: it goes on, and the seat hears its end once", async () => {
    const client = box.room.client(2);
    await client.open();
    const job = await client.submit(painterGraph("a lighthouse in a storm", 7, 30));
    await client.heard("progress", (m) => m.type === "progress" && m.data.prompt_id === job);
    expect(box.weather.cut()).toBeGreaterThan(0);
    await picture(2, job);
    await client.heard("the end", (m) => m.type === "executing" && m.data.node === null && m.data.prompt_id === job);
    for (const type of ["execution_start", "executed", "execution_success"]) expect(client.messages.filter((m) => m.type === type && m.data.prompt_id === job), type).toHaveLength(1);
    expect(runsOf(job)).toBe(1);
    client.close();
  });

  test("[G24] at the very moment of the result: it goes by HTTP, and the next job comes", async () => {
    const client = box.room.client(3);
    const job = await client.submit(sleepGraph(1));
    await runner.logged("run_started", (line) => line.job === job);
    box.weather.fault({ path: /\/pools\/local\/next$/, times: 1000, what: 503 });
    box.weather.cut();
    await picture(3, job);
    await runner.logged("result_posted", (line) => line.job === job);
    box.weather.clear();
    await picture(3, await client.submit(colourGraph(77, "afterwards")));
  });

  test("[G28] the HTTP result's answer is lost: the repeat is `already`", async () => {
    const client = box.room.client(3);
    const job = await client.submit(sleepGraph(1, 0x112233));
    await runner.logged("run_started", (line) => line.job === job);
    box.weather.fault({ path: /\/pools\/local\/next$/, times: 1000, what: 503 });
    box.weather.fault({ path: /\/result$/, times: 1, what: "lose" });
    box.weather.cut();
    await picture(3, job);
    expect(await runner.logged("result_posted", (line) => line.job === job)).toMatchObject({ answer: "already" });
  });
});

describe("without sockets at all", () => {
  test("[G15] long poll, events and result by HTTP: the seat sees the whole run, and can cancel the next", async () => {
    box.weather.fault({ method: "GET", path: /\/pools\/local\/next$/, times: 1000, what: 426 });
    box.weather.cut();
    const client = box.room.client(4);
    await client.open();
    const job = await client.submit(painterGraph("a quiet harbour", 11, 20));
    await picture(4, job);
    await client.heard("its success", (m) => m.type === "execution_success" && m.data.prompt_id === job);
    expect(client.messages.some((m) => m.type === "executed" && m.data.prompt_id === job)).toBe(true);
    expect(box.weather.count(/\/attempts\/1\/events$/, 200)).toBeGreaterThan(0);
    const long = await client.submit(sleepGraph(60));
    await client.heard("its start", (m) => m.type === "execution_start" && m.data.prompt_id === long);
    expect((await client.post("/interrupt", { prompt_id: long })).status).toBe(200);
    await client.heard("its interruption", (m) => m.type === "execution_interrupted" && m.data.prompt_id === long);
    expect(await runner.logged("job_done", (line) => line.job === long)).toMatchObject({ status: "cancelled" });
    client.close();
  });

  test("and back on the socket when it opens again", async () => {
    const ups = runner.count("socket_up");
    const client = box.room.client(4);
    await expect.poll(() => runner.count("socket_up"), { timeout: 30_000 }).toBeGreaterThanOrEqual(Math.max(1, ups));
    await picture(4, await client.submit(colourGraph(4711, "again")));
  });
});

describe("what a runner says", () => {
  test("its log has one JSON object per line, and no token, prompt or address of a file in it", async () => {
    const text = runner.stdout;
    for (const line of text.trim().split("\n")) expect(() => JSON.parse(line) as unknown, line).not.toThrow();
    expect(text).not.toContain(box.token);
    expect(text).not.toMatch(/cma_|lighthouse|harbour|\/files\//);
  });
});
