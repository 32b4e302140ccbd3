// The line of prompts and what became of them. One runs at a time; the lowest number goes first.
// Invariant: a prompt's history entry is written after its last run message and before the `status` that ends it [R run-success].

import { setTimeout as sleep } from "node:timers/promises";
import type { Control } from "./control.ts";
import type { Folders } from "./folders.ts";
import { ResultCache } from "./graph/cache.ts";
import { type Job, Run, type RunReport } from "./graph/execute.ts";
import { type Json, type Writable, toNumber } from "./json.ts";
import type { Log } from "./log.ts";
import type { Sockets } from "./sockets.ts";

const MAX_HISTORY = 10_000;

export type HistoryEntry = Record<string, Writable>;

function item(job: Job): Writable {
  return [job.number, job.promptId, job.prompt, job.extraData, job.outputs];
}

function historyEntry(job: Job, report: RunReport): HistoryEntry {
  const outputs = new Map<string, Writable>(report.outputs);
  const meta = new Map<string, Writable>([...report.outputs.keys()].map((id) => [id, { node_id: id, display_node: id, parent_node: null, real_node_id: id }]));
  return { prompt: item(job), outputs, status: { status_str: report.outcome, completed: report.outcome === "success", messages: report.messages }, meta };
}

export interface QueueParts {
  readonly folders: Folders;
  readonly control: Control;
  readonly log: Log;
}

export class PromptQueue {
  private counter = 0;
  private pending: Job[] = [];
  private current: Job | undefined;
  private readonly past = new Map<string, HistoryEntry>();
  private readonly cache = new ResultCache();
  private isInterrupted = false;
  private isFreeWanted = false;
  private isStopped = false;
  private isWorking = false;
  private readonly parts: QueueParts;
  /** Set once the sockets exist; they in turn ask the queue for its length. */
  private sockets: Sockets | undefined;

  constructor(parts: QueueParts) {
    this.parts = parts;
    parts.control.onChange(() => this.wake());
  }

  attach(sockets: Sockets): void {
    this.sockets = sockets;
  }

  get remaining(): number {
    return this.pending.length + (this.current === undefined ? 0 : 1);
  }

  /** The number of a prompt that names none; each call counts, also for prompts refused afterwards. */
  nextNumber(isFront: boolean): number {
    const number = this.counter++;
    return isFront ? 0 - number : number;
  }

  put(job: Job): void {
    const at = this.pending.findIndex((other) => toNumber(other.number) > toNumber(job.number));
    this.pending.splice(at < 0 ? this.pending.length : at, 0, job);
    this.sockets?.queueChanged();
    this.wake();
  }

  list(): Record<string, Writable> {
    return { queue_running: this.current === undefined ? [] : [item(this.current)], queue_pending: this.pending.map(item) };
  }

  clear(): void {
    this.pending = [];
    this.sockets?.queueChanged();
  }

  /** Takes a waiting prompt out; running and unknown ones are left alone. */
  remove(promptId: string): void {
    const left = this.pending.filter((job) => job.promptId !== promptId);
    if (left.length === this.pending.length) return;
    this.pending = left;
    this.sockets?.queueChanged();
  }

  /** Asks the running prompt to stop; with an id only if that one runs. */
  interrupt(promptId: string | undefined): void {
    if (this.current !== undefined && (promptId === undefined || promptId === this.current.promptId)) this.isInterrupted = true;
  }

  /** Drops kept results: now, or after the run. */
  free(): void {
    if (this.current === undefined) this.cache.clear();
    else this.isFreeWanted = true;
  }

  /** History entries, oldest first. `offset` below 0 with `maxItems` means the newest ones. */
  history(maxItems: number | undefined, offset: number): Map<string, Writable> {
    const all = [...this.past];
    const start = offset < 0 ? (maxItems === undefined ? 0 : Math.max(0, all.length - maxItems)) : offset;
    return new Map(all.slice(start, maxItems === undefined ? undefined : start + maxItems));
  }

  historyOf(promptId: string): Record<string, Writable> {
    const entry = this.past.get(promptId);
    return entry === undefined ? {} : { [promptId]: entry };
  }

  forget(promptIds: readonly Json[] | "all"): void {
    if (promptIds === "all") this.past.clear();
    else for (const id of promptIds) if (typeof id === "string") this.past.delete(id);
  }

  stop(): void {
    this.isStopped = true;
    this.isInterrupted = true;
    this.pending = [];
  }

  private wake(): void {
    if (this.isWorking) return;
    this.isWorking = true;
    setImmediate(() => void this.work());
  }

  private async work(): Promise<void> {
    try {
      while (!this.isStopped && !this.parts.control.state.hang) {
        const job = this.pending.shift();
        if (job === undefined) return;
        await this.run(job);
      }
    } finally {
      this.isWorking = false;
    }
  }

  private async run(job: Job): Promise<void> {
    const { folders, control, log } = this.parts;
    this.current = job;
    this.isInterrupted = false;
    this.sockets?.queueChanged();
    const clientId = job.extraData.get("client_id");
    const audience = this.sockets?.audience(typeof clientId === "string" ? clientId : undefined);
    if (audience === undefined) return;
    log.write("got prompt");
    const start = performance.now();
    if (control.state.start_delay_ms > 0) await sleep(control.state.start_delay_ms);
    const run = new Run(job, audience, {
      folders,
      cache: this.cache,
      stepMs: () => control.state.step_ms,
      isInterrupted: () => this.isInterrupted,
      beforeNode: () => control.maybeCrash(),
    });
    const report = await run.play();
    log.write(`Prompt executed in ${((performance.now() - start) / 1000).toFixed(2)} seconds`);
    this.finish(job, report);
    audience.now(undefined);
    this.sockets?.queueChanged();
    if (audience.hasClient) audience.send("executing", { node: null, prompt_id: job.promptId }, false);
  }

  private finish(job: Job, report: RunReport): void {
    this.past.delete(job.promptId);
    this.past.set(job.promptId, historyEntry(job, report));
    if (this.past.size > MAX_HISTORY) this.past.delete(this.past.keys().next().value ?? "");
    this.current = undefined;
    if (this.isFreeWanted) this.cache.clear();
    this.isFreeWanted = false;
  }
}
