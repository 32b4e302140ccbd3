// Mode `http-once` [G3]: one job, then the process ends, and its exit code tells the provider whether this machine was any good.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type HeldAnswer, heldAnswer } from "../../../gpu-adapter/contract.ts";
import { freePort, ROOT } from "../../../scripts/stack.ts";
import { colourGraph, sleepGraph } from "../../e2e/support/seat-client.ts";
import { type BoxRoom, openBoxRoom } from "./support/box-room.ts";
import { dispatchFor, health, type HttpRunner, post, startHttp } from "./support/http-runner.ts";

let box: BoxRoom;
const started: HttpRunner[] = [];
beforeAll(async () => {
  // A result is brought for eight leases, so with short ones it is soon given up; signs of life renew a lease every three seconds at most.
  box = await openBoxRoom({ leaseMs: 5000 });
});
afterAll(async () => {
  await Promise.all(started.map(({ process }) => process.stop()));
  await box?.end();
});
afterEach(() => box.weather.clear());

async function once(args: string[] = []): Promise<HttpRunner> {
  const runner = await startHttp(box, "http-once", args);
  started.push(runner);
  await runner.process.logged("stage", ({ stage }) => stage === "ready");
  return runner;
}

/** Hands the runner the seat's job and answers what it said to the request it held. */
async function hand(runner: HttpRunner, seat: number, graph: Record<string, unknown>, strike: (job: string) => Promise<void> = async () => {}): Promise<{ job: string; held: HeldAnswer }> {
  const client = box.room.client(seat);
  const job = await client.submit(graph);
  const { body } = await health(runner.url);
  const answer = post(runner.url, await dispatchFor(box, body.runner, false));
  await strike(job);
  return { job, held: heldAnswer.parse(await (await answer).json()) };
}

const failing = { "1": { class_type: "EmptyImage", inputs: { width: 8, height: 8, batch_size: 1, color: 1 } }, "2": { class_type: "SandboxFail", inputs: { image: ["1", 0], message: "deliberate", error: "error" } }, "3": { class_type: "SaveImage", inputs: { images: ["2", 0], filename_prefix: "never" } } };

describe("[G3] exit code 0: nothing is wrong with the machine", () => {
  test("a run that succeeded", async () => {
    const runner = await once();
    const { job, held } = await hand(runner, 1, colourGraph(0x332211, "once"));
    expect(held).toMatchObject({ job_id: job, outcome: "succeeded" });
    expect(await runner.process.exited).toBe(0);
  });

  test("a run whose graph failed", async () => {
    const runner = await once();
    const { held } = await hand(runner, 2, failing);
    expect(held).toMatchObject({ outcome: "failed", result: { error: { code: "node_error" } } });
    expect(await runner.process.exited).toBe(0);
  });

  test("a dispatch that is over already", async () => {
    const client = box.room.client(3);
    const first = await once();
    const job = await client.submit(colourGraph(0x332212, "once"));
    const dispatch = await dispatchFor(box, (await health(first.url)).body.runner, false);
    await post(first.url, dispatch);
    await client.ended(job);
    const second = await once();
    expect(heldAnswer.parse(await (await post(second.url, dispatch)).json()).outcome).toBe("skipped");
    expect(await second.process.exited).toBe(0);
    expect(await first.process.exited).toBe(0);
  });

  test("[G31] told to go before any job came", async () => {
    const runner = await once();
    runner.process.child.kill("SIGTERM");
    expect(await runner.process.exited).toBe(0);
  });
});

describe("[G3] exit code 1: the machine, or its way to the platform, failed", () => {
  test("ComfyUI crashed in the run, though the platform was told", async () => {
    const dir = mkdtempSync(join(tmpdir(), "comfyume-once-"));
    const port = await freePort();
    const comfy = `http://127.0.0.1:${port}`;
    const runner = await once(["--comfy", comfy, "--comfy-cmd", `"${process.execPath}" "${join(ROOT, "gpu-adapter/sandbox/main.ts")}" --port ${port} --dir "${dir}"`]);
    const { job, held } = await hand(runner, 4, { ...sleepGraph(2, 0x123123), "4": { class_type: "ImageInvert", inputs: { image: ["2", 0] } }, "5": { class_type: "SaveImage", inputs: { images: ["4", 0], filename_prefix: "crashed" } } }, async (id) => {
      await runner.process.logged("run_started", (line) => line.job === id);
      await fetch(`${comfy}/sandbox/control`, { method: "POST", body: JSON.stringify({ crash: true }) });
    });
    expect(held).toMatchObject({ outcome: "failed", result: { error: { code: "comfy_crash" } } });
    expect(await runner.process.logged("result_posted", (line) => line.job === job)).toMatchObject({ answer: "accepted" });
    expect(await runner.process.exited).toBe(1);
    await box.room.client(4).post("/queue", { delete: [job] });
    rmSync(dir, { recursive: true, force: true });
  });

  test("[G31] told to go with a result that nobody took", async () => {
    const runner = await once();
    box.weather.fault({ method: "POST", path: /\/result$/, times: 1000, what: "drop" });
    const client = box.room.client(6);
    const job = await client.submit(colourGraph(0x332214, "unheard"));
    const { body } = await health(runner.url);
    const held = post(runner.url, await dispatchFor(box, body.runner, false)).catch(() => null);
    await runner.process.logged("result_retry");
    runner.process.child.kill("SIGTERM");
    expect(await runner.process.exited).toBe(1);
    await held;
    await client.post("/queue", { delete: [job] });
  });

  test("[G10] the platform did not answer the claim", async () => {
    const runner = await once();
    box.weather.fault({ method: "POST", path: /\/claim$/, times: 1000, what: "drop" });
    const client = box.room.client(7);
    const job = await client.submit(colourGraph(0x332215, "unclaimed"));
    const { body } = await health(runner.url);
    const dispatch = await dispatchFor(box, body.runner, false, { claim_before: Date.now() + 3000 });
    expect(heldAnswer.parse(await (await post(runner.url, dispatch)).json())).toMatchObject({ job_id: job, outcome: "skipped", reason: expect.stringMatching(/did not answer/) as string });
    expect(runner.process.count("run_started")).toBe(0);
    expect(await runner.process.exited).toBe(1);
    await client.post("/queue", { delete: [job] });
  });

  // Last, because it takes so long that the job's next try finds nobody and the pool rests [Q56].
  test("the result could not be brought for eight leases: the provider's answer still has it", async () => {
    const runner = await once();
    box.weather.fault({ method: "POST", path: /\/result$/, times: 1000, what: "drop" });
    const { job, held } = await hand(runner, 5, colourGraph(0x332213, "unheard"));
    expect(held).toMatchObject({ job_id: job, outcome: "succeeded", reason: "undelivered", result: { status: "succeeded" } });
    expect(held.result?.hmac).toMatch(/^[0-9a-f]{64}$/);
    expect(runner.process.count("result_retry")).toBeGreaterThan(1);
    expect(await runner.process.exited).toBe(1);
    await box.room.client(5).post("/queue", { delete: [job] });
  });
});
