// What twenty pages refetch all day, for a seat that has worked hard: its queue, its history and its jobs, with 5,000 finished prompts of 8 to 30 KB and 20
// waiting ones. `fresh`: the whole answer; `unchanged`: asked with the validator of the last one. Then the whole history, once.
import { request } from "node:http";
import type { Row } from "./main.ts";
import { type Answer, makeAgent, percentile, post, rounded } from "./driver.ts";
import { howMany } from "./fault.ts";
import { type Product, startProduct } from "./product.ts";
import { promptBody, promptSize } from "./workload.ts";

const ENTRIES = 5000;
const WAITING = 20;
const ASKED = 200;
/** Prompts submitted and ended at a time while the history is made. */
const BATCH = 100;

const PATHS: [string, string][] = [
  ["queue", "/queue"],
  ["history", "/history?max_items=64"],
  ["jobs live", "/api/jobs?status=in_progress,pending&limit=200&offset=0"],
  ["jobs ended", "/api/jobs?status=completed,failed,cancelled&limit=200&offset=0"],
  ["jobs last page", `/api/jobs?status=completed&limit=200&offset=${ENTRIES - 200}`],
  ["jobs by duration", "/api/jobs?status=completed&sort_by=execution_duration&limit=64"],
];

type Got = Answer & { etag: string; bytes: number };

async function get(agent: ReturnType<typeof makeAgent>, url: string, headers: Record<string, string>): Promise<Got> {
  const began = performance.now();
  return await new Promise((resolve, reject) => {
    const call = request(url, { agent, headers }, (answer) => {
      let bytes = 0;
      answer.on("data", (chunk: Buffer) => (bytes += chunk.byteLength));
      answer.on("end", () => resolve({ status: answer.statusCode ?? 0, body: "", bytes, etag: answer.headers.etag ?? "", ms: performance.now() - began }));
      answer.on("error", reject);
    });
    call.on("error", reject);
    call.end();
  });
}

/** Submits `count` prompts of the first seat and lets a runner that does nothing end them, over the same HTTP a runner speaks. */
async function work(product: Product, count: number, from: number): Promise<void> {
  const agent = makeAgent(8);
  await submit(product, agent, count, from);
  const runner = { id: "bench-runner", version: "1", mode: "pull" };
  const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });
  for (let done = 0; done < count; done++) {
    const next = JSON.parse((await post(agent, `${product.url}/runner/v1/bench/pools/bench/next`, JSON.stringify({ runner, wait_ms: 10_000 }), bearer(product.poolToken))).body) as { work?: { dispatch: { job_id: string; attempt: number; callback: { token: string } }; claim: { lease_id: string } } };
    if (!next.work) throw new Error("the runner got no work");
    const { dispatch, claim } = next.work;
    const timestamp = Date.now();
    const result = {
      lease_id: claim.lease_id, status: "succeeded", files: [], runner, timings: { exec_ms: (done * 37) % 5000 },
      comfy_outputs: { "9": { text: ["a sentence that a node said about its picture"], seed: [done] } },
      comfy_messages: [["execution_start", { prompt_id: dispatch.job_id, timestamp }], ["execution_cached", { nodes: ["1", "2"], prompt_id: dispatch.job_id, timestamp }], ["execution_success", { prompt_id: dispatch.job_id, timestamp }]],
      comfy_meta: { "9": { node_id: "9", display_node: "9", parent_node: null, real_node_id: "9" } },
    };
    const ended = await post(agent, `${product.url}/runner/v1/bench/jobs/${dispatch.job_id}/attempts/${dispatch.attempt}/result`, JSON.stringify(result), bearer(dispatch.callback.token));
    if (ended.status !== 200) throw new Error(`result: ${ended.status} ${ended.body.slice(0, 200)}`);
  }
  agent.destroy();
}

async function submit(product: Product, agent: ReturnType<typeof makeAgent>, count: number, from: number): Promise<void> {
  const [seat] = product.seats;
  await Promise.all(
    Array.from({ length: count }, async (_, n) => {
      const answer = await post(agent, `${product.url}/bench/${seat?.seat}/prompt`, promptBody(from + n, promptSize(from + n)), { authorization: seat?.authorization ?? "" });
      if (answer.status !== 200) throw new Error(`submit: ${answer.status} ${answer.body.slice(0, 200)}`);
    }),
  );
}

export async function run(args: string[], print: (row: Row) => void): Promise<void> {
  const entries = howMany(args, "entries", ENTRIES);
  const product = await startProduct(2, 1);
  const [seat] = product.seats;
  const agent = makeAgent(1);
  const base = `${product.url}/bench/${seat?.seat}`;
  const headers = { authorization: seat?.authorization ?? "" };
  try {
    for (let from = 0; from < entries; from += BATCH) await work(product, Math.min(BATCH, entries - from), from);
    await submit(product, agent, WAITING, entries);
    for (const [name, path] of PATHS) {
      const fresh: number[] = [];
      const unchanged: number[] = [];
      let last = await get(agent, base + path, headers);
      for (let n = 0; n < ASKED; n++) {
        last = await get(agent, base + path, headers);
        if (last.status !== 200) throw new Error(`${path}: ${last.status}`);
        fresh.push(last.ms);
        const again = await get(agent, base + path, { ...headers, "if-none-match": last.etag });
        if (again.status !== 304) throw new Error(`${path}: ${again.status} where nothing had changed`);
        unchanged.push(again.ms);
      }
      for (const [metric, p] of [["p50", 0.5], ["p95", 0.95]] as const) {
        print({ suite: "history", case: `${name}, fresh`, metric, value: rounded(percentile(fresh, p)), unit: "ms" });
        print({ suite: "history", case: `${name}, unchanged`, metric, value: rounded(percentile(unchanged, p)), unit: "ms" });
      }
      print({ suite: "history", case: `${name}, fresh`, metric: "body", value: rounded(last.bytes / 1000, 1), unit: "kB" });
    }
    const whole = await get(agent, `${base}/history`, headers);
    print({ suite: "history", case: `all ${entries} entries`, metric: "time", value: rounded(whole.ms), unit: "ms" });
    print({ suite: "history", case: `all ${entries} entries`, metric: "body", value: rounded(whole.bytes / 1e6, 1), unit: "MB" });
  } finally {
    agent.destroy();
    await product.close();
  }
}
