// The peer: BullMQ on a real Redis, behind a plain Node HTTP server, on this machine, in the same run. Redis writes its log to disk each second
// (`everysec`, what deployments use) or at every write (`always`, what "accepted means stored" takes).
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Job, Queue, Worker } from "bullmq";
import { freePort } from "../stack.ts";

export type Fsync = "everysec" | "always";
export type Peer = { url: string; queue: Queue; connection: { host: string; port: number }; drain(workers: number, total: number): Promise<number>; close(): Promise<void> };

/** False when Debian's redis-server is not installed: the suite then says so and goes on without its peer. */
export function hasRedis(): boolean {
  return spawnSync("redis-server", ["--version"]).status === 0;
}

async function startRedis(fsync: Fsync, dir: string): Promise<{ child: ChildProcess; port: number }> {
  const port = await freePort();
  const child = spawn("redis-server", ["--port", String(port), "--bind", "127.0.0.1", "--dir", dir, "--appendonly", "yes", "--appendfsync", fsync, "--save", "", "--loglevel", "warning"], { stdio: "ignore" });
  for (let tries = 0; tries < 100; tries++) {
    if (spawnSync("redis-cli", ["-p", String(port), "ping"]).stdout?.toString().startsWith("PONG")) return { child, port };
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("redis-server did not start");
}

/** A submit endpoint as such systems have it: parse the body, check it is a graph, add it to the queue. */
function submitServer(queue: Queue): Server {
  return createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const body = JSON.parse(Buffer.concat(chunks).toString()) as { prompt: object };
      queue.add("prompt", body, { removeOnComplete: true }).then(
        (job) => response.end(JSON.stringify({ prompt_id: job.id })),
        (error: Error) => response.writeHead(500).end(error.message),
      );
    });
  });
}

export async function startPeer(fsync: Fsync): Promise<Peer> {
  const dir = mkdtempSync(join(tmpdir(), "comfyume-redis-"));
  const { child, port } = await startRedis(fsync, dir);
  const connection = { host: "127.0.0.1", port };
  const queue = new Queue("bench", { connection });
  await queue.waitUntilReady();
  const server = submitServer(queue);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    url: `http://127.0.0.1:${address.port}/`,
    queue,
    connection,
    drain: async (workers, total) => await drain(connection, workers, total),
    close: async () => {
      server.close();
      server.closeAllConnections();
      await queue.close();
      child.kill("SIGTERM");
      await once(child, "exit");
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** ms in which `workers` instant workers take `total` waiting jobs. */
async function drain(connection: { host: string; port: number }, workers: number, total: number): Promise<number> {
  let done = 0;
  const began = performance.now();
  return await new Promise((resolve) => {
    const all: Worker[] = [];
    const finish = async (_job: Job): Promise<void> => {
      if (++done === total) {
        resolve(performance.now() - began);
        setTimeout(() => void Promise.all(all.map((worker) => worker.close(true))), 0);
      }
    };
    for (let n = 0; n < workers; n++) {
      const worker = new Worker("bench", async () => ({ ok: true }), { connection, concurrency: 1 });
      worker.on("completed", (job) => void finish(job));
      worker.on("error", () => undefined);
      all.push(worker);
    }
  });
}
