// Drain: 16 instant runners take what waits. Hands: one idle runner, one prompt; how long from the first byte of the submit to the work in its hands.
// Beside both, round by round, BullMQ with as many workers in this same process: as it is mostly set up (`everysec`, a finished job is removed), and with
// the promises the product keeps (`kept`: each end is on the disk before it counts, and a finished job is still there).
import { makeAgent, median, percentile, post, type Print, rounded, sleep, until } from "./driver.ts";
import { howMany } from "./fault.ts";
import { type Front, hasRedis, type Peer, startPeer } from "./peer-bullmq.ts";
import { drain, PoolRunner } from "./pool-runners.ts";
import { asTarget, type Product, startProduct } from "./product.ts";
import { burst } from "./submit.ts";
import { promptBody, promptSize } from "./workload.ts";

const RUNNERS = 16;
const USERS = 20;
const JOBS = 1000;
const ROUNDS = 5;
/** Prompts of one round of "hands", one after the other. */
const PROMPTS = 60;

export async function run(args: string[], print: Print): Promise<void> {
  const rounds = howMany(args, "rounds", ROUNDS);
  const product = await startProduct(USERS, RUNNERS);
  const peers: Drained[] = [];
  if (hasRedis()) for (const [name, fsync] of [["bullmq", "everysec"], ["bullmq-kept", "always"]] as const) peers.push({ name, peer: await startPeer(fsync), ms: [] });
  try {
    await drains(product, peers, rounds, print);
    await hands(product, peers[0]?.peer ?? null, rounds, print);
  } finally {
    for (const { peer } of peers) await peer.close();
    await product.close();
  }
}

type Drained = { name: "bullmq" | "bullmq-kept"; peer: Peer; ms: number[] };

async function drains(product: Product, peers: Drained[], rounds: number, print: Print): Promise<void> {
  const ours: number[] = [];
  for (let round = 0; round <= rounds; round++) {
    const mine = await drainProduct(product, round);
    for (const { name, peer, ms } of peers) ms.push(await drainPeer(peer, round, name === "bullmq-kept"));
    // The first round warms all of them up.
    if (round > 0) ours.push(mine);
  }
  const rate = (ms: number): number => JOBS / (ms / 1000);
  print({ suite: "drain", case: `product/${RUNNERS}`, metric: "throughput", value: rounded(median(ours.map(rate)), 1), unit: "jobs/s" });
  for (const { name, ms } of peers) {
    const theirs = ms.slice(1);
    print({ suite: "peers", case: `drain/${name}/${RUNNERS}`, metric: "throughput", value: rounded(median(theirs.map(rate)), 1), unit: "jobs/s" });
    print({ suite: "peers", case: `drain/product:${name}/${RUNNERS}`, metric: "throughput_ratio", value: rounded(median(ours.map((mine, n) => (theirs[n] ?? mine) / mine))), unit: "x" });
  }
}

async function drainProduct(product: Product, round: number): Promise<number> {
  await burst(asTarget(product), USERS, JOBS / USERS, round * JOBS);
  const runners = await Promise.all(Array.from({ length: RUNNERS }, async (_, n) => await PoolRunner.connect(product, `r${round}-${n}`)));
  const ms = await drain(runners, JOBS);
  for (const runner of runners) runner.close();
  await noRunners(product);
  return ms;
}

async function drainPeer(peer: Peer, round: number, kept: boolean): Promise<number> {
  const jobs = Array.from({ length: JOBS }, (_, n) => ({ name: "prompt", data: JSON.parse(promptBody(round * JOBS + n, promptSize(n))) as object, opts: { removeOnComplete: !kept } }));
  await peer.queue.addBulk(jobs);
  return await peer.drain(RUNNERS, JOBS);
}

/** Until the workshop has noticed that its runners hung up, so that nothing is dispatched to them. */
export async function noRunners(product: Product): Promise<void> {
  await until("the leave of all runners", 10_000, async () => {
    const { health } = (await product.ops("GET", "/workshops/bench/health")) as { health: { runners: unknown[] } };
    return health.runners.length === 0;
  });
}

type Hand = { name: string; ms: number[]; once(n: number): Promise<number> };

async function hands(product: Product, peer: Peer | null, rounds: number, print: Print): Promise<void> {
  const runner = await PoolRunner.connect(product, "hands");
  const agent = makeAgent(1);
  const ours: Hand = { name: "product", ms: [], once: (n) => inProduct(product, runner, agent, n) };
  let taken: () => void = () => undefined;
  const worker = await peer?.worker(() => taken());
  const inPeer = (front: Front) => async (n: number): Promise<number> => {
    const began = performance.now();
    const arrived = new Promise<number>((resolve) => (taken = () => resolve(performance.now() - began)));
    await post(agent, peer?.urls[front] ?? "", promptBody(n, promptSize(n)), asTarget(product).headers(0));
    return await arrived;
  };
  const theirs: Hand[] = peer === null ? [] : (["bare", "whole"] as const).map((front) => ({ name: `bullmq-${front}`, ms: [], once: inPeer(front) }));
  runner.next();
  for (let round = 0; round <= rounds; round++) {
    for (const hand of [ours, ...theirs]) {
      for (let n = 0; n < PROMPTS; n++) {
        const ms = await hand.once(round * PROMPTS + n);
        if (round > 0) hand.ms.push(ms);
        // Idle again before the next comes.
        await sleep(2);
      }
    }
  }
  for (const hand of [ours, ...theirs]) {
    const mine = hand === ours;
    for (const [metric, p] of [["p50", 0.5], ["p95", 0.95]] as const) print({ suite: mine ? "drain" : "peers", case: mine ? "hands/product" : `hands/${hand.name}`, metric, value: rounded(percentile(hand.ms, p)), unit: "ms" });
  }
  for (const hand of theirs) print({ suite: "peers", case: `hands/product:${hand.name}`, metric: "p50_ratio", value: rounded(median(ours.ms) / median(hand.ms)), unit: "x" });
  agent.destroy();
  runner.close();
  await worker?.close(true);
}

async function inProduct(product: Product, runner: PoolRunner, agent: ReturnType<typeof makeAgent>, n: number): Promise<number> {
  const target = asTarget(product);
  const began = performance.now();
  const ended = new Promise<number>((resolve) => {
    runner.onWork = (work) => {
      const ms = performance.now() - began;
      runner.onResultAck = () => resolve(ms);
      runner.succeed(work, true);
    };
  });
  const answer = await post(agent, target.url(n), promptBody(n, promptSize(n)), target.headers(n));
  if (answer.status !== 200) throw new Error(`submit answered ${answer.status}: ${answer.body.slice(0, 300)}`);
  return await ended;
}
