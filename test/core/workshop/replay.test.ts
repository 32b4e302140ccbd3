// `npm run workshop -- replay` on files that are no log, or were changed by hand: one sentence with the number of the line and what it should be.
import { describe, expect, test } from "vitest";
import type { LogLine } from "../../../durable-objects/log-replay.ts";
import { Replay } from "../../../durable-objects/log-replay.ts";
import { CommandError } from "../../../scripts/workshop/operator.ts";
import { replayLog, type Verdict } from "../../../scripts/workshop/replay.ts";

async function* lines(values: unknown[]): AsyncIterable<string> {
  for (const value of values) yield typeof value === "string" ? value : JSON.stringify(value);
}

async function refusal(values: unknown[]): Promise<string> {
  const answer: Verdict | unknown = await replayLog(lines(values), () => undefined).catch((error: unknown) => error);
  expect(answer).toBeInstanceOf(CommandError);
  return (answer as CommandError).message;
}

const head = { kind: "head", v: 1, workshop: "demo", base: 0, since: 0 } satisfies LogLine;
const entry = { kind: "entry", revision: 1, at: 1000, command: { type: "set_wanted", slots: 2, by: "instructor" }, events: [] };

/** What the object would have said at the end of these lines. */
function endOf(values: LogLine[]): LogLine {
  const replay = new Replay();
  for (const line of values) replay.take(line);
  const { revision, digest } = replay.result();
  return { kind: "end", revision, digest, stored: digest };
}

describe("[Q5] what can be replayed", () => {
  test("a log of lines as they should be", async () => {
    const verdict = await replayLog(lines([head, "", endOf([head])]), () => undefined);
    expect(verdict).toMatchObject({ same: true, dispatches: 0, replayed: { entries: 0, revision: 0 } });
  });
});

describe("what cannot", () => {
  const bad: [name: string, values: unknown[], says: RegExp][] = [
    ["no JSON", [head, "{"], /^Line 2 is no line of a workshop's log\. Export it/],
    ["a word", [head, "7"], /^Line 2 is no line of a workshop's log\./],
    ["another kind", [head, { kind: "toString" }], /^Line 2 is no line of a workshop's log\./],
    ["a head without a base", [{ ...head, base: "x" }], /^Line 1 is no head of a workshop's log: base is wrong\. It should be \{"kind":"head".*\}\. Export it/],
    ["a head of another version", [{ ...head, v: 2 }], /^Line 1 is no head .*: v is wrong/],
    ["a row of nothing known", [head, { kind: "row", of: "thing", value: {} }], /^Line 2 is no row of a workshop's log: of is wrong\. It should be .*"workshop", "params", "job"/],
    ["a row of nothing", [head, { kind: "row" }], /^Line 2 is no row .*: of is wrong/],
    ["a row without its value", [head, { kind: "row", of: "job" }], /^Line 2 is no row .*: value is wrong/],
    ["an entry without a command", [head, { ...entry, command: undefined }], /^Line 2 is no entry of a workshop's log: command is wrong\. It should be .*"command"/],
    ["a command without a type", [head, { ...entry, command: { slots: 2 } }], /^Line 2 is no entry .*: command(\.type)? is wrong/],
    ["a batch without commands", [head, { ...entry, command: { type: "batch" } }], /^Line 2 is no entry .*: command\S* is wrong/],
    ["events that are no list", [head, { ...entry, events: "none" }], /^Line 2 is no entry .*: events is wrong/],
    ["an event without a type", [head, { ...entry, events: [{}] }], /^Line 2 is no entry .*: events\.0\.type is wrong/],
    ["an entry without a time", [head, { ...entry, at: "noon" }], /^Line 2 is no entry .*: at is wrong/],
    ["an end without its digest", [head, { kind: "end", revision: 0 }], /^Line 2 is no end of a workshop's log: digest is wrong/],
    ["no head", [entry], /^The log does not begin with its head/],
    ["nothing", [], /^The log is empty\.$/],
    ["a base that is no base", [{ ...head, base: null, since: 3 }], /^Line 1 cannot be replayed \(This export begins after revision 3.*\)\. Export it/],
    ["a row that is not whole", [head, { kind: "row", of: "workshop", value: {} }, entry], /^Line 3 cannot be replayed \(.*\)\. Export it/],
    ["a command nobody knows", [head, { ...entry, command: { type: "dance" } }], /^Line 2 cannot be replayed \(.*\)\. Export it/],
    ["a base that is not whole, and nothing after it", [head, { kind: "row", of: "job", value: { state: "waiting" } }], /^The log cannot be replayed \(.*\)\. Export it/],
  ];
  test.each(bad)("%s", async (_, values, says) => {
    expect(await refusal(values)).toMatch(says);
  });
});
