// The runner and its ComfyUI: inputs, cancel, crash, drain, out of memory, folders; the real runner, the real Worker, the sandbox GPU that misbehaves on demand.
import { spawn } from "node:child_process";
import { readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { colourGraph, type SeatClient, sleepGraph } from "../../e2e/support/seat-client.ts";
import { type BoxRoom, failureOf, openBoxRoom } from "./support/box-room.ts";
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
afterEach(async () => {
  box.weather.clear();
  await box.control({ hang: false, start_delay_ms: 0, view_delay_ms: 0 });
});

const sandboxFolder = (name: string): string => {
  const root = box.room.children.get("sandbox")?.spawnargs;
  const at = root?.indexOf("--dir") ?? -1;
  return join(root?.[at + 1] ?? "", name);
};

async function uploadPicture(client: SeatClient, name: string, colour: string): Promise<string> {
  const png = await sharp({ create: { width: 16, height: 16, channels: 3, background: colour } }).png().toBuffer();
  const form = new FormData();
  form.append("image", new Blob([Uint8Array.from(png)]), name);
  const answer = await client.fetch("/upload/image", { method: "POST", body: form });
  expect(answer.status).toBe(200);
  return ((await answer.json()) as { name: string }).name;
}

const invertGraph = (image: string): Record<string, unknown> => ({
  "1": { class_type: "LoadImage", inputs: { image } },
  "2": { class_type: "ImageInvert", inputs: { image: ["1", 0] } },
  "3": { class_type: "SaveImage", inputs: { images: ["2", 0], filename_prefix: "inverted" } },
});

const failGraph = (error: string): Record<string, unknown> => ({
  "1": { class_type: "EmptyImage", inputs: { width: 8, height: 8, batch_size: 1, color: 1 } },
  "2": { class_type: "SandboxFail", inputs: { image: ["1", 0], message: "deliberate", error } },
  "3": { class_type: "SaveImage", inputs: { images: ["2", 0], filename_prefix: "never" } },
});

describe("inputs", () => {
  test("[G18] are fetched once, under content names, and two seats' photo.png are two files", async () => {
    const [one, two] = [box.room.client(1), box.room.client(2)];
    const names = [await uploadPicture(one, "photo.png", "#ff0000"), await uploadPicture(two, "photo.png", "#0000ff")];
    expect(names).toEqual(["photo.png", "photo.png"]);
    const pixels: number[][] = [];
    for (const client of [one, two, one]) {
      const entry = await client.ended(await client.submit(invertGraph("photo.png")));
      expect(entry.status.status_str, JSON.stringify(entry.status)).toBe("success");
      const [file] = entry.outputs["3"]?.images ?? [];
      const bytes = Buffer.from(await (await client.picture(file!)).arrayBuffer());
      pixels.push([...(await sharp(bytes).raw().toBuffer()).subarray(0, 3)]);
    }
    expect(pixels).toEqual([[0, 255, 255], [255, 255, 0], [0, 255, 255]]);
    expect(box.weather.count(/\/files\//, 200) - box.weather.passed.filter(({ method }) => method === "PUT").length).toBe(2);
    expect(readdirSync(sandboxFolder("input")).filter((name) => /^photo-[0-9a-f]{16}\.png$/.test(name))).toHaveLength(2);
  });

  test("[G10] [G18] a signed address that has ended: the claim is repeated for a fresh one", async () => {
    const client = box.room.client(1);
    await uploadPicture(client, "late.png", "#00ff00");
    box.weather.fault({ method: "GET", path: /\/files\//, times: 1, what: 403 });
    const entry = await client.ended(await client.submit(invertGraph("late.png")));
    expect(entry.status.status_str, JSON.stringify(entry.status)).toBe("success");
    expect(box.weather.count(/\/claim$/, 200)).toBe(1);
  });

  test("[G18] three tries: a storage that stays away is `input_fetch`", async () => {
    const client = box.room.client(1);
    await uploadPicture(client, "away.png", "#123456");
    box.weather.fault({ method: "GET", path: /\/files\//, times: 1000, what: 503 });
    const job = await client.submit(invertGraph("away.png"));
    expect(await runner.logged("job_done", (line) => line.job === job)).toMatchObject({ status: "failed", code: "input_fetch" });
    expect(runner.lines.filter((line) => line.event === "input_retry" && line.job === undefined && line.name !== undefined).length).toBeGreaterThanOrEqual(3);
  });

  test("[G18] a file that vanished from ComfyUI's input folder is brought again", async () => {
    const client = box.room.client(3);
    await uploadPicture(client, "vanishing.png", "#808080");
    await client.ended(await client.submit(invertGraph("vanishing.png")));
    for (const name of readdirSync(sandboxFolder("input"))) if (name.startsWith("vanishing-")) rmSync(join(sandboxFolder("input"), name));
    const graph = { ...invertGraph("vanishing.png"), "3": { class_type: "SaveImage", inputs: { images: ["2", 0], filename_prefix: "again" } } };
    const entry = await client.ended(await client.submit(graph));
    expect(entry.status.status_str, JSON.stringify(entry.status)).toBe("success");
    expect(entry.outputs["3"]?.images).toHaveLength(1);
  });
});

describe("how a run ends", () => {
  test("[G29] cancel while it runs interrupts this prompt at ComfyUI", async () => {
    const client = box.room.client(4);
    await client.open();
    const job = await client.submit(sleepGraph(60));
    await client.heard("its start", (m) => m.type === "execution_start" && m.data.prompt_id === job);
    await client.post("/interrupt", { prompt_id: job });
    expect(await runner.logged("job_done", (line) => line.job === job)).toMatchObject({ status: "cancelled" });
    expect((await client.ended(job)).status.messages.map(([name]) => name)).toContain("execution_interrupted");
    client.close();
  });

  test("[G29] cancel before ComfyUI began takes the prompt out of ComfyUI's queue", async () => {
    await box.control({ hang: true });
    const client = box.room.client(4);
    const job = await client.submit(sleepGraph(1, 0x010203));
    await runner.logged("job", (line) => line.job === job);
    await expect.poll(async () => JSON.stringify(await (await fetch(`${box.room.sandboxUrl}/queue`)).json()), { timeout: 10_000 }).toContain(job);
    await client.post("/interrupt", { prompt_id: job });
    expect(await runner.logged("job_done", (line) => line.job === job)).toMatchObject({ status: "cancelled" });
    expect(await (await fetch(`${box.room.sandboxUrl}/queue`)).text()).not.toContain(job);
  });

  test("a failing node and exhausted memory keep their names", async () => {
    const client = box.room.client(5);
    const broken = await client.submit(failGraph("error"));
    expect(await runner.logged("job_done", (line) => line.job === broken)).toMatchObject({ code: "node_error" });
    expect(failureOf(await client.ended(broken))).toMatchObject({ node_id: "2", node_type: "SandboxFail" });
    const large = await client.submit(failGraph("out_of_memory"));
    expect(await runner.logged("job_done", (line) => line.job === large)).toMatchObject({ code: "oom" });
  });

  test("[G23] an output node that ComfyUI took from its cache shows the seat its earlier file", async () => {
    const client = box.room.client(6);
    const graph = colourGraph(0xabcdef, "cached");
    const names: (string | undefined)[] = [];
    for (let round = 0; round < 2; round++) names.push((await client.ended(await client.submit(graph))).outputs["2"]?.images?.[0]?.filename);
    expect(names).toEqual(["cached_00001_.png", "cached_00001_.png"]);
    const other = (await box.room.client(7).ended(await box.room.client(7).submit(graph))).outputs["2"]?.images?.[0]?.filename;
    expect(other).toBe("cached_00001_.png");
    expect(box.weather.passed.filter(({ method }) => method === "PUT")).toHaveLength(2);
  });

  test("[G20] files under every key are stored, one named twice once", async () => {
    const client = box.room.client(6);
    const job = await client.submit({ "1": { class_type: "SandboxFiles", inputs: { filename_prefix: "kinds", note: "hello", seed: 3 } } });
    const entry = await client.ended(job);
    expect(entry.status.status_str, JSON.stringify(entry.status)).toBe("success");
    const output = entry.outputs["1"] as unknown as Record<string, ({ filename: string; subfolder: string; type: string } | string | boolean)[]>;
    expect(Object.keys(output).sort()).toEqual(["animated", "audio", "files", "gifs", "images", "text"]);
    const types = new Map<string, string>();
    for (const file of Object.values(output).flat()) {
      if (typeof file !== "object") continue;
      const answer = await client.picture(file);
      expect(answer.status, file.filename).toBe(200);
      types.set(file.filename.slice(-4), answer.headers.get("Content-Type") ?? "");
    }
    expect([...types.keys()].sort()).toEqual([".gif", ".txt", ".wav", "webp"]);
    expect(box.weather.passed.filter(({ method }) => method === "PUT")).toHaveLength(4);
  });
});

describe("when the machine is told to go", () => {
  test("[G31] SIGTERM in the middle of a run: interrupted, handed back, and run again by the next runner", async () => {
    const client = box.room.client(8);
    await client.open();
    const job = await client.submit(sleepGraph(3, 0x445566));
    await client.heard("its start", (m) => m.type === "execution_start" && m.data.prompt_id === job);
    expect(await runner.stop()).toBe(0);
    expect(runner.lines.findLast((line) => line.event === "job_done")).toMatchObject({ job, status: "failed", code: "container_lost" });
    expect(runner.lines.findLast((line) => line.event === "result_sent")).toMatchObject({ answer: "accepted" });
    runner = box.start();
    const entry = await client.ended(job);
    expect(entry.status.status_str, JSON.stringify(entry.status)).toBe("success");
    client.close();
  });

  test("[G31] SIGTERM while idle: it goes at once, with code 0", async () => {
    await runner.ready();
    expect(await runner.stop()).toBe(0);
    expect(runner.count("runner_failed")).toBe(0);
  });
});

describe("when ComfyUI goes away", () => {
  test("[G30] an idle runner notices, takes no job meanwhile, and goes on when it is back", async () => {
    runner = box.start();
    await runner.ready();
    const client = box.room.client(2);
    await client.ended(await client.submit(colourGraph(0x010101, "before")));
    const sandbox = box.room.children.get("sandbox")!;
    const gone = new Promise<void>((resolve) => sandbox.once("exit", () => resolve()));
    sandbox.kill("SIGTERM");
    await gone;
    await runner.logged("comfy_away");
    const job = await client.submit(colourGraph(0x020202, "during"));
    const [, ...args] = sandbox.spawnargs;
    box.room.children.set("sandbox", spawn(process.execPath, args, { stdio: "ignore" }));
    await runner.logged("comfy_back");
    const entry = await client.ended(job);
    expect(entry.status.status_str, JSON.stringify(entry.status)).toBe("success");
    const order = runner.lines.filter(({ event, job: of }) => event === "comfy_back" || (event === "job" && of === job)).map(({ event }) => event);
    expect(order).toEqual(["comfy_back", "job"]);
    expect(await runner.stop()).toBe(0);
  });
});

describe("with ComfyUI's folders on this disk", () => {
  test("[G23] files are read from disk and emptied after their commit, so that no name comes twice; inputs are written there", async () => {
    const folders = ["input", "output", "temp"].flatMap((name) => [`--${name}-dir`, sandboxFolder(name)]);
    runner = box.start(folders);
    await runner.ready();
    const client = box.room.client(1);
    await uploadPicture(client, "disk.png", "#ffffff");
    const graph = invertGraph("disk.png");
    const first = await client.ended(await client.submit(graph));
    const again = await client.ended(await client.submit(graph));
    expect(again.outputs).toEqual(first.outputs);
    const [file] = first.outputs["3"]?.images ?? [];
    expect((await (await client.picture(file!)).arrayBuffer()).byteLength).toBeGreaterThan(50);
    const inverted = readdirSync(sandboxFolder("output")).filter((name) => name.startsWith("inverted_"));
    expect(inverted.length).toBeGreaterThan(0);
    expect(statSync(join(sandboxFolder("output"), inverted.sort().at(-1) ?? "")).size).toBe(0);
    const [input] = readdirSync(sandboxFolder("input")).filter((name) => name.startsWith("disk-"));
    expect(readFileSync(join(sandboxFolder("input"), input ?? "")).length).toBeGreaterThan(50);
    expect(await runner.stop()).toBe(0);
  });

  test("[G23] after a restart of the runner an emptied file does not come back out of ComfyUI's cache", async () => {
    runner = box.start(["--output-dir", sandboxFolder("output"), "--temp-dir", sandboxFolder("temp")]);
    await runner.ready();
    const client = box.room.client(1);
    const entry = await client.ended(await client.submit(invertGraph("disk.png")));
    const [file] = entry.outputs["3"]?.images ?? [];
    expect((await (await client.picture(file!)).arrayBuffer()).byteLength).toBeGreaterThan(50);
    expect(await runner.stop()).toBe(0);
  });
});
