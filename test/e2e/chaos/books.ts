// What must hold when the dust has settled [I1][I10][I11]: every accepted job ended once, every output is there once, charges add up, and the log replays to
// the state the workshop is in. Everything is read through the product's own doors.
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { expect } from "vitest";
import type { LogEntry } from "../../../durable-objects/log-entry.ts";
import type { LogLine } from "../../../durable-objects/log-replay.ts";
import { type ClosedAttempt, emptyRows, type QueueEvent, type QueueState, restore } from "../../../durable-objects/queue/index.ts";
import { replayLog } from "../../../scripts/workshop/replay.ts";
import type { Room } from "../support/room.ts";
import type { HistoryEntry, SeatClient } from "../support/seat-client.ts";
import { type Kept, keepLedgers } from "./ledgers.ts";

export type Sent = { client: SeatClient; job: string; /** how it must have ended */ ends?: "success" | "error" };

/** Lines of the workshop's event log, exported as an operator does. */
async function logOf(room: Room): Promise<string[]> {
  const answer = await fetch(`${room.origin}/ops/v1/workshops/${room.access.workshop}/log`, { headers: { Authorization: `Bearer ${room.operatorToken}` } });
  if (!answer.ok || answer.body === null) throw new Error(`the log answered ${answer.status}`);
  const lines: string[] = [];
  for await (const line of createInterface({ input: Readable.fromWeb(answer.body as Parameters<typeof Readable.fromWeb>[0]) })) lines.push(line);
  return lines;
}

/** Checks it all for these jobs, which must be every job of the room. */
export async function expectBooksToBalance(room: Room, sent: Sent[]): Promise<void> {
  const seats = new Map(sent.map(({ client }) => [client.seat, client]));
  for (const client of seats.values()) expect(await client.json<object>("/queue"), client.seat).toEqual({ queue_running: [], queue_pending: [] });
  for (const client of seats.values()) await expectOutputsOnce(client, sent.filter((one) => one.client.seat === client.seat));
  const lines = await logOf(room);
  await expectSameReplay(lines);
  expectAccounts(lines.map((line) => JSON.parse(line) as LogLine), sent);
}

async function expectOutputsOnce(client: SeatClient, sent: Sent[]): Promise<void> {
  const history = await client.json<Record<string, HistoryEntry>>("/history");
  expect(Object.keys(history).toSorted(), `history of ${client.seat}`).toEqual(sent.map(({ job }) => job).toSorted());
  for (const { job, ends = "success" } of sent) expect(history[job]?.status.status_str, JSON.stringify(history[job]?.status.messages.at(-1))).toBe(ends);
  const named = Object.values(history).flatMap(({ outputs }) => Object.values(outputs).flatMap(({ images = [] }) => images)).filter(({ type }) => type === "output");
  const names = named.map(({ subfolder, filename }) => (subfolder === "" ? filename : `${subfolder}/${filename}`)).toSorted();
  expect(new Set(names).size, "two outputs share a name").toBe(names.length);
  // The store has what history names and nothing beside: no second copy from an attempt that was lost. (The route lists the top folder, as ComfyUI does.)
  expect((await client.json<string[]>("/internal/files/output")).toSorted(), `files of ${client.seat}`).toEqual(names);
  for (const image of named) {
    const answer = await client.picture(image);
    expect(answer.status, image.filename).toBe(200);
    expect((await answer.arrayBuffer()).byteLength).toBeGreaterThan(60);
  }
}

async function expectSameReplay(lines: string[]): Promise<void> {
  async function* all(): AsyncIterable<string> {
    yield* lines;
  }
  const { replayed, end, same } = await replayLog(all(), () => undefined);
  expect({ differs: replayed.differs, gaps: replayed.gaps, digest: end?.digest, stored: end?.stored }, "the log and the workshop differ").toEqual({ differs: null, gaps: [], digest: replayed.digest, stored: replayed.digest });
  expect(same).toBe(true);
}

/** Every event of the log, decided again: what the log keeps in brief stands here in full. Beside it the second set of books. */
function playAgain(lines: LogLine[]): { kept: Kept; state: QueueState } {
  const rows = emptyRows();
  for (const line of lines) {
    if (line.kind !== "row") continue;
    if (line.of === "workshop") rows.workshop = line.value as never;
    else if (line.of === "params") rows.params = line.value as never;
    else (rows[`${line.of}s`] as unknown[]).push(line.value);
  }
  const state = restore(rows);
  const entries = lines.filter((line): line is LogLine & { kind: "entry" } & LogEntry => line.kind === "entry");
  return { kept: keepLedgers(state, entries), state };
}

function expectAccounts(lines: LogLine[], sent: Sent[]): void {
  const { kept, state } = playAgain(lines);
  const { events } = kept;
  const jobs = sent.map(({ job }) => job).toSorted();
  const of = <T extends QueueEvent["type"]>(type: T): Extract<QueueEvent, { type: T }>[] => events.filter((event): event is Extract<QueueEvent, { type: T }> => event.type === type);
  expect(of("job_accepted").map(({ job }) => job).toSorted(), "accepted once").toEqual(jobs);
  expect(of("job_ended").map(({ job }) => job).toSorted(), "ended once").toEqual(jobs);
  expect([state.jobs.size, state.attempts.size], "nothing left over").toEqual([0, 0]);
  expect([...state.slots.values()].filter(({ attempt }) => attempt !== null)).toEqual([]);
  const closed = of("attempt_closed").map(({ record }) => record);
  expect(new Set(closed.map(({ key }) => key)).size, "an attempt was closed twice").toBe(closed.length);
  for (const attempt of closed) expectFairCharge(attempt);
  for (const { job, ends = "success" } of sent) {
    const own = closed.filter((attempt) => attempt.job === job);
    if (ends === "success") expect(own.filter(({ outcome, refunded }) => outcome === "succeeded" && !refunded), `settled attempts of ${job}`).toHaveLength(1);
    expect(own.filter(({ outcome, refunded }) => outcome !== "succeeded" && !refunded), `unrefunded losses of ${job}`).toHaveLength(ends === "success" ? 0 : Math.min(1, own.length));
  }
  expect(kept.faults, "ledgers moved by what nothing explains").toEqual([]);
  for (const { id, weight } of state.seats.values()) expectSettled(id, weight, closed, kept);
  const cost = closed.reduce((sum, attempt) => sum + attempt.cost, 0);
  expect(state.workshop.spent, "money of the workshop").toBe(cost);
  expect([...state.seats.values()].reduce((sum, { spent }) => sum + spent, 0), "money of its seats").toBe(cost);
}

/** [I10] What charges, settlements and refunds left on a seat's ledger is the normalised execution time of its settled attempts × 100 / w, and one job each. */
function expectSettled(seat: string, weight: number, closed: ClosedAttempt[], kept: Kept): void {
  const own = closed.filter((attempt) => attempt.seat === seat && !attempt.refunded);
  const due = { v: own.reduce((sum, { settled }) => sum + Math.floor((settled * 100) / weight), 0), n: own.length * Math.floor(100_000 / weight) };
  expect(kept.charged.get(seat) ?? { v: 0, n: 0 }, `ledger of ${seat}`).toEqual(due);
}

/** Settled time is never more than the time between claim and end; a refund settles nothing. */
function expectFairCharge(attempt: ClosedAttempt): void {
  const seen = attempt.claimedAt === null ? 0 : attempt.closedAt - attempt.claimedAt;
  expect(attempt.settled).toBeLessThanOrEqual(Math.floor((seen * attempt.speed) / 100));
  if (attempt.refunded) expect(attempt.settled).toBe(0);
  if (attempt.claimedAt !== null && attempt.rate > 0 && seen > 100) expect(attempt.cost, "container time costs money").toBeGreaterThan(0);
}
