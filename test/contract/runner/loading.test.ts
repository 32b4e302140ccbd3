// Model loading as the runner attributes it, from the sandbox's loader node to what the seat is charged and what the next forecast knows [Q30], [Q71].
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { painterGraph } from "../../e2e/support/seat-client.ts";
import { type BoxRoom, openBoxRoom } from "./support/box-room.ts";
import type { Line, RunnerProcess } from "./support/runner-process.ts";
import { Weather } from "./support/weather.ts";

let box: BoxRoom;
let line: Weather;
let runner: RunnerProcess;
beforeAll(async () => {
  box = await openBoxRoom();
  line = new Weather(box.room.sandboxUrl);
  runner = box.start(["--comfy", await line.open()]);
  await runner.ready();
});
afterAll(async () => {
  await box?.end();
  line.close();
});

/** A load that the line is cut in, long before its end. */
const LONG_S = 6;
const graph = (seconds: number, seed: number): Record<string, unknown> => ({
  ...painterGraph("a slow morning", seed, 4, 64),
  "4": { class_type: "SandboxLoadModel", inputs: { ckpt_name: "sandbox-painter.safetensors", seconds } },
});

type Logged = { command: Record<string, unknown>; events: { type: string; job?: string; settled?: number; phase?: { name: string } }[] };

async function operatorLog(): Promise<Logged[]> {
  const answer = await fetch(`${box.room.origin}/ops/v1/workshops/demo/log`, { headers: { Authorization: `Bearer ${box.room.operatorToken}` } });
  const lines = (await answer.text()).trim().split("\n").map((text) => JSON.parse(text) as Logged & { kind: string });
  return lines.filter(({ kind }) => kind === "entry");
}

async function played(n: number, prompt: Record<string, unknown>): Promise<{ job: string; done: Line; settled: number | undefined; phases: string[] }> {
  const client = box.room.client(n);
  const job = await client.submit(prompt);
  const entry = await client.ended(job);
  expect(entry.status.status_str, JSON.stringify(entry.status)).toBe("success");
  const done = await runner.logged("job_done", (said) => said.job === job);
  const events = (await operatorLog()).flatMap((logged) => logged.events).filter((event) => event.job === job);
  return { job, done, settled: events.find(({ type }) => type === "attempt_closed")?.settled, phases: events.flatMap(({ type, phase }) => (type === "job_phase" && phase ? [phase.name] : [])) };
}

describe("a node that loads a model", () => {
  test("[Q30] [G24] its time is load_ms, the seat is charged for the rest, and its phase was `loading` while it lasted [Q11]", async () => {
    const { done, settled, phases } = await played(1, graph(1.5, 1));
    expect(done.load_ms).toBeGreaterThanOrEqual(1400);
    expect(done.load_ms).toBeLessThanOrEqual(Number(done.exec_ms));
    expect(settled).toBe(Number(done.exec_ms) - Number(done.load_ms));
    expect(phases).toEqual(["executing", "loading", "executing"]);
  });

  test("[Q30] from ComfyUI's cache it takes no time, and nothing is said of it", async () => {
    const { done, settled, phases } = await played(1, graph(1.5, 2));
    expect(done.load_ms).toBe(0);
    expect(settled).toBe(done.exec_ms);
    expect(phases).toEqual(["executing"]);
  });

  test("[Q71] the queue hears of it, and of none where there was none", async () => {
    const commands = (await operatorLog()).map(({ command }) => command).filter(({ type }) => type === "result");
    expect(commands.map(({ timings }) => (timings as { loadMs: number }).loadMs > 0)).toEqual([true, false]);
  });

  test("[Q30] when the line to ComfyUI is cut in the middle, only what was heard counts", async () => {
    const client = box.room.client(2);
    await client.open();
    const job = await client.submit(graph(LONG_S, 3));
    await client.heard("its loader", (m) => m.type === "executing" && m.data.node === "4" && m.data.prompt_id === job);
    line.cut();
    await client.ended(job);
    const done = await runner.logged("job_done", (said) => said.job === job);
    expect(done.load_ms).toBeLessThan(LONG_S * 1000);
    expect(done.status).toBe("succeeded");
    client.close();
  });
});
