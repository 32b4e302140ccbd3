// A workshop whose runner is the test's own: the real Worker, the real sandbox GPU, the real runner, and weather between runner and Worker.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openRoom, type Room } from "../../../e2e/support/room.ts";
import { RunnerProcess } from "./runner-process.ts";
import { Weather } from "./weather.ts";

export type BoxRoom = { room: Room; weather: Weather; token: string; workDir: string; start(args?: string[], env?: Record<string, string>): RunnerProcess; control(switches: object): Promise<void>; end(): Promise<void> };

/** Opens the room and sends its own runner home. */
export async function openBoxRoom(options: Parameters<typeof openRoom>[0] = {}): Promise<BoxRoom> {
  const room = await openRoom({ seats: 8, leaseMs: 6000, ...options });
  const weather = new Weather(room.origin);
  const origin = await weather.open();
  const workDir = mkdtempSync(join(tmpdir(), "comfyume-runner-"));
  const answer = await fetch(`${room.origin}/ops/v1/workshops/demo/pools/local/token`, { method: "POST", headers: { Authorization: `Bearer ${room.operatorToken}`, "Content-Type": "application/json" }, body: "{}" });
  const { token } = (await answer.json()) as { token: string };
  const own = room.children.get("runner1");
  const gone = new Promise<void>((resolve) => own?.once("exit", () => resolve()));
  own?.kill("SIGTERM");
  await gone;
  const started: RunnerProcess[] = [];
  return {
    room,
    weather,
    token,
    workDir,
    start: (args = [], env = {}) => {
      const runner = new RunnerProcess(["pull", "--platform", `${origin}/runner/v1/demo`, "--pool", "local", "--comfy", room.sandboxUrl, "--work-dir", workDir, ...args], { COMFYUME_TOKEN: token, ...env });
      started.push(runner);
      return runner;
    },
    control: async (switches) => {
      const changed = await fetch(`${room.sandboxUrl}/sandbox/control`, { method: "POST", body: JSON.stringify(switches) });
      if (!changed.ok) throw new Error(await changed.text());
    },
    end: async () => {
      await Promise.all(started.map((runner) => runner.stop()));
      weather.close();
      await room.end();
      rmSync(workDir, { recursive: true, force: true });
    },
  };
}

/** The status line of a job's history, and the code of its failure when there is one. */
export function failureOf(entry: { status: { messages: [string, Record<string, unknown>][] } }): Record<string, unknown> {
  return entry.status.messages.findLast(([name]) => name === "execution_error" || name === "execution_interrupted")?.[1] ?? {};
}
