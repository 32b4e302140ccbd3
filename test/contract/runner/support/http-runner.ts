// A runner that listens (`http`, `http-once`), and dispatches for it as a provider would carry them.
import { signDispatch } from "../../../../gpu-adapter/canonical.ts";
import { type Dispatch, nextAnswer, runnerHealth, type RunnerHealth, type RunnerInfo } from "../../../../gpu-adapter/contract.ts";
import type { BoxRoom } from "./box-room.ts";
import { RunnerProcess } from "./runner-process.ts";

export const KEY = "a-key-shared-with-the-image";
export type HttpRunner = { process: RunnerProcess; url: string };

export async function startHttp(box: BoxRoom, mode: "http" | "http-once", args: string[] = []): Promise<HttpRunner> {
  const process = new RunnerProcess([mode, "--host", "127.0.0.1", "--port", "0", "--comfy", box.room.sandboxUrl, "--work-dir", box.workDir, "--allow-origin", box.weather.origin, ...args], { COMFYUME_DISPATCH_KEY: KEY });
  const { port } = await process.logged("listening");
  return { process, url: `http://127.0.0.1:${String(port)}` };
}

export async function health(url: string): Promise<{ status: number; body: RunnerHealth }> {
  const answer = await fetch(`${url}/health`);
  return { status: answer.status, body: runnerHealth.parse(await answer.json()) };
}

/** A dispatch of the real Worker, handed out to this runner's id, as a provider would carry it. */
export async function dispatchFor(box: BoxRoom, runner: RunnerInfo, detach: boolean, changes: Partial<Dispatch> = {}): Promise<Dispatch> {
  const answer = await fetch(`${box.weather.origin}/runner/v1/demo/pools/local/next`, {
    method: "POST",
    headers: { Authorization: `Bearer ${box.token}`, "Content-Type": "application/json" },
    body: JSON.stringify({ runner, wait_ms: 15_000 }),
  });
  const { work } = nextAnswer.parse(await answer.json());
  if (work === undefined) throw new Error("the Worker had no work");
  const { sig: _sig, ...rest } = { ...work.dispatch, detach, ...changes };
  return { ...rest, sig: await signDispatch(rest, KEY) };
}

export const post = async (url: string, body: unknown): Promise<Response> => fetch(`${url}/v1/jobs`, { method: "POST", body: typeof body === "string" ? body : JSON.stringify(body) });
