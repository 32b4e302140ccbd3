// `npm run bench -- queue`: the spec's workloads through the real core in virtual time, and traces: `queue --trace FILE --slots W --switch SECONDS`.
// The order check says whether this implementation dispatches exactly as docs/spec/queue.md, section 16.

import { readFileSync } from "node:fs";
import { forecast } from "../../durable-objects/queue/index.ts";
import type { Mode } from "../../durable-objects/queue/index.ts";
import { Ideal, orderCheck, type IdealJob } from "../../test/simulators/queue/ideal.ts";
import { backlog, burst, fromCsv, room } from "../../test/simulators/queue/workloads.ts";
import { backloggedService, firstResults, jain, percentile, seatWaits, slowdown, type Run } from "./queue/figures.ts";

interface Row {
  suite: string;
  case: string;
  metric: string;
  value: number | string;
  unit: string;
}

type Print = (row: Row) => void;

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

function report(name: string, played: Played, print: Print): void {
  const { world, runs, covered } = played;
  const row = (metric: string, value: number | string, unit: string) =>
    print({ suite: "queue", case: name, metric, value: typeof value === "number" ? Math.round(value * 1000) / 1000 : value, unit });
  const first = firstResults(runs);
  row("first_result_p50", percentile(first, 0.5), "s");
  row("first_result_max", Math.max(...first), "s");
  row("wait_p95", percentile(seatWaits(runs), 0.95), "s");
  const windows = [10, 30, 60].map((minutes) => ({ minutes, service: backloggedService(runs, minutes * 60_000) }));
  const widest = windows.findLast(({ service }) => service.length > 1);
  row("max_service_gap", widest === undefined ? "no two seats backlogged for 10 min" : Math.max(...widest.service) - Math.min(...widest.service), "s");
  for (const { minutes, service } of windows) row(`jain_${minutes}`, service.length > 1 ? jain(service) : `no two seats backlogged for ${minutes} min`, "1");
  row("slowdown_mean", slowdown(runs), "x");
  row("switches", world.starts.filter(({ load }) => load > 0).length, "loads");
  row("makespan", Math.max(...runs.map(({ end }) => end)) / 1000, "s");
  row("eta_p90_coverage", covered, "share");
  row("order_check", orderCheck(world.starts), "fnv1a");
}

function option(args: readonly string[], name: string): string | undefined {
  const at = args.indexOf(`--${name}`);
  return at < 0 ? undefined : args[at + 1];
}

function positive(args: readonly string[], name: string, fallback: number): number {
  const text = option(args, name);
  const value = text === undefined ? fallback : Number(text);
  if (!Number.isFinite(value) || value < 0) throw new Error(`--${name} wants a number, not "${text}"`);
  return value;
}

/** The suite: cases A0, A60, C4, C8 (section 16) and R4 (a room that keeps working, estimates that miss) in every mode, or a trace. `args`: --trace FILE --slots W --switch SECONDS --case NAME. */
export async function run(args: string[], print: Print): Promise<void> {
  const trace = option(args, "trace");
  if (trace !== undefined) {
    const [slots, load] = [positive(args, "slots", 4), positive(args, "switch", 0) * 1000];
    const jobs = fromCsv(readFileSync(trace, "utf8"));
    for (const mode of modes) report(`trace/${mode}`, play(jobs, slots, mode, load), print);
    return;
  }
  const only = option(args, "case");
  const cases: [string, () => IdealJob[], number, number][] = [
    ["A0", burst, 4, 0],
    ["A60", burst, 4, 60_000],
    ["C4", backlog, 4, 0],
    ["C8", backlog, 8, 0],
    ["R4", () => room(0), 4, 0],
  ];
  for (const [name, jobs, slots, load] of cases) {
    if (only !== undefined && only !== name) continue;
    for (const mode of modes) report(`${name}/${mode}`, play(jobs(), slots, mode, load), print);
  }
}

if (import.meta.main) await run(process.argv.slice(2), (row) => process.stdout.write(`${JSON.stringify(row)}\n`));
