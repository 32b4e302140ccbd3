// The Worker killed with SIGKILL at every step of a job's life, right before a message reaches it and right after. Nothing that was accepted is lost,
// nothing happens twice, and the accounts add up.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { colourGraph, sleepGraph } from "../support/seat-client.ts";
import { expectBooksToBalance, type Sent } from "./books.ts";
import { openStorm, type Storm, submitUntilAccepted } from "./storm.ts";

let storm: Storm;
const sent: Sent[] = [];
beforeAll(async () => {
  storm = await openStorm({ seats: 1, leaseMs: 25_000 });
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
  const job = await submitUntilAccepted(client, graph(n));
  sent.push({ client, job });
  await struck.promise;
  await storm.startWorker();
  const entry = await client.ended(job, 60);
  expect(entry.status.status_str, JSON.stringify(entry.status.messages.at(-1))).toBe("success");
  expect(entry.outputs["3"]?.images).toHaveLength(1);
}

type Step = [name: string, when: "before" | "after"];
const STEPS: Step[] = [
  ["down work", "before"], ["down work", "after"],
  ["up event started", "before"], ["up event progress", "after"],
  ["call uploads", "after"], ["call put", "before"], ["call put", "after"], ["call commit", "before"], ["call commit", "after"],
  ["up event executed", "before"], ["up result", "before"], ["up result", "after"], ["down result_ack", "before"],
];
/** CHAOS=wide: the rest of the matrix, another minute. */
const MORE: Step[] = [["up event started", "after"], ["up event progress", "before"], ["call uploads", "before"], ["up event executed", "after"], ["down result_ack", "after"], ["up event execution_success", "before"], ["up event executing", "after"]];

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

  test.each((process.env.CHAOS === "wide" ? [...STEPS, ...MORE] : STEPS).map(([name, when], n) => [when, name, n] as const))("[I1] %s `%s`: the job ends once, with its picture", killAround);

  test("[I10] [I11] afterwards the books balance and the log replays to the same state", async () => {
    await expectBooksToBalance(storm.room, sent);
  });
});
