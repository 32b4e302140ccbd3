// Submit, the whole path: sign-in, validation against a real object_info, admission, durable commit. 20 users at once, 50 jobs each, 8 to 30 KB.
// Beside it, round by round, BullMQ behind a server that only parses (`bare`) and behind one that also checks what the product checks (`whole`); and the
// floor: a bare object that parses and stores.
import { startBareObject } from "./bare-object.ts";
import { makeAgent, median, percentile, post, type Print, rounded, type Target } from "./driver.ts";
import { howMany } from "./fault.ts";
import { hasRedis, type Peer, startPeer } from "./peer-bullmq.ts";
import { asTarget, startProduct } from "./product.ts";
import { promptBody, promptSize } from "./workload.ts";

const USERS = 20;
const JOBS = 50;
/** Of each case, in turn: whatever else the machine does meets all of them alike. */
const ROUNDS = 5;
const METRICS = [["p50", 0.5], ["p95", 0.95], ["p99", 0.99]] as const;

export type Burst = { each: number[]; wall: number };
type Case = { name: string; target: Target; rounds: Burst[] };

/** Each user sends one job after another; all users at once. Answers ms per submit and the wall time in ms. */
export async function burst(target: Target, users = USERS, jobs = JOBS, from = 0, size = promptSize): Promise<Burst> {
  const agent = makeAgent(users);
  const bodies = Array.from({ length: users * jobs }, (_, n) => promptBody(from + n, size(from + n)));
  const each: number[] = [];
  const began = performance.now();
  await Promise.all(
    Array.from({ length: users }, async (_, user) => {
      for (let job = 0; job < jobs; job++) {
        const answer = await post(agent, target.url(user), bodies[user * jobs + job] ?? "", target.headers(user));
        if (answer.status !== 200) throw new Error(`submit answered ${answer.status}: ${answer.body.slice(0, 300)}`);
        each.push(answer.ms);
      }
    }),
  );
  const wall = performance.now() - began;
  agent.destroy();
  return { each, wall };
}

const rate = ({ each, wall }: Burst): number => each.length / (wall / 1000);

function report(print: Print, { name, rounds }: Case, suite: string): void {
  const prefix = suite === "submit" ? "" : "submit/";
  print({ suite, case: `${prefix}${name}`, metric: "throughput", value: rounded(median(rounds.map(rate)), 1), unit: "jobs/s" });
  for (const [metric, p] of METRICS) print({ suite, case: `${prefix}${name}`, metric, value: rounded(median(rounds.map(({ each }) => percentile(each, p)))), unit: "ms" });
}

/** Round against round: the two were measured one after the other. */
function compare(print: Print, ours: Case, theirs: Case): void {
  const ratios = (of: (one: Burst) => number): number => median(ours.rounds.map((one, n) => of(one) / of(theirs.rounds[n] ?? one)));
  print({ suite: "peers", case: `submit/${ours.name}:${theirs.name}`, metric: "throughput_ratio", value: rounded(ratios(rate)), unit: "x" });
  print({ suite: "peers", case: `submit/${ours.name}:${theirs.name}`, metric: "p99_ratio", value: rounded(ratios(({ each }) => percentile(each, 0.99))), unit: "x" });
}

export async function run(args: string[], print: Print): Promise<void> {
  const rounds = howMany(args, "rounds", ROUNDS);
  const product = await startProduct(USERS, 1);
  const bare = await startBareObject();
  const ours: Case = { name: "product", target: asTarget(product), rounds: [] };
  const least: Case = { name: "bare-object", target: bare.target, rounds: [] };
  const peers: Peer[] = [];
  const theirs: Case[] = [];
  try {
    for (const fsync of hasRedis() ? (["everysec", "always"] as const) : []) {
      const peer = await startPeer(fsync);
      peers.push(peer);
      for (const front of ["bare", "whole"] as const) theirs.push({ name: `bullmq-${front}/${fsync}`, target: { url: () => peer.urls[front], headers: ours.target.headers }, rounds: [] });
    }
    // Compilers and caches of every case get the same warm-up.
    for (const { target } of [ours, least, ...theirs]) await burst(target, USERS, JOBS, 900_000);
    for (let round = 0; round < rounds; round++) {
      for (const one of [ours, least, ...theirs]) one.rounds.push(await burst(one.target, USERS, JOBS, round * USERS * JOBS));
      for (const peer of peers) await peer.clear();
    }
    for (const one of [ours, least]) report(print, one, "submit");
    for (const one of theirs) report(print, one, "peers");
    for (const one of theirs) for (const mine of [ours, least]) compare(print, mine, one);
  } finally {
    for (const peer of peers) await peer.close();
    await bare.close();
    await product.close();
  }
}
