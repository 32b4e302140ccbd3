// The Worker killed with SIGKILL at every step of a job's life, right before a message reaches it and right after, and its object evicted in the middle of a
// run. Nothing that was accepted is lost, nothing happens twice, and the accounts add up.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import type { DashboardFrame } from "../../../durable-objects/instructor-contract.ts";
import { colourGraph, sleepGraph } from "../support/seat-client.ts";
import { expectBooksToBalance, type Sent } from "./books.ts";
import { openStorm, type Storm, submitUntilAccepted } from "./storm.ts";

let storm: Storm;
const sent: Sent[] = [];
beforeAll(async () => {
  storm = await openStorm({ seats: 1, leaseMs: 90_000 });
});
afterAll(async () => {
  await storm?.end();
});

/** A run of half a second with a picture of its own. */
const graph = (n: number): Record<string, unknown> => sleepGraph(0.5, 0x010203 * (n + 1));

/** Kills the Worker around the named message (`before`: it never arrives), brings it back, and waits for the job's one good end. */
async function killAround(when: "before" | "after", name: string, n: number): Promise<void> {
  const { room, line } = storm;
  const client = room.client(1);
  line.clear();
  const struck = Promise.withResolvers<void>();
  line.on(name, async (pass) => {
    if (when === "after") await pass();
    // A frame is passed when it is written; this long after, it was read and committed.
    if (when === "after") await new Promise((resolve) => setTimeout(resolve, 60));
    storm.killWorker();
    struck.resolve();
  });
  // The Worker may die before it answers the submit: the client then asks again while it comes back.
  const accepted = submitUntilAccepted(client, graph(n));
  await struck.promise;
  await storm.startWorker();
  const job = await accepted;
  sent.push({ client, job });
  const entry = await client.ended(job, 60);
  expect(entry.status.status_str, JSON.stringify(entry.status.messages.at(-1))).toBe("success");
  expect(entry.outputs["3"]?.images).toHaveLength(1);
}

/** A job's life in messages, in their order: each is a commit of the object's, or the news of one. */
const STEPS = [
  "down work", "up event started", "up event execution_start", "up event executing", "up event progress", "call uploads", "call put", "call commit",
  "up event executed", "up event execution_success", "up result", "down result_ack",
];

describe("kill -9 of the Worker", () => {
  test("[Q14] before a submit was answered: the client asks again under its id, and there is one job", async () => {
    const client = storm.room.client(1);
    const id = crypto.randomUUID();
    const first = client.post("/prompt", { prompt: colourGraph(1, "unanswered"), client_id: client.clientId, prompt_id: id }).catch(() => null);
    storm.killWorker();
    await first;
    await storm.startWorker();
    sent.push({ client, job: await submitUntilAccepted(client, colourGraph(1, "unanswered"), id) });
    expect((await client.ended(id, 60)).status.status_str).toBe("success");
  });

  test("[Q6] right after a submit was answered: the job is there", async () => {
    const client = storm.room.client(1);
    const job = await submitUntilAccepted(client, colourGraph(2, "answered"));
    storm.killWorker();
    sent.push({ client, job });
    await storm.startWorker();
    expect((await client.ended(job, 60)).status.status_str).toBe("success");
  });

  test.each(STEPS.flatMap((name, n) => [["before", name, 2 * n] as const, ["after", name, 2 * n + 1] as const]))("[I1] %s `%s`: the job ends once, with its picture", killAround);
});

const api = (): string => `${storm.room.origin}/${storm.room.access.workshop}/dashboard/api/v1`;
function signIn(): { authorization: string } {
  const { username, password } = storm.room.access.instructor;
  return { authorization: `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}` };
}

/** What a dashboard hears; the next frame says whether the object still knows what it told before, and tells changes, or not, and tells everything [CF13]. */
async function openDashboard(): Promise<{ heard: DashboardFrame[]; close(): void }> {
  const socket = new WebSocket(`${api().replace("http", "ws")}/socket`, { headers: signIn() });
  const heard: DashboardFrame[] = [];
  socket.on("message", (data: Buffer) => void heard.push(JSON.parse(data.toString()) as DashboardFrame));
  await expect.poll(() => heard.length, { timeout: 20_000 }).toBeGreaterThan(0);
  return { heard, close: () => socket.close() };
}

/** Leaves the object alone until it is out of memory; timers of its own (a pool's rest is over) may keep it a while. */
async function untilEvicted(dashboard: { heard: DashboardFrame[] }): Promise<void> {
  for (let tries = 1; ; tries++) {
    // The runtime lets go of an object ten seconds after its last event.
    await new Promise((resolve) => setTimeout(resolve, 15_000));
    dashboard.heard.length = 0;
    const told = await fetch(`${api()}/notices`, { method: "POST", headers: signIn(), body: JSON.stringify({ text: "Good morning", for_s: 1 }) });
    expect(told.status).toBe(200);
    await expect.poll(() => dashboard.heard.length, { timeout: 20_000 }).toBeGreaterThan(0);
    if (dashboard.heard[0]?.type === "overview") return;
    expect(tries, "it was still in memory").toBeLessThan(4);
  }
}

test("[CF13] [I11] the object evicted while a runner holds a lease and another job waits: both end once", async () => {
  const { room, line } = storm;
  const client = room.client(1);
  await client.open();
  const runner = room.children.get("runner1")!;
  line.clear();
  const frozen = Promise.withResolvers<void>();
  line.on("up event started", async (pass) => {
    await pass();
    runner.kill("SIGSTOP");
    frozen.resolve();
  });
  const jobs = [await client.submit(graph(60)), await client.submit(graph(61))];
  sent.push(...jobs.map((job) => ({ client, job })));
  await frozen.promise;
  const dashboard = await openDashboard();
  try {
    await untilEvicted(dashboard);
  } finally {
    runner.kill("SIGCONT");
  }
  for (const job of jobs) expect((await client.ended(job, 60)).status.status_str).toBe("success");
  dashboard.close();
  client.close();
});

test("[I10] [I11] afterwards the books balance and the log replays to the same state", async () => {
  await expectBooksToBalance(storm.room, sent);
});
