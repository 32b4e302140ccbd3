// The peer: BullMQ on a real Redis, behind plain Node HTTP servers, on this machine, in the same run. Redis writes its log to disk each second
// (`everysec`, what deployments use) or at every write (`always`, what "accepted means stored" takes).
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Queue, Worker } from "bullmq";
import { freePort } from "../stack.ts";
import { until } from "./driver.ts";

export type Fsync = "everysec" | "always";
/** bare: parse and add. whole: sign-in, validation and description as the product does them, then add. */
export type Front = "bare" | "whole";
export type Peer = {
  /** Address of the submit server of that kind. */
  urls: Record<Front, string>;
  queue: Queue;
  /** ms in which `workers` instant workers take `total` waiting jobs. */
  drain(workers: number, total: number): Promise<number>;
  /** A worker that takes one job at a time and calls `taken` the moment it has one. */
  worker(taken: (job: string) => void): Promise<Worker>;
  /** Takes every waiting job out. */
  clear(): Promise<void>;
  close(): Promise<void>;
};

/** False when Debian's redis-server is not installed: the suite then says so and goes on without its peer. */
export function hasRedis(): boolean {
  if (spawnSync("redis-server", ["--version"]).status === 0) return true;
  process.stderr.write("  peers skipped: redis-server is not installed (apt-get install redis-server)\n");
  return false;
}

async function startRedis(fsync: Fsync, dir: string): Promise<{ child: ChildProcess; port: number }> {
  const port = await freePort();
  const child = spawn("redis-server", ["--port", String(port), "--bind", "127.0.0.1", "--dir", dir, "--appendonly", "yes", "--appendfsync", fsync, "--save", "", "--loglevel", "warning"], { stdio: "ignore" });
  await until("the start of redis-server", 10_000, () => spawnSync("redis-cli", ["-p", String(port), "ping"]).stdout?.toString().startsWith("PONG") ?? false, 50);
  return { child, port };
}

async function startFront(redisPort: number, front: Front): Promise<{ child: ChildProcess; url: string }> {
  const child = spawn(process.execPath, [join(import.meta.dirname, "peer-server.ts"), String(redisPort), "bench", front], { stdio: ["ignore", "pipe", "inherit"] });
  if (child.stdout === null) throw new Error("the peer's server has no output");
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  return { child, url: `http://127.0.0.1:${Number(line.toString())}/` };
}

export async function startPeer(fsync: Fsync): Promise<Peer> {
  const dir = mkdtempSync(join(tmpdir(), "comfyume-redis-"));
  const redis = await startRedis(fsync, dir);
  const connection = { host: "127.0.0.1", port: redis.port };
  const queue = new Queue("bench", { connection });
  await queue.waitUntilReady();
  const [bare, whole] = await Promise.all([startFront(redis.port, "bare"), startFront(redis.port, "whole")]);
  const worker = async (taken: (job: string) => void, concurrency = 1): Promise<Worker> => {
    const made = new Worker("bench", async (job) => void taken(job.id ?? ""), { connection, concurrency, autorun: false });
    made.on("error", () => undefined);
    await made.waitUntilReady();
    return made;
  };
  return {
    urls: { bare: bare.url, whole: whole.url },
    queue,
    drain: async (workers, total) => await drain(await Promise.all(Array.from({ length: workers }, () => worker(() => undefined))), total),
    worker: async (taken) => {
      const made = await worker(taken);
      void made.run();
      return made;
    },
    clear: async () => await queue.obliterate({ force: true }),
    close: async () => {
      await queue.close();
      for (const child of [bare.child, whole.child, redis.child]) {
        child.kill("SIGTERM");
        await once(child, "exit");
      }
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** From the moment the ready workers are let loose until the last job is stored as completed. */
async function drain(workers: Worker[], total: number): Promise<number> {
  let done = 0;
  const began = performance.now();
  const ms = await new Promise<number>((resolve) => {
    for (const worker of workers) {
      worker.on("completed", () => {
        if (++done === total) resolve(performance.now() - began);
      });
      void worker.run();
    }
  });
  await Promise.all(workers.map((worker) => worker.close(true)));
  return ms;
}
