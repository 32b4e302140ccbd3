// What a seat's server asks of a workshop: prompts, queue, history, settings, files. Everything is scoped to the seat that asks.
import type { FileName, StorageType } from "../gpu-adapter/contract.ts";
import type * as door from "./contract.ts";
import { findFile, listFiles, storeInput } from "./file-store.ts";
import { forgetHistory, historyBody, historyEntryBody, insertJob, jobDetail, jobPage, knownJob, queueBody } from "./job-store.ts";
import { retryAfterSeconds } from "./queue/index.ts";
import { refused } from "./refusals.ts";
import { knownEnd } from "./runner-desk.ts";
import { markOnce, raiseSeatRevision, readSeatLog, readSettings, seatIdentity, seatRevision, writeSettings } from "./seat-store.ts";
import type { Shell } from "./shell.ts";
import { submitCommand } from "./submit-command.ts";

export class SeatDoor {
  readonly #shell: Shell;

  constructor(shell: Shell) {
    this.#shell = shell;
  }

  submit(submit: door.Submit): door.Answer<door.Submitted> {
    const identity = seatIdentity(this.#shell.sql, submit.seat);
    if (!identity) return { ok: false, reason: "no_such_seat", message: `There is no seat ${submit.seat} in this workshop.` };
    const key = submit.idempotency_key ?? (submit.minted ? null : submit.job);
    const known = knownJob(this.#shell.sql, submit.seat, key, submit.job);
    const live = known !== null && this.#shell.engine.state.jobs.has(known.job);
    const end = known === null || live ? undefined : knownEnd(this.#shell.sql, known.job);
    const now = this.#shell.engine.now();
    const decision = this.#shell.run<"submit">(submitCommand(submit, identity.role === "instructor", key, end), (made) => {
      if (made.ok && !made.result.repeated) insertJob(this.#shell.sql, { submit, seq: made.result.seq, number: submit.front ? -made.result.seq : made.result.seq, state: "waiting", now });
    });
    if (!decision.ok) return refused(decision, decision.reason === "seat_queue_full" || decision.reason === "queue_full" ? retryAfterSeconds(this.#shell.forecast(), this.#shell.engine.state, submit.seat, now) : undefined);
    return { ok: true, job: decision.result.job, number: decision.result.repeated && known ? known.number : submit.front ? -decision.result.seq : decision.result.seq, repeated: decision.result.repeated };
  }

  queueRemaining(seat: string): number {
    return this.#shell.remaining(seat);
  }

  queueBody(seat: string, ifNoneMatch: string | null): door.Validated {
    return this.#validated(seat, "queue", "", ifNoneMatch, () => queueBody(this.#shell.sql, seat));
  }

  history(seat: string, query: { max_items: number | null; offset: number | null }, ifNoneMatch: string | null): door.Validated {
    return this.#validated(seat, "history", `${query.max_items ?? ""}.${query.offset ?? ""}`, ifNoneMatch, () => historyBody(this.#shell.sql, seat, query));
  }

  historyEntry(seat: string, job: string): string {
    return historyEntryBody(this.#shell.sql, seat, job);
  }

  deleteHistory(seat: string, jobs: string[] | "all"): void {
    this.#shell.sql.transaction(() => {
      if (forgetHistory(this.#shell.sql, seat, jobs) > 0) raiseSeatRevision(this.#shell.sql, seat);
    });
  }

  jobs(seat: string, query: door.JobsQuery, ifNoneMatch: string | null): { etag: string; rows: door.JobRow[] | null; total: number } {
    const etag = this.#etag(seat, "jobs", JSON.stringify(query));
    return ifNoneMatch === etag ? { etag, rows: null, total: 0 } : { etag, ...jobPage(this.#shell.sql, seat, query) };
  }

  jobDetail(seat: string, job: string): door.JobDetail | null {
    return jobDetail(this.#shell.sql, seat, job);
  }

  cancel(seat: string, jobs: string[]): door.CancelAnswer[] {
    return jobs.map((job) => {
      const decision = this.#shell.run<"cancel">({ type: "cancel", job, seat, known: knownEnd(this.#shell.sql, job) });
      return decision.ok ? decision.result.answer : "not_found";
    });
  }

  removeWaiting(seat: string, jobs: string[] | "all"): door.CancelAnswer[] {
    if (jobs === "all") {
      const decision = this.#shell.run<"clear">({ type: "clear", seat, instructor: false });
      return decision.ok ? decision.result.removed.map(() => "removed_waiting") : [];
    }
    const decision = this.#shell.run<"delete">({ type: "delete", seat, ids: jobs });
    const removed = new Set(decision.ok ? decision.result.removed : []);
    return jobs.map((job) => (removed.has(job) ? "removed_waiting" : "not_found"));
  }

  interrupt(seat: string, job: string | null): door.CancelAnswer[] {
    const decision = this.#shell.run<"interrupt">(job === null ? { type: "interrupt", seat } : { type: "interrupt", seat, job });
    return decision.ok ? decision.result.stopping.map(() => "stopping") : [];
  }

  seatLog(seat: string): { t: string; m: string }[] {
    return readSeatLog(this.#shell.sql, seat);
  }

  // ---- a seat's settings and files --------------------------------------------------------------------------------------------------
  settings(seat: string): Record<string, unknown> {
    return readSettings(this.#shell.sql, seat);
  }

  putSettings(seat: string, values: Record<string, unknown>): void {
    this.#shell.sql.transaction(() => writeSettings(this.#shell.sql, seat, values));
  }

  putInput(input: door.NewInput): door.Answer<door.InputStored> {
    return { ok: true, ...this.#shell.sql.transaction(() => storeInput(this.#shell.sql, input, `f_${crypto.randomUUID()}`, this.#shell.engine.now())) };
  }

  resolveFile(seat: string, name: FileName): door.StoredFile | null {
    return findFile(this.#shell.sql, seat, name);
  }

  listFiles(seat: string, type: StorageType, subfolder: string | null): door.StoredFile[] {
    return listFiles(this.#shell.sql, seat, type, subfolder);
  }

  once(seat: string, key: string): boolean {
    return markOnce(this.#shell.sql, seat, key);
  }

  #etag(seat: string, kind: string, query: string): string {
    return `"${kind}-${seatRevision(this.#shell.sql, seat)}-${query.replaceAll(/[^\w.,:-]/g, "")}"`;
  }

  #validated(seat: string, kind: string, query: string, ifNoneMatch: string | null, body: () => string): door.Validated {
    const etag = this.#etag(seat, kind, query);
    return { etag, body: ifNoneMatch === etag ? null : body() };
  }
}
