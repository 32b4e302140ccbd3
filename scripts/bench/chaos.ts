// Suite chaos, case kills20: 100 jobs of ten seats over 4 machines behind the simulated Verda gateway, 20 of them lose their machine to kill -9 at a random
// moment of their run. The real Worker, the real runner; what is counted is what the seats see afterwards. `--jobs N --kills N --seed N --redeliver N`.
import { parseArgs } from "node:util";
import { openGpuRoom } from "../../test/contract/providers/support/gpu-room.ts";
import { sleepGraph, type SeatClient } from "../../test/e2e/support/seat-client.ts";
import type { Fleet } from "../../test/simulators/fleet/fleet.ts";
import { Verda } from "../../test/simulators/verda/verda.ts";
import type { Print } from "./driver.ts";
import { wholeNumber } from "./fault.ts";

const SEATS = 10;
const MACHINES = 4;
/** A run's length, s; kills come at any moment of it. */
const RUN_S = 0.6;
/** Nobody waits longer for a job than this, s: then it counts as lost. */
const PATIENCE_S = 240;

type Job = { id: string; client: SeatClient; doomed: boolean };

export async function run(args: string[], print: Print): Promise<void> {
  const { values } = parseArgs({ args, options: { jobs: { type: "string", default: "100" }, kills: { type: "string", default: "20" }, seed: { type: "string", default: "1" }, redeliver: { type: "string", default: "0" } } });
  const [jobCount, kills, seed, redeliver] = [wholeNumber(values.jobs, "--jobs"), wholeNumber(values.kills, "--kills", 0), wholeNumber(values.seed, "--seed", 0), wholeNumber(values.redeliver, "--redeliver", 0)];
  const random = seeded(seed);
  const verda = new Verda();
  await verda.open();
  const room = await openGpuRoom(verda, verda.vars, { seats: SEATS, slots: MACHINES });
  try {
    const fleet = await room.pool("h200", { max: MACHINES, redeliver });
    const clients = Array.from({ length: SEATS }, (_, n) => room.client(n + 1));
    await Promise.all(clients.map((client) => client.open()));
    const began = performance.now();
    const jobs = await submitAll(clients, jobCount, kills, random);
    const killer = setInterval(() => strike(fleet, jobs, random), 10);
    const ends = await Promise.all(jobs.map(async ({ client, id }) => await client.ended(id, PATIENCE_S).catch(() => null)));
    clearInterval(killer);
    const seconds = (performance.now() - began) / 1000;
    await report(jobs, ends, fleet, clients, seconds, print);
    for (const client of clients) client.close();
  } finally {
    await room.end();
  }
}

async function submitAll(clients: SeatClient[], count: number, kills: number, random: () => number): Promise<Job[]> {
  const order = Array.from({ length: count }, (_, n) => n).sort(() => random() - 0.5);
  const doomed = new Set(order.slice(0, kills));
  const jobs: Job[] = [];
  for (let n = 0; n < count; n++) {
    const client = clients[n % clients.length] as SeatClient;
    jobs.push({ id: await client.submit(sleepGraph(RUN_S, n + 1)), client, doomed: doomed.has(n) });
  }
  return jobs;
}

const struck = new Set<string>();

/** A doomed job's machine dies at a random moment of its first run. */
function strike(fleet: Fleet, jobs: Job[], random: () => number): void {
  for (const job of jobs) {
    if (!job.doomed || struck.has(job.id)) continue;
    const machine = fleet.replicas.find(({ runner }) => runner?.lines.some((line) => line.event === "run_started" && line.job === job.id));
    if (machine === undefined) continue;
    struck.add(job.id);
    setTimeout(() => machine.kill(), random() * RUN_S * 1000);
  }
}

type Ended = Awaited<ReturnType<SeatClient["ended"]>> | null;

async function report(jobs: Job[], ends: Ended[], fleet: Fleet, clients: SeatClient[], seconds: number, print: Print): Promise<void> {
  const emit = (metric: string, value: number, unit: string): void => print({ suite: "chaos", case: "kills20", metric, value, unit });
  const successes = (job: Job): number => job.client.messages.filter((message) => message.type === "execution_success" && message.data.prompt_id === job.id).length;
  const pictures = (entry: Ended): number => Object.values(entry?.outputs ?? {}).reduce((sum, output) => sum + (output.images?.length ?? 0), 0);
  const well = jobs.filter((job, n) => ends[n]?.status.status_str === "success" && pictures(ends[n] ?? null) === 1 && successes(job) === 1);
  const stored = await Promise.all(clients.map(async (client) => (await client.json<string[]>("/internal/files/output")).filter((name) => name.includes("slept")).length));
  const runs = new Set(fleet.replicas.flatMap(({ runner }) => (runner?.lines ?? []).filter((line) => line.event === "job").map((line) => `${String(line.job)}#${String(line.attempt)}`)));
  const attempts = jobs.reduce((sum, { id }) => sum + [...runs].filter((key) => key.startsWith(`${id}#`)).length, 0);
  const again = jobs.filter((job) => well.includes(job) && [...runs].filter((key) => key.startsWith(`${job.id}#`)).length > 1);
  emit("jobs", jobs.length, "jobs");
  emit("kills", struck.size, "machines");
  emit("ended_once", well.length, "jobs");
  emit("lost", ends.filter((entry) => entry === null).length, "jobs");
  emit("failed", ends.filter((entry) => entry !== null && entry.status.status_str !== "success").length, "jobs");
  emit("duplicated", stored.reduce((sum, count) => sum + count, 0) - ends.reduce((sum, entry) => sum + pictures(entry), 0), "files");
  emit("attempts", attempts, "attempts");
  emit("recovered", again.length, "jobs");
  emit("machines", fleet.started, "machines");
  emit("seconds", Math.round(seconds * 10) / 10, "s");
}

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
