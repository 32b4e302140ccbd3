// What a seat's server asks of a workshop: prompts, queue, history, settings, files. Everything is scoped to the seat that asks.
import type { FileName, StorageType } from "../gpu-adapter/contract.ts";
import type * as door from "./contract.ts";
import { findFile, listFiles, storeInput } from "./file-store.ts";
import { discard } from "./garbage.ts";
import type { Prepared } from "./gathering.ts";
import { forgetJobs } from "./job-leavings.ts";
import { forgetHistory, insertJob, jobDetail, jobPage, knownJob } from "./job-store.ts";
import { historyEntry, historyPage, queuePage } from "./prompt-pages.ts";
import { type BatchAnswer, type Changes, type Results, retryAfterSeconds } from "./queue/index.ts";
import { placed } from "./place-view.ts";
import { refused } from "./refusals.ts";
import { knownEnd } from "./runner-desk.ts";
import { markOnce, readSeatLog, readSettings, seatIdentity, writeSettings } from "./seat-store.ts";
import type { Shell } from "./shell.ts";
import { submitCommand } from "./submit-command.ts";
import { addPart, dropUpload, findUpload, finishUpload, forgetParts, openUpload, sameUpload } from "./upload-store.ts";

/** ComfyUI's `number`: the place in the line of all, negative for `front` [Q14]. */
function numberOf(submit: door.Submit, seq: number): number {
  return submit.front ? -seq : seq;
}

export class SeatDoor {
  readonly #shell: Shell;

  constructor(shell: Shell) {
    this.#shell = shell;
  }

  /** Admits a prompt, or says why not. Submits that arrive together are committed together: one decision, one transaction, one log entry. */
  async submit(submit: door.Submit): Promise<door.Answer<door.Submitted>> {
    return await new Promise((resolve, reject) => {
      this.#shell.gathering.enter({ prepare: () => this.#prepare(submit, resolve), failed: reject });
    });
  }

  #prepare(submit: door.Submit, resolve: (answer: door.Answer<door.Submitted>) => void): Prepared | null {
    const role = this.#role(submit.seat);
    if (role === null) {
      resolve({ ok: false, reason: "no_such_seat", message: `There is no seat ${submit.seat} in this workshop.` });
      return null;
    }
    const key = submit.idempotency_key ?? (submit.minted ? null : submit.job);
    // An id the edge has just made is nobody's: only a caller's own id or key can be known already.
    const known = key === null ? null : knownJob(this.#shell.sql, submit.seat, key, submit.job);
    const end = known === null || this.#shell.engine.state.jobs.has(known.job) ? undefined : knownEnd(this.#shell.sql, known.job);
    return {
      command: submitCommand(submit, role === "instructor", key, end),
      record: (answer, changes) => this.#insert(changes, submit, answer),
      done: (answer) => resolve(this.#answer(submit, known, answer)),
    };
  }

  #insert(changes: Changes, submit: door.Submit, answer: BatchAnswer): void {
    const core = this.#shell.engine.state.jobs.get(submit.job);
    if (!answer.ok || (answer.result as Results["submit"]).repeated || !core) return;
    insertJob(this.#shell.sql, { submit, core, number: numberOf(submit, core.seq), now: this.#shell.engine.now() });
    changes.jobs.delete(submit.job);
  }

  #answer(submit: door.Submit, known: ReturnType<typeof knownJob>, answer: BatchAnswer): door.Answer<door.Submitted> {
    if (answer.ok) {
      const { job, seq, repeated } = answer.result as Results["submit"];
      return { ok: true, job, number: repeated && known ? known.number : numberOf(submit, seq), repeated };
    }
    const full = answer.reason === "seat_queue_full" || answer.reason === "queue_full";
    return refused(answer, full ? retryAfterSeconds(this.#shell.forecast(), this.#shell.engine.state, submit.seat, this.#shell.engine.now()) : undefined);
  }

  #role(seat: string): door.Role | null {
    const known = this.#shell.roles.get(seat);
    if (known !== undefined) return known;
    const role = seatIdentity(this.#shell.sql, seat)?.role ?? null;
    if (role !== null) this.#shell.roles.set(seat, role);
    return role;
  }

  queueRemaining(seat: string): number {
    return this.#shell.remaining(seat);
  }

  queuePage(seat: string, ifNoneMatch: string | null, after: string | null): door.PromptPage {
    return this.#paged(this.#etag(seat, "queue", ""), ifNoneMatch, () => queuePage(this.#shell.sql, seat, after));
  }

  historyPage(seat: string, query: { max_items: number | null; offset: number | null }, ifNoneMatch: string | null, after: string | null): door.PromptPage {
    return this.#paged(this.#etag(seat, "history", `${query.max_items ?? ""}.${query.offset ?? ""}`), ifNoneMatch, () => historyPage(this.#shell.sql, seat, query, after));
  }

  historyEntry(seat: string, job: string): door.Piece[] {
    return historyEntry(this.#shell.sql, seat, job);
  }

  deleteHistory(seat: string, jobs: string[] | "all"): void {
    const { sql, engine } = this.#shell;
    sql.transaction(() => {
      const gone = forgetHistory(sql, seat, jobs);
      if (gone.length === 0) return;
      forgetJobs(sql, gone, engine.now());
      this.#shell.revisions.raise(seat);
    });
    this.#shell.rearm();
  }

  jobs(seat: string, query: door.JobsQuery, ifNoneMatch: string | null): { etag: string; rows: door.JobRow[] | null; total: number } {
    const places = this.#shell.room.places.of(seat);
    const etag = this.#etag(seat, "jobs", `${JSON.stringify(query)}-${places.tag}`);
    if (ifNoneMatch === etag) return { etag, rows: null, total: 0 };
    const { rows, total } = jobPage(this.#shell.sql, seat, query);
    return { etag, rows: rows.map((row) => placed(row, places.rows)), total };
  }

  jobDetail(seat: string, job: string): door.JobDetail | null {
    const detail = jobDetail(this.#shell.sql, seat, job);
    return detail === null ? null : placed(detail, this.#shell.room.places.of(seat).rows);
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
    const { sql, engine } = this.#shell;
    const stored = sql.transaction(() => {
      const answer = storeInput(sql, input, `f_${crypto.randomUUID()}`, engine.now());
      if (answer.replaced !== null) discard(sql, [answer.replaced], engine.now());
      return answer;
    });
    if (stored.replaced !== null) this.#shell.rearm();
    return { ok: true, ...stored };
  }

  // ---- files in parts ---------------------------------------------------------------------------------------------------------------
  sameUpload(seat: string, asked: door.UploadAsked): door.OpenUpload | null {
    return sameUpload(this.#shell.sql, seat, asked);
  }

  openUpload(asked: door.NewUpload): door.Answer<{ upload: door.OpenUpload }> {
    const answer = this.#shell.sql.transaction(() => openUpload(this.#shell.sql, asked, this.#shell.engine.now()));
    this.#shell.rearm();
    return answer;
  }

  findUpload(seat: string, upload: string): door.OpenUpload | null {
    return findUpload(this.#shell.sql, seat, upload);
  }

  addPart(seat: string, upload: string, part: { part: number; etag: string }): boolean {
    return this.#shell.sql.transaction(() => addPart(this.#shell.sql, seat, upload, part, this.#shell.engine.now()));
  }

  forgetParts(seat: string, upload: string): void {
    forgetParts(this.#shell.sql, seat, upload);
  }

  finishUpload(seat: string, upload: string, stored: { sha256: string; content_type: string }): door.Answer<door.InputStored> {
    const answer = this.#shell.sql.transaction(() => finishUpload(this.#shell.sql, seat, upload, { ...stored, file_id: `f_${crypto.randomUUID()}` }, this.#shell.engine.now()));
    this.#shell.rearm();
    return answer;
  }

  dropUpload(seat: string, upload: string): boolean {
    const dropped = this.#shell.sql.transaction(() => dropUpload(this.#shell.sql, seat, upload, this.#shell.engine.now()));
    this.#shell.rearm();
    return dropped;
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
    return `"${kind}-${this.#shell.revisions.of(seat)}-${query.replaceAll(/[^\w.,:-]/g, "")}"`;
  }

  #paged(etag: string, ifNoneMatch: string | null, page: () => Omit<door.PromptPage, "etag">): door.PromptPage {
    return ifNoneMatch === etag ? { etag, pieces: null, next: null } : { etag, ...page() };
  }
}
