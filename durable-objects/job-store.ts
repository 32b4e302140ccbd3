// Every job ever accepted, as rows a seat's views are made from. Invariant: the end of a job is written once ([Q7]: a terminal record is kept);
// bodies for `/queue` and `/history` are spliced from stored JSON texts, never parsed and written again.
import type { InputRef, JobDetail, JobRow, JobsQuery, JobState, Submit } from "./contract.ts";
import { jobCore } from "./queue-store.ts";
import type { Job } from "./queue/index.ts";
import { integer, integerOrNull, type Sql, type SqlRow, type SqlValue, text, textOrNull } from "./sql.ts";

/** `core` is the queue's own record of the job, as the decision left it (it may be dispatched already). */
export type NewJob = { submit: Submit; core: Job; number: number; now: number };

export function insertJob(sql: Sql, { submit, core, number, now }: NewJob): void {
  sql.all(
    `INSERT INTO jobs (seq, job, seat, number, state, core, created, client_id, idempotency_key, body_hash, workflow_id, outputs_to_execute, partial, inputs, prompt_key)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    core.seq, submit.job, submit.seat, number, core.state, jobCore(core), now, submit.client_id, submit.idempotency_key ?? (submit.minted ? null : submit.job), submit.body_hash,
    submit.workflow_id, JSON.stringify(submit.outputs_to_execute), submit.partial ? 1 : 0, JSON.stringify(submit.inputs), submit.prompt_key ?? null,
  );
  if (submit.prompt_key === undefined) {
    sql.all("INSERT INTO prompts (seq, prompt, extra_data, run_prompt) VALUES (?, ?, ?, ?)", core.seq, submit.prompt_json, submit.extra_data_json, submit.run_prompt_json ?? null);
  }
}

/** What idempotency needs: the job under this key of this seat, or under this id of anybody [Q14]. */
export function knownJob(sql: Sql, seat: string, key: string | null, job: string): { job: string; seat: string; number: number; body_hash: string } | null {
  const row =
    (key === null ? undefined : sql.all("SELECT job, seat, number, body_hash FROM jobs WHERE seat = ? AND idempotency_key = ?", seat, key)[0]) ??
    sql.all("SELECT job, seat, number, body_hash FROM jobs WHERE job = ?", job)[0];
  return row ? { job: text(row, "job"), seat: text(row, "seat"), number: integer(row, "number"), body_hash: text(row, "body_hash") } : null;
}

export type JobFacts = { seat: string; number: number; state: JobState; client_id: string | null; outputs_to_execute: string[]; partial: boolean; inputs: InputRef[]; prompt_key: string | null; started: number | null; ended: number | null };

export function jobFacts(sql: Sql, job: string): JobFacts | null {
  const row = sql.all("SELECT seat, number, state, client_id, outputs_to_execute, partial, inputs, prompt_key, started, ended FROM jobs WHERE job = ?", job)[0];
  if (!row) return null;
  return {
    seat: text(row, "seat"),
    number: integer(row, "number"),
    state: text(row, "state") as JobState,
    client_id: textOrNull(row, "client_id"),
    outputs_to_execute: JSON.parse(text(row, "outputs_to_execute")) as string[],
    partial: integer(row, "partial") === 1,
    inputs: JSON.parse(text(row, "inputs")) as InputRef[],
    prompt_key: textOrNull(row, "prompt_key"),
    started: integerOrNull(row, "started"),
    ended: integerOrNull(row, "ended"),
  };
}

export function promptTexts(sql: Sql, job: string): { prompt: string; extra_data: string; run_prompt: string | null } | null {
  const row = sql.all("SELECT prompt, extra_data, run_prompt FROM prompts JOIN jobs USING (seq) WHERE job = ?", job)[0];
  return row ? { prompt: text(row, "prompt"), extra_data: text(row, "extra_data"), run_prompt: textOrNull(row, "run_prompt") } : null;
}

export function setJobStarted(sql: Sql, job: string, at: number): void {
  sql.all("UPDATE jobs SET started = ?, in_history = 0 WHERE job = ? AND ended IS NULL", at, job);
}

export type JobEnd = { state: JobState; at: number; inHistory: boolean; outputs: string; status: string | null; meta: string; error: string | null; resultHash: string | null; lease: string | null };

/** The one terminal write; a second call changes nothing. */
export function endJob(sql: Sql, job: string, end: JobEnd): void {
  sql.all(
    "UPDATE jobs SET state = ?, core = NULL, ended = ?, in_history = ?, outputs = ?, status = ?, meta = ?, error = ?, result_hash = ?, end_lease = ? WHERE job = ? AND ended IS NULL",
    end.state, end.at, end.inHistory ? 1 : 0, end.outputs, end.status, end.meta, end.error, end.resultHash, end.lease, job,
  );
}

/** Prompts over a row's size live in R2; a queue or history body names the object so that the edge can splice it in. */
const TEXTS = "jobs.job, jobs.seq, jobs.number, jobs.created, jobs.outputs_to_execute, jobs.prompt_key, prompts.prompt, prompts.extra_data";

/** ComfyUI's `[number, prompt_id, prompt, extra_data, outputs_to_execute]` as JSON text. */
function queueItem(row: SqlRow): string {
  const prompt = textOrNull(row, "prompt") ?? "{}";
  const extra = textOrNull(row, "extra_data") ?? "{}";
  return `[${integer(row, "number")}, ${JSON.stringify(text(row, "job"))}, ${prompt}, ${withCreateTime(extra, integer(row, "created"))}, ${text(row, "outputs_to_execute")}]`;
}

/** 0.38 adds `create_time` (ms) to extra_data; an older client ignores it. */
function withCreateTime(extra: string, created: number): string {
  const open = extra.lastIndexOf("}");
  if (open < 0 || extra.includes('"create_time"')) return extra;
  const head = extra.slice(0, open).trimEnd();
  return `${head}${head.endsWith("{") ? "" : ", "}"create_time": ${created}}`;
}

/** The body of `GET /queue` for one seat: running and stopping, then waiting in the seat's own order. */
export function queueBody(sql: Sql, seat: string): string {
  const rows = sql.all(`SELECT ${TEXTS}, jobs.state FROM jobs LEFT JOIN prompts USING (seq) WHERE seat = ? AND ended IS NULL ORDER BY number, seq`, seat);
  const running = rows.filter((row) => ["running", "stopping"].includes(text(row, "state"))).map(queueItem);
  const pending = rows.filter((row) => ["waiting", "dispatched"].includes(text(row, "state"))).map(queueItem);
  return `{"queue_running": [${running.join(", ")}], "queue_pending": [${pending.join(", ")}]}`;
}

function historyItem(row: SqlRow): string {
  return `${JSON.stringify(text(row, "job"))}: {"prompt": ${queueItem(row)}, "outputs": ${text(row, "outputs")}, "status": ${textOrNull(row, "status") ?? "null"}, "meta": ${text(row, "meta")}}`;
}

/** ComfyUI keeps at most this many history entries. */
const HISTORY_MOST = 10_000;

/** The body of `GET /history`: oldest first; `max_items` alone means the last N, with `offset` N from that index counted from the oldest. */
export function historyBody(sql: Sql, seat: string, query: { max_items: number | null; offset: number | null }): string {
  const from = `FROM jobs LEFT JOIN prompts USING (seq) WHERE seat = ? AND in_history = 1`;
  const most = Math.min(query.max_items ?? HISTORY_MOST, HISTORY_MOST);
  const columns = `${TEXTS}, jobs.outputs, jobs.status, jobs.meta`;
  const rows =
    query.offset !== null && query.offset >= 0
      ? sql.all(`SELECT ${columns} ${from} ORDER BY seq LIMIT ? OFFSET ?`, seat, most, query.offset)
      : sql.all(`SELECT ${columns} ${from} ORDER BY seq DESC LIMIT ?`, seat, most).toReversed();
  return `{${rows.map(historyItem).join(", ")}}`;
}

export function historyEntryBody(sql: Sql, seat: string, job: string): string {
  const row = sql.all(`SELECT ${TEXTS}, jobs.outputs, jobs.status, jobs.meta FROM jobs LEFT JOIN prompts USING (seq) WHERE seat = ? AND in_history = 1 AND jobs.job = ?`, seat, job)[0];
  return row ? `{${historyItem(row)}}` : "{}";
}

/** Takes entries out of a seat's history; the record of the job stays [Q7]. Answers which went. */
export function forgetHistory(sql: Sql, seat: string, jobs: string[] | "all"): string[] {
  const gone =
    jobs === "all"
      ? sql.all("UPDATE jobs SET in_history = 0 WHERE seat = ? AND in_history = 1 RETURNING job", seat)
      : jobs.flatMap((job) => sql.all("UPDATE jobs SET in_history = 0 WHERE seat = ? AND job = ? AND in_history = 1 RETURNING job", seat, job));
  return gone.map((row) => text(row, "job"));
}

const LIGHT = "job, number, state, created, started, ended, outputs, error, workflow_id, in_history";

function jobRow(row: SqlRow): JobRow {
  return {
    job: text(row, "job"), number: integer(row, "number"), state: text(row, "state") as JobState, created: integer(row, "created"), started: integerOrNull(row, "started"), ended: integerOrNull(row, "ended"),
    outputs_json: text(row, "outputs"), error_json: textOrNull(row, "error"), workflow_id: textOrNull(row, "workflow_id"), in_history: integer(row, "in_history") === 1,
  };
}

/** One page of a seat's jobs, sorted and counted by SQL: live ones and those still in history. */
export function jobPage(sql: Sql, seat: string, query: JobsQuery): { rows: JobRow[]; total: number } {
  const where = ["seat = ?", "(ended IS NULL OR in_history = 1)"];
  const bindings: SqlValue[] = [seat];
  if (query.states) {
    where.push(`state IN (${query.states.map(() => "?").join(", ") || "''"})`);
    bindings.push(...query.states);
  }
  if (query.workflow_id !== null) {
    where.push("workflow_id = ?");
    bindings.push(query.workflow_id);
  }
  const condition = where.join(" AND ");
  const direction = query.descending ? "DESC" : "ASC";
  const key = query.sort_by === "created_at" ? `seq ${direction}` : `COALESCE(ended - started, 0) ${direction}, seq ${direction}`;
  const total = integer(sql.all(`SELECT count(*) AS n FROM jobs WHERE ${condition}`, ...bindings)[0] ?? {}, "n");
  const rows = sql.all(`SELECT ${LIGHT} FROM jobs WHERE ${condition} ORDER BY ${key} LIMIT ? OFFSET ?`, ...bindings, query.limit ?? -1, query.offset);
  return { rows: rows.map(jobRow), total };
}

export function jobDetail(sql: Sql, seat: string, job: string): JobDetail | null {
  const row = sql.all(
    `SELECT ${LIGHT.split(", ").map((name) => `jobs.${name}`).join(", ")}, jobs.status, jobs.prompt_key, jobs.outputs_to_execute, prompts.prompt, prompts.extra_data
     FROM jobs LEFT JOIN prompts USING (seq) WHERE seat = ? AND jobs.job = ? AND (ended IS NULL OR in_history = 1)`,
    seat, job,
  )[0];
  if (!row) return null;
  return {
    ...jobRow(row),
    status_json: textOrNull(row, "status"),
    prompt_json: textOrNull(row, "prompt") ?? "{}",
    extra_data_json: textOrNull(row, "extra_data") ?? "{}",
    prompt_key: textOrNull(row, "prompt_key"),
    outputs_to_execute: JSON.parse(text(row, "outputs_to_execute")) as string[],
  };
}

/** Remembers whether a socket of the job's client heard its end. */
export function setHeard(sql: Sql, job: string, heard: boolean): void {
  sql.all("UPDATE jobs SET heard = ? WHERE job = ?", heard ? 1 : 0, job);
}

export type EndedRun = { job: string; status: string; outputs: string; meta: string };

/** Runs of this client whose end it did not hear, or that ended after `since` (ms); oldest first, at most the last 20. They count as heard from now on. */
export function takeUnheard(sql: Sql, seat: string, clientId: string, since: number): EndedRun[] {
  const rows = sql
    .all("SELECT job, status, outputs, meta FROM jobs WHERE seat = ? AND client_id = ? AND (heard = 0 OR ended > ?) AND in_history = 1 AND status IS NOT NULL ORDER BY ended DESC LIMIT 20", seat, clientId, since)
    .toReversed();
  sql.all("UPDATE jobs SET heard = 1 WHERE seat = ? AND client_id = ? AND heard = 0", seat, clientId);
  return rows.map((row) => ({ job: text(row, "job"), status: text(row, "status"), outputs: text(row, "outputs"), meta: text(row, "meta") }));
}

/** Waiting and running jobs of each seat that has any. */
export function liveCounts(sql: Sql): Map<string, number> {
  return new Map(sql.all("SELECT seat, count(*) AS n FROM jobs WHERE ended IS NULL GROUP BY seat").map((row) => [text(row, "seat"), integer(row, "n")]));
}

/** A seat's newest jobs as lines of its log, oldest first: when each was accepted, began, ended, and how. */
export function jobLines(sql: Sql, seat: string, most: number): { at: number; line: string }[] {
  const rows = sql.all("SELECT job, state, created, started, ended, error FROM jobs WHERE seat = ? ORDER BY seq DESC LIMIT ?", seat, most);
  const lines = rows.flatMap((row) => {
    const job = text(row, "job");
    const [started, ended, error] = [integerOrNull(row, "started"), integerOrNull(row, "ended"), textOrNull(row, "error")];
    const why = error === null ? "" : `: ${String((JSON.parse(error) as { exception_message?: unknown }).exception_message ?? "")}`;
    return [{ at: integer(row, "created"), line: `${job} accepted` }, ...(started === null ? [] : [{ at: started, line: `${job} started` }]), ...(ended === null ? [] : [{ at: ended, line: `${job} ${text(row, "state")}${why}` }])];
  });
  return lines.sort((a, b) => a.at - b.at);
}

export function endedCount(sql: Sql): number {
  return integer(sql.all("SELECT count(*) AS n FROM jobs WHERE ended IS NOT NULL")[0] ?? {}, "n");
}
