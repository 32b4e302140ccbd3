// Starts ComfyUI and keeps it running: waits until it answers, starts it again with backoff when it dies, when it hangs, after repeated out-of-memory, after N
// jobs. Without a command line there is no supervisor: then somebody else keeps ComfyUI, and the runner only waits for it.
import { type ChildProcess, spawn } from "node:child_process";
import { backoffMs, RESTART } from "./backoff.ts";
import type { Aftermath, Box } from "./box.ts";
import { type Log, sleep, words } from "./log.ts";

export type RestartRule = { /** 0: never */ afterJobs: number; afterOoms: number };
/** When ComfyUI is started anew: after so many jobs (0: never), after so many seconds without an answer while idle. */
export type Patience = { restartAfter: number; hangAfter: number };
export type Tally = { jobs: number; ooms: number };

/** [G19]: out of memory twice in a row is taken for memory that does not come back. */
export const OOMS_IN_A_ROW = 2;
/** An idle ComfyUI is asked whether it lives so often in the time after which it counts as hung; that many silences in a row mean that it does. */
const SILENCES = 4;
/** One such question waits at most this long (ms). */
const ANSWER_MS = 10_000;
/** SIGTERM, then SIGKILL after this (ms). */
const KILL_MS = 8_000;
/** A process that lived this long starts the backoff anew (ms). */
const HEALTHY_MS = 60_000;

/** Why ComfyUI must be started anew after a job, or null. */
export function restartReason(tally: Tally, aftermath: Aftermath, rule: RestartRule): "crashed" | "stuck" | "out_of_memory" | "jobs" | null {
  if (aftermath.crashed) return "crashed";
  if (aftermath.stuck) return "stuck";
  if (tally.ooms >= rule.afterOoms) return "out_of_memory";
  return rule.afterJobs > 0 && tally.jobs >= rule.afterJobs ? "jobs" : null;
}

export class Supervisor {
  readonly #command: string;
  readonly #box: Box;
  readonly #rule: RestartRule;
  readonly #log: Log;
  readonly #pulseMs: number;
  #child: ChildProcess | null = null;
  #bornAt = 0;
  #deaths = 0;
  #tally: Tally = { jobs: 0, ooms: 0 };
  #stopped = false;
  #busy = false;
  #jobAt = 0;
  #pulse: ReturnType<typeof setInterval> | null = null;
  #silences = 0;
  /** This process has answered once. */
  #answered = false;

  constructor(command: string, box: Box, { restartAfter, hangAfter }: Patience, log: Log) {
    this.#command = command;
    this.#box = box;
    this.#rule = { afterJobs: restartAfter, afterOoms: OOMS_IN_A_ROW };
    this.#pulseMs = (hangAfter * 1000) / SILENCES;
    this.#log = log;
    box.processAlive = () => this.#child !== null;
    box.onAnswer = () => {
      this.#answered = true;
    };
    box.afterJob = (aftermath) => this.#afterJob(aftermath);
    box.unwell = (aftermath) => restartReason(this.#after(aftermath), aftermath, this.#rule) !== null;
    box.beforeJob = () => {
      this.#busy = true;
      this.#silences = 0;
      this.#jobAt = Date.now();
    };
  }

  start(): void {
    this.#spawn();
    this.#pulse = setInterval(() => void this.#feel(), this.#pulseMs);
    this.#pulse.unref();
  }

  /** Ends ComfyUI for good. */
  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#pulse !== null) clearInterval(this.#pulse);
    await this.#kill();
  }

  #spawn(): void {
    if (this.#stopped) return;
    this.#bornAt = Date.now();
    this.#tally = { jobs: 0, ooms: 0 };
    this.#silences = 0;
    this.#answered = false;
    // `exec` makes the shell become ComfyUI, so that signals reach it and its exit is ours to see.
    const child = spawn("/bin/sh", ["-c", `exec ${this.#command}`], { stdio: ["ignore", "pipe", "pipe"] });
    this.#child = child;
    child.stdout.pipe(process.stderr, { end: false });
    child.stderr.pipe(process.stderr, { end: false });
    this.#log("comfy_started", { pid: child.pid });
    child.once("error", (error) => this.#log("comfy_unstartable", { error: words(error) }));
    child.once("close", (code, signal) => void this.#died(child, code, signal));
  }

  async #died(child: ChildProcess, code: number | null, signal: string | null): Promise<void> {
    if (this.#child !== child) return;
    this.#child = null;
    if (this.#stopped) return;
    this.#box.vanished();
    this.#deaths = Date.now() - this.#bornAt > HEALTHY_MS ? 0 : this.#deaths + 1;
    const wait = backoffMs(RESTART, this.#deaths, Math.random());
    this.#log("comfy_died", { code, signal, again_in_ms: wait });
    await sleep(wait);
    this.#spawn();
  }

  #after(aftermath: Aftermath): Tally {
    return { jobs: this.#tally.jobs + 1, ooms: aftermath.oom ? this.#tally.ooms + 1 : 0 };
  }

  async #afterJob(aftermath: Aftermath): Promise<void> {
    this.#busy = false;
    this.#tally = this.#after(aftermath);
    const reason = restartReason(this.#tally, aftermath, this.#rule);
    // One that died on its own is being started already, or was.
    if (reason !== null && this.#child !== null && (reason !== "crashed" || this.#bornAt < this.#jobAt)) await this.#restart(reason);
  }

  async #restart(reason: string): Promise<void> {
    this.#log("comfy_restart", { reason });
    this.#box.dismiss();
    await this.#kill();
    this.#box.vanished();
    this.#spawn();
  }

  async #feel(): Promise<void> {
    const asked = this.#child;
    if (this.#busy || asked === null) return;
    const answered = await this.#box.comfy.systemStats(Math.min(this.#pulseMs, ANSWER_MS)).then(() => true, () => false);
    // A job that began meanwhile has its own watch, another process its own count.
    if (this.#busy || this.#child !== asked) return;
    this.#silences = answered ? 0 : this.#silences + 1;
    this.#answered ||= answered;
    // While it starts, silence is ordinary: only one that has answered can hang.
    if (this.#answered && this.#silences >= SILENCES) await this.#restart("hung");
  }

  async #kill(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child === null || child.exitCode !== null) return;
    const gone = new Promise<void>((resolve) => child.once("close", () => resolve()));
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), KILL_MS);
    await gone;
    clearTimeout(timer);
  }
}
