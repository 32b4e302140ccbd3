// Every job ever accepted, as rows a seat's views are made from. Invariant: the end of a job is written once ([Q7]: a terminal record is kept).
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

const FACTS = "seat, number, state, client_id, outputs_to_execute, partial, inputs, prompt_key, started, ended";

export function jobFacts(sql: Sql, job: string): JobFacts | null {
  const row = sql.all(`SELECT ${FACTS} FROM jobs WHERE job = ?`, job)[0];
  return row ? factsOf(row) : null;
}

function factsOf(row: SqlRow): JobFacts {
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

export type RunFacts = { facts: JobFacts; /** null when they are in the bucket, or gone */ texts: { prompt: string; extra_data: string } | null };

/** What a runner is given of the job with this number, in one look. */
export function runFacts(sql: Sql, seq: number): RunFacts | null {
  const row = sql.all(`SELECT ${FACTS}, COALESCE(run_prompt, prompt) AS prompt, extra_data FROM jobs LEFT JOIN prompts USING (seq) WHERE seq = ?`, seq)[0];
  if (!row) return null;
  const prompt = textOrNull(row, "prompt");
  return { facts: factsOf(row), texts: prompt === null ? null : { prompt, extra_data: text(row, "extra_data") } };
}

export function setJobStarted(sql: Sql, job: string, at: number): void {
  sql.all("UPDATE jobs SET started = ?, in_history = 0 WHERE job = ? AND ended IS NULL", at, job);
}

export type JobEnd = { state: JobState; at: number; inHistory: boolean; outputs: string; status: string | null; meta: string; error: string | null; resultHash: string | null; lease: string | null; heard: boolean };

/** The one terminal write, of the job with this number; a second call changes nothing. `heard`: a socket of the job's client hears of it. */
export function endJob(sql: Sql, seq: number, end: JobEnd): void {
  sql.all(
    "UPDATE jobs SET state = ?, core = NULL, ended = ?, in_history = ?, outputs = ?, status = ?, meta = ?, error = ?, result_hash = ?, end_lease = ?, heard = ? WHERE seq = ? AND ended IS NULL",
    end.state, end.at, end.inHistory ? 1 : 0, end.outputs, end.status, end.meta, end.error, end.resultHash, end.lease, end.heard ? 1 : 0, seq,
  );
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

/** Rows and characters of JSON in one page of a listing: far below what one call may carry. */
const PAGE_ROWS = 500;
const PAGE_CHARACTERS = 4 * 1024 * 1024;

/**
 * One page of a seat's jobs, sorted and counted by SQL: live ones and those still in history. Shorter than asked for when it would be too much for one call:
 * the caller asks on from where it ended. Everything is chosen from the columns of two indexes; only the page's own rows are read.
 */
export function jobPage(sql: Sql, seat: string, query: JobsQuery): { rows: JobRow[]; total: number } {
  const where: string[] = [];
  const bindings: SqlValue[] = [seat, seat];
  if (query.states) {
    where.push(`state IN (${query.states.map(() => "?").join(", ") || "''"})`);
    bindings.push(...query.states);
  }
  if (query.workflow_id !== null) {
    where.push("workflow_id = ?");
    bindings.push(query.workflow_id);
  }
  const columns = "seq, state, workflow_id, started, ended";
  const listed = `(SELECT ${columns} FROM jobs WHERE seat = ? AND in_history = 1 UNION ALL SELECT ${columns} FROM jobs WHERE seat = ? AND ended IS NULL)${where.length > 0 ? ` WHERE ${where.join(" AND ")}` : ""}`;
  const direction = query.descending ? "DESC" : "ASC";
  const order = query.sort_by === "created_at" ? `seq ${direction}` : `COALESCE(ended - started, 0) ${direction}, seq ${direction}`;
  const total = integer(sql.all(`SELECT count(*) AS n FROM ${listed}`, ...bindings)[0] ?? {}, "n");
  const page = sql.all(`SELECT seq FROM ${listed} ORDER BY ${order} LIMIT ? OFFSET ?`, ...bindings, Math.min(query.limit ?? PAGE_ROWS, PAGE_ROWS), query.offset).map((row) => integer(row, "seq"));
  const rows = new Map(sql.all(`SELECT seq, ${LIGHT} FROM jobs WHERE seq IN (SELECT value FROM json_each(?))`, JSON.stringify(page)).map((row) => [integer(row, "seq"), row]));
  let characters = 0;
  const taken = page.flatMap((seq, index) => {
    const row = rows.get(seq);
    if (!row) return [];
    characters += text(row, "outputs").length + (textOrNull(row, "error")?.length ?? 0);
    return index > 0 && characters > PAGE_CHARACTERS ? [] : [jobRow(row)];
  });
  return { rows: taken, total };
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

export type EndedRun = { job: string; status: string; outputs: string; meta: string };

/** Runs of this client whose end it did not hear, or that ended after `since` (ms); oldest first, at most the last 20. They count as heard from now on. */
export function takeUnheard(sql: Sql, seat: string, clientId: string, since: number): EndedRun[] {
  // Both lists come from indexes: a page that connects must not read its seat's whole history.
  const rows = sql
    .all(
      `SELECT job, status, outputs, meta FROM jobs WHERE client_id = ?2 AND in_history = 1 AND status IS NOT NULL AND seq IN (
         SELECT seq FROM jobs WHERE seat = ?1 AND client_id = ?2 AND heard = 0 UNION SELECT seq FROM jobs WHERE seat = ?1 AND in_history = 1 AND ended > ?3
       ) ORDER BY ended DESC LIMIT 20`,
      seat, clientId, since,
    )
    .toReversed();
  sql.all("UPDATE jobs SET heard = 1 WHERE seat = ? AND client_id = ? AND heard = 0", seat, clientId);
  return rows.map((row) => ({ job: text(row, "job"), status: text(row, "status"), outputs: text(row, "outputs"), meta: text(row, "meta") }));
}

/** Waiting and running jobs of each seat that has any. */
export function liveCounts(sql: Sql): Map<string, number> {
  return new Map(sql.all("SELECT seat, count(*) AS n FROM jobs WHERE ended IS NULL GROUP BY seat").map((row) => [text(row, "seat"), integer(row, "n")]));
}

/** The moments of a job that its seat's log tells. */
export type JobMoment = "accepted" | "started" | "ended";
type MomentLine = { moment: JobMoment; at: number; line: string };

const MOMENTS = "job, state, created, started, ended, error";

function momentsOf(row: SqlRow): MomentLine[] {
  const job = text(row, "job");
  const [started, ended, error] = [integerOrNull(row, "started"), integerOrNull(row, "ended"), textOrNull(row, "error")];
  const why = error === null ? "" : `: ${String((JSON.parse(error) as { exception_message?: unknown }).exception_message ?? "")}`;
  return [
    { moment: "accepted", at: integer(row, "created"), line: `${job} accepted` },
    ...(started === null ? [] : [{ moment: "started" as const, at: started, line: `${job} started` }]),
    ...(ended === null ? [] : [{ moment: "ended" as const, at: ended, line: `${job} ${text(row, "state")}${why}` }]),
  ];
}

/** One job as lines of its seat's log: when it was accepted, began, ended, and how. */
export function jobMoments(sql: Sql, job: string): MomentLine[] {
  return sql.all(`SELECT ${MOMENTS} FROM jobs WHERE job = ?`, job).flatMap(momentsOf);
}

/** Newest jobs of the whole workshop among which a seat's are looked for: a log is not worth reading years of jobs. */
const LINES_AMONG = 5000;

/** A seat's newest jobs as lines of its log, by no order but each job's own. */
export function jobLines(sql: Sql, seat: string, most: number): MomentLine[] {
  const rows = sql.all(`SELECT ${MOMENTS} FROM jobs WHERE seat = ? AND seq > (SELECT COALESCE(MAX(seq), 0) - ${LINES_AMONG} FROM jobs) ORDER BY seq DESC LIMIT ?`, seat, most);
  return rows.flatMap(momentsOf);
}

export function endedCount(sql: Sql): number {
  return integer(sql.all("SELECT count(*) AS n FROM jobs WHERE ended IS NOT NULL")[0] ?? {}, "n");
}
