// Jobs of the whole workshop for its instructor: one light row each, newest first, paged by `seq`. Invariant: one request reads a bounded number of rows,
// however many jobs have ended; what it did not reach is reached with the cursor it answers.
import type { JobState } from "./contract.ts";
import type { JobLine, JobSearch } from "./instructor-contract.ts";
import { type Forecasts, liveJob } from "./place-view.ts";
import type { QueueState } from "./queue/index.ts";
import { integer, integerOrNull, type Sql, type SqlRow, type SqlValue, text, textOrNull } from "./sql.ts";

/** Jobs looked at by one request at most. */
export const SCAN_MOST = 20_000;
/** Rows of one page at most. */
export const PAGE_MOST = 200;
const COLUMNS = "seq, job, number, seat, state, created, started, ended, workflow_id, json_extract(error, '$.exception_message') AS said";
const LIVE: readonly JobState[] = ["waiting", "dispatched", "running", "stopping"];

export function searchJobs(sql: Sql, state: QueueState, forecasts: Forecasts, search: JobSearch): { jobs: JobLine[]; next: number | null } {
  const where: string[] = [];
  const bindings: SqlValue[] = [];
  const limit = Math.max(1, Math.min(search.limit, PAGE_MOST));
  const top = search.before ?? state.workshop.nextSeq;
  // Live jobs have an index of their own; among all, one window of numbers at a time is searched.
  const liveOnly = search.states !== null && search.states.every((one) => LIVE.includes(one));
  const floor = liveOnly ? 0 : Math.max(0, top - SCAN_MOST);
  where.push("seq < ?", "seq >= ?");
  bindings.push(top, floor);
  if (liveOnly) where.push("ended IS NULL");
  if (search.states !== null) {
    where.push(`state IN (${search.states.map(() => "?").join(", ") || "''"})`);
    bindings.push(...search.states);
  }
  if (search.seat !== null) {
    where.push("seat = ?");
    bindings.push(search.seat);
  }
  if (search.text !== null && search.text !== "") {
    where.push("(job LIKE ? ESCAPE '\\' OR seat LIKE ? ESCAPE '\\' OR state LIKE ? ESCAPE '\\')");
    const pattern = `%${search.text.replaceAll(/[\\%_]/g, "\\$&")}%`;
    bindings.push(pattern, pattern, pattern);
  }
  const rows = sql.all(`SELECT ${COLUMNS} FROM jobs WHERE ${where.join(" AND ")} ORDER BY seq DESC LIMIT ?`, ...bindings, limit + 1);
  const jobs = rows.slice(0, limit).map((row) => jobLine(row, state, forecasts));
  const next = rows.length > limit ? (jobs.at(-1)?.seq ?? null) : floor > 1 ? floor : null;
  return { jobs, next };
}

/** One job, whatever its age; null when there is none. */
export function findJob(sql: Sql, state: QueueState, forecasts: Forecasts, job: string): JobLine | null {
  const row = sql.all(`SELECT ${COLUMNS} FROM jobs WHERE job = ?`, job)[0];
  return row === undefined ? null : jobLine(row, state, forecasts);
}

/** Jobs by their numbers, in the order given. */
export function jobsBySeq(sql: Sql, state: QueueState, forecasts: Forecasts, seqs: readonly number[]): JobLine[] {
  return seqs.flatMap((seq) => sql.all(`SELECT ${COLUMNS} FROM jobs WHERE seq = ?`, seq).map((row) => jobLine(row, state, forecasts)));
}

function jobLine(row: SqlRow, state: QueueState, forecasts: Forecasts): JobLine {
  const job = text(row, "job");
  const live = state.jobs.get(job);
  return {
    job, seq: integer(row, "seq"), number: integer(row, "number"), seat: text(row, "seat"), state: live?.state ?? (text(row, "state") as JobState),
    created: integer(row, "created"), started: integerOrNull(row, "started"), ended: integerOrNull(row, "ended"),
    workflow_id: textOrNull(row, "workflow_id"), error: textOrNull(row, "said"), live: live === undefined ? null : liveJob(state, live, forecasts),
  };
}
