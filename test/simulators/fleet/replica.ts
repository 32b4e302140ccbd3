// One machine of a provider: the real bundled runner in mode http beside a sandbox GPU of its own. It can be ended the way providers end machines.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RUNNER_FILE } from "../../../scripts/build-runner.ts";
import { freePort, ROOT } from "../../../scripts/stack.ts";
import { RunnerProcess } from "../../contract/runner/support/runner-process.ts";

export type ReplicaOptions = {
  /** COMFYUME_DISPATCH_KEY of the image. */
  dispatchKey: string;
  /** Platforms the image may call back. */
  allowOrigins: string[];
  mode?: "http" | "http-once";
  /** Extra ms between the start of the machine and the start of its processes: image pull, boot. */
  coldMs?: number;
  sandboxArgs?: string[];
  /** Extra arguments of the runner. */
  runnerArgs?: string[];
  /** ms by which this machine's clock is ahead (or, negative, behind). */
  clockMs?: number;
};
export type ReplicaState = "initializing" | "running" | "terminating" | "gone";
export type Answer = { status: number; body: unknown };

let made = 0;

export class Replica {
  readonly id = `replica-${++made}`;
  readonly startedAt = Date.now();
  state: ReplicaState = "initializing";
  runner: RunnerProcess | null = null;
  /** Resolves with true when the machine took its probe, false when it ended before. */
  readonly ready: Promise<boolean>;
  readonly ended: Promise<void>;
  readonly #options: ReplicaOptions;
  readonly #folder = mkdtempSync(join(tmpdir(), "comfyume-replica-"));
  #sandbox: ChildProcess | null = null;
  #sandboxUrl = "";
  #port = 0;
  #end: () => void = () => undefined;

  constructor(options: ReplicaOptions) {
    this.#options = options;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.ready = this.#start();
  }

  /** Where the runner listens, once it does. */
  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get sandboxUrl(): string {
    return this.#sandboxUrl;
  }

  async #start(): Promise<boolean> {
    await sleep(this.#options.coldMs ?? 0);
    if (this.#over()) return false;
    const port = await freePort();
    this.#sandboxUrl = `http://127.0.0.1:${port}`;
    this.#sandbox = spawn(process.execPath, [join(ROOT, "gpu-adapter/sandbox/main.ts"), "--port", String(port), "--dir", join(this.#folder, "comfyui"), ...(this.#options.sandboxArgs ?? ["--step-ms", "5"])], { stdio: "ignore" });
    const { dispatchKey, allowOrigins, mode = "http", runnerArgs = [] } = this.#options;
    const origins = allowOrigins.flatMap((origin) => ["--allow-origin", origin]);
    this.runner = new RunnerProcess([mode, "--host", "127.0.0.1", "--port", "0", "--comfy", this.#sandboxUrl, "--work-dir", join(this.#folder, "work"), ...origins, ...runnerArgs], { COMFYUME_DISPATCH_KEY: dispatchKey, ...clock(this.#options.clockMs ?? 0) });
    void this.runner.exited.then(() => this.#gone());
    try {
      this.#port = (await this.runner.logged("listening")).port as number;
    } catch {
      return false;
    }
    while (!this.#over()) {
      const health = await this.#call("GET", "/health").catch(() => null);
      if (health?.status === 200) {
        if (!this.#over()) this.state = "running";
        return true;
      }
      await sleep(50);
    }
    return false;
  }

  /** Hands a body to the machine as the provider's gateway does, and holds the line; throws when the machine dies meanwhile. */
  async job(body: unknown): Promise<Answer> {
    return await this.#call("POST", "/v1/jobs", body);
  }

  async health(): Promise<Answer> {
    return await this.#call("GET", "/health");
  }

  /** As a power cut. */
  kill(): void {
    this.runner?.child.kill("SIGKILL");
    this.#sandbox?.kill("SIGKILL");
    this.#gone();
  }

  /** SIGTERM, then SIGKILL after `graceMs` (Verda: 30 s). */
  async terminate(graceMs = 30_000): Promise<void> {
    if (this.#over()) return;
    this.state = "terminating";
    this.runner?.child.kill("SIGTERM");
    const hard = setTimeout(() => this.kill(), graceMs);
    await (this.runner?.exited ?? Promise.resolve());
    clearTimeout(hard);
    this.#sandbox?.kill("SIGKILL");
    this.#gone();
  }

  /** Switches of this machine's sandbox GPU: hang, crash, start_delay_ms … */
  async control(switches: Record<string, unknown>): Promise<void> {
    const changed = await fetch(`${this.#sandboxUrl}/sandbox/control`, { method: "POST", body: JSON.stringify(switches) });
    if (!changed.ok) throw new Error(await changed.text());
  }

  #over(): boolean {
    return this.state === "gone" || this.state === "terminating";
  }

  #gone(): void {
    if (this.state === "gone") return;
    this.state = "gone";
    this.#sandbox?.kill("SIGKILL");
    this.#end();
    setTimeout(() => rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 }), 500).unref();
  }

  /** Plain node:http: a held request may last longer than fetch waits for headers. */
  #call(method: string, path: string, body?: unknown): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const text = body === undefined ? undefined : JSON.stringify(body);
      const outgoing = request({ host: "127.0.0.1", port: this.#port, method, path, headers: text === undefined ? {} : { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(text) } }, (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
        incoming.once("error", reject);
        incoming.once("aborted", () => reject(new Error("the machine died")));
        incoming.once("end", () => resolve({ status: incoming.statusCode ?? 0, body: parse(Buffer.concat(chunks).toString("utf8")) }));
      });
      outgoing.once("error", reject);
      outgoing.end(text);
    });
  }
}

function clock(ms: number): Record<string, string> {
  return ms === 0 ? {} : { NODE_OPTIONS: `--import=data:text/javascript,const%20now=Date.now;Date.now=()=>now()%2B(${ms})` };
}

export async function sleep(ms: number): Promise<void> {
  if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

export { RUNNER_FILE };
