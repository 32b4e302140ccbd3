// A runner's words, applied: events, uploads, results. Every one of them names a lease, and only the current lease changes anything [Q53].
import { outputKey } from "../r2/keys.ts";
import type { CommitFile, AttemptRef, Answer, Refusal, StoredFile, UploadGrant } from "./contract.ts";
import type { FileName, RunnerEvent, RunResult, UploadFile } from "../gpu-adapter/contract.ts";
import { commitOutputs } from "./file-store.ts";
import { setJobStarted } from "./job-store.ts";
import type { LogFeed } from "./log-feed.ts";
import type { Attempt, Command, CommandType, Decision, ResultCommand } from "./queue/index.ts";
import { refused } from "./refusals.ts";
import type { RunRelay } from "./run-relay.ts";
import { resultDigest, type RunnerDesk } from "./runner-desk.ts";
import { addSeatLog } from "./seat-store.ts";
import type { Sql } from "./sql.ts";
import type { Delivered } from "./job-keeper.ts";

/** Decides, commits, tells; `record` joins the transaction. */
export type Run = <T extends CommandType>(command: Extract<Command, { type: T }>, record?: (decision: Decision<T>) => void, delivered?: readonly Delivered[]) => Decision<T>;

/** A lease is renewed at most this often (ms), or three times in its length if that is shorter: signs of life are frequent, log entries need not be. */
const RENEW_EVERY_MS = 3000;

export class RunnerProtocol {
  readonly #sql: Sql;
  readonly #desk: RunnerDesk;
  readonly #relay: RunRelay;
  readonly #logs: LogFeed;
  readonly #run: Run;
  readonly #now: () => number;
  readonly #workshop: () => string;
  readonly #renewed = new Map<string, number>();

  constructor(parts: { sql: Sql; desk: RunnerDesk; relay: RunRelay; logs: LogFeed; run: Run; now: () => number; workshop: () => string }) {
    this.#sql = parts.sql;
    this.#desk = parts.desk;
    this.#relay = parts.relay;
    this.#logs = parts.logs;
    this.#run = parts.run;
    this.#now = parts.now;
    this.#workshop = parts.workshop;
  }

  /** Applies events in order; the answer says how far they count and whether the run is to stop [G15]. */
  events(ref: AttemptRef, lease: string, events: RunnerEvent[]): Answer<{ ack: number; cancel: boolean; lease_ttl_s: number }> {
    const holder = this.#desk.holder(ref, lease);
    if (!holder.ok) return holder;
    for (const event of events) {
      if (event.seq <= this.#relay.acknowledged(ref.job)) continue;
      const starts = event.type === "started" || (event.type === "comfy" && event.message.type === "execution_start");
      if (starts && holder.attempt.startedAt === null) this.#started(ref, lease, holder.attempt.seat);
      if (event.type === "stage") this.#run<"phase">({ type: "phase", job: ref.job, attempt: ref.attempt, lease, phase: { name: event.stage } });
      if (event.type === "log") this.#say(holder.attempt.seat, event.line);
      this.#relay.take(ref.job, event);
    }
    this.renew(ref, lease, events.some((event) => event.type !== "heartbeat"));
    const job = holder.attempt.lease;
    return { ok: true, ack: this.#relay.acknowledged(ref.job), cancel: this.stopping(ref), lease_ttl_s: job ? Math.max(0, (job.expiresAt - this.#now()) / 1000) : 0 };
  }

  preview(ref: AttemptRef, lease: string, bytes: Uint8Array): void {
    if (this.#desk.holder(ref, lease).ok) this.#relay.takePreview(ref.job, bytes);
  }

  /** A sign of life; `activity` false for a bare heartbeat [Q58]. */
  renew(ref: AttemptRef, lease: string, activity: boolean): void {
    const last = this.#renewed.get(lease) ?? 0;
    if (this.#now() - last < Math.min(RENEW_EVERY_MS, this.#desk.leaseMs(ref) / 3)) return;
    this.#renewed.set(lease, this.#now());
    if (this.#renewed.size > 500) this.#renewed.clear();
    this.#run<"renew">({ type: "renew", job: ref.job, attempt: ref.attempt, lease, activity });
  }

  acknowledged(job: string): number {
    return this.#relay.acknowledged(job);
  }

  stopping(ref: AttemptRef): boolean {
    return this.#sql.all("SELECT 1 AS yes FROM jobs WHERE job = ? AND state = 'stopping'", ref.job).length > 0;
  }

  #say(seat: string, line: string): void {
    const now = this.#now();
    addSeatLog(this.#sql, seat, line, now);
    this.#logs.said(seat, now, line);
  }

  #started(ref: AttemptRef, lease: string, seat: string): void {
    const now = this.#now();
    const decision = this.#run<"started">({ type: "started", job: ref.job, attempt: ref.attempt, lease }, (made) => {
      if (made.ok) setJobStarted(this.#sql, ref.job, now);
    });
    if (decision.ok) this.#logs.moved(seat, ref.job, "started");
  }

  grantUploads(ref: AttemptRef, lease: string, files: UploadFile[]): Answer<UploadGrant> {
    const holder = this.#desk.holder(ref, lease);
    if (!holder.ok) return holder;
    const first = this.#desk.takeFileNumbers(ref, files.length);
    const keys = files.map((file, n) => outputKey({ workshop: this.#workshop(), job: ref.job, attempt: ref.attempt, lease, n: first + n, filename: file.filename }));
    this.renew(ref, lease, true);
    return { ok: true, seat: holder.attempt.seat, keys };
  }

  commitFiles(ref: AttemptRef, lease: string, files: CommitFile[]): Answer<{ files: (FileName & { file_id: string })[] }> {
    const holder = this.#desk.holder(ref, lease);
    if (!holder.ok) return holder;
    const prefix = `o/${this.#workshop()}/${ref.job}/${ref.attempt}/${lease}/`;
    const foreign = files.find((file) => !file.key.startsWith(prefix));
    if (foreign) return { ok: false, reason: "forbidden", message: "A file outside this lease's own keys cannot be committed." };
    const stored: StoredFile[] = this.#sql.transaction(() => commitOutputs(this.#sql, holder.attempt.seat, ref.job, ref.attempt, files, () => `f_${crypto.randomUUID()}`, this.#now()));
    return { ok: true, files: stored.map(({ type, subfolder, filename, file_id }) => ({ type, subfolder, filename, file_id })) };
  }

  /** The end of an attempt [G24], [G25]. A repeat is `already`; another result after the end is refused. */
  result(ref: AttemptRef, raw: RunResult): Answer<{ status: "accepted" | "already" }> {
    const ending = this.ending(ref, raw);
    if (ending === null) return { ok: true, status: "already" };
    const decision = this.#run<"result">(ending.command, undefined, [ending.delivered]);
    return decision.ok ? { ok: true, status: decision.result.answer } : refused(decision);
  }

  /** A result as the queue's command, and what it brings for the rows; null when there is nothing to decide. */
  ending(ref: AttemptRef, raw: RunResult): { command: ResultCommand; delivered: Delivered } | null {
    if (raw.status === "skipped") return null;
    const digest = resultDigest([raw.status, raw.files.map((file) => file.file_id), raw.comfy_outputs, raw.error ?? null]);
    const known = this.#desk.ended(ref.job);
    const { result, missing } = this.#renamed(ref, raw, this.#desk.holder(ref, raw.lease_id));
    const command = commandOf(ref, result, digest, missing.length === 0);
    return { command: known ? { ...command, known } : command, delivered: { job: ref.job, result, digest } };
  }

  #renamed(ref: AttemptRef, raw: RunResult, holder: { ok: true; attempt: Attempt } | Refusal): { result: RunResult; missing: string[] } {
    const missing: string[] = [];
    if (!holder.ok || Object.keys(raw.comfy_outputs).length === 0) return { result: raw, missing };
    const outputs = Object.fromEntries(Object.entries(raw.comfy_outputs).map(([node, output]) => [node, this.#relay.rename(holder.attempt.seat, ref.job, output, raw.files, missing)]));
    return { result: { ...raw, comfy_outputs: outputs }, missing };
  }
}

function commandOf(ref: AttemptRef, result: RunResult, digest: string, filesCommitted: boolean): ResultCommand {
  const base = {
    type: "result" as const, job: ref.job, attempt: ref.attempt, lease: result.lease_id, digest,
    ...(result.timings.exec_ms === undefined ? {} : { timings: { execMs: result.timings.exec_ms, loadMs: result.timings.load_ms ?? 0 } }),
  };
  if (result.status === "succeeded") return { ...base, outcome: "succeeded", filesCommitted };
  if (result.status === "cancelled") return { ...base, outcome: "cancelled" };
  const error = result.error;
  return { ...base, outcome: "failed", reason: { code: error?.code ?? "internal", message: error?.message || "The GPU reported a failure without words.", ...(error?.node_id ? { node_id: error.node_id } : {}) } };
}
