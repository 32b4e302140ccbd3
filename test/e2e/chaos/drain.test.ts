// Five hundred jobs of twenty seats on two instant runners, while the Worker is killed twice, a runner is frozen beyond its lease and another is killed:
// the queue drains, and of everything there is exactly one.
import type { ChildProcess } from "node:child_process";
import { afterAll, beforeAll, expect, test } from "vitest";
import { killTree } from "../support/room.ts";
import { colourGraph, type SeatClient, sleepGraph } from "../support/seat-client.ts";
import { expectBooksToBalance, type Sent } from "./books.ts";
import { openStorm, type Storm, submitUntilAccepted } from "./storm.ts";

const SEATS = 20;
const EACH = 25;

let storm: Storm;
const sent: Sent[] = [];
let clients: SeatClient[] = [];
beforeAll(async () => {
  storm = await openStorm({ seats: SEATS, runners: 2, leaseMs: 4000 });
  clients = Array.from({ length: SEATS }, (_, n) => storm.room.client(n + 1));
});
afterAll(async () => {
  await storm?.end();
});

async function endedCount(): Promise<number> {
  const answer = await fetch(`${storm.room.origin}/ops/v1/workshops/${storm.room.access.workshop}/health`, { headers: { Authorization: `Bearer ${storm.room.operatorToken}` } });
  return ((await answer.json()) as { health: { jobs: { ended: number } } }).health.jobs.ended;
}

async function until(count: number): Promise<void> {
  const deadline = Date.now() + 120_000;
  for (;;) {
    const ended = await endedCount().catch(() => 0);
    if (ended >= count) return;
    if (Date.now() > deadline) throw new Error(`${ended} of ${count} jobs ended in two minutes`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

test("[Q53] [Q58] a runner frozen beyond its lease: another runs the job, and the thawed one changes nothing", async () => {
  const { room } = storm;
  const client = clients[0]!;
  await client.open();
  const taken = Promise.withResolvers<ChildProcess>();
  for (const child of ["runner1", "runner2"].map((name) => room.children.get(name)!)) {
    child.stdout?.on("data", (text: string) => (text.includes('"event":"run_started"') ? taken.resolve(child) : undefined));
    child.stderr?.on("data", (text: string) => (text.includes('"event":"run_started"') ? taken.resolve(child) : undefined));
  }
  const job = await client.submit(sleepGraph(2));
  sent.push({ client, job });
  const frozen = await taken.promise;
  frozen.kill("SIGSTOP");
  try {
    expect((await client.ended(job, 60)).status.status_str).toBe("success");
  } finally {
    frozen.kill("SIGCONT");
  }
  client.close();
});

test("[I1] [I10] [I11] five hundred jobs through two deaths of the Worker and one of a runner", async () => {
  const { room } = storm;
  await Promise.all(
    clients.map(async (client, seat) => {
      for (let n = 0; n < EACH - (seat === 0 ? 1 : 0); n++) {
        const job = await submitUntilAccepted(client, colourGraph((seat * 997 + n * 13 + 1) & 0xffffff, `drain-${client.seat}`, 16));
        sent.push({ client, job });
      }
    }),
  );
  expect(sent).toHaveLength(SEATS * EACH);
  await until(100);
  storm.killWorker();
  await storm.startWorker();
  await until(250);
  killTree(room.children.get("runner2")!.pid!);
  room.startRunner(2);
  await until(350);
  storm.killWorker();
  await storm.startWorker();
  await until(sent.length);
  await expectBooksToBalance(room, sent);
});
