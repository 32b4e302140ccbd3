// `npm run bench -- queue`: the spec's workloads through the real core in virtual time, and traces: `queue --trace FILE --slots W --switch SECONDS`.
// The order check says whether this implementation dispatches exactly as docs/spec/queue.md, section 16.

import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { forecast } from "../../durable-objects/queue/index.ts";
import type { Mode } from "../../durable-objects/queue/index.ts";
import { Ideal, orderCheck, type IdealJob } from "../../test/simulators/queue/ideal.ts";
import { backlog, burst, room } from "../../test/simulators/queue/workloads.ts";
import type { Print } from "./driver.ts";
import { BenchFault, wholeNumber } from "./fault.ts";
import { backloggedService, firstResults, jain, percentile, seatWaits, slowdown, type Run } from "./queue/figures.ts";
import { readTrace } from "./queue/trace.ts";

const modes: readonly Mode[] = ["fifo", "round_robin", "fair", "priority"];
const unlimited = { seatMax: 1e9, queueMax: 1e9 };

interface Played {
  world: Ideal;
  runs: Run[];
  /** Share of quoted jobs that started no later than the start₉₀ of their quote. */
  covered: number;
}

/** Least time between two forecasts, ms: once a second, as in the product [Q76]. */
const cadence = 1000;

/** Play a workload; every job still waiting is quoted a start by the first forecast after it came [Q17]. */
export function play(jobs: readonly IdealJob[], slots: number, mode: Mode, load: number): Played {
  const submitted = new Map(jobs.map(({ id, at }) => [id, at]));
  const quoted = new Map<string, number>();
  let forecasted = -cadence;
  let known = 0;
  const world = new Ideal({ slots, mode, params: unlimited, jobs, load });
  const quote = (now: number) => {
    known = arrived(world);
    forecasted = now;
    for (const [id, entry] of forecast(world.state, now)) {
      if (!quoted.has(id)) quoted.set(id, "start90" in entry ? entry.start90 : Infinity);
    }
  };
  while (world.step()) {
    if (arrived(world) > known && world.now >= forecasted + cadence) quote(world.now);
    else if (arrived(world) > known && world.nextAt() > forecasted + cadence) quote(forecasted + cadence);
  }
  const kept = world.starts.filter(({ id, at }) => at <= (quoted.get(id) ?? -1)).length;
  return { world, runs: world.ended.map((one) => ({ ...one, submitted: submitted.get(one.id) ?? 0 })), covered: kept / Math.max(1, quoted.size) };
}

function arrived(world: Ideal): number {
  return world.starts.length + world.state.derived.waiting;
}

/** Where no two seats had work waiting all through a window, there is nothing to compare: no row, and this sentence instead. */
function leftOut(minutes: number[], none: boolean): string {
  return `no ${minutes.map((one) => `jain_${one}`).join(", ")}${none ? " and no max_service_gap" : ""}: no two seats were backlogged for ${minutes.join(", ")} min`;
}

function remark(line: string): void {
  process.stderr.write(`${line}\n`);
}

function report(name: string, played: Played, print: Print): void {
  const { world, runs, covered } = played;
  const row = (metric: string, value: number | string, unit: string) =>
    print({ suite: "queue", case: name, metric, value: typeof value === "number" ? Math.round(value * 1000) / 1000 : value, unit });
  const first = firstResults(runs);
  row("first_result_p50", percentile(first, 0.5), "s");
  row("first_result_max", Math.max(...first), "s");
  row("wait_p95", percentile(seatWaits(runs), 0.95), "s");
  const windows = [10, 30, 60].map((minutes) => ({ minutes, service: backloggedService(runs, minutes * 60_000) }));
  const compared = windows.filter(({ service }) => service.length > 1);
  const widest = compared.at(-1)?.service;
  if (widest !== undefined) row("max_service_gap", Math.max(...widest) - Math.min(...widest), "s");
  for (const { minutes, service } of compared) row(`jain_${minutes}`, jain(service), "1");
  if (compared.length < windows.length) remark(`  ${name}: ${leftOut(windows.filter((one) => !compared.includes(one)).map(({ minutes }) => minutes), widest === undefined)}`);
  row("slowdown_mean", slowdown(runs), "x");
  row("switches", world.starts.filter(({ load }) => load > 0).length, "loads");
  row("makespan", runs.reduce((last, { end }) => Math.max(last, end), 0) / 1000, "s");
  row("eta_p90_coverage", covered, "share");
  row("order_check", orderCheck(world.starts), "fnv1a");
}

/** What the suite was asked for: a trace with its machines, or the standard cases (one of them with `only`). */
type Asked = { trace: string; slots: number; load: number } | { only: string | null };

const CASES: readonly [name: string, jobs: () => IdealJob[], slots: number, load: number][] = [
  ["A0", burst, 4, 0],
  ["A60", burst, 4, 60_000],
  ["C4", backlog, 4, 0],
  ["C8", backlog, 8, 0],
  ["R4", () => room(0), 4, 0],
];
/** As many as an instructor can want. */
const MOST_SLOTS = 1000;
const USE = "--trace FILE [--slots W] [--switch SECONDS], or --case NAME";

function asked(args: string[]): Asked {
  const { trace, slots, switch: load, case: only } = parseArgs({ args, options: { trace: { type: "string" }, slots: { type: "string" }, switch: { type: "string" }, case: { type: "string" } } }).values;
  if (trace === undefined) {
    if (slots !== undefined || load !== undefined) throw new BenchFault(`--${slots === undefined ? "switch" : "slots"} goes with a trace only; the standard cases have theirs. The suite takes ${USE}.`);
    if (only !== undefined && !CASES.some(([name]) => name === only)) throw new BenchFault(`There is no case "${only}". Cases: ${CASES.map(([name]) => name).join(", ")}.`);
    return { only: only ?? null };
  }
  if (only !== undefined) throw new BenchFault(`--case and --trace exclude each other. The suite takes ${USE}.`);
  if (load !== undefined && !/^\d{1,6}(\.\d+)?$/.test(load)) throw new BenchFault(`--switch is "${load}"; give the seconds a model switch takes, from 0 on.`);
  return { trace, slots: slots === undefined ? 4 : wholeNumber(slots, "--slots", 1, MOST_SLOTS), load: Math.round(Number(load ?? 0) * 1000) };
}

function readJobs(file: string): IdealJob[] {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new BenchFault(`${file} cannot be read (${error instanceof Error && "code" in error ? String(error.code) : String(error)}). Give --trace the path of a CSV file.`);
  }
  return readTrace(text);
}

/** The suite: cases A0, A60, C4, C8 (section 16) and R4 (a room that keeps working, estimates that miss) in every mode, or a trace. Throws BenchFault. */
export async function run(args: string[], print: Print): Promise<void> {
  const wish = asked(args);
  if ("trace" in wish) {
    const jobs = readJobs(wish.trace);
    for (const mode of modes) report(`trace/${mode}`, play(jobs, wish.slots, mode, wish.load), print);
    return;
  }
  for (const [name, jobs, slots, load] of CASES) {
    if (wish.only !== null && wish.only !== name) continue;
    for (const mode of modes) report(`${name}/${mode}`, play(jobs(), slots, mode, load), print);
  }
}
