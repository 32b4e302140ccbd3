// What a job leaves behind in the bucket, and when each of it may go: documents for runners and files nobody committed once it has ended; its temp files and
// its prompt once its history entry is gone. Outputs stay. Runs inside the transaction that ends the job or deletes the entry; deletes no object itself.
import { jobDocumentKey, jobOutputsPrefix } from "../r2/keys.ts";
import { discard, note, SETTLE_MS } from "./garbage.ts";
import { integer, type Sql, text } from "./sql.ts";

/** The end of a job. `inHistory` false: it never ran, so nobody can ask for its prompt any more. `now` in ms. */
export function leaveJob(sql: Sql, workshop: string, job: string, end: { promptKey: string | null; inHistory: boolean }, now: number): void {
  const granted = counted(sql, "SELECT COALESCE(sum(files), 0) AS n FROM attempts WHERE job = ?", job);
  // Addresses for uploads were given out that no commit followed: something may stand there.
  if (granted > 0 && granted > counted(sql, "SELECT count(*) AS n FROM files WHERE job = ?", job)) note(sql, { key: jobOutputsPrefix(workshop, job), what: "job", ref: job, due: now + SETTLE_MS });
  if (end.promptKey !== null) {
    const attempts = sql.all("SELECT attempt FROM attempts WHERE job = ?", job).map((attempt) => integer(attempt, "attempt"));
    discard(sql, attempts.map((attempt) => jobDocumentKey(workshop, job, attempt)), now);
  }
  if (!end.inHistory) forgetJobs(sql, [job], now);
}

function counted(sql: Sql, statement: string, job: string): number {
  return integer(sql.all(statement, job)[0] ?? {}, "n");
}

/**
 * A job that ran more than once: what its lost attempts had committed loses its name, so that every output is there once [I1]. Only now, because a machine
 * that outlived a lost attempt names its earlier file again when ComfyUI answers from its cache [G23]. `kept` are the ids its result names.
 */
export function withdrawOutputs(sql: Sql, job: string, kept: readonly string[], now: number): void {
  const keys = sql.all("DELETE FROM files WHERE job = ? AND file_id NOT IN (SELECT value FROM json_each(?)) RETURNING key", job, JSON.stringify(kept)).map((row) => text(row, "key"));
  discard(sql, keys, now);
}

/** Entries that have left history: temp files lose their names, texts of prompts go. The job's own record stays [Q7]. A history of thousands is cleared in four statements. */
export function forgetJobs(sql: Sql, jobs: readonly string[], now: number): void {
  const list = JSON.stringify(jobs);
  const those = "IN (SELECT value FROM json_each(?1))";
  sql.all(`INSERT OR REPLACE INTO garbage (key, what, ref, due) SELECT key, 'object', NULL, ?2 FROM files WHERE type = 'temp' AND job ${those}`, list, now + SETTLE_MS);
  sql.all(`DELETE FROM files WHERE type = 'temp' AND job ${those}`, list);
  sql.all(`INSERT OR REPLACE INTO garbage (key, what, ref, due) SELECT prompt_key, 'object', job, ?2 FROM jobs WHERE prompt_key IS NOT NULL AND job ${those}`, list, now + SETTLE_MS);
  sql.all(`DELETE FROM prompts WHERE seq IN (SELECT seq FROM jobs WHERE job ${those})`, list);
}
