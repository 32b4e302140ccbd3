// The misbehaviour switches, and what a start and a restart do.

import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { startSandbox } from "../../../gpu-adapter/sandbox/sandbox.ts";
import { Client, type Nodes, emptyImage, painting, saveImage } from "./client.ts";

let comfy: Client;
beforeEach(async () => {
  comfy = await Client.start();
});
afterEach(() => comfy.stop());

const quick = (color: number) => ({ "1": emptyImage(color), "2": saveImage("1") });

describe("misbehaviour on demand", () => {
  test("hang: prompts are accepted and wait; letting go runs them", async () => {
    await comfy.post("/sandbox/control", { hang: true });
    const id = await comfy.submit(quick(1));
    expect(await comfy.json("/prompt")).toEqual({ exec_info: { queue_remaining: 1 } });
    expect((await comfy.json<{ queue_running: unknown[] }>("/queue")).queue_running).toEqual([]);
    await comfy.post("/sandbox/control", { hang: false });
    expect((await comfy.until(({ type }) => type === "execution_success")).data["prompt_id"]).toBe(id);
  });

  test("crash: at the next node the server is gone, sockets and all", async () => {
    await comfy.post("/sandbox/control", { crash: true });
    await comfy.submit(quick(2));
    while (!comfy.isClosed) await new Promise((resolve) => setTimeout(resolve, 5));
    await expect(comfy.get("/prompt")).rejects.toThrow();
    expect(comfy.messages.some(({ type }) => type === "execution_success" || type === "execution_error")).toBe(false);
  });

  test("start_delay_ms: the prompt counts as running before it says so", async () => {
    await comfy.post("/sandbox/control", { start_delay_ms: 2000 });
    const id = await comfy.submit(quick(3));
    const runningId = async () => (await comfy.json<{ queue_running: [number, string][] }>("/queue")).queue_running[0]?.[1];
    while ((await runningId()) === undefined) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(await runningId()).toBe(id);
    expect(comfy.messages.some(({ type }) => type === "execution_start")).toBe(false);
    await comfy.until(({ type }) => type === "execution_success");
  });

  test("view_delay_ms: pictures keep their viewers waiting, other routes do not", async () => {
    await comfy.run(quick(4));
    await comfy.post("/sandbox/control", { view_delay_ms: 60_000 });
    const abort = new AbortController();
    let isAnswered = false;
    const view = fetch(`${comfy.url}/view?filename=pic_00001_.png`, { signal: abort.signal }).then(() => (isAnswered = true), () => undefined);
    expect((await comfy.get("/prompt")).status).toBe(200);
    expect((await comfy.get("/queue")).status).toBe(200);
    expect(isAnswered).toBe(false);
    abort.abort();
    await view;
  });

  test.each([
    ['{"hang": 1}', "'hang' takes true or false"],
    ['{"step_ms": -1}', "'step_ms' takes milliseconds, 0 or more"],
    ['{"explode": true}', "unknown switch 'explode'"],
    ["[]", "send a JSON object"],
    ["no json", "send a JSON object"],
  ])("%s is refused in words and changes nothing", async (body, words) => {
    const before = await comfy.json("/sandbox/control");
    const response = await comfy.post("/sandbox/control", body);
    expect(response.status).toBe(400);
    expect(((await response.json()) as { error: string }).error).toContain(words);
    expect(await comfy.json("/sandbox/control")).toEqual(before);
  });
});

describe("limits", () => {
  test("a picture too large for the sandbox is out of memory, and the next prompt runs", async () => {
    for (const nodes of [{ "1": emptyImage(0, 16384, 16384), "2": saveImage("1") }, painting("huge", { steps: 1 }, 2048, 500)]) {
      const run = await comfy.run(nodes);
      expect(run.find(({ type }) => type === "execution_error")?.data).toMatchObject({ exception_type: "torch.OutOfMemoryError" });
    }
    expect((await comfy.run(quick(5))).some(({ type }) => type === "execution_success")).toBe(true);
  });

  test("a chain of two thousand nodes runs to its end", async () => {
    const nodes: Nodes = { "0": emptyImage(0x102030, 1, 1) };
    for (let id = 1; id <= 2000; id++) nodes[id] = { class_type: "ImageInvert", inputs: { image: [String(id - 1), 0] } };
    const id = await comfy.submit({ ...nodes, end: saveImage("2000") }, { client_id: "nobody" });
    while (Object.keys(await comfy.json<object>(`/history/${id}`)).length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    expect((await comfy.json<Record<string, { status: { status_str: string } }>>(`/history/${id}`))[id]?.status.status_str).toBe("success");
  });
});

describe("start and stop", () => {
  test("a second start finds outputs and models, and an empty temp folder", async () => {
    await comfy.run({ "1": emptyImage(1), "2": saveImage("1", "kept"), "3": { class_type: "PreviewImage", inputs: { images: ["1", 0] } } });
    const again = await startSandbox({ port: 0, dir: comfy.dir, stepMs: 0 });
    expect(await readdir(join(comfy.dir, "output"))).toEqual(["kept_00001_.png"]);
    expect(await readdir(join(comfy.dir, "temp"))).toEqual([]);
    expect(await (await fetch(`${again.url}/models/checkpoints`)).json()).toEqual(["sandbox-painter.safetensors"]);
    expect(await (await fetch(`${again.url}/view_metadata/checkpoints?filename=sandbox-painter.safetensors`)).json()).toMatchObject({ "modelspec.title": "Sandbox painter" });
    await again.close();
  });

  test("a taken port is an error, not a hang", async () => {
    await expect(startSandbox({ port: Number(new URL(comfy.url).port), dir: comfy.dir })).rejects.toMatchObject({ code: "EADDRINUSE" });
  });
});
