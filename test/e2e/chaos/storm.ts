// A whole workshop with a hand on the line between its runners and its Worker, on a pool that costs money.
import { freePort, type StackOptions } from "../../../scripts/stack.ts";
import { killTree, openRoom, type Room } from "../support/room.ts";
import type { SeatClient } from "../support/seat-client.ts";
import { Line } from "./line.ts";

export type Storm = { room: Room; line: Line; /** kill -9 for the Worker and everything below it */ killWorker(): void; startWorker(): Promise<void>; end(): Promise<void> };

/** Micro-units per hour: one a millisecond, so that forgotten time shows in the accounts. */
const RATE = 3_600_000;

export async function openStorm(options: Partial<StackOptions> = {}): Promise<Storm> {
  const port = await freePort();
  const line = new Line(`http://127.0.0.1:${port}`);
  const room = await openRoom({ port, runnerOrigin: await line.listen(), sandboxArgs: ["--instant"], ...options });
  const pool = { provider: "pull", max_in_flight: options.runners ?? 1, lease_ms: options.leaseMs ?? 4000, claim_ms: 30_000, rate: RATE };
  const put = await fetch(`${room.origin}/ops/v1/workshops/${room.access.workshop}/pools/local`, { method: "PUT", headers: { Authorization: `Bearer ${room.operatorToken}`, "Content-Type": "application/json" }, body: JSON.stringify(pool) });
  if (!put.ok) throw new Error(`the pool was refused: ${put.status} ${await put.text()}`);
  return {
    room,
    line,
    killWorker: () => killTree(room.children.get("wrangler")!.pid!),
    startWorker: async () => await room.startWrangler(),
    end: async () => {
      await room.end();
      line.close();
    },
  };
}

/** Posts a prompt as a careful client does: under an id of its own, again and again until somebody says yes [Q14]. */
export async function submitUntilAccepted(client: SeatClient, prompt: object, id = crypto.randomUUID() as string): Promise<string> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    const answer = await client.post("/prompt", { prompt, client_id: client.clientId, prompt_id: id }).catch(() => null);
    if (answer?.status === 200) return id;
    if (answer !== null && answer.status < 500) throw new Error(`POST /prompt answered ${answer.status} ${await answer.text()}`);
    if (Date.now() > deadline) throw new Error("POST /prompt was not accepted within a minute");
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
