// Submit, the whole path: sign-in check, validation against a real object_info, admission, durable commit. 20 users at once, 50 jobs each, 8 to 30 KB.
import type { Row } from "./main.ts";
import { makeAgent, percentile, post, rounded } from "./driver.ts";
import { hasRedis, startPeer } from "./peer-bullmq.ts";
import { promptBody, promptSize, startProduct } from "./product.ts";

const USERS = 20;
const JOBS = 50;

type Target = { url(user: number): string; headers(user: number): Record<string, string> };

/** Each user sends one job after another; all users at once. Answers ms per submit and the wall time in ms. */
export async function burst(target: Target, users = USERS, jobs = JOBS, from = 0): Promise<{ each: number[]; wall: number }> {
  const agent = makeAgent(users);
  const bodies = Array.from({ length: users * jobs }, (_, n) => promptBody(from + n, promptSize(from + n)));
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

function report(print: (row: Row) => void, name: string, { each, wall }: { each: number[]; wall: number }): number {
  const perSecond = each.length / (wall / 1000);
  print({ suite: "submit", case: name, metric: "throughput", value: rounded(perSecond, 1), unit: "jobs/s" });
  for (const [metric, p] of [["p50", 0.5], ["p95", 0.95], ["p99", 0.99]] as const) print({ suite: "submit", case: name, metric, value: rounded(percentile(each, p)), unit: "ms" });
  return perSecond;
}

export async function run(_args: string[], print: (row: Row) => void): Promise<void> {
  const product = await startProduct(USERS, 1);
  const target: Target = { url: (user) => `${product.url}/bench/${product.seats[user]?.seat}/prompt`, headers: (user) => ({ authorization: product.seats[user]?.authorization ?? "" }) };
  await burst(target, USERS, 5, 100_000);
  const ours = report(print, "product", await burst(target));
  await product.close();
  if (!hasRedis()) {
    process.stderr.write("  peers skipped: redis-server is not installed (apt-get install redis-server)\n");
    return;
  }
  for (const fsync of ["everysec", "always"] as const) {
    const peer = await startPeer(fsync);
    const theirs: Target = { url: () => peer.url, headers: () => ({}) };
    await burst(theirs, USERS, 5, 100_000);
    const rate = report(print, `bullmq/${fsync}`, await burst(theirs));
    print({ suite: "submit", case: `product:bullmq/${fsync}`, metric: "ratio", value: rounded(ours / rate), unit: "x" });
    await peer.close();
  }
}
