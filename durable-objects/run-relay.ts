// One run's events on their way from the runner to the seat's pages, and what is remembered of them for a page that was away.
// Invariants: names in `executed` are already stored files of this seat (stored before shown, [G17]); an event counted once is never sent again;
// how a run *ends* is told only after its result was committed, so nobody reads history too early.
import type { ProducedFile, RunnerEvent } from "../gpu-adapter/contract.ts";
import { renameOutputFiles } from "../gpu-adapter/file-names.ts";
import type { StoredFile } from "./contract.ts";
import { filesById } from "./file-store.ts";
import type { Seen } from "./endings.ts";
import { type JobFacts, jobFacts } from "./job-store.ts";
import { frame, type LiveRun } from "./seat-frames.ts";
import type { Sockets } from "./sockets.ts";
import { integer, type Sql, text, textOrNull } from "./sql.ts";

type Data = Record<string, unknown>;
type Live = LiveRun & { seat: string; client: string | null; /** last event counted */ seq: number; inputs: Map<string, string> };

/** Ends are told by the workshop once committed; `status` is each seat's own. */
const NOT_RELAYED = new Set(["execution_success", "execution_interrupted", "status", "feature_flags", "crystools.monitor"]);

export class RunRelay {
  readonly #sql: Sql;
  readonly #sockets: Sockets;
  readonly #runs = new Map<string, Live>();
  /** Of jobs that are under way: read once, at the claim or after waking. */
  readonly #facts = new Map<string, JobFacts>();
  /** Jobs that have a row: most runs of instant nodes never need one. */
  readonly #stored: Set<string>;

  constructor(sql: Sql, sockets: Sockets) {
    this.#sql = sql;
    this.#sockets = sockets;
    this.#stored = new Set(sql.all("SELECT job FROM live").map((row) => text(row, "job")));
  }

  /** What is fixed about a job under way; null when there is no such job. */
  facts(job: string): JobFacts | null {
    const known = this.#facts.get(job) ?? jobFacts(this.#sql, job);
    if (known) this.#facts.set(job, known);
    return known;
  }

  /** Spares the reading of what was read for the runner. */
  remember(job: string, facts: JobFacts): void {
    this.#facts.set(job, facts);
  }

  /** Takes one event of the current lease; false when it was counted before. */
  take(job: string, event: RunnerEvent): boolean {
    const run = this.#run(job);
    if (!run || event.seq <= run.seq) return false;
    run.seq = event.seq;
    if (event.type === "comfy") this.#comfy(run, event.message.type, event.message.data, event.files ?? []);
    return true;
  }

  takePreview(job: string, bytes: Uint8Array): void {
    const run = this.#run(job);
    if (run) this.#sockets.tellBinary(run.seat, run.client, bytes);
  }

  /** Sequence number up to which everything of this run is stored or sent. */
  acknowledged(job: string): number {
    return this.#run(job)?.seq ?? 0;
  }

  /** Runs of a seat that a page with this client id should be told about. */
  running(seat: string, client: string): LiveRun[] {
    return this.#sql
      .all("SELECT live.job FROM live JOIN jobs USING (job) WHERE jobs.seat = ? AND jobs.ended IS NULL ORDER BY jobs.seq", seat)
      .map((row) => this.#run(text(row, "job")))
      .filter((run): run is Live => run !== null && (run.client === client || run.client === null || run.client === ""));
  }

  seen(job: string): Seen {
    const run = this.#run(job);
    return { started: run?.start !== null && run !== null, executed: run?.executed ?? {}, start: run?.start ?? null };
  }

  /** Renames an output's files to the seat's names; `missing` collects those nobody committed. */
  rename(seat: string, job: string, output: unknown, files: ProducedFile[], missing: string[]): unknown {
    const stored = filesById(this.#sql, seat, files.map((file) => file.file_id));
    const byLocal = new Map<string, StoredFile>();
    for (const file of files) {
      const found = stored.get(file.file_id);
      if (found) byLocal.set(`${file.type}/${file.subfolder}/${file.filename}`, found);
    }
    const inputs = this.#run(job)?.inputs ?? new Map<string, string>();
    return renameOutputFiles(output, (file) => {
      const found = byLocal.get(`${file.type}/${file.subfolder}/${file.filename}`);
      if (found) return { filename: found.filename, subfolder: found.subfolder, type: found.type };
      const original = file.type === "input" ? inputs.get(file.filename) : undefined;
      if (original !== undefined) return { filename: original.slice(original.lastIndexOf("/") + 1), subfolder: original.includes("/") ? original.slice(0, original.lastIndexOf("/")) : "", type: "input" };
      missing.push(`${file.type}/${file.subfolder}/${file.filename}`);
      return null;
    });
  }

  /** Begins a new attempt: what an earlier one showed no longer counts. Runs inside the claim's transaction. */
  begin(job: string): void {
    this.forget(job);
  }

  /** Forgets a run that ended or lost its attempt. Runs inside the transaction that says so. */
  forget(job: string): void {
    this.#runs.delete(job);
    this.#facts.delete(job);
    if (this.#stored.delete(job)) this.#sql.all("DELETE FROM live WHERE job = ?", job);
  }

  /** Drops what memory holds, after a failed commit. */
  reset(): void {
    this.#runs.clear();
    this.#facts.clear();
    for (const row of this.#sql.all("SELECT job FROM live")) this.#stored.add(text(row, "job"));
  }

  #comfy(run: Live, type: string, data: Data, files: ProducedFile[]): void {
    if (NOT_RELAYED.has(type)) return;
    if (type === "execution_error" && data.exception_type !== "ExecutionBlocked") return;
    if (type === "execution_start") {
      run.start = data;
      this.#keep(run);
    } else if (type === "executing") {
      if (data.node === null || data.node === undefined) return;
      run.executing = data;
      this.#keep(run);
    } else if (type === "progress_state") {
      run.progress = data;
    } else if (type === "executed") {
      const shown = { ...data, output: this.rename(run.seat, run.job, data.output, files, []) };
      run.executed[String(data.node)] = shown;
      this.#keep(run);
      this.#sockets.tell(run.seat, run.client, [frame(type, shown)]);
      return;
    }
    this.#sockets.tell(run.seat, run.client, [frame(type, data)]);
  }

  #keep(run: Live): void {
    this.#stored.add(run.job);
    this.#sql.all(
      `INSERT INTO live (job, seq, start, executing, progress, outputs) VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT (job) DO UPDATE SET seq = excluded.seq, start = excluded.start, executing = excluded.executing, progress = excluded.progress, outputs = excluded.outputs`,
      run.job, run.seq, json(run.start), json(run.executing), json(run.progress), JSON.stringify(run.executed),
    );
  }

  #run(job: string): Live | null {
    const known = this.#runs.get(job);
    if (known) return known;
    const facts = this.facts(job);
    if (!facts || facts.ended !== null) return null;
    const row = this.#stored.has(job) ? this.#sql.all("SELECT seq, start, executing, progress, outputs FROM live WHERE job = ?", job)[0] : undefined;
    const run: Live = {
      job, seat: facts.seat, client: facts.client_id, seq: row ? integer(row, "seq") : 0,
      start: row ? parsed(textOrNull(row, "start")) : null, executing: row ? parsed(textOrNull(row, "executing")) : null, progress: row ? parsed(textOrNull(row, "progress")) : null,
      executed: row ? (JSON.parse(text(row, "outputs")) as Record<string, Data>) : {},
      inputs: new Map(facts.inputs.flatMap((input) => (input.original === undefined ? [] : [[input.name, input.original] as const]))),
    };
    this.#runs.set(job, run);
    return run;
  }
}

const json = (data: Data | null): string | null => (data === null ? null : JSON.stringify(data));
const parsed = (value: string | null): Data | null => (value === null ? null : (JSON.parse(value) as Data));
