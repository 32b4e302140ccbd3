// A pulling runner that dials in before its ComfyUI is there: what the instructor and the operator see of it, stage by stage, and that no job is given to it early.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { RunnerLine } from "../../../durable-objects/contract.ts";
import type { Overview } from "../../../durable-objects/instructor-contract.ts";
import { freePort, ROOT } from "../../../scripts/stack.ts";
import { colourGraph } from "../../e2e/support/seat-client.ts";
import { type BoxRoom, openBoxRoom } from "./support/box-room.ts";

const LATE = "late.safetensors";
const dir = mkdtempSync(join(tmpdir(), "comfyume-stages-"));
let box: BoxRoom;
let port = 0;
let comfy: ChildProcess | null = null;

beforeAll(async () => {
  box = await openBoxRoom();
  port = await freePort();
});
afterAll(async () => {
  await stopComfy();
  await box?.end();
  rmSync(dir, { recursive: true, force: true });
});

function startComfy(): void {
  comfy = spawn(process.execPath, [join(ROOT, "gpu-adapter/sandbox/main.ts"), "--port", String(port), "--dir", dir, "--step-ms", "10"], { stdio: "ignore" });
}

async function stopComfy(): Promise<void> {
  const child = comfy;
  comfy = null;
  if (child === null) return;
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  child.kill("SIGTERM");
  await gone;
}

async function overview(): Promise<Overview> {
  const { url, username, password } = box.room.access.instructor;
  const answer = await fetch(`${url.replace(/\/$/, "")}/api/v1/state`, { headers: { Authorization: `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}` } });
  return ((await answer.json()) as { overview: Overview }).overview;
}

const runnersSeen = async (): Promise<Pick<RunnerLine, "stage" | "missing">[]> => (await overview()).room.runners.map(({ stage, missing }) => ({ stage, missing }));

/** What `npm run gpu -- pools` prints. */
async function poolsPrinted(): Promise<string> {
  const child = spawn(process.execPath, [join(ROOT, "scripts/gpu.ts"), "pools", "--url", box.room.origin, "--workshop", "demo"], { env: { ...process.env, OPERATOR_TOKEN: box.room.operatorToken } });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => void (said += chunk.toString()));
  await new Promise((resolve) => child.once("close", resolve));
  return said;
}

describe("[G30] cold start of a pulling runner", () => {
  test("each stage is seen as it is reached, a job waits until it is ready, and is run by it then", async () => {
    const runner = box.start(["--comfy", `http://127.0.0.1:${port}`, "--require-model", `loras/${LATE}`]);
    await expect.poll(runnersSeen, { timeout: 30_000 }).toEqual([{ stage: "process", missing: [] }]);
    const client = box.room.client(1);
    const job = await client.submit(colourGraph(0x2468ac, "patient"));
    startComfy();
    await expect.poll(runnersSeen, { timeout: 30_000 }).toEqual([{ stage: "comfyui", missing: [`model loras/${LATE}`] }]);
    expect(await poolsPrinted()).toMatch(new RegExp(`runner: +\\S.*not ready, missing: model loras/${LATE}`));
    const early = await overview();
    expect([early.slots, early.counts.waiting, early.counts.dispatched]).toEqual([[], 1, 0]);
    expect(runner.count("job")).toBe(0);
    mkdirSync(join(dir, "models/loras"), { recursive: true });
    writeFileSync(join(dir, "models/loras", LATE), "weights");
    expect((await client.ended(job)).status.status_str).toBe("success");
    const order = runner.lines.filter(({ event, stage }) => event === "job" || (event === "stage" && stage === "ready")).map(({ event }) => event);
    expect(order).toEqual(["stage", "job"]);
    await expect.poll(runnersSeen).toEqual([{ stage: "ready", missing: [] }]);

    await stopComfy();
    await expect.poll(runnersSeen, { timeout: 30_000 }).toEqual([{ stage: "process", missing: [] }]);
    expect((await overview()).slots).toEqual([]);
    startComfy();
    await expect.poll(runnersSeen, { timeout: 30_000 }).toEqual([{ stage: "ready", missing: [] }]);
    expect((await client.ended(await client.submit(colourGraph(0x2468ad, "again")))).status.status_str).toBe("success");
    expect(await runner.stop()).toBe(0);
  });

  test("[G31] SIGTERM while its ComfyUI is still starting: it goes with code 0, and is seen no more", async () => {
    const runner = box.start(["--comfy", `http://127.0.0.1:${await freePort()}`]);
    await expect.poll(runnersSeen, { timeout: 30_000 }).toEqual([{ stage: "process", missing: [] }]);
    expect(await runner.stop()).toBe(0);
    await expect.poll(runnersSeen, { timeout: 30_000 }).toEqual([]);
  });
});
