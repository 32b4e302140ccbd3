// The whole product as `npm start` runs it (wrangler dev, real runner, sandbox GPU): how long until it is ready, what it takes in memory, and what the
// platform adds to a job: from the answer to POST /prompt until the page hears its end, less ComfyUI's own execution time.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { WebSocket } from "ws";
import { freePort, type Stack, startStack } from "../stack.ts";
import { percentile, rounded } from "./driver.ts";
import { nothing } from "./fault.ts";
import type { Row } from "./main.ts";

/** Runs before the first that counts: sockets, caches, just-in-time compilers. */
const WARM_UP = 5;
const RUNS = 40;

type Heard = { type: string; data: { prompt_id?: string; node?: string | null; timestamp?: number } };

function graph(n: number): Record<string, unknown> {
  return {
    "1": { class_type: "EmptyImage", inputs: { width: 64, height: 64, batch_size: 1, color: n } },
    "2": { class_type: "SaveImage", inputs: { images: ["1", 0], filename_prefix: "bench" } },
  };
}

/** ms the platform added to one job: submit answered to `executing null` heard, minus execution_start to execution_success on ComfyUI's clock. */
async function overhead(url: string, authorization: string, socket: WebSocket, clientId: string, n: number): Promise<number> {
  let job: string | null = null;
  let answered = 0;
  let [started, finished] = [0, 0];
  const ended = new Promise<number>((resolve) => {
    const hear = (data: Buffer, binary: boolean): void => {
      if (binary) return;
      const { type, data: said } = JSON.parse(data.toString()) as Heard;
      if (type === "execution_start") started = said.timestamp ?? 0;
      if (type === "execution_success") finished = said.timestamp ?? 0;
      if (type !== "executing" || said.node !== null || (job !== null && said.prompt_id !== job)) return;
      socket.off("message", hear);
      resolve(performance.now());
    };
    socket.on("message", hear);
  });
  const answer = await fetch(`${url}/prompt`, { method: "POST", headers: { Authorization: authorization }, body: JSON.stringify({ prompt: graph(n), client_id: clientId }) });
  job = ((await answer.json()) as { prompt_id: string }).prompt_id;
  answered = performance.now();
  return (await ended) - answered - (finished - started);
}

/** Resident memory in MB of every process of the stack, children's children included. */
function memory(stack: Stack): Map<string, number> {
  const parents = new Map<number, number>();
  const pages = new Map<number, number>();
  for (const name of readdirSync("/proc").filter((entry) => /^\d+$/.test(entry))) {
    try {
      parents.set(Number(name), Number(/^\d+ \(.*\) \S+ (\d+)/s.exec(readFileSync(`/proc/${name}/stat`, "utf8"))?.[1]));
      pages.set(Number(name), Number(readFileSync(`/proc/${name}/statm`, "utf8").split(" ")[1]));
    } catch {
      // ended meanwhile
    }
  }
  const below = (pid: number): number => (pages.get(pid) ?? 0) + [...parents].filter(([, parent]) => parent === pid).reduce((sum, [child]) => sum + below(child), 0);
  return new Map([...stack.children].map(([name, child]) => [name, (below(child.pid ?? -1) * 4096) / 1e6]));
}

export async function run(args: string[], print: (row: Row) => void): Promise<void> {
  nothing(args);
  const stateDir = mkdtempSync(join(tmpdir(), "comfyume-bench-run-"));
  const options = { workshop: "bench", seats: 20, runners: 1, stateDir, workshopDir: join(stateDir, "workshop"), sandboxArgs: ["--instant"] };
  const started: number[] = [];
  let stack: Stack | null = null;
  try {
    for (let n = 0; n < 3; n++) {
      await stack?.stop();
      const began = performance.now();
      stack = await startStack({ ...options, port: await freePort() });
      started.push(performance.now() - began);
    }
    if (stack === null) return;
    print({ suite: "run", case: "start", metric: "ready_p50", value: rounded(percentile(started, 0.5) / 1000), unit: "s" });
    const [seat] = stack.access.seats;
    if (!seat) throw new Error("the bench has no seat");
    const url = seat.url.replace(/\/$/, "");
    const authorization = `Basic ${Buffer.from(`${seat.username}:${seat.password}`).toString("base64")}`;
    const clientId = crypto.randomUUID();
    const socket = new WebSocket(`${url.replace(/^http/, "ws")}/ws?clientId=${clientId}`, { headers: { Authorization: authorization } });
    await new Promise((resolve) => socket.once("open", resolve));
    const each: number[] = [];
    for (let n = 0; n < WARM_UP + RUNS; n++) each.push(await overhead(url, authorization, socket, clientId, n + 1));
    socket.close();
    const counted = each.slice(WARM_UP);
    for (const [metric, p] of [["p50", 0.5], ["p95", 0.95]] as const) print({ suite: "run", case: "overhead", metric, value: rounded(percentile(counted, p)), unit: "ms" });
    for (const [name, megabytes] of memory(stack)) print({ suite: "run", case: "memory", metric: name, value: rounded(megabytes, 0), unit: "MB" });
  } finally {
    await stack?.stop();
    rmSync(stateDir, { recursive: true, force: true });
  }
}
