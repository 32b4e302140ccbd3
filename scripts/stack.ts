// Brings up the whole product on this machine: wrangler dev (Worker, objects, R2, assets), a sandbox GPU or a real ComfyUI, and the runners between them.
// `npm start` and the end-to-end tests use this same code: nothing is wired differently for tests.
import { type ChildProcess, spawn } from "node:child_process";
import { createServer } from "node:net";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildRunner } from "./build-runner.ts";

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");

export type StackOptions = {
  port: number;
  workshop: string;
  seats: number;
  runners: number;
  /** Drive this ComfyUI instead of the sandbox. */
  comfyuiUrl?: string;
  /** Where objects and files are kept (wrangler's --persist-to). */
  stateDir: string;
  /** Folder for the address file `{workshop}.json`. */
  workshopDir: string;
  /** Extra Worker vars, e.g. another FRONTEND. */
  vars?: Record<string, string>;
  /** Another wrangler configuration file; its paths are absolute. Secrets still come from the project's .dev.vars. */
  configFile?: string;
  /** Extra arguments of the sandbox, e.g. ["--step-ms", "5"]. */
  sandboxArgs?: string[];
  /** ms a runner keeps a job after its last sign of life. */
  leaseMs?: number;
  /** Where runners dial in when it is not the Worker's own address (a test's proxy in between). */
  runnerOrigin?: string;
  say?: (line: string) => void;
  /** Aborting stops everything, also while it is still starting. */
  signal?: AbortSignal;
};

export type SeatAccess = { id: string; url: string; username: string; password: string };
export type WorkshopFile = { origin: string; workshop: string; instructor: { url: string; username: string; password: string }; seats: SeatAccess[] };

export type Stack = {
  origin: string;
  access: WorkshopFile;
  sandboxUrl: string;
  operatorToken: string;
  /** Running child processes by name: "wrangler", "sandbox", "runner1"... */
  children: Map<string, ChildProcess>;
  startRunner(n: number): ChildProcess;
  startWrangler(): Promise<void>;
  stop(): Promise<void>;
};

/** A sentence for the person in front of the terminal; printed without a stack trace. */
export class StackError extends Error {}

/** Throws StackError when somebody already listens on the port. */
export async function assertPortFree(port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const probe = createServer();
    probe.once("error", (error: NodeJS.ErrnoException) =>
      reject(new StackError(error.code === "EADDRINUSE" ? `Port ${port} is taken by another program. Stop it, or choose another: PORT=${port + 1} npm start` : `Port ${port} cannot be used: ${error.message}`)),
    );
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve()));
  });
}

/** A port the system says is free right now. */
export async function freePort(): Promise<number> {
  return await new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() => (address && typeof address === "object" ? resolve(address.port) : reject(new Error("no port"))));
    });
  });
}

/** A probe that got no answer in this time (ms) asks again: the one it asked may have been restarted meanwhile. */
const PROBE_MS = 10_000;

function readSecret(name: string): string {
  const match = new RegExp(`^${name}\\s*=\\s*"?([^"\\n]+)"?`, "m").exec(readFileSync(join(ROOT, ".dev.vars"), "utf8"));
  if (!match?.[1]) throw new StackError(`.dev.vars has no ${name}. Delete .dev.vars and run npm start again: it makes new secrets (and with them new passwords).`);
  return match[1];
}

function launch(name: string, args: string[], env: Record<string, string>, log: (line: string) => void): ChildProcess {
  const child = spawn(process.execPath, args, { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...env } });
  for (const stream of [child.stdout, child.stderr]) {
    let rest = "";
    stream?.setEncoding("utf8").on("data", (chunk: string) => {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) log(`[${name}] ${line}`);
    });
  }
  return child;
}

type Waiting = { child: ChildProcess | undefined; seconds: number; recent: string[]; signal: AbortSignal | undefined };

async function until(what: string, { child, seconds, recent, signal }: Waiting, probe: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + seconds * 1000;
  while (Date.now() < deadline) {
    if (signal?.aborted) throw new StackError("Stopped while starting.");
    if (child && (child.exitCode !== null || child.signalCode !== null)) throw new StackError(`${what} stopped while starting. Its last words:\n${recent.slice(-15).join("\n")}`);
    try {
      if (await probe()) return;
    } catch {
      // not there yet
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new StackError(`${what} did not answer within ${seconds} s. Its last words:\n${recent.slice(-15).join("\n")}`);
}

async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  await new Promise<void>((resolve) => {
    const hard = setTimeout(() => child.kill("SIGKILL"), 8000);
    child.once("exit", () => {
      clearTimeout(hard);
      resolve();
    });
    child.kill("SIGTERM");
  });
}

/** Starts everything and returns when a seat would work. Errors are StackError with the way out. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const say = options.say ?? (() => undefined);
  const { signal } = options;
  const recent: string[] = [];
  const log = (line: string): void => {
    recent.push(line);
    if (recent.length > 400) recent.shift();
    if (process.env.VERBOSE) process.stderr.write(`${line}\n`);
  };
  await assertPortFree(options.port);
  const operatorToken = readSecret("OPERATOR_TOKEN");
  const origin = `http://127.0.0.1:${options.port}`;
  const children = new Map<string, ChildProcess>();
  const file = join(options.workshopDir, `${options.workshop}.json`);
  const stop = async (): Promise<void> => {
    rmSync(file, { force: true });
    const byName = [...children.entries()];
    await Promise.all(byName.filter(([name]) => name.startsWith("runner")).map(([, child]) => stopChild(child)));
    await Promise.all(byName.map(([, child]) => stopChild(child)));
  };
  const startWrangler = async (): Promise<void> => {
    const vars = Object.entries(options.vars ?? {}).flatMap(([key, value]) => ["--var", `${key}:${value}`]);
    const inspector = await freePort();
    const config = options.configFile === undefined ? [] : ["--config", options.configFile, "--env-file", join(ROOT, ".dev.vars")];
    const args = [join(ROOT, "node_modules/wrangler/bin/wrangler.js"), "dev", "--ip", "127.0.0.1", "--port", String(options.port), "--inspector-port", String(inspector), "--persist-to", options.stateDir, "--show-interactive-dev-session=false", ...config, ...vars];
    const child = launch("wrangler", args, { NO_COLOR: "1", WRANGLER_SEND_METRICS: "false" }, log);
    children.set("wrangler", child);
    await until("The Worker (wrangler dev)", { child, seconds: 90, recent, signal }, async () => (await fetch(`${origin}/health/ping`, { signal: AbortSignal.timeout(PROBE_MS) })).ok);
  };
  const startSandbox = async (): Promise<string> => {
    if (options.comfyuiUrl) return await checkComfy(options.comfyuiUrl);
    const port = await freePort();
    mkdirSync(join(options.stateDir, "sandbox"), { recursive: true });
    const child = launch("sandbox", [join(ROOT, "gpu-adapter/sandbox/main.ts"), "--port", String(port), "--dir", join(options.stateDir, "sandbox"), ...(options.sandboxArgs ?? [])], {}, log);
    children.set("sandbox", child);
    const url = `http://127.0.0.1:${port}`;
    await until("The sandbox GPU", { child, seconds: 30, recent, signal }, async () => (await fetch(`${url}/system_stats`, { signal: AbortSignal.timeout(PROBE_MS) })).ok);
    return url;
  };
  try {
    say("• Starting the Worker, the sandbox GPU and the runner …");
    const [runnerFile, sandboxUrl] = await Promise.all([buildRunner({ quiet: true }), startSandbox(), startWrangler()]);
    const ops = async (method: string, path: string, body?: unknown): Promise<Record<string, unknown>> => {
      const answer = await fetch(`${origin}/ops/v1${path}`, { method, headers: { Authorization: `Bearer ${operatorToken}`, "Content-Type": "application/json" }, body: body === undefined ? undefined : JSON.stringify(body) });
      const text = await answer.text();
      if (!answer.ok) throw new StackError(`The Worker refused ${method} ${path}: ${answer.status} ${text.slice(0, 300)}`);
      return JSON.parse(text) as Record<string, unknown>;
    };
    const made = (await ops("POST", "/workshops", {
      workshop: options.workshop,
      title: options.workshop,
      seats: options.seats,
      pools: [{ id: "local", provider: "pull", max_in_flight: options.runners, lease_ms: options.leaseMs ?? 20_000, claim_ms: 30_000 }],
    })) as { instructor: { username: string; password: string }; seats: { seat: string; password: string }[] };
    const { token } = (await ops("POST", `/workshops/${options.workshop}/pools/local/token`, {})) as { token: string };
    const startRunner = (n: number): ChildProcess => {
      const env = { COMFYUME_TOKEN: token };
      const child = launch(`runner${n}`, [runnerFile, "pull", "--platform", `${options.runnerOrigin ?? origin}/runner/v1/${options.workshop}`, "--pool", "local", "--comfy", sandboxUrl], env, log);
      children.set(`runner${n}`, child);
      return child;
    };
    for (let n = 1; n <= options.runners; n++) startRunner(n);
    await until("A runner", { child: children.get("runner1"), seconds: 60, recent, signal }, async () => {
      const health = (await (await fetch(`${origin}/ops/v1/workshops/${options.workshop}/health`, { headers: { Authorization: `Bearer ${operatorToken}` }, signal: AbortSignal.timeout(PROBE_MS) })).json()) as { health?: { runners?: { stage: string | null }[] }; catalogs?: number };
      return (health.health?.runners ?? []).filter(({ stage }) => stage === "ready").length >= options.runners && (health.catalogs ?? 0) > 0;
    });
    const url = (seat: string): string => `${origin}/${options.workshop}/${seat}/`;
    const access: WorkshopFile = {
      origin,
      workshop: options.workshop,
      instructor: { url: url("dashboard"), ...made.instructor },
      seats: made.seats.map(({ seat, password }) => ({ id: seat, url: url(seat), username: seat, password })),
    };
    mkdirSync(options.workshopDir, { recursive: true });
    writeFileSync(file, `${JSON.stringify(access, null, 2)}\n`, { mode: 0o600 });
    return { origin, access, sandboxUrl, operatorToken, children, startRunner, startWrangler, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function checkComfy(address: string): Promise<string> {
  const url = address.replace(/\/+$/, "");
  try {
    const answer = await fetch(`${url}/system_stats`, { signal: AbortSignal.timeout(5000) });
    if (!answer.ok) throw new Error(`it answered ${answer.status}`);
  } catch (error) {
    throw new StackError(`No ComfyUI answers at COMFYUI_URL=${address} (${error instanceof Error ? error.message : String(error)}). Start it, or leave COMFYUI_URL out to use the sandbox.`);
  }
  return url;
}
