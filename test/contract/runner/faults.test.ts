// What goes wrong on a GPU and what the job comes to: ComfyUI that hangs, refuses or forgets its models, storage that says no, runs of unusual size.
import { mkdtempSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { CHECKPOINT } from "../../../gpu-adapter/sandbox/folders.ts";
import { freePort, ROOT } from "../../../scripts/stack.ts";
import { after, recording } from "../../core/runner/recordings.ts";
import { colourGraph, painterGraph, sleepGraph } from "../../e2e/support/seat-client.ts";
import { type BoxRoom, failureOf, openBoxRoom } from "./support/box-room.ts";
import type { RunnerProcess } from "./support/runner-process.ts";
import { Weather } from "./support/weather.ts";

let box: BoxRoom;
let line: Weather;
let runner: RunnerProcess;
const dir = mkdtempSync(join(tmpdir(), "comfyume-faults-"));
let url = "";
let command = "";

/** Limits short enough to wait for; `settings` of the pool as the operator puts them. */
async function limits(settings: Record<string, number>): Promise<void> {
  const body = { provider: "pull", max_in_flight: 1, lease_ms: 6000, claim_ms: 30_000, ...settings };
  const answer = await fetch(`${box.room.origin}/ops/v1/workshops/demo/pools/local`, { method: "PUT", headers: { Authorization: `Bearer ${box.room.operatorToken}`, "Content-Type": "application/json" }, body: JSON.stringify(body) });
  expect(answer.status, await answer.text()).toBe(200);
}

beforeAll(async () => {
  box = await openBoxRoom();
  const port = await freePort();
  url = `http://127.0.0.1:${port}`;
  line = new Weather(url);
  command = `"${process.execPath}" "${join(ROOT, "gpu-adapter/sandbox/main.ts")}" --port ${port} --dir "${dir}" --step-ms 10`;
  runner = box.start(["--comfy", await line.open(), "--comfy-cmd", command]);
  await runner.ready();
});
afterAll(async () => {
  await box?.end();
  line?.close();
  rmSync(dir, { recursive: true, force: true });
});
afterEach(() => {
  box.weather.clear();
  line.clear();
});

const loadGraph = (seconds: number, seed: number): Record<string, unknown> => ({ ...painterGraph("a wall", seed, 2, 64), "4": { class_type: "SandboxLoadModel", inputs: { ckpt_name: CHECKPOINT, seconds } } });

describe("a ComfyUI that refuses what the catalog allowed", () => {
  test("[G] 6.9 `validation`: the job fails at once, and the seat sees what ComfyUI said of the node", async () => {
    const body = after(recording("validation-errors"), "required input missing").find(({ method }) => method === "POST")?.response_json as { node_errors: Record<string, { errors: { message: string }[] }> };
    const [[node, fault]] = Object.entries(body.node_errors) as [[string, { errors: { message: string }[] }]];
    line.fault({ method: "POST", path: /^\/prompt$/, times: 1, what: 400, body });
    const client = box.room.client(1);
    const job = await client.submit(colourGraph(0x111111, "refused"));
    const entry = await client.ended(job);
    expect(entry.status.status_str).toBe("error");
    expect(await runner.logged("job_done", (said) => said.job === job)).toMatchObject({ status: "failed", code: "validation" });
    expect(failureOf(entry)).toMatchObject({ node_id: node, exception_message: expect.stringContaining(fault.errors[0]!.message) as string });
    expect(runner.lines.filter(({ event, job: of }) => event === "job" && of === job)).toHaveLength(1);
  });

  test("[G] 6.9 `missing_model`: a file that went away fails the job where no other pool has it, and says so", async () => {
    const [here, away] = [join(dir, "models/checkpoints", CHECKPOINT), join(dir, CHECKPOINT)];
    renameSync(here, away);
    const client = box.room.client(1);
    const job = await client.submit(painterGraph("no paint", 4, 2, 64));
    const entry = await client.ended(job);
    expect(await runner.logged("job_done", (said) => said.job === job)).toMatchObject({ status: "failed", code: "missing_model" });
    expect(failureOf(entry)).toMatchObject({ node_type: "CheckpointLoaderSimple", exception_message: expect.stringContaining(CHECKPOINT) as string });
    renameSync(away, here);
  });
});

describe("a storage that says no", () => {
  test("[G] 6.9 `upload_failed`: the run is not repeated, the seat is told, and the next job runs", async () => {
    box.weather.fault({ method: "POST", path: /\/uploads$/, times: 1000, what: 400 });
    const client = box.room.client(2);
    const job = await client.submit(colourGraph(0x222222, "unstored"));
    const entry = await client.ended(job);
    expect(await runner.logged("job_done", (said) => said.job === job)).toMatchObject({ status: "failed", code: "upload_failed" });
    expect(failureOf(entry)).toMatchObject({ exception_type: "upload_failed", exception_message: expect.stringMatching(/could not be stored.*run it again.*\(.*refused the files/) as string });
    // [G17] Nobody is shown a name that cannot be fetched, not even of a failed run.
    expect(entry.outputs["2"]?.images ?? []).toEqual([]);
    expect(runner.lines.filter(({ event, job: of }) => event === "run_started" && of === job)).toHaveLength(1);
    box.weather.clear();
    expect((await client.ended(await client.submit(colourGraph(0x222223, "stored")))).outputs["2"]?.images).toHaveLength(1);
  });
});

describe("a ComfyUI that is started anew", () => {
  const oomGraph = (colour: number): Record<string, unknown> => ({
    "1": { class_type: "EmptyImage", inputs: { width: 8, height: 8, batch_size: 1, color: colour } },
    "2": { class_type: "SandboxFail", inputs: { image: ["1", 0], message: "full", error: "out_of_memory" } },
    "3": { class_type: "SaveImage", inputs: { images: ["2", 0], filename_prefix: "never" } },
  });

  test("[G19] after memory ran out twice in a row, and not after the first time", async () => {
    const client = box.room.client(7);
    // The platform tries a job that ran out of memory once more [Q54]: that is the second time in a row.
    const job = await client.submit(oomGraph(1));
    expect(failureOf(await client.ended(job))).toMatchObject({ exception_type: "torch.OutOfMemoryError" });
    expect(await runner.logged("comfy_restart")).toMatchObject({ reason: "out_of_memory" });
    expect(runner.lines.filter(({ event, job: of }) => (event === "job" && of === job) || event === "comfy_restart").map(({ event }) => event)).toEqual(["job", "job", "comfy_restart"]);
    expect((await client.ended(await client.submit(colourGraph(0x676767, "well")))).outputs["2"]?.images).toHaveLength(1);
  });

  test("[G19] after as many jobs as `--restart-after` says, between two jobs", async () => {
    expect(await runner.stop()).toBe(0);
    runner = box.start(["--comfy", line.origin, "--comfy-cmd", command, "--restart-after", "2"]);
    await runner.ready();
    const client = box.room.client(7);
    for (const n of [1, 2, 3]) expect((await client.ended(await client.submit(colourGraph(0x700000 + n, "counted")))).outputs["2"]?.images, String(n)).toHaveLength(1);
    expect(await runner.logged("comfy_restart")).toMatchObject({ reason: "jobs" });
    expect(runner.lines.filter(({ event }) => event === "job" || event === "comfy_restart").map(({ event }) => event)).toEqual(["job", "job", "comfy_restart", "job"]);
    expect(await runner.stop()).toBe(0);
    runner = box.start(["--comfy", line.origin, "--comfy-cmd", command]);
    await runner.ready();
  });

  test("[G19] when it hangs although nothing runs: noticed after `--hang-after`, ended by force, and the job that waits meanwhile runs", async () => {
    expect(await runner.stop()).toBe(0);
    runner = box.start(["--comfy", line.origin, "--comfy-cmd", command, "--hang-after", "8"]);
    await runner.ready();
    const client = box.room.client(7);
    expect((await client.ended(await client.submit(colourGraph(0x710000, "before")))).outputs["2"]?.images).toHaveLength(1);
    const { pid } = await runner.logged("comfy_started");
    // Its port still takes connections, its process answers nothing and hears no SIGTERM.
    process.kill(Number(pid), "SIGSTOP");
    expect(await runner.logged("comfy_restart")).toMatchObject({ reason: "hung" });
    expect((await client.ended(await client.submit(colourGraph(0x710001, "after")))).outputs["2"]?.images).toHaveLength(1);
    expect(runner.lines.filter(({ event }) => event === "comfy_started" || event === "comfy_restart" || event === "job_done").map(({ event }) => event)).toEqual(["comfy_started", "job_done", "comfy_restart", "comfy_started", "job_done"]);
    expect(() => process.kill(Number(pid), 0)).toThrow(/ESRCH/);
    expect(await runner.stop()).toBe(0);
    runner = box.start(["--comfy", line.origin, "--comfy-cmd", command]);
    await runner.ready();
  });
});

describe("runs of unusual size", () => {
  test("[G22] thirty files of one job: thirty names, in order, each with its bytes", async () => {
    const client = box.room.client(3);
    const entry = await client.ended(await client.submit({ "1": { class_type: "EmptyImage", inputs: { width: 8, height: 8, batch_size: 30, color: 3 } }, "2": { class_type: "SaveImage", inputs: { images: ["1", 0], filename_prefix: "many" } } }));
    const files = entry.outputs["2"]?.images ?? [];
    expect(files.map(({ filename }) => filename)).toEqual(Array.from({ length: 30 }, (_, n) => `many_${String(n + 1).padStart(5, "0")}_.png`));
    const sizes = await Promise.all(files.map(async (file) => (await (await client.picture(file)).arrayBuffer()).byteLength));
    expect(Math.min(...sizes)).toBeGreaterThan(50);
  });

  test("[G12] a graph over 1 MiB comes by a signed address, and runs", async () => {
    const client = box.room.client(3);
    const text = "long ".repeat(260_000);
    const entry = await client.ended(await client.submit({ "1": { class_type: "SandboxText", inputs: { text } } }));
    expect(entry.status.status_str, JSON.stringify(entry.status).slice(0, 500)).toBe("success");
    expect((entry.outputs["1"] as { text?: string[] } | undefined)?.text?.[0]?.length).toBe(text.length);
    expect(box.weather.passed.some(({ method, path, status }) => method === "GET" && /\/files\//.test(path) && status === 200)).toBe(true);
  });
});

/** How the platform closed the attempts of a job. Where ComfyUI cannot be stopped in the little time that short limits leave, its own deadline is first. */
async function closings(job: string): Promise<string[]> {
  const answer = await fetch(`${box.room.origin}/ops/v1/workshops/demo/log`, { headers: { Authorization: `Bearer ${box.room.operatorToken}` } });
  const entries = (await answer.text()).trim().split("\n").map((text) => JSON.parse(text) as { events?: { type: string; job?: string; code?: string }[] });
  return entries.flatMap(({ events = [] }) => events.flatMap((event) => (event.type === "attempt_closed" && event.job === job ? [event.code ?? ""] : [])));
}
const idle = { queue_running: [], queue_pending: [] };
const comfyQueue = async (): Promise<unknown> => (await fetch(`${url}/queue`)).json();

describe("a ComfyUI that hangs", () => {
  test("[Q57] [G12] `exec_timeout`: a run over its limit is interrupted, and fails with a sentence and with what ComfyUI said until then", async () => {
    await limits({ exec_ms: 12_000 });
    const client = box.room.client(5);
    const job = await client.submit(sleepGraph(60, 0x444444));
    const entry = await client.ended(job);
    expect(failureOf(entry)).toMatchObject({ exception_type: "exec_timeout", exception_message: expect.stringMatching(/time limit.*Use fewer steps/) as string });
    // The runner is heard before the queue's own deadline closes the attempt: its result counts, and history has ComfyUI's messages.
    expect(await runner.logged("result_sent", (said) => said.job === job)).toMatchObject({ status: "failed", answer: "accepted" });
    expect(entry.status.messages.map(([name]) => name)).toEqual(expect.arrayContaining(["execution_start", "execution_cached", "execution_error"]));
    expect(await closings(job)).toEqual(["exec_timeout"]);
    expect(await comfyQueue()).toEqual(idle);
  });

  test("[Q57] [G19] a node that says nothing and cannot be interrupted: the run is given up, ComfyUI started anew, and the next job runs", async () => {
    await limits({ silence_ms: 2000 });
    const before = runner.count("comfy_started");
    const client = box.room.client(6);
    const job = await client.submit(loadGraph(600, 9));
    expect(failureOf(await client.ended(job))).toMatchObject({ exception_type: "exec_timeout" });
    expect(await runner.logged("comfy_restart")).toMatchObject({ reason: "stuck" });
    await limits({});
    expect((await client.ended(await client.submit(colourGraph(0x555555, "alive")))).outputs["2"]?.images).toHaveLength(1);
    expect(runner.count("comfy_started")).toBe(before + 1);
  });

  test("[Q57] `start_timeout`: a prompt that never begins is taken out of ComfyUI's queue, and the job waits for another try", async () => {
    await limits({ start_ms: 2000 });
    await fetch(`${url}/sandbox/control`, { method: "POST", body: JSON.stringify({ hang: true }) });
    const client = box.room.client(4);
    const job = await client.submit(colourGraph(0x333333, "begun"));
    await expect.poll(() => closings(job), { timeout: 30_000 }).toEqual(["start_timeout"]);
    await runner.logged("job_done", (said) => said.job === job);
    expect(await comfyQueue()).toEqual(idle);
    await fetch(`${url}/sandbox/control`, { method: "POST", body: JSON.stringify({ hang: false }) });
    await limits({});
    await client.post("/queue", { delete: [job] });
  });
});
