// The runner's own share of a job, on the warm path: from the claim to ComfyUI's execution_start, from a node's end to its files being stored, and
// from there to the browser's `executed`. Real Worker, real bundled runner, sandbox GPU, one seat, one job at a time.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { WebSocket } from "ws";
import { RUNNER_FILE } from "../build-runner.ts";
import { freePort, type Stack, startStack } from "../stack.ts";
import { percentile, rounded } from "./driver.ts";
import { howMany } from "./fault.ts";
import type { Row } from "./main.ts";

type Line = { ts: string; event: string; stage?: string; job?: string; overhead_ms?: number; ms?: number };
/** Runs before the first that counts: sockets, caches, just-in-time compilers. */
const WARM_UP = 5;

export async function run(args: string[], print: (row: Row) => void): Promise<void> {
  const rounds = howMany(args, "rounds", 60);
  const stateDir = mkdtempSync(join(tmpdir(), "comfyume-bench-runner-"));
  const stack = await startStack({ port: await freePort(), workshop: "bench", seats: 1, runners: 1, stateDir, workshopDir: join(stateDir, "workshop"), sandboxArgs: ["--instant"] });
  const lines: Line[] = [];
  let runner: ChildProcess | null = null;
  try {
    runner = await replaceRunner(stack, lines);
    const heard = await play(stack, rounds + WARM_UP);
    const values = (event: string, of: (line: Line) => number | undefined): number[] => lines.filter((line) => line.event === event).map(of).filter((value) => value !== undefined).slice(WARM_UP);
    const toBrowser = lines.flatMap((line) => (line.event === "stored" && line.job !== undefined && heard.has(line.job) ? [(heard.get(line.job) ?? 0) - Date.parse(line.ts)] : [])).slice(WARM_UP);
    const figures: [string, number[]][] = [
      ["claim_to_execution_start", values("run_started", (line) => line.overhead_ms)],
      ["executed_to_stored", values("stored", (line) => line.ms)],
      ["stored_to_browser", toBrowser],
    ];
    for (const [name, list] of figures) for (const [metric, p] of [["p50", 0.5], ["p95", 0.95]] as const) print({ suite: "runner", case: name, metric, value: rounded(percentile(list, p)), unit: "ms" });
  } finally {
    runner?.kill("SIGTERM");
    await stack.stop();
    rmSync(stateDir, { recursive: true, force: true });
  }
}

/** The stack's own runner goes home; one whose log can be read takes its place. */
async function replaceRunner(stack: Stack, lines: Line[]): Promise<ChildProcess> {
  const own = stack.children.get("runner1");
  const gone = new Promise<void>((resolve) => own?.once("exit", () => resolve()));
  own?.kill("SIGTERM");
  await gone;
  const answer = await fetch(`${stack.origin}/ops/v1/workshops/bench/pools/local/token`, { method: "POST", headers: { Authorization: `Bearer ${stack.operatorToken}`, "Content-Type": "application/json" }, body: "{}" });
  const { token } = (await answer.json()) as { token: string };
  const child = spawn(process.execPath, [RUNNER_FILE, "pull", "--platform", `${stack.origin}/runner/v1/bench`, "--pool", "local", "--comfy", stack.sandboxUrl], { env: { ...process.env, COMFYUME_TOKEN: token }, stdio: ["ignore", "pipe", "inherit"] });
  let rest = "";
  await new Promise<void>((resolve) => {
    child.stdout.on("data", (chunk: Buffer) => {
      const parts = (rest + chunk.toString()).split("\n");
      rest = parts.pop() ?? "";
      for (const part of parts) lines.push(JSON.parse(part) as Line);
      if (lines.some((line) => line.event === "socket_up") && lines.some((line) => line.event === "stage" && line.stage === "ready")) resolve();
    });
  });
  return child;
}

/** Runs jobs one after the other; answers when the browser heard each one's `executed` (ms since the epoch). */
async function play(stack: Stack, rounds: number): Promise<Map<string, number>> {
  const [seat] = stack.access.seats;
  if (seat === undefined) throw new Error("the bench has no seat");
  const url = seat.url.replace(/\/$/, "");
  const Authorization = `Basic ${Buffer.from(`${seat.username}:${seat.password}`).toString("base64")}`;
  const clientId = crypto.randomUUID();
  const heard = new Map<string, number>();
  const ended = new Map<string, () => void>();
  const socket = new WebSocket(`${url.replace(/^http/, "ws")}/ws?clientId=${clientId}`, { headers: { Authorization } });
  await new Promise<void>((resolve, reject) => {
    socket.once("open", () => resolve());
    socket.once("error", reject);
  });
  socket.on("message", (data: Buffer, binary: boolean) => {
    if (binary) return;
    const { type, data: said } = JSON.parse(data.toString()) as { type: string; data: { prompt_id?: string; node?: string | null } };
    if (type === "executed" && said.prompt_id !== undefined) heard.set(said.prompt_id, Date.now());
    if (type === "executing" && said.node === null && said.prompt_id !== undefined) ended.get(said.prompt_id)?.();
  });
  for (let round = 0; round < rounds; round++) {
    const job = crypto.randomUUID();
    const over = new Promise<void>((resolve) => ended.set(job, resolve));
    const prompt = { "1": { class_type: "EmptyImage", inputs: { width: 64, height: 64, batch_size: 1, color: round } }, "2": { class_type: "SaveImage", inputs: { images: ["1", 0], filename_prefix: "bench" } } };
    const answer = await fetch(`${url}/prompt`, { method: "POST", headers: { Authorization, "Content-Type": "application/json" }, body: JSON.stringify({ prompt, prompt_id: job, client_id: clientId }) });
    if (!answer.ok) throw new Error(`POST /prompt answered ${answer.status}`);
    await over;
  }
  socket.close();
  return heard;
}
