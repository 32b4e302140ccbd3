// What one attempt leaves on a GPU for the next: nothing that can be read, and no name that could be taken for another's.
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { colourGraph, sleepGraph } from "../../e2e/support/seat-client.ts";
import { type BoxRoom, openBoxRoom } from "./support/box-room.ts";
import type { RunnerProcess } from "./support/runner-process.ts";
import { Weather } from "./support/weather.ts";

let box: BoxRoom;
beforeAll(async () => {
  box = await openBoxRoom();
});
afterAll(async () => {
  await box?.end();
});

const sandboxFolder = (name: string): string => {
  const args = box.room.children.get("sandbox")?.spawnargs ?? [];
  return join(args[args.indexOf("--dir") + 1] ?? "", name);
};
const nameGraph = (filename: string): Record<string, unknown> => ({ "1": { class_type: "SandboxNameFile", inputs: { filename, subfolder: "", type: "output", seed: 1 } } });
const leaveGraph = (type: "output" | "temp", text: string): Record<string, unknown> => ({ "1": { class_type: "SandboxLeaveFile", inputs: { filename_prefix: "left/behind", text, type, seed: 1 } } });
const puts = (): number => box.weather.passed.filter(({ method }) => method === "PUT").length;

type Entry = { outputs: Record<string, { images?: { filename: string; subfolder: string; type: string }[] }>; status: { status_str: string } };
async function run(n: number, graph: Record<string, unknown>): Promise<Entry & { job: string }> {
  const client = box.room.client(n);
  const job = await client.submit(graph);
  const entry = await client.ended(job);
  expect(entry.status.status_str, JSON.stringify(entry.status)).toBe("success");
  return { ...entry, job };
}

/** Nodes that ComfyUI took from its cache, by its own record. */
async function cachedNodes(job: string): Promise<string[]> {
  const { [job]: entry } = (await (await fetch(`${box.room.sandboxUrl}/history/${job}`)).json()) as Record<string, { status: { messages: [string, { nodes?: string[] }][] } }>;
  return entry?.status.messages.find(([name]) => name === "execution_cached")?.[1].nodes ?? [];
}

describe("over HTTP alone", () => {
  let runner: RunnerProcess;
  beforeAll(async () => {
    runner = box.start();
    await runner.ready();
  });
  afterAll(async () => {
    await runner.stop();
  });
  afterEach(() => box.weather.clear());

  test("[G20] a node that names another seat's file brings nothing; its own seat gets the earlier file, without another copy", async () => {
    const [named] = (await run(1, colourGraph(0x2468ac, "mine"))).outputs["2"]?.images ?? [];
    const [local = ""] = readdirSync(sandboxFolder("output")).filter((name) => name.startsWith("mine_"));
    box.weather.clear();
    expect((await run(2, nameGraph(local))).outputs["1"]?.images ?? []).toEqual([]);
    expect(await box.room.client(2).json<string[]>("/internal/files/output")).toEqual([]);
    expect((await run(1, nameGraph(local))).outputs["1"]?.images).toEqual([named]);
    expect(puts()).toBe(0);
  });

  test("[G19] [G23] the same graph twice: answered from ComfyUI's cache with the earlier file, and for another seat it is run", async () => {
    const graph = colourGraph(0x77aa33, "again");
    const first = await run(3, graph);
    const second = await run(3, graph);
    expect(await cachedNodes(second.job)).toEqual(["1", "2"]);
    expect(second.outputs).toEqual(first.outputs);
    expect(await cachedNodes((await run(4, graph)).job)).toEqual(["1"]);
    expect(puts()).toBe(2);
  });

  test("[G23] after a restart of the runner nothing comes from ComfyUI's cache: nobody remembers whose its names are", async () => {
    const graph = colourGraph(0x1a2b3c, "remembered");
    await run(5, graph);
    expect(await runner.stop()).toBe(0);
    runner = box.start();
    await runner.ready();
    expect(await cachedNodes((await run(5, graph)).job)).toEqual([]);
  });
});

describe("with ComfyUI's folders on this disk", () => {
  let runner: RunnerProcess;
  let line: Weather;
  beforeAll(async () => {
    mkdirSync(sandboxFolder("output"), { recursive: true });
    writeFileSync(join(sandboxFolder("output"), "holiday.png"), "somebody's own, from before");
    const before = new Date(Date.now() - 3_600_000);
    utimesSync(join(sandboxFolder("output"), "holiday.png"), before, before);
    line = new Weather(box.room.sandboxUrl);
    const folders = ["input", "output", "temp"].flatMap((name) => [`--${name}-dir`, sandboxFolder(name)]);
    runner = box.start([...folders, "--comfy", await line.open()]);
    await runner.ready();
  });
  afterAll(async () => {
    await runner.stop();
    line.close();
  });

  const sizes = (folder: string): number[] => (existsSync(folder) ? readdirSync(folder).map((name) => statSync(join(folder, name)).size) : []);
  /** The next job of the same runner begins only after the one before was cleared away. */
  const swept = async (): Promise<void> => void (await run(8, colourGraph(Math.floor(Math.random() * 0xffffff), "after")));

  test.each(["output", "temp"] as const)("[G23] a file in %s that no node named is empty before the next job begins", async (type) => {
    await run(1, leaveGraph(type, "secret"));
    await swept();
    expect(sizes(join(sandboxFolder(type), "left"))).toEqual([0]);
  });

  test("[G23] what lay in the output folder before the runner came is left alone", () => {
    expect(readFileSync(join(sandboxFolder("output"), "holiday.png"), "utf8")).toBe("somebody's own, from before");
  });

  test("[G23] what a killed runner left is stopped and emptied when the next one starts", async () => {
    const client = box.room.client(2);
    await client.open();
    const job = await client.submit({ ...leaveGraph("output", "half done"), "2": { class_type: "EmptyImage", inputs: { width: 8, height: 8, batch_size: 1, color: 9 } }, "3": { class_type: "SandboxSleep", inputs: { image: ["2", 0], seconds: 60 } }, "4": { class_type: "SaveImage", inputs: { images: ["3", 0], filename_prefix: "never" } } });
    await expect.poll(() => sizes(join(sandboxFolder("output"), "left")).filter((size) => size > 0), { timeout: 20_000 }).toHaveLength(1);
    runner.child.kill("SIGKILL");
    await runner.exited;
    await client.post("/interrupt", { prompt_id: job });
    runner = box.start(["--output-dir", sandboxFolder("output"), "--temp-dir", sandboxFolder("temp"), "--comfy", line.origin]);
    await runner.logged("stage", ({ stage }) => stage === "ready");
    expect(await runner.logged("orphan_stopped")).toMatchObject({ job });
    expect(await (await fetch(`${box.room.sandboxUrl}/queue`)).json()).toEqual({ queue_running: [], queue_pending: [] });
    expect(sizes(join(sandboxFolder("output"), "left")).filter((size) => size > 0)).toEqual([]);
    client.close();
  });

  test("[G23] a cut line to a ComfyUI that goes on: no emptied file comes back under its old name", async () => {
    await runner.ready();
    const graph = colourGraph(0x0badca, "cut");
    await run(3, graph);
    expect(line.cut()).toBeGreaterThan(0);
    await runner.logged("comfy_back");
    const again = await run(3, graph);
    expect(await cachedNodes(again.job)).toEqual([]);
    const [file] = again.outputs["2"]?.images ?? [];
    expect((await (await box.room.client(3).picture(file ?? { filename: "", subfolder: "", type: "output" })).arrayBuffer()).byteLength).toBeGreaterThan(50);
  });

  test("[G17] [G23] files that could not be stored: the same graph again is run again, and brings its picture", async () => {
    box.weather.fault({ method: "POST", path: /\/uploads$/, times: 1000, what: 400 });
    const graph = colourGraph(0x0ddba1, "lost");
    const client = box.room.client(5);
    const failed = await client.ended(await client.submit(graph));
    box.weather.clear();
    expect(failed.status.status_str).toBe("error");
    const again = await run(5, graph);
    expect(await cachedNodes(again.job)).toEqual([]);
    const [file] = again.outputs["2"]?.images ?? [];
    expect((await (await client.picture(file ?? { filename: "", subfolder: "", type: "output" })).arrayBuffer()).byteLength).toBeGreaterThan(50);
  });

  test("[G23] a cancelled run's files are emptied too", async () => {
    const client = box.room.client(4);
    await client.open();
    const job = await client.submit({ ...leaveGraph("output", "cancelled"), ...Object.fromEntries(Object.entries(sleepGraph(60, 0x445566)).map(([id, node]) => [`1${id}`, shifted(node)])) });
    await client.heard("progress", (m) => m.type === "progress" && m.data.prompt_id === job);
    await client.post("/interrupt", { prompt_id: job });
    await client.ended(job);
    await swept();
    expect(sizes(join(sandboxFolder("output"), "left")).filter((size) => size > 0)).toEqual([]);
    client.close();
  });
});

/** A node of sleepGraph with its links moved to the ids that have a 1 in front. */
function shifted(node: unknown): unknown {
  const { class_type, inputs } = node as { class_type: string; inputs: Record<string, unknown> };
  return { class_type, inputs: Object.fromEntries(Object.entries(inputs).map(([name, value]) => [name, Array.isArray(value) ? [`1${String(value[0])}`, value[1]] : value])) };
}
