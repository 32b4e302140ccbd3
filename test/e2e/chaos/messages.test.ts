// Each message between a runner and the Worker dropped, doubled and held up: frames both ways, calls and their answers. A line does worse than this only by
// closing, and that is here as well. Every job still ends once, and the books balance.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sleepGraph } from "../support/seat-client.ts";
import { expectBooksToBalance, type Sent } from "./books.ts";
import { drop, type Hand, late, twice } from "./line.ts";
import { openStorm, type Storm } from "./storm.ts";

let storm: Storm;
const sent: Sent[] = [];
beforeAll(async () => {
  storm = await openStorm({ seats: 1, leaseMs: 3000 });
});
afterAll(async () => {
  await storm?.end();
});

const HANDS: Record<string, Hand> = { dropped: drop, "passed twice": twice, "held up": late(400) };
const RUN = [
  "down work", "up event started", "up event execution_start", "up event execution_cached", "up event executing", "up event progress", "up event progress_state", "up event executed",
  "up event execution_success", "up result", "down ack", "down result_ack",
];
const CALLS = ["call uploads", "answer uploads", "call put", "answer put", "call commit", "answer commit"];
/** A call held up is a slow line, which every test of a loaded machine has anyway. */
const CALL_HANDS = ["dropped", "passed twice"];
/** What goes by HTTP when the line is gone as a run ends: its last events, and the result. */
const WITHOUT_LINE = ["call events", "answer events", "call result", "answer result"];
/** Of a run that is stopped. */
const STOPPED = ["down cancel", "up event execution_interrupted"];
/** Comes by before the suite has its hands on the line: what a runner can do, told once. */
const BEFORE = ["call catalog", "answer catalog"];
/** Of a run that takes longer: its signs of life and what they are answered. */
const LONG = ["up event heartbeat", "down lease"];
const GREETING = ["up hello", "down welcome", "up next"];

let colour = 0;

/** One job with these hands on the line; it must end well, once. */
async function run(hands: [string, Hand][], meanwhile: () => void = () => undefined, seconds = 0.4): Promise<void> {
  const { room, line } = storm;
  const client = room.client(1);
  await client.open();
  line.clear();
  for (const [name, hand] of hands) line.on(name, hand);
  meanwhile();
  colour += 0x000107;
  const job = await client.submit(sleepGraph(seconds, colour));
  sent.push({ client, job });
  const entry = await client.ended(job, 60);
  expect(entry.status.status_str, JSON.stringify(entry.status.messages.at(-1))).toBe("success");
  expect(entry.outputs["3"]?.images).toHaveLength(1);
  expect(line.waitedFor, "never came by").toEqual([]);
  await client.heard("the end", (message) => message.type === "executing" && message.data.node === null && message.data.prompt_id === job);
  expect(client.messages.filter((message) => message.type === "execution_success" && message.data.prompt_id === job)).toHaveLength(1);
  client.close();
}

describe("a message of a run", () => {
  const cases = RUN.flatMap((name) => Object.keys(HANDS).map((how) => [name, how] as const));
  test.each(cases)("[I1] `%s` %s", async (name, how) => {
    await run([[name, HANDS[how]!]]);
  });
});

describe("a message of a longer run", () => {
  test.each(LONG.flatMap((name) => Object.keys(HANDS).map((how) => [name, how] as const)))("[Q58] `%s` %s", async (name, how) => {
    await run([[name, HANDS[how]!]], undefined, 1.5);
  });
});

test.each(Object.keys(HANDS))("[G14] `up event stage` %s: of an upload that lasts", async (how) => {
  await run([["call put", late(600)], ["up event stage", HANDS[how]!]]);
});

test.each(STOPPED.flatMap((name) => Object.keys(HANDS).map((how) => [name, how] as const)))("[Q61] `%s` %s: the run stops, and ends once", async (name, how) => {
  const { room, line } = storm;
  const client = room.client(1);
  await client.open();
  line.clear();
  line.on(name, HANDS[how]!);
  const job = await client.submit(sleepGraph(5, (colour += 0x000107)));
  sent.push({ client, job, ends: "error" });
  await client.heard("the run", (message) => message.type === "executing" && message.data.node === "2" && message.data.prompt_id === job);
  expect((await client.post("/interrupt", { prompt_id: job })).status).toBe(200);
  expect((await client.ended(job, 60)).status.messages.at(-1)?.[0]).toBe("execution_interrupted");
  expect(line.waitedFor, "never came by").toEqual([]);
  client.close();
});

describe("a call, or its answer", () => {
  const cases = CALLS.flatMap((name) => CALL_HANDS.map((how) => [name, how] as const));
  test.each(cases)("[G28] `%s` %s", async (name, how) => {
    await run([[name, HANDS[how]!]]);
  });
});

describe("a call that goes when the line was cut at the end", () => {
  test.each(WITHOUT_LINE.flatMap((name) => CALL_HANDS.map((how) => [name, how] as const)))("[G16] `%s` %s", async (name, how) => {
    await run([["up result", () => storm.line.cut()], [name, HANDS[how]!]]);
  });
});

test.each(CALL_HANDS)("[Q58] `down stale` %s: a runner that never got its work is free again", async (how) => {
  await run([["down work", drop], ["down stale", HANDS[how]!]]);
});

describe("a message of the greeting, after the line was cut", () => {
  test.each(GREETING.flatMap((name) => ["passed twice", "held up"].map((how) => [name, how] as const)))("[G16] `%s` %s", async (name, how) => {
    await run([[name, HANDS[how]!]], () => storm.line.cut());
  });

  test.each(["up hello", "down welcome"])("[G16] `%s` dropped: the runner greets again", async (name) => {
    await run([[name, drop]], () => storm.line.cut());
  });

  test("[G16] `up next` dropped: the job waits, and runs when the line is cut once more", async () => {
    await run([["up next", () => storm.line.cut()]], () => storm.line.cut());
  });
});

describe("a cut line", () => {
  test.each(["up event started", "up event progress", "call put", "up event executed", "up result", "down work", "down result_ack"])("[G16] cut at `%s`, which is lost with it", async (name) => {
    await run([[name, () => storm.line.cut()]]);
  });

  test("[G16] cut three times in one run", async () => {
    const cut: Hand = async (pass) => {
      await pass();
      storm.line.cut();
    };
    await run([["up event execution_start", cut], ["up event progress", cut], ["up event progress", cut]], undefined, 3);
  });
});

test("nothing came by that was not dropped and doubled", () => {
  const tried = [...RUN, ...CALLS, ...LONG, ...WITHOUT_LINE, ...STOPPED, ...GREETING, ...BEFORE, "up event stage", "down stale"];
  expect([...storm.line.met].filter((name) => !tried.includes(name)).toSorted()).toEqual([]);
});

test("[I10] [I11] afterwards the books balance and the log replays to the same state", async () => {
  await expectBooksToBalance(storm.room, sent);
});
