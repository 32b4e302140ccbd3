// Drain: 16 instant runners take what waits. Hands: one idle runner, one prompt; how long from the first byte of the submit to the work in its hands.
// Beside both, round by round, BullMQ with as many workers in this same process: as it is mostly set up (`everysec`, a finished job is removed), and with
// the promises the product keeps (`kept`: each end is on the disk before it counts, and a finished job is still there). And the floor: a bare object.
import { startBareObject, type BareObject } from "./bare-object.ts";
import { makeAgent, median, percentile, post, type Print, rounded, sleep, type Target, until } from "./driver.ts";
import { howMany } from "./fault.ts";
import { type Front, hasRedis, type Peer, startPeer } from "./peer-bullmq.ts";
import { drain, type PoolDoor, PoolRunner } from "./pool-runners.ts";
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
  const bare = await startBareObject();
  const peers: Drained[] = [];
  if (hasRedis()) for (const [name, fsync] of [["bullmq", "everysec"], ["bullmq-kept", "always"]] as const) peers.push({ name, peer: await startPeer(fsync), ms: [] });
  try {
    await drains(product, bare, peers, rounds, print);
    await hands(product, bare, peers[0]?.peer ?? null, rounds, print);
  } finally {
    for (const { peer } of peers) await peer.close();
    await bare.close();
    await product.close();
  }
}

type Drained = { name: "bullmq" | "bullmq-kept"; peer: Peer; ms: number[] };

async function drains(product: Product, bare: BareObject, peers: Drained[], rounds: number, print: Print): Promise<void> {
  const ours: number[] = [];
  const least: number[] = [];
  for (let round = 0; round <= rounds; round++) {
    const mine = await drainObject(asTarget(product), product, round);
    await noRunners(product);
    least.push(await drainObject(bare.target, bare.door, round));
    for (const { name, peer, ms } of peers) ms.push(await drainPeer(peer, round, name === "bullmq-kept"));
    // The first round warms all of them up.
    if (round > 0) ours.push(mine);
  }
  const rate = (ms: number): number => JOBS / (ms / 1000);
  print({ suite: "drain", case: `product/${RUNNERS}`, metric: "throughput", value: rounded(median(ours.map(rate)), 1), unit: "jobs/s" });
  const floor = least.slice(1);
  print({ suite: "drain", case: `bare-object/${RUNNERS}`, metric: "throughput", value: rounded(median(floor.map(rate)), 1), unit: "jobs/s" });
  for (const { name, ms } of peers) {
    const theirs = ms.slice(1);
    const ratio = (mine: number[]): number => rounded(median(mine.map((one, n) => (theirs[n] ?? one) / one)));
    print({ suite: "peers", case: `drain/${name}/${RUNNERS}`, metric: "throughput", value: rounded(median(theirs.map(rate)), 1), unit: "jobs/s" });
    print({ suite: "peers", case: `drain/product:${name}/${RUNNERS}`, metric: "throughput_ratio", value: ratio(ours), unit: "x" });
    print({ suite: "peers", case: `drain/bare-object:${name}/${RUNNERS}`, metric: "throughput_ratio", value: ratio(floor), unit: "x" });
  }
}

async function drainObject(target: Target, door: PoolDoor, round: number): Promise<number> {
  await burst(target, USERS, JOBS / USERS, round * JOBS);
  const runners = await Promise.all(Array.from({ length: RUNNERS }, async (_, n) => await PoolRunner.connect(door, `r${round}-${n}`)));
  const ms = await drain(runners, JOBS);
  for (const runner of runners) runner.close();
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

async function hands(product: Product, bare: BareObject, peer: Peer | null, rounds: number, print: Print): Promise<void> {
  const runner = await PoolRunner.connect(product, "hands");
  const bareRunner = await PoolRunner.connect(bare.door, "hands");
  const agent = makeAgent(1);
  const ours: Hand = { name: "product", ms: [], once: (n) => inObject(asTarget(product), runner, agent, n) };
  const least: Hand = { name: "bare-object", ms: [], once: (n) => inObject(bare.target, bareRunner, agent, n) };
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
  bareRunner.next();
  for (let round = 0; round <= rounds; round++) {
    for (const hand of [ours, least, ...theirs]) {
      for (let n = 0; n < PROMPTS; n++) {
        const ms = await hand.once(round * PROMPTS + n);
        if (round > 0) hand.ms.push(ms);
        // Idle again before the next comes.
        await sleep(2);
      }
    }
  }
  for (const hand of [ours, least, ...theirs]) {
    const mine = hand === ours || hand === least;
    for (const [metric, p] of [["p50", 0.5], ["p95", 0.95]] as const) print({ suite: mine ? "drain" : "peers", case: `hands/${hand.name}`, metric, value: rounded(percentile(hand.ms, p)), unit: "ms" });
  }
  for (const hand of theirs) for (const one of [ours, least]) print({ suite: "peers", case: `hands/${one.name}:${hand.name}`, metric: "p50_ratio", value: rounded(median(one.ms) / median(hand.ms)), unit: "x" });
  agent.destroy();
  runner.close();
  bareRunner.close();
  await worker?.close(true);
}

async function inObject(target: Target, runner: PoolRunner, agent: ReturnType<typeof makeAgent>, n: number): Promise<number> {
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
