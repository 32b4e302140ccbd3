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

/** CHAOS=wide: every message with every hand; else what a run cannot do without, and one of each kind. */
const WIDE = process.env.CHAOS === "wide";
const HANDS: Record<string, Hand> = { dropped: drop, "passed twice": twice, "held up": late(400) };
const RUN = ["up event started", "up event executing", "up event executed", "up result", "down work", "down result_ack", ...(WIDE ? ["up event execution_start", "up event progress", "up event progress_state", "up event execution_success", "down ack"] : [])];
const CALLS = ["call uploads", "call put", "call commit", ...(WIDE ? ["answer uploads", "answer put", "answer commit"] : [])];
/** A call held up is a slow line, which every test of a loaded machine has anyway. */
const CALL_HANDS = WIDE ? Object.keys(HANDS) : ["dropped", "passed twice"];
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

test.each(Object.keys(HANDS))("[Q58] a heartbeat %s", async (how) => {
  await run([["up event heartbeat", HANDS[how]!]], undefined, 1.5);
});

describe("a call, or its answer", () => {
  const cases = CALLS.flatMap((name) => CALL_HANDS.map((how) => [name, how] as const));
  test.each(cases)("[G28] `%s` %s", async (name, how) => {
    await run([[name, HANDS[how]!]]);
  });
});

describe("a message of the greeting, after the line was cut", () => {
  test.each(GREETING.flatMap((name) => ["passed twice", "held up"].map((how) => [name, how] as const)))("[G16] `%s` %s", async (name, how) => {
    await run([[name, HANDS[how]!]], () => storm.line.cut());
  });

  test.each(WIDE ? ["up hello", "down welcome"] : ["up hello"])("[G16] `%s` dropped: the runner greets again", async (name) => {
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

test("[I10] [I11] afterwards the books balance and the log replays to the same state", async () => {
  await expectBooksToBalance(storm.room, sent);
});
