// The other ways a runner is started: over HTTP (once: once.test.ts), with a ComfyUI of its own to look after, and as a check of the box.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { signDispatch } from "../../../gpu-adapter/canonical.ts";
import { type Dispatch, heldAnswer } from "../../../gpu-adapter/contract.ts";
import { freePort, ROOT } from "../../../scripts/stack.ts";
import { colourGraph, sleepGraph } from "../../e2e/support/seat-client.ts";
import { type BoxRoom, openBoxRoom } from "./support/box-room.ts";
import { dispatchFor, health, type HttpRunner, KEY, post, startHttp } from "./support/http-runner.ts";
import { RunnerProcess } from "./support/runner-process.ts";

let box: BoxRoom;
beforeAll(async () => {
  box = await openBoxRoom();
});
afterAll(async () => {
  await box?.end();
});

describe("mode http", () => {
  let runner: HttpRunner;
  beforeAll(async () => {
    runner = await startHttp(box, "http");
    await runner.process.logged("stage", ({ stage }) => stage === "ready");
  });
  afterAll(async () => {
    await runner?.process.stop();
  });

  test("[G30] health: ready, idle, with inventory", async () => {
    const { status, body } = await health(runner.url);
    expect(status).toBe(200);
    expect(body).toMatchObject({ status: "ok", stage: "ready", missing: [], jobs_done: 0, runner: { mode: "http", comfyui_version: "0.3.64" } });
    expect(body.catalog_digest).toHaveLength(64);
    expect(body.runner.cold_start_ms).toBeGreaterThan(0);
  });

  test("[G3] the request is held until the end; the answer is the result the platform has", async () => {
    const client = box.room.client(1);
    await client.open();
    const job = await client.submit(colourGraph(0x102030, "held"));
    const { body } = await health(runner.url);
    const answer = await post(runner.url, await dispatchFor(box, body.runner, false));
    expect(answer.status).toBe(200);
    const held = heldAnswer.parse(await answer.json());
    expect(held).toMatchObject({ job_id: job, attempt: 1, outcome: "succeeded", result: { status: "succeeded" } });
    expect(held.result?.hmac).toMatch(/^[0-9a-f]{64}$/);
    const entry = await client.ended(job);
    expect((await client.picture(entry.outputs["2"]!.images![0]!)).status).toBe(200);
    await client.heard("executed", (m) => m.type === "executed" && m.data.prompt_id === job);
    expect(box.weather.count(/\/attempts\/1\/events$/, "upgraded")).toBe(1);
    client.close();
  });

  test("[G3] [G4] detached: 202 at once; busy meanwhile, and a second dispatch is 409", async () => {
    const client = box.room.client(2);
    const job = await client.submit(sleepGraph(2));
    const { body } = await health(runner.url);
    const dispatch = await dispatchFor(box, body.runner, true);
    expect((await post(runner.url, dispatch)).status).toBe(202);
    expect((await health(runner.url)).body.status).toBe("busy");
    const second = await post(runner.url, dispatch);
    expect(second.status).toBe(409);
    expect(await second.json()).toMatchObject({ error: "busy" });
    const entry = await client.ended(job);
    expect(entry.status.status_str, JSON.stringify(entry.status)).toBe("success");
    await expect.poll(async () => (await health(runner.url)).body.status, { timeout: 10_000 }).toBe("ok");
  });

  test("[G29] a cancel comes down the attempt's socket", async () => {
    const client = box.room.client(3);
    await client.open();
    const job = await client.submit(sleepGraph(60));
    const { body } = await health(runner.url);
    const held = post(runner.url, await dispatchFor(box, body.runner, false));
    await client.heard("its start", (m) => m.type === "execution_start" && m.data.prompt_id === job);
    await client.post("/interrupt", { prompt_id: job });
    expect(heldAnswer.parse(await (await held).json())).toMatchObject({ outcome: "cancelled" });
    client.close();
  });

  test("[G10] a dispatch whose job is over is skipped, ComfyUI untouched", async () => {
    const client = box.room.client(4);
    await client.submit(colourGraph(5, "over"));
    const { body } = await health(runner.url);
    const dispatch = await dispatchFor(box, body.runner, false);
    expect(heldAnswer.parse(await (await post(runner.url, dispatch)).json()).outcome).toBe("succeeded");
    const started = runner.process.count("run_started");
    const again = heldAnswer.parse(await (await post(runner.url, dispatch)).json());
    expect(again).toMatchObject({ outcome: "skipped" });
    expect(again.reason).toMatch(/finished|superseded/);
    expect(again.result).toBeUndefined();
    expect(runner.process.count("run_started")).toBe(started);
  });

  test("[G9] no signature, another key, another platform, garbage: refused, and nothing is claimed", async () => {
    const good: Omit<Dispatch, "sig"> = { v: 1, workshop: "demo", pool: "local", job_id: "j", attempt: 1, dispatch_id: "d", callback: { base_url: `${box.weather.origin}/runner/v1/demo`, token: "x".repeat(30) }, claim_before: Date.now() + 60_000, detach: false };
    const elsewhere = { ...good, callback: { ...good.callback, base_url: "http://127.0.0.1:9/runner/v1/demo" } };
    const before = box.weather.passed.length;
    expect((await post(runner.url, { ...good, sig: "" })).status).toBe(401);
    expect((await post(runner.url, { ...good, sig: await signDispatch(good, "another key") })).status).toBe(401);
    expect((await post(runner.url, { ...elsewhere, sig: await signDispatch(elsewhere, KEY) })).status).toBe(403);
    expect((await post(runner.url, { ...good, claim_before: 1000, sig: await signDispatch({ ...good, claim_before: 1000 }, KEY) })).status).toBe(410);
    expect((await post(runner.url, "no json")).status).toBe(400);
    expect((await post(runner.url, `"${"x".repeat(70_000)}"`)).status).toBe(400);
    expect((await fetch(`${runner.url}/v1/jobs`)).status).toBe(405);
    expect((await fetch(`${runner.url}/`)).status).toBe(404);
    expect(box.weather.passed.length).toBe(before);
  });

  test("[G9] a well signed dispatch with a token that opens nothing is skipped", async () => {
    const { sig: _sig, ...rest } = { ...(await (async () => ({ v: 1 as const, workshop: "demo", pool: "local", job_id: "j", attempt: 1, dispatch_id: "d", callback: { base_url: `${box.weather.origin}/runner/v1/demo`, token: "x".repeat(30) }, claim_before: Date.now() + 60_000, detach: false, sig: "" }))()) };
    const held = heldAnswer.parse(await (await post(runner.url, { ...rest, sig: await signDispatch(rest, KEY) })).json());
    expect(held.outcome).toBe("skipped");
  });

  test("[G31] SIGTERM: draining, the held request ends with container_lost, exit 0", async () => {
    const client = box.room.client(5);
    await client.open();
    const job = await client.submit(sleepGraph(60));
    const { body } = await health(runner.url);
    const held = post(runner.url, await dispatchFor(box, body.runner, false));
    await client.heard("its start", (m) => m.type === "execution_start" && m.data.prompt_id === job);
    runner.process.child.kill("SIGTERM");
    expect(heldAnswer.parse(await (await held).json())).toMatchObject({ outcome: "failed", result: { error: { code: "container_lost" } } });
    expect(await runner.process.exited).toBe(0);
    await client.post("/interrupt", { prompt_id: job });
    await client.post("/queue", { delete: [job] });
    client.close();
  });
});

describe("readiness", () => {
  test("[G30] without a required model it stays `starting`, says which, and takes no job", async () => {
    const runner = await startHttp(box, "http", ["--require-model", "loras/absent.safetensors", "--require-node", "NoSuchNode"]);
    await runner.process.logged("inventory_incomplete");
    const { status, body } = await health(runner.url);
    expect(status).toBe(503);
    expect(body).toMatchObject({ status: "starting", stage: "comfyui", missing: ["node class NoSuchNode", "model loras/absent.safetensors"] });
    expect(await runner.process.stop()).toBe(0);
  });

  test("[G10] a token that the platform does not know ends the runner with a sentence", async () => {
    const runner = box.start([], { COMFYUME_TOKEN: "cmp_wrong" });
    expect(await runner.exited).toBe(78);
    expect(String((await runner.logged("runner_failed")).error)).toMatch(/token/);
  });
});

describe("a ComfyUI of its own", () => {
  test("[G19] is started, started again after a crash in the middle of a run, and the job ends once", async () => {
    const port = await freePort();
    const dir = mkdtempSync(join(tmpdir(), "comfyume-own-"));
    const url = `http://127.0.0.1:${port}`;
    const command = `"${process.execPath}" "${join(ROOT, "gpu-adapter/sandbox/main.ts")}" --port ${port} --dir "${dir}" --step-ms 10`;
    const runner = box.start(["--comfy", url, "--comfy-cmd", command]);
    try {
      await runner.ready();
      const client = box.room.client(7);
      await client.open();
      const job = await client.submit({ ...sleepGraph(1.5, 0x999999), "4": { class_type: "ImageInvert", inputs: { image: ["2", 0] } }, "5": { class_type: "SaveImage", inputs: { images: ["4", 0], filename_prefix: "crashed" } } });
      await client.heard("progress", (m) => m.type === "progress" && m.data.prompt_id === job);
      await fetch(`${url}/sandbox/control`, { method: "POST", body: JSON.stringify({ crash: true }) });
      expect(await runner.logged("job_done", (line) => line.job === job)).toMatchObject({ status: "failed", code: "comfy_crash" });
      expect(await runner.logged("comfy_died")).toMatchObject({ code: 70 });
      const entry = await client.ended(job);
      expect(entry.status.status_str, JSON.stringify(entry.status)).toBe("success");
      expect(runner.count("comfy_started")).toBe(2);
      expect(client.messages.filter((m) => m.type === "execution_success" && m.data.prompt_id === job)).toHaveLength(1);
      client.close();
      expect(await runner.stop()).toBe(0);
      await expect(fetch(`${url}/system_stats`)).rejects.toThrow();
    } finally {
      await runner.stop();
      rmSync(dir, { recursive: true, force: true });
    }
  });
});

describe("--check", () => {
  test("[G31] runs a tiny job from end to end and says what it saw", async () => {
    const runner = new RunnerProcess(["--check", "--comfy", box.room.sandboxUrl, "--work-dir", box.workDir]);
    expect(await runner.exited).toBe(0);
    expect(runner.stdout).toMatch(/ok {4}ComfyUI 0\.3\.64[^\n]*\nok {4}\d+ node classes[^\n]*\nok {4}ran a tiny job[^\n]*\nok {4}fetched /);
  });

  test("[G31] prints what is missing, with exit code 1", async () => {
    const runner = new RunnerProcess(["--check", "--comfy", box.room.sandboxUrl, "--require-model", "checkpoints/none.safetensors"]);
    expect(await runner.exited).toBe(1);
    expect(runner.stdout).toContain("FAIL  Missing: model checkpoints/none.safetensors");
    const wrongFolder = new RunnerProcess(["--check", "--comfy", box.room.sandboxUrl, "--temp-dir", box.workDir]);
    expect(await wrongFolder.exited).toBe(1);
    expect(wrongFolder.stdout).toContain("--temp-dir is not the folder ComfyUI writes to");
  });
});
