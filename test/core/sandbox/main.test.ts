// The command line: one JSON line when it listens, a clean end on a signal, a clear word on bad options.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { emptyImage, saveImage } from "./client.ts";

const MAIN = fileURLToPath(new URL("../../../gpu-adapter/sandbox/main.ts", import.meta.url));
let dir: string;
const children: ChildProcess[] = [];
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "sandbox-main-"));
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  await rm(dir, { recursive: true, force: true });
});

function start(...args: string[]): ChildProcess {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  children.push(child);
  return child;
}

async function ready(child: ChildProcess): Promise<{ event: string; url: string; port: number }> {
  const [line] = (await once(child.stdout!, "data")) as [Buffer];
  return JSON.parse(line.toString()) as { event: string; url: string; port: number };
}

async function ended(child: ChildProcess): Promise<{ code: number | null; stderr: string }> {
  let stderr = "";
  child.stderr!.on("data", (part: Buffer) => (stderr += part.toString()));
  const [code] = (await once(child, "close")) as [number | null];
  return { code, stderr };
}

describe("main.ts", () => {
  test.each(["SIGINT", "SIGTERM"] as const)("tells its address when it listens, and %s ends it with status 0", async (signal) => {
    const child = start("--port", "0", "--dir", dir, "--instant");
    const { event, url, port } = await ready(child);
    expect(event).toBe("sandbox_ready");
    expect(url).toBe(`http://127.0.0.1:${port}`);
    expect(await (await fetch(`${url}/prompt`)).json()).toEqual({ exec_info: { queue_remaining: 0 } });
    const end = ended(child);
    child.kill(signal);
    expect((await end).code).toBe(0);
  });

  test("the crash switch ends the process at the next node", async () => {
    const child = start("--port", "0", "--dir", dir);
    const { url } = await ready(child);
    const end = ended(child);
    await fetch(`${url}/sandbox/control`, { method: "POST", body: '{"crash": true}' });
    await fetch(`${url}/prompt`, { method: "POST", body: JSON.stringify({ prompt: { "1": emptyImage(), "2": saveImage("1") } }) }).catch(() => undefined);
    expect((await end).code).toBe(70);
  });

  test("a taken port is one clear sentence with the way out", async () => {
    const { port } = await ready(start("--port", "0", "--dir", dir));
    const { code, stderr } = await ended(start("--port", String(port), "--dir", dir));
    expect(code).toBe(2);
    expect(stderr).toBe(`Port ${port} is taken by another program: stop that one, or choose another with --port.\n`);
  });

  test.each([
    [["--port", "1"], "--dir is missing"],
    [["--dir", "x", "--port", "http"], "--port http is no port"],
    [["--dir", "x", "--step-ms", "slow"], "--step-ms slow is no number"],
    [["--dir", "x", "--wrong"], "--wrong"],
  ])("%j is refused in words", async (args, words) => {
    const { code, stderr } = await ended(start(...args));
    expect(code).toBe(2);
    expect(stderr).toContain(words);
    expect(stderr).toContain("usage:");
  });
});
