// What a power cut leaves: the runner killed in the middle of a job, the whole server killed in the middle of a queue. Every job still ends, once.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { killTree, openRoom, type Room } from "./support/room.ts";
import { colourGraph, sleepGraph } from "./support/seat-client.ts";

let room: Room;
beforeAll(async () => {
  room = await openRoom({ seats: 4, leaseMs: 3000 });
});
afterAll(async () => {
  await room?.end();
});

async function pictures(n: number, prefix: string): Promise<string[]> {
  const names = await room.client(n).json<string[]>("/internal/files/output");
  return names.filter((name) => name.includes(prefix));
}

describe("kill -9", () => {
  test("[Q58] a runner killed in the middle of a job: the job is run again by the next one and ends once", async () => {
    const client = room.client(1);
    await client.open();
    const job = await client.submit(sleepGraph(3));
    await client.heard("the start", (m) => m.type === "execution_start" && m.data.prompt_id === job);
    killTree(room.children.get("runner1")!.pid!);
    room.startRunner(1);
    const entry = await client.ended(job, 90);
    expect(entry.status.status_str, JSON.stringify(entry.status)).toBe("success");
    expect(entry.outputs["3"]?.images).toHaveLength(1);
    expect(client.messages.filter((m) => m.type === "execution_success" && m.data.prompt_id === job)).toHaveLength(1);
    expect((await pictures(1, "slept")).length).toBeGreaterThanOrEqual(1);
    client.close();
  });

  test("[I1] the server killed in the middle of a queue: after it is back every job ends once", async () => {
    const clients = [2, 3, 4].map((n) => room.client(n));
    const jobs: [number, string][] = [];
    for (let round = 0; round < 4; round++) for (const [n, client] of clients.entries()) jobs.push([n, await client.submit(round === 0 && n === 0 ? sleepGraph(1) : colourGraph(round * 10 + n, `cut${n}`))]);
    await clients[0]!.ended(jobs[0]![1], 30);
    killTree(room.children.get("wrangler")!.pid!);
    await room.startWrangler();
    for (const [n, job] of jobs) {
      const entry = await clients[n]!.ended(job, 90);
      expect(entry.status.status_str, JSON.stringify(entry.status)).toBe("success");
    }
    for (const [n, client] of clients.entries()) {
      const own = jobs.filter(([seat]) => seat === n).map(([, job]) => job);
      expect(Object.keys(await client.json<object>("/history")).sort()).toEqual(own.sort());
      const queue = await client.json<{ queue_pending: unknown[]; queue_running: unknown[] }>("/queue");
      expect([queue.queue_pending, queue.queue_running]).toEqual([[], []]);
    }
  });
});
