// The workshop's tables, as an append-only list: a released step is never edited, a new one is added at the end [CF7].
// An object that finds a step it does not know, or one that changed, refuses to start instead of guessing.
import { integer, type Sql, text } from "./sql.ts";

const MIGRATIONS: { id: string; statements: string[] }[] = [
  {
    id: "0001-workshop",
    statements: [
      // Small values that are one per workshop: its name, its revision, the queue's scalars.
      "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
      "CREATE TABLE seats (seat TEXT PRIMARY KEY, role TEXT NOT NULL CHECK (role IN ('participant','instructor')), salt TEXT NOT NULL, hash TEXT NOT NULL, version INTEGER NOT NULL, revision INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID",
      // The queue core's own records, one row each, as JSON it alone reads; its jobs stand in `jobs.core`, live ones only: the scheduler never sees history.
      "CREATE TABLE queue_rows (kind TEXT NOT NULL, id TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (kind, id)) STRICT, WITHOUT ROWID",
      // Every job ever accepted. `number` is ComfyUI's, `ended` null while it lives; the end is written once.
      `CREATE TABLE jobs (
        seq INTEGER PRIMARY KEY, job TEXT NOT NULL UNIQUE, seat TEXT NOT NULL, number INTEGER NOT NULL, state TEXT NOT NULL, core TEXT,
        created INTEGER NOT NULL, started INTEGER, ended INTEGER, client_id TEXT, idempotency_key TEXT, body_hash TEXT NOT NULL,
        workflow_id TEXT, outputs_to_execute TEXT NOT NULL, partial INTEGER NOT NULL, inputs TEXT NOT NULL, prompt_key TEXT,
        in_history INTEGER NOT NULL DEFAULT 0, outputs TEXT NOT NULL DEFAULT '{}', status TEXT, meta TEXT NOT NULL DEFAULT '{}', error TEXT, result_hash TEXT, end_lease TEXT,
        heard INTEGER NOT NULL DEFAULT 1
      ) STRICT`,
      "CREATE INDEX jobs_live ON jobs (seat, seq) WHERE ended IS NULL",
      "CREATE INDEX jobs_history ON jobs (seat, seq) WHERE in_history = 1",
      // Ends that no socket of their client heard: told again when that client comes back.
      "CREATE INDEX jobs_unheard ON jobs (seat, client_id) WHERE heard = 0",
      "CREATE UNIQUE INDEX jobs_by_key ON jobs (seat, idempotency_key) WHERE idempotency_key IS NOT NULL",
      // Texts of a prompt, apart, so that listing jobs never reads them.
      "CREATE TABLE prompts (job TEXT PRIMARY KEY, prompt TEXT NOT NULL, extra_data TEXT NOT NULL, run_prompt TEXT) STRICT, WITHOUT ROWID",
      "CREATE TABLE attempts (job TEXT NOT NULL, attempt INTEGER NOT NULL, pool TEXT NOT NULL, dispatch_id TEXT NOT NULL, token_hash TEXT NOT NULL, lease TEXT, runner TEXT, files INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (job, attempt)) STRICT, WITHOUT ROWID",
      // What a page needs when it reconnects in the middle of a run, and what a lost attempt leaves behind.
      "CREATE TABLE live (job TEXT PRIMARY KEY, seq INTEGER NOT NULL, start TEXT, executing TEXT, progress TEXT, outputs TEXT NOT NULL) STRICT, WITHOUT ROWID",
      `CREATE TABLE files (
        file_id TEXT PRIMARY KEY, seat TEXT NOT NULL, type TEXT NOT NULL CHECK (type IN ('input','output','temp')), subfolder TEXT NOT NULL, filename TEXT NOT NULL,
        key TEXT NOT NULL, size INTEGER NOT NULL, sha256 TEXT NOT NULL, content_type TEXT NOT NULL, created INTEGER NOT NULL,
        job TEXT, attempt INTEGER, local TEXT
      ) STRICT`,
      "CREATE UNIQUE INDEX files_by_name ON files (seat, type, subfolder, filename)",
      "CREATE INDEX files_by_age ON files (seat, type, created)",
      "CREATE INDEX files_by_job ON files (job) WHERE job IS NOT NULL",
      // Counters never go back, not even when files are deleted [G22].
      "CREATE TABLE counters (seat TEXT NOT NULL, type TEXT NOT NULL, subfolder TEXT NOT NULL, stem TEXT NOT NULL, last INTEGER NOT NULL, PRIMARY KEY (seat, type, subfolder, stem)) STRICT, WITHOUT ROWID",
      "CREATE TABLE settings (seat TEXT NOT NULL, id TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (seat, id)) STRICT, WITHOUT ROWID",
      "CREATE TABLE once (seat TEXT NOT NULL, key TEXT NOT NULL, PRIMARY KEY (seat, key)) STRICT, WITHOUT ROWID",
      "CREATE TABLE catalogs (pool TEXT PRIMARY KEY, digest TEXT NOT NULL, reported INTEGER NOT NULL, comfyui_version TEXT NOT NULL) STRICT, WITHOUT ROWID",
      // The event log [Q5]: every command with its time, and what came of it. No prompt text, no token.
      "CREATE TABLE log (revision INTEGER PRIMARY KEY, at INTEGER NOT NULL, command TEXT NOT NULL, events TEXT NOT NULL) STRICT",
      // What runners say of a seat's jobs; the jobs' own story is told by their rows.
      "CREATE TABLE seat_log (id INTEGER PRIMARY KEY AUTOINCREMENT, seat TEXT NOT NULL, at INTEGER NOT NULL, line TEXT NOT NULL) STRICT",
      "CREATE INDEX seat_log_by_seat ON seat_log (seat, id)",
    ],
  },
  {
    // By number instead of by random id: rows of tens of kilobytes are then appended one after the other, which costs a third.
    id: "0002-prompts-by-seq",
    statements: [
      "ALTER TABLE prompts RENAME TO prompts_by_id",
      "CREATE TABLE prompts (seq INTEGER PRIMARY KEY, prompt TEXT NOT NULL, extra_data TEXT NOT NULL, run_prompt TEXT) STRICT",
      "INSERT INTO prompts (seq, prompt, extra_data, run_prompt) SELECT jobs.seq, prompt, extra_data, run_prompt FROM prompts_by_id JOIN jobs USING (job) ORDER BY jobs.seq",
      "DROP TABLE prompts_by_id",
    ],
  },
  {
    id: "0002-providers",
    statements: [
      // What is under way at GPU providers: written before a call leaves and after its answer came [G26].
      "CREATE TABLE handovers (job TEXT NOT NULL, attempt INTEGER NOT NULL, pool TEXT NOT NULL, state TEXT NOT NULL CHECK (state IN ('sending','handed')), sends INTEGER NOT NULL, ref TEXT, next_poll INTEGER NOT NULL, polls INTEGER NOT NULL DEFAULT 0, unreadable INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (job, attempt)) STRICT, WITHOUT ROWID",
      // The catalog an attempt's runner announced at its claim: the only one its token may report.
      "ALTER TABLE attempts ADD COLUMN catalog TEXT",
      // What is known of each pool's machines: measured startups, what the provider said last, what was asked of it. JSON of gpu/facts.ts.
      "CREATE TABLE pool_facts (pool TEXT PRIMARY KEY, facts TEXT NOT NULL) STRICT, WITHOUT ROWID",
      // What happened to pools and why, in sentences; the newest few hundred.
      "CREATE TABLE pool_log (id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, pool TEXT NOT NULL, kind TEXT NOT NULL, line TEXT NOT NULL) STRICT",
    ],
  },
  {
    id: "0003-instructor",
    statements: [
      // Who changed what, when, and what it was before [Q69]. `undo`: the offer to take it back; `undoes`: the offer it took up.
      'CREATE TABLE audit (id INTEGER PRIMARY KEY AUTOINCREMENT, revision INTEGER NOT NULL, at INTEGER NOT NULL, "by" TEXT NOT NULL, what TEXT NOT NULL, target TEXT, previous TEXT NOT NULL, value TEXT NOT NULL, undo TEXT, undone INTEGER NOT NULL DEFAULT 0, undoes TEXT) STRICT',
      "CREATE TABLE undo (id TEXT PRIMARY KEY, until INTEGER NOT NULL, does TEXT NOT NULL, subject TEXT NOT NULL, before TEXT NOT NULL, after TEXT NOT NULL, used INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID",
      'CREATE TABLE notices (id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, until INTEGER NOT NULL, seat TEXT, level TEXT NOT NULL, text TEXT NOT NULL, "by" TEXT NOT NULL, withdrawn INTEGER NOT NULL DEFAULT 0) STRICT',
      // Running totals: jobs by how they ended, starts quoted and kept.
      "CREATE TABLE tally (name TEXT PRIMARY KEY, n INTEGER NOT NULL) STRICT, WITHOUT ROWID",
      "INSERT INTO tally SELECT state, count(*) FROM jobs WHERE ended IS NOT NULL GROUP BY state",
      // States the log can be replayed from; the rows of one revision are one state.
      "CREATE TABLE log_bases (revision INTEGER NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (revision, kind, id)) STRICT, WITHOUT ROWID",
    ],
  },
  {
    id: "0004-uploads-and-sweeps",
    statements: [
      // Files that arrive in parts. `answer` is set once the file has its name; the row then stays a while for a client whose answer was lost.
      `CREATE TABLE uploads (
        upload TEXT PRIMARY KEY, seat TEXT NOT NULL, type TEXT NOT NULL, subfolder TEXT NOT NULL, filename TEXT NOT NULL, overwrite INTEGER NOT NULL,
        size INTEGER NOT NULL, sha256 TEXT, part_bytes INTEGER NOT NULL, key TEXT NOT NULL, r2_upload TEXT NOT NULL, touched INTEGER NOT NULL, answer TEXT
      ) STRICT, WITHOUT ROWID`,
      "CREATE INDEX uploads_by_seat ON uploads (seat, touched)",
      "CREATE TABLE upload_parts (upload TEXT NOT NULL, part INTEGER NOT NULL, etag TEXT NOT NULL, PRIMARY KEY (upload, part)) STRICT, WITHOUT ROWID",
      // What may be deleted from the bucket, and when it is looked at again. Written in the transaction that took the last name away.
      "CREATE TABLE garbage (key TEXT PRIMARY KEY, what TEXT NOT NULL CHECK (what IN ('object','job','upload')), ref TEXT, due INTEGER NOT NULL, tries INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID",
      "CREATE INDEX garbage_by_due ON garbage (due)",
      // Whether a name still points to an object is asked before every deletion.
      "CREATE INDEX files_by_key ON files (key)",
      // All that lists and counts of jobs are made of, so that they never read the wide rows of other jobs.
      "DROP INDEX jobs_history",
      "CREATE INDEX jobs_history ON jobs (seat, seq, state, workflow_id, started, ended) WHERE in_history = 1",
    ],
  },
];

/** Brings the database to the newest step; runs in the object's constructor. Throws when the database is of a newer or another program. */
export function migrate(sql: Sql): void {
  sql.all("CREATE TABLE IF NOT EXISTS migrations (step INTEGER PRIMARY KEY, id TEXT NOT NULL) STRICT");
  const done = sql.all("SELECT step, id FROM migrations ORDER BY step");
  for (const row of done) {
    const known = MIGRATIONS[integer(row, "step")];
    if (known?.id !== text(row, "id")) throw new Error(`This workshop's data was written by another version (step ${text(row, "id")}). Deploy that version or a newer one; nothing was changed.`);
  }
  for (const [step, migration] of MIGRATIONS.entries()) {
    if (step < done.length) continue;
    sql.transaction(() => {
      for (const statement of migration.statements) sql.all(statement);
      sql.all("INSERT INTO migrations (step, id) VALUES (?, ?)", step, migration.id);
    });
  }
}
