// The conformance runner itself: the sandbox and a seat on it against the recordings, and against each other. A difference without a row fails.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readFileSync } from "node:fs";
import { conformance, type Report } from "../../scripts/conformance.ts";
import { firstDifference, type Verdict } from "../../scripts/conformance/cases.ts";
import { headersFor, readOptions } from "../../scripts/conformance/options.ts";
import { openRoom, type Room } from "../e2e/support/room.ts";

let room: Room;
beforeAll(async () => {
  room = await openRoom({ seats: 1, leaseMs: 20_000 });
});
afterAll(async () => {
  await room?.end();
});

async function play(bases: [string] | [string, string], only: string[] = []): Promise<Report[]> {
  const headers = { authorization: room.client(1).authorization };
  const reports: Report[] = [];
  for await (const report of conformance({ bases, headers, only })) reports.push(report);
  return reports;
}

const unexplained = (reports: Report[]): string[] =>
  reports.flatMap(({ verdicts }) => verdicts.filter(({ outcome }) => outcome === "differs").map(({ scenario, what, left, right }) => `${scenario}: ${what} ${JSON.stringify(firstDifference(left, right))}`));
const played = (reports: Report[]): Verdict[] => reports.flatMap(({ verdicts }) => verdicts);

describe("npm run conformance", () => {
  test("a seat answers as recorded, but for the rows of docs/conformance.md", async () => {
    const reports = await play([room.access.seats[0]!.url]);
    expect(unexplained(reports)).toEqual([]);
    expect(reports.filter(({ leftOut }) => leftOut !== null)).toEqual([]);
    expect(played(reports).length).toBeGreaterThan(280);
    // Every row about runs is really met, and stands in the document.
    const rows = new Set(played(reports).flatMap(({ row }) => (row?.startsWith("R") === true ? [row] : [])));
    const written = [...readFileSync(new URL("../../docs/conformance.md", import.meta.url), "utf8").matchAll(/^\| (R\d+) \|/gm)].map((match) => match[1]);
    expect([...rows].toSorted()).toEqual(written);
  });

  test("the sandbox and a seat on it differ only by those rows; what the sandbox does not keep is said to be left out", async () => {
    const reports = await play([room.sandboxUrl, room.access.seats[0]!.url]);
    expect(unexplained(reports)).toEqual([]);
    expect(reports.filter(({ leftOut }) => leftOut !== null).map(({ scenario }) => scenario)).toEqual(["http-userdata", "http-settings-users"]);
    expect(played(reports).length).toBeGreaterThan(220);
  });

  test("a difference is found, and where it is", async () => {
    expect(firstDifference({ a: [1, { b: 2 }] }, { a: [1, { b: 3 }] })).toEqual({ path: "a.1.b", left: 2, right: 3 });
    expect(firstDifference({ a: 1 }, { a: 1 })).toBeNull();
    // The public start page is no seat: what is no ComfyUI is said to be none.
    await expect(play([room.origin])).rejects.toThrow("does not answer as ComfyUI does");
    await expect(play([room.sandboxUrl], ["nothing"])).rejects.toThrow("There is no scenario nothing");
  });
});

describe("its options", () => {
  test("credentials go to addresses with a path, never to a bare ComfyUI", () => {
    const options = readOptions(["http://127.0.0.1:8188", "http://localhost:8787/demo/user001", "--user", "user001", "--password", "pw", "--only", "run-success", "--json"]);
    expect(options).toMatchObject({ bases: ["http://127.0.0.1:8188", "http://localhost:8787/demo/user001"], only: ["run-success"], json: true });
    expect(headersFor("http://127.0.0.1:8188", options)).toEqual({});
    expect(headersFor("http://localhost:8787/demo/user001", options)).toEqual({ authorization: `Basic ${btoa("user001:pw")}` });
    expect(readOptions(["http://h/demo/a", "--cookie", "cm_a=x"]).headers).toEqual({ cookie: "cm_a=x" });
  });

  test.each([[[]], [["localhost"]], [["http://a", "http://b", "http://c"]], [["http://a", "--user", "x"]], [["http://a", "--what"]]])("%j is refused with words", (args) => {
    expect(() => readOptions(args)).toThrow();
  });
});
