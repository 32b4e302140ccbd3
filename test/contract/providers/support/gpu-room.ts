// A workshop on a provider's simulator: the real Worker, real runners on the simulator's machines, and weather on the runners' way to the platform.
import { Weather } from "../../runner/support/weather.ts";
import type { SeatClient } from "../../../e2e/support/seat-client.ts";
import type { Fleet, FleetOptions } from "../../../simulators/fleet/fleet.ts";
import { type Json, openStage, type Room, type Stage } from "./stage.ts";

export type Test = { verdict: "works" | "broken" | "pending"; says: string; advice: string | null; job: string; stages: { name: string; done: boolean }[] };
export type PoolState = { pool: string; circuit: { state: string; code: string | null; until: number | null; says: string | null }; machines: { up: number; min: number | null; paused: boolean; state: string; by_state: Record<string, number> } | null; warm: { wanted: number; applied: number | null; fault: string | null }; startup: { p50: number; measured: number }; catalog: { nodes: number; models: number } | null; rate: number; silent: string | null; draining: boolean };
export type Deploy = { /** Puts machines behind a name. */ deploy(name: string, options: FleetOptions): Fleet; /** What an operator writes of it. */ pool(name: string): Json; close(): Promise<void> };

/** A lease short enough for a test to see its end, and longer than the time between two renewals (ms). */
export const LEASE_MS = 5_000;

export class GpuRoom<Simulator extends Deploy> {
  readonly stage: Stage;
  readonly simulator: Simulator;
  readonly weather: Weather;
  readonly room: Room;
  readonly #pools = new Set<string>();
  readonly #fleets: Fleet[] = [];

  constructor(stage: Stage, simulator: Simulator, weather: Weather, room: Room) {
    this.stage = stage;
    this.simulator = simulator;
    this.weather = weather;
    this.room = room;
  }

  client(n: number): SeatClient {
    return this.room.client(n);
  }

  /** Sets a pool up at the end of the chain, with machines of the simulator behind it. */
  async pool(id: string, fleet: Partial<FleetOptions> = {}, settings: Json = {}): Promise<Fleet> {
    const max = fleet.max ?? 1;
    const setup: Json & { max_in_flight: number } = { ...this.simulator.pool(id), max_in_flight: max, lease_ms: LEASE_MS, claim_ms: 30_000, position: this.#pools.size, ...settings };
    // Without slots until its machines stand: its key is made with it.
    await this.room.putPool(id, { ...setup, max_in_flight: 0 });
    this.#pools.add(id);
    const made = this.simulator.deploy(id, { min: 0, max, redeliver: 0, dispatchKey: await this.room.dispatchKey(id), allowOrigins: [this.weather.origin, this.stage.origin], ...fleet });
    this.#fleets.push(made);
    await this.room.putPool(id, setup);
    return made;
  }

  /** Takes every pool out of the chain and ends its machines: the next test begins with none. */
  async clear(): Promise<void> {
    this.weather.clear();
    for (const id of this.#pools) await this.room.ops("DELETE", `/pools/${id}`);
    this.#pools.clear();
    await Promise.all(this.#fleets.splice(0).map((fleet) => fleet.close()));
  }

  /** The self-test's verdict once it is no longer pending. */
  async tested(pool: string, seconds = 60): Promise<Test> {
    let test = await this.room.ops<Test>("POST", `/pools/${pool}/test`);
    for (const deadline = Date.now() + seconds * 1000; test.verdict === "pending" && Date.now() < deadline; ) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      test = await this.room.ops<Test>("GET", `/pools/${pool}/test`);
    }
    return test;
  }

  async state(pool: string, ask = false): Promise<PoolState> {
    const { pools } = await this.room.ops<{ pools: PoolState[] }>("GET", `/gpus${ask ? "?ask=1" : ""}`);
    const found = pools.find((candidate) => candidate.pool === pool);
    if (found === undefined) throw new Error(`there is no pool ${pool}`);
    return found;
  }

  /** What the journal says of a pool, or of the whole room (""), oldest first. */
  async notes(pool: string): Promise<string[]> {
    const { notes } = await this.room.ops<{ notes: { line: string }[] }>("GET", `/gpus/log?pool=${pool}&lines=200`);
    return notes.map(({ line }) => line).reverse();
  }

  async end(): Promise<void> {
    await this.stage.end();
    this.weather.close();
    await this.simulator.close();
  }
}

/** How often ComfyUI was asked to run this job, on all machines that ever were. */
export function runsOf(fleets: Fleet[], job: string): number {
  return fleets.flatMap(({ replicas }) => replicas).reduce((sum, { runner }) => sum + (runner?.lines.filter((line) => line.event === "run_started" && line.job === job).length ?? 0), 0);
}

export async function openGpuRoom<Simulator extends Deploy>(simulator: Simulator, vars: Record<string, string>, { seats = 4, slots = 4 } = {}): Promise<GpuRoom<Simulator>> {
  const weather = new Weather("http://127.0.0.1:1");
  const stage = await openStage({ vars: (origin) => ({ ...vars, PUBLIC_URL: origin }), weather });
  const room = new GpuRoom(stage, simulator, weather, await stage.workshop("demo", seats, slots));
  // Seats can write prompts once some machine has told what it has.
  await room.pool("first");
  const { verdict, says } = await room.tested("first");
  if (verdict !== "works") throw new Error(`${says}\n${stage.log.slice(-30).join("\n")}`);
  await room.clear();
  return room;
}

/** The picture of a job came, once, and can be read. */
export async function pictureOf(client: SeatClient, job: string, seconds = 60): Promise<Buffer> {
  const entry = await client.ended(job, seconds);
  if (entry.status.status_str !== "success") throw new Error(`job ${job} ended with ${JSON.stringify(entry.status.messages.at(-1))}`);
  const files = Object.values(entry.outputs).flatMap((output) => output.images ?? []);
  if (files.length !== 1 || files[0] === undefined) throw new Error(`job ${job} has ${files.length} pictures`);
  const answer = await client.picture(files[0]);
  if (answer.status !== 200) throw new Error(`its picture answers ${answer.status}`);
  return Buffer.from(await answer.arrayBuffer());
}

/** Resolves when the condition holds; throws after `seconds` with what was waited for. */
export async function until(what: string, condition: () => boolean | Promise<boolean>, seconds = 30): Promise<void> {
  for (const deadline = Date.now() + seconds * 1000; Date.now() < deadline; ) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`waited ${seconds} s in vain for: ${what}`);
}
