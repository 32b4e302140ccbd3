// Fan-out: how long until every open page of a seat has heard that its queue changed, beside the time the same runtime needs to send those bytes bare;
// and twenty seats whose runs report four times a second, relayed without falling behind.
import { Miniflare } from "miniflare";
import { WebSocket } from "ws";
import { makeAgent, percentile, post, rounded } from "./driver.ts";
import { nothing } from "./fault.ts";
import type { Row } from "./main.ts";
import { PoolRunner } from "./pool-runners.ts";
import { type Product, startProduct } from "./product.ts";
import { promptBody } from "./workload.ts";

const SOCKETS = [20, 200, 1000];
const ROUNDS = 9;
const RELAY_SECONDS = 5;
const RELAY_PER_SECOND = 4;

/** The floor: an object that does nothing but send the same bytes to every socket when it is asked to. */
const BARE = `
import { DurableObject } from "cloudflare:workers";
export class Bare extends DurableObject {
  async fetch(request) {
    if (request.headers.get("upgrade")) { const pair = new WebSocketPair(); this.ctx.acceptWebSocket(pair[1]); return new Response(null, { status: 101, webSocket: pair[0] }); }
    const text = await request.text();
    for (const socket of this.ctx.getWebSockets()) socket.send(text);
    return new Response("sent");
  }
}
export default { fetch: (request, env) => env.BARE.getByName("bare").fetch(request) };
`;

/** Opens `count` sockets; `onMessage` hears every text message of each. */
async function openSockets(url: string, headers: Record<string, string>, count: number, onMessage: (text: string) => void): Promise<WebSocket[]> {
  const sockets: WebSocket[] = [];
  for (let n = 0; n < count; n += 50) {
    const batch = Array.from({ length: Math.min(50, count - n) }, () => new WebSocket(url, { headers, perMessageDeflate: false }));
    await Promise.all(batch.map((socket) => new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject))));
    for (const socket of batch) socket.on("message", (data: Buffer) => onMessage(data.toString()));
    sockets.push(...batch);
  }
  return sockets;
}

/** ms from `act` until `count` more messages that `fits` have come in, over all sockets. */
async function untilAllHeard(count: number, hear: { on: (text: string) => void }, fits: (text: string) => boolean, act: () => Promise<unknown>): Promise<number> {
  let heard = 0;
  const done = new Promise<void>((resolve) => {
    hear.on = (text) => {
      if (fits(text) && ++heard === count) resolve();
    };
  });
  const began = performance.now();
  await Promise.all([act(), done]);
  return performance.now() - began;
}

async function ours(product: Product, count: number): Promise<number[]> {
  const [seat] = product.seats;
  if (!seat) throw new Error("the bench has no seat");
  const hear = { on: (_text: string): void => undefined };
  const sockets = await openSockets(`${product.url.replace(/^http/, "ws")}/bench/${seat.seat}/ws`, { cookie: seat.cookie }, count, (text) => hear.on(text));
  const agent = makeAgent(1);
  const each: number[] = [];
  for (let n = 0; n < ROUNDS; n++) {
    each.push(await untilAllHeard(count, hear, (text) => text.startsWith('{"type":"status"'), async () => await post(agent, `${product.url}/bench/${seat.seat}/prompt`, promptBody(n, 8000), { cookie: seat.cookie })));
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  agent.destroy();
  for (const socket of sockets) socket.terminate();
  return each;
}

async function bare(count: number): Promise<number[]> {
  const miniflare = new Miniflare({
    port: 0,
    workers: [{ config: { name: "bare", compatibilityDate: "2026-11-02", manifest: { mainModule: "index.js", modules: { "index.js": { type: "esm", contents: BARE } } }, env: { BARE: { type: "durable-object", exportName: "Bare", worker: "bare" } }, exports: { Bare: { type: "durable-object", storage: "sqlite" } } }, dev: { unsafeDirectSockets: [{}] } }],
  });
  await miniflare.ready;
  const url = String(await miniflare.unsafeGetDirectURL());
  const hear = { on: (_text: string): void => undefined };
  const sockets = await openSockets(url.replace(/^http/, "ws"), {}, count, (text) => hear.on(text));
  const agent = makeAgent(1);
  const frame = JSON.stringify({ type: "status", data: { status: { exec_info: { queue_remaining: 1 } } } });
  const each: number[] = [];
  for (let n = 0; n < ROUNDS; n++) {
    each.push(await untilAllHeard(count, hear, () => true, async () => await post(agent, url, frame, {})));
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  agent.destroy();
  for (const socket of sockets) socket.terminate();
  await miniflare.dispose();
  return each;
}

/** Lag in ms from a runner's progress event to the page, twenty seats at four events a second each. */
async function relay(product: Product): Promise<number[]> {
  const lags: number[] = [];
  const sockets: WebSocket[] = [];
  const agent = makeAgent(20);
  const runners = await Promise.all(product.seats.map(async (_, n) => await PoolRunner.connect(product, `relay-${n}`)));
  const timers: NodeJS.Timeout[] = [];
  for (const runner of runners) {
    runner.onWork = (work) => {
      runner.comfy(work, "execution_start", { prompt_id: work.dispatch.job_id, timestamp: Date.now() });
      timers.push(setInterval(() => runner.comfy(work, "progress", { prompt_id: work.dispatch.job_id, node: "1", value: 1, max: 10, sent: performance.now() }), 1000 / RELAY_PER_SECOND));
    };
    runner.next();
  }
  for (const seat of product.seats) {
    sockets.push(...(await openSockets(`${product.url.replace(/^http/, "ws")}/bench/${seat.seat}/ws?clientId=bench`, { cookie: seat.cookie }, 1, (text) => {
      const sent = /"sent":([\d.]+)/.exec(text)?.[1];
      if (sent !== undefined) lags.push(performance.now() - Number(sent));
    })));
  }
  await Promise.all(product.seats.map(async (seat, n) => await post(agent, `${product.url}/bench/${seat.seat}/prompt`, promptBody(500 + n, 8000), { cookie: seat.cookie })));
  await new Promise((resolve) => setTimeout(resolve, RELAY_SECONDS * 1000));
  for (const timer of timers) clearInterval(timer);
  agent.destroy();
  for (const socket of sockets) socket.terminate();
  for (const runner of runners) runner.close();
  return lags;
}

export async function run(args: string[], print: (row: Row) => void): Promise<void> {
  nothing(args);
  for (const count of SOCKETS) {
    const product = await startProduct(1, 1);
    const mine = percentile(await ours(product, count), 0.5);
    await product.close();
    const floor = percentile(await bare(count), 0.5);
    print({ suite: "fanout", case: `${count}`, metric: "all_heard_p50", value: rounded(mine), unit: "ms" });
    print({ suite: "fanout", case: `${count}/bare`, metric: "all_heard_p50", value: rounded(floor), unit: "ms" });
    print({ suite: "fanout", case: `${count}`, metric: "ratio_to_bare", value: rounded(mine / floor), unit: "x" });
  }
  const product = await startProduct(20, 20);
  const lags = await relay(product);
  await product.close();
  print({ suite: "fanout", case: "relay20x4", metric: "events", value: lags.length, unit: "events" });
  for (const [metric, p] of [["lag_p50", 0.5], ["lag_p95", 0.95]] as const) print({ suite: "fanout", case: "relay20x4", metric, value: rounded(percentile(lags, p)), unit: "ms" });
}
