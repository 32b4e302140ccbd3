// `npm run bench` as somebody at a keyboard meets it: lines of JSON on the standard output, and every fault one sentence with the way out, exit code 1.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chosen, SUITES } from "../../../scripts/bench/suites.ts";

const MAIN = join(import.meta.dirname, "../../../scripts/bench/main.ts");
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "comfyume-bench-test-"));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

type Said = { code: number | null; out: string; err: string };

async function bench(args: string[], env: Record<string, string> = {}): Promise<Said> {
  const child = spawn(process.execPath, [MAIN, ...args], { env: { ...process.env, ...env } });
  const said: Said = { code: null, out: "", err: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => (said.out += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said.err += text));
  said.code = await new Promise((resolve) => child.once("close", resolve));
  return said;
}

function trace(text: string): string {
  const file = join(folder, `${crypto.randomUUID()}.csv`);
  writeFileSync(file, text);
  return file;
}

describe("the suites", () => {
  test("a run without a name has every figure once: what is made of other suites is left to be asked for", () => {
    expect(chosen(undefined)).toEqual(Object.keys(SUITES).filter((name) => name !== "peers"));
    expect([chosen("peers"), chosen("queue"), chosen("toString"), chosen("nope")]).toEqual([["peers"], ["queue"], null, null]);
  });

  test("an unknown suite is answered with those there are", async () => {
    expect(await bench(["quue"])).toEqual({ code: 1, out: "", err: expect.stringMatching(/^✗ There is no suite "quue"\. Suites: queue, submit, drain, peers, .*\.\n$/) });
  });

  test("`peers` without redis-server is skipped with a sentence", async () => {
    expect(await bench(["peers"], { PATH: folder })).toEqual({ code: 0, out: "", err: expect.stringMatching(/^• peers\n {2}peers skipped: redis-server is not installed \(.*\)\n$/) });
  });

  test.each([[["submit", "many"]], [["drain", "0"]], [["peers", "1.5"]], [["growth", "1", "2"]], [["fanout", "fast"]], [["chaos", "--jobs", "x"]], [["chaos", "--joobs", "3"]]])("%j: a sentence, before anything is started", async (args) => {
    expect(await bench(args)).toEqual({ code: 1, out: "", err: expect.stringMatching(/^• \w+\n✗ [^\n]*(give|Leave)[^\n]*\.\n$/) });
  });
});

describe("queue --trace", () => {
  test("a trace is played in every mode; a row without a figure is left out and said", async () => {
    const { code, out, err } = await bench(["queue", "--trace", trace("arrival_s,user,duration_s,model\r\n0,ann,10,a\r\n0.5,bob,20.25,b\r\n\r\n1,ann,5,\r\n"), "--slots", "1", "--switch", "2.5"]);
    expect(code).toBe(0);
    const rows = out.trim().split("\n").map((line) => JSON.parse(line) as { suite: string; case: string; metric: string; value: unknown });
    expect(new Set(rows.map((row) => row.case))).toEqual(new Set(["trace/fifo", "trace/round_robin", "trace/fair", "trace/priority"]));
    for (const row of rows) expect(typeof row.value, row.metric).toBe(row.metric === "order_check" ? "string" : "number");
    expect(rows.filter(({ metric }) => metric === "makespan").map(({ value }) => value)).toEqual([42.75, 42.75, 42.75, 42.75]);
    expect(rows.some(({ metric }) => metric.startsWith("jain_") || metric === "max_service_gap")).toBe(false);
    expect(err).toContain("trace/fair: no jain_10, jain_30, jain_60 and no max_service_gap: no two seats were backlogged for 10, 30, 60 min\n");
  });

  const good = "0,ann,10,a\n";
  const files: [name: string, text: string, says: RegExp][] = [
    ["an empty file", "", /The trace has no row\..*arrival_s,user,duration_s,model/],
    ["a heading alone", "arrival_s,user,duration_s,model\n", /The trace has no row\./],
    ["a word for a time", `${good}soon,bob,3,b\n`, /Line 2 of the trace: arrival_s is "soon"/],
    ["an empty arrival", `${good},bob,3,b\n`, /Line 2 of the trace: arrival_s is empty/],
    ["a duration below nothing", `${good}${good}1,bob,-20,b\n`, /Line 3 of the trace: duration_s is "-20"/],
    ["an empty duration", `${good}1,bob,,b\n`, /Line 2 of the trace: duration_s is empty/],
    ["a time beyond counting", `${good}1e300,bob,3,b\n`, /Line 2 of the trace: arrival_s is "1e300"/],
    ["nobody", `${good}1,,3,b\n`, /Line 2 of the trace names no user/],
    ["three fields", `${good}1,bob,3\n`, /Line 2 of the trace has 3 fields/],
    ["five fields", "0,ann,10,a,more\n", /Line 1 of the trace has 5 fields/],
    ["another heading", "when,who,how long,what\n", /Line 1 of the trace: arrival_s is "when"/],
  ];
  test.each(files)("%s is refused as a whole", async (_, text, says) => {
    const said = await bench(["queue", "--trace", trace(text)]);
    expect(said).toEqual({ code: 1, out: "", err: expect.stringMatching(/^• queue\n✗ [^\n]*\.\n$/) });
    expect(said.err).toMatch(says);
  });

  const commands: [args: string[], says: RegExp][] = [
    [["--trace"], /--trace <value>' argument missing/],
    [["--trace", "none.csv"], /none\.csv cannot be read \(ENOENT\)\. Give --trace/],
    [["--trace", "."], /cannot be read \(EISDIR\)/],
    [["--slotz", "3"], /Unknown option '--slotz'/],
    [["more"], /'more'/],
    [["--slots", "3"], /--slots goes with a trace only/],
    [["--case", "B9"], /no case "B9"\. Cases: A0, A60, C4, C8, R4/],
    [["--case", "A0", "--trace", "GOOD"], /exclude each other/],
    [["--trace", "GOOD", "--slots", "x"], /--slots is "x"; give a whole number from 1 to 1000/],
    [["--trace", "GOOD", "--slots", "0"], /--slots is "0"/],
    [["--trace", "GOOD", "--slots", "1001"], /--slots is "1001"/],
    [["--trace", "GOOD", "--slots", "1.5"], /--slots is "1.5"/],
    [["--trace", "GOOD", "--slots", ""], /--slots is ""/],
    [["--trace", "GOOD", "--switch", "-1"], /switch/],
    [["--trace", "GOOD", "--switch=-1"], /--switch is "-1"; give the seconds/],
  ];
  test.each(commands)("queue %j: a sentence", async (args, says) => {
    const said = await bench(["queue", ...args.map((arg) => (arg === "GOOD" ? trace(good) : arg))]);
    expect(said).toEqual({ code: 1, out: "", err: expect.stringMatching(/^• queue\n✗ [^\n]*\.\n$/) });
    expect(said.err).toMatch(says);
  });
});
