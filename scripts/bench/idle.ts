// Idle: how long after its last work a workshop leaves memory, with pages open on every seat and a runner that waits for work. That it left is told by its
// ETags, which begin anew with each waking; asking wakes it, so each try waits from the start.
import { WebSocket } from "ws";
import { makeAgent, post, type Print, sleep } from "./driver.ts";
import { nothing } from "./fault.ts";
import { PoolRunner } from "./pool-runners.ts";
import { asTarget, type Product, startProduct } from "./product.ts";
import { promptBody } from "./workload.ts";

const SEATS = 20;
/** Seconds without a request, tried in this order; the runtime itself waits 10. */
const TRIES_S = [11, 13, 15, 20];

export async function run(args: string[], print: Print): Promise<void> {
  nothing(args);
  const product = await startProduct(SEATS, 1);
  const pages: WebSocket[] = [];
  try {
    for (const { seat, cookie } of product.seats) pages.push(await openPage(product, seat, cookie));
    const runner = await PoolRunner.connect(product, "idle");
    await oneJob(product, runner);
    const seconds = await untilAsleep(product);
    if (seconds === null) process.stderr.write(`  the workshop had not left memory after ${TRIES_S.at(-1)} s\n`);
    else print({ suite: "idle", case: `${SEATS}pages+runner`, metric: "asleep_within", value: seconds, unit: "s" });
    print({ suite: "idle", case: `${SEATS}pages+runner`, metric: "pages_still_open", value: pages.filter((page) => page.readyState === WebSocket.OPEN).length, unit: "pages" });
    runner.close();
  } finally {
    for (const page of pages) page.terminate();
    await product.close();
  }
}

/** A page as the stock frontend opens it, feature flags included. */
async function openPage(product: Product, seat: string, cookie: string): Promise<WebSocket> {
  const page = new WebSocket(`${product.url.replace(/^http/, "ws")}/bench/${seat}/ws?clientId=idle`, { headers: { cookie }, perMessageDeflate: false });
  await new Promise((resolve, reject) => page.once("open", resolve).once("error", reject));
  page.send(JSON.stringify({ type: "feature_flags", data: { supports_preview_metadata: true } }));
  return page;
}

async function oneJob(product: Product, runner: PoolRunner): Promise<void> {
  const agent = makeAgent(1);
  const target = asTarget(product);
  const ended = new Promise<void>((resolve) => {
    runner.onWork = (work) => runner.succeed(work, true);
    runner.onResultAck = () => resolve();
  });
  runner.next();
  await post(agent, target.url(0), promptBody(1, 8_000), target.headers(0));
  await ended;
  agent.destroy();
}

async function series(product: Product): Promise<string> {
  const [seat] = product.seats;
  const answer = await fetch(`${product.url}/bench/${seat?.seat}/queue`, { headers: { cookie: seat?.cookie ?? "" } });
  await answer.text();
  return /queue-(\w+)/.exec(answer.headers.get("etag") ?? "")?.[1] ?? "";
}

async function untilAsleep(product: Product): Promise<number | null> {
  for (const seconds of TRIES_S) {
    const before = await series(product);
    await sleep(seconds * 1000);
    if ((await series(product)) !== before) return seconds;
  }
  return null;
}
