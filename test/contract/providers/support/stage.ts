// The real Worker for a provider's simulator: wrangler dev on a free port with its own state, workshops made by the operator's commands, seats as plain
// ComfyUI clients. Nothing of the platform is replaced.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildRunner } from "../../../../scripts/build-runner.ts";
import { freePort, ROOT } from "../../../../scripts/stack.ts";
import { killTree } from "../../../e2e/support/room.ts";
import { SeatClient } from "../../../e2e/support/seat-client.ts";
import type { Weather } from "../../runner/support/weather.ts";

const WRANGLER = join(ROOT, "node_modules/wrangler/bin/wrangler.js");

export type Json = Record<string, unknown>;
export type StageOptions = {
  /** Worker variables; secrets of pools are given as variables here. `publicOrigin` is the weather's address, where there is one. */
  vars?: (publicOrigin: string) => Record<string, string>;
  /** Stands between the machines and the Worker. */
  weather?: Weather;
};

export class Stage {
  readonly origin: string;
  readonly log: string[] = [];
  readonly #port: number;
  readonly #vars: Record<string, string>;
  readonly #bundle: string;
  readonly #stateDir = mkdtempSync(join(tmpdir(), "comfyume-stage-"));
  readonly #operatorToken = /^OPERATOR_TOKEN\s*=\s*"?([^"\n]+)"?/m.exec(readFileSync(join(ROOT, ".dev.vars"), "utf8"))?.[1] ?? "";
  #wrangler: ChildProcess | null = null;

  constructor(port: number, bundle: string, vars: Record<string, string>) {
    this.#port = port;
    this.#bundle = bundle;
    this.origin = `http://127.0.0.1:${port}`;
    this.#vars = { PROVIDER_POLL_MS: "1500", ...vars };
  }

  /** Starts the Worker, or starts it again on the same state. */
  async start(): Promise<void> {
    const vars = Object.entries(this.#vars).flatMap(([key, value]) => ["--var", `${key}:${value}`]);
    // The bundle as it was at the beginning: sources that change meanwhile do not restart it.
    const args = [WRANGLER, "dev", join(this.#bundle, "index.js"), "--no-bundle", "--config", join(ROOT, "wrangler.toml"), "--ip", "127.0.0.1", "--port", String(this.#port), "--inspector-port", String(await freePort()), "--persist-to", this.#stateDir, "--show-interactive-dev-session=false", ...vars];
    const child = spawn(process.execPath, args, { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, NO_COLOR: "1", WRANGLER_SEND_METRICS: "false", CLOUDFLARE_CF_FETCH_ENABLED: "false" } });
    this.#wrangler = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding("utf8").on("data", (chunk: string) => {
        this.log.push(...chunk.split("\n").filter((line) => line.trim() !== ""));
        if (process.env.VERBOSE) process.stderr.write(chunk);
      });
    }
    const deadline = Date.now() + 90_000;
    while (Date.now() < deadline) {
      if (child.exitCode !== null) break;
      const answer = await fetch(`${this.origin}/health/ping`).catch(() => null);
      if (answer?.ok) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`the Worker did not start: ${this.log.slice(-15).join("\n")}`);
  }

  /** As a power cut. */
  kill(): void {
    if (this.#wrangler?.pid !== undefined) killTree(this.#wrangler.pid);
  }

  async end(): Promise<void> {
    const child = this.#wrangler;
    if (child !== null && child.exitCode === null && child.signalCode === null) {
      const hard = setTimeout(() => this.kill(), 8_000);
      child.kill("SIGTERM");
      await new Promise((resolve) => child.once("exit", resolve));
      clearTimeout(hard);
    }
    for (const folder of [this.#stateDir, this.#bundle]) rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }

  async ops<T = Json>(method: string, path: string, body?: unknown): Promise<T> {
    const answer = await this.opsAnswer(method, path, body);
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path} answered ${answer.status} ${text.slice(0, 400)}`);
    return JSON.parse(text) as T;
  }

  async opsAnswer(method: string, path: string, body?: unknown): Promise<Response> {
    return await fetch(`${this.origin}/ops/v1${path}`, { method, headers: { Authorization: `Bearer ${this.#operatorToken}`, "Content-Type": "application/json" }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  }

  /** A workshop with `seats` seats; pools are put afterwards, once their keys are known. */
  async workshop(name: string, seats: number, slots: number): Promise<Room> {
    const made = await this.ops<{ instructor: { username: string; password: string }; seats: { seat: string; password: string }[] }>("POST", "/workshops", { workshop: name, seats, slots });
    const room = new Room(this, name, made.seats, made.instructor);
    // A pool that failed rests for a minute, a job that nobody could run waits half of one; here a test waits for them.
    await room.params({ circuit_ms: 3_000, last_resort_ms: 3_000 });
    return room;
  }
}

export class Room {
  readonly stage: Stage;
  readonly name: string;
  readonly #seats: { seat: string; password: string }[];
  readonly #instructor: { username: string; password: string };

  constructor(stage: Stage, name: string, seats: { seat: string; password: string }[], instructor: { username: string; password: string }) {
    this.stage = stage;
    this.name = name;
    this.#seats = seats;
    this.#instructor = instructor;
  }

  /** The queue's parameters, changed by the instructor. */
  async params(params: Record<string, number>): Promise<void> {
    await this.#instruct("PATCH", "/params", params);
  }

  async seatGroup(seat: string, group: string | null): Promise<void> {
    await this.#instruct("PUT", `/seats/${seat}/group`, { group });
  }

  async #instruct(method: string, path: string, body: unknown): Promise<void> {
    const { username, password } = this.#instructor;
    const answer = await fetch(`${this.stage.origin}/${this.name}/dashboard/api/v1${path}`, { method, headers: { Authorization: `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`, "Content-Type": "application/json" }, body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`${method} ${path} answered ${answer.status} ${await answer.text()}`);
  }

  client(n: number): SeatClient {
    const access = this.#seats[n - 1];
    if (access === undefined) throw new Error(`there is no seat ${n}`);
    return new SeatClient({ id: access.seat, url: `${this.stage.origin}/${this.name}/${access.seat}/`, username: access.seat, password: access.password });
  }

  async ops<T = Json>(method: string, path: string, body?: unknown): Promise<T> {
    return await this.stage.ops<T>(method, `/workshops/${this.name}${path}`, body);
  }

  async putPool(id: string, pool: Json): Promise<void> {
    await this.ops("PUT", `/pools/${id}`, pool);
  }

  /** The key of the pool's image; the pool need not have machines yet. */
  async dispatchKey(id: string): Promise<string> {
    return (await this.ops<{ dispatch_key: string }>("POST", `/pools/${id}/dispatch-key`)).dispatch_key;
  }
}

/** Bundles the Worker as a deploy would. */
async function buildWorker(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "comfyume-worker-"));
  const child = spawn(process.execPath, [WRANGLER, "deploy", "--dry-run", "--outdir", folder], { cwd: ROOT, stdio: "ignore", env: { ...process.env, WRANGLER_SEND_METRICS: "false" } });
  const code = await new Promise((resolve) => child.once("exit", resolve));
  if (code !== 0) throw new Error("the Worker does not build: see `npm run check`");
  return folder;
}

export async function openStage(options: StageOptions = {}): Promise<Stage> {
  const [port, bundle] = await Promise.all([freePort(), buildWorker(), buildRunner({ quiet: true })]);
  const weather = options.weather;
  weather?.aim(`http://127.0.0.1:${port}`);
  const stage = new Stage(port, bundle, options.vars?.((await weather?.open()) ?? `http://127.0.0.1:${port}`) ?? {});
  await stage.start();
  return stage;
}
