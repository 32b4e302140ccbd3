// An idle workshop sleeps: with pages, a dashboard and a runner connected, the object leaves memory within 15 seconds, no socket notices, and the next act wakes it.
// What shows it from outside: a dashboard is told only what changed while the object remembers what it told before, and everything once it does not [CF13].
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import type { DashboardFrame } from "../../durable-objects/instructor-contract.ts";
import { openRoom, type Room } from "./support/room.ts";
import { colourGraph } from "./support/seat-client.ts";

/** The issue's bound, in ms; the runtime itself waits ten seconds. */
const IDLE_MS = 15_000;

let room: Room;
beforeAll(async () => {
  room = await openRoom({ seats: 2 });
});
afterAll(async () => {
  await room?.end();
});

const basic = ({ username, password }: { username: string; password: string }): { authorization: string } => ({ authorization: `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}` });

async function open(path: string, headers: Record<string, string>): Promise<{ socket: WebSocket; heard: Record<string, unknown>[]; until: (fits: (message: Record<string, unknown>) => boolean) => Promise<Record<string, unknown>> }> {
  const socket = new WebSocket(`${room.origin.replace("http", "ws")}${path}`, { headers });
  const heard: Record<string, unknown>[] = [];
  const wakes = new Set<() => void>();
  socket.on("message", (data: Buffer) => {
    heard.push(JSON.parse(data.toString()) as Record<string, unknown>);
    for (const wake of wakes) wake();
  });
  const until = async (fits: (message: Record<string, unknown>) => boolean): Promise<Record<string, unknown>> =>
    await new Promise((resolve) => {
      const look = (): void => {
        const found = heard.find(fits);
        if (!found) return;
        wakes.delete(look);
        resolve(found);
      };
      wakes.add(look);
      look();
    });
  await new Promise((resolve, reject) => {
    socket.once("open", resolve);
    socket.once("error", reject);
  });
  return { socket, heard, until };
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function weigh(seat: string, weight: number): Promise<void> {
  const answer = await fetch(`${room.origin}/demo/dashboard/api/v1/seats/${seat}/weight`, { method: "PUT", headers: { ...basic(room.access.instructor), "content-type": "application/json" }, body: JSON.stringify({ weight }) });
  expect(answer.status).toBe(200);
}

describe("an idle workshop", () => {
  test("[CF13] leaves memory with every socket open, and wakes to the state it had", async () => {
    const client = room.client(1);
    await client.open();
    const job = await client.submit(colourGraph(0x336699));
    expect((await client.ended(job, 60)).status.status_str).toBe("success");
    const dashboard = await open("/demo/dashboard/api/v1/socket", basic(room.access.instructor));
    const page = await open("/demo/user002/ws?clientId=sleeper", basic(room.access.seats[1]!));
    page.socket.send(JSON.stringify({ type: "comfyume_hello" }));
    await page.until(({ type }) => type === "comfyume_queue");
    await dashboard.until(({ type }) => type === "overview");
    dashboard.heard.length = 0;
    await weigh("user001", 150);
    // It remembers: only what changed is told.
    expect(await dashboard.until(({ overview }) => overview !== undefined)).toMatchObject({ type: "changes" });

    await pause(IDLE_MS);
    dashboard.heard.length = 0;
    await weigh("user001", 160);
    const frame = (await dashboard.until(({ overview }) => overview !== undefined)) as unknown as DashboardFrame;
    expect(frame.type).toBe("overview");
    expect(frame.overview.seats?.find(({ seat }) => seat === "user001")).toMatchObject({ weight: 160, pages: 1 });
    expect(frame.overview.counts?.succeeded).toBe(1);
    expect([dashboard.socket.readyState, page.socket.readyState]).toEqual([WebSocket.OPEN, WebSocket.OPEN]);
    // The runner slept through it as well and is still there for work.
    const next = await client.submit(colourGraph(0x996633));
    expect((await client.ended(next, 60)).status.status_str).toBe("success");
    client.close();
    dashboard.socket.close();
    page.socket.close();
  });
});
