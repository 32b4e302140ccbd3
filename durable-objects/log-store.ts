// The event log as a whole [Q5]: bases to replay it from, pages to export it by, and how long it is kept. Invariant: what is exported begins with a base and
// has every entry after it, so it can always be replayed; entries go only together with the base before them.
import type { LogEntry } from "./log-entry.ts";
import { type LogLine, type RowKind, stateDigest } from "./log-replay.ts";
import { type QueueState, restore, type Rows, rowsOf } from "./queue/index.ts";
import { loadRows } from "./queue-store.ts";
import { integer, type Sql, text } from "./sql.ts";

export type Keep = { /** a new base after this many entries */ every: number; /** entries kept at least */ entries: number; /** ms entries are kept at most */ ms: number };
export const KEEP: Keep = { every: 50_000, entries: 200_000, ms: 30 * 24 * 3_600_000 };
/** Entries removed at one go. */
const TRIM_MOST = 5_000;
/** Lines read at one go, and the size (characters) after which a page ends. */
const READ_MOST = 100;
const PAGE_CHARACTERS = 1_000_000;
/** Entries of one job's story looked through at most. */
const STORY_MOST = 50_000;
/** A row's own times are read off the clock a moment before or after its log entry's. In ms. */
const MOMENT_MS = 1000;

/** Writes the state as a base: a replay may start here. Call it between two commands. */
export function writeBase(sql: Sql, state: QueueState, revision: number, now: number): void {
  sql.transaction(() => {
    const put = (kind: RowKind | "base", id: string, value: unknown): void => void sql.all("INSERT INTO log_bases (revision, kind, id, value) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", revision, kind, id, JSON.stringify(value));
    put("base", "-", { at: now });
    const rows = rowsOf(state);
    put("workshop", "-", rows.workshop);
    put("params", "-", rows.params);
    for (const [kind, records] of recordsOf(rows)) for (const [index, record] of records.entries()) put(kind, String(index).padStart(8, "0"), record);
  });
}

function recordsOf(rows: Rows): [RowKind, readonly unknown[]][] {
  const { jobs, attempts, seats, pools, slots, runners, estimates } = rows;
  return [["job", jobs.map((job) => ({ ...job, profile: 0 }))], ["attempt", attempts], ["seat", seats], ["pool", pools], ["slot", slots], ["runner", runners], ["estimate", estimates]];
}

type Base = { revision: number; at: number };

function bases(sql: Sql): Base[] {
  return sql.all("SELECT revision, value FROM log_bases WHERE kind = 'base' ORDER BY revision").map((row) => ({ revision: integer(row, "revision"), at: (JSON.parse(text(row, "value")) as { at: number }).at }));
}

/** Housekeeping: a new base when the last one is long ago, and old entries away. O(bounded); true when there is more to remove. */
export function keepLog(sql: Sql, state: QueueState, revision: number, now: number, keep: Keep = KEEP): boolean {
  const known = bases(sql);
  const last = known.at(-1);
  if (last === undefined || revision - last.revision >= keep.every || (revision > last.revision && now - last.at >= keep.ms / 4)) {
    writeBase(sql, state, revision, now);
    known.push({ revision, at: now });
  }
  const first = known.findLast((base) => revision - base.revision >= keep.entries || base.at <= now - keep.ms) ?? known[0];
  if (first === undefined) return false;
  if (known[0] !== first) sql.all("DELETE FROM log_bases WHERE revision < ?", first.revision);
  const oldest = sql.all("SELECT MIN(revision) AS n FROM log")[0]?.n;
  if (typeof oldest !== "number" || oldest > first.revision) return false;
  sql.all("DELETE FROM log WHERE revision <= ?", Math.min(first.revision, oldest + TRIM_MOST - 1));
  return oldest + TRIM_MOST - 1 < first.revision;
}

/** A page of an export: complete lines of JSON, and the cursor of the next page; null after the end. */
export type LogPage = { ok: true; lines: string; next: string | null } | { ok: false; oldest: number };

/** `since` > 0: entries after that revision only, without a base. The first page is asked for with cursor null. */
export function logPage(sql: Sql, state: QueueState, at: { workshop: string; revision: number }, since: number, cursor: string | null): LogPage {
  const base = since > 0 ? null : (bases(sql)[0]?.revision ?? null);
  const oldest = integer(sql.all("SELECT COALESCE(MIN(revision), 1) AS n FROM log")[0] ?? {}, "n");
  if (since > 0 && since < oldest - 1) return { ok: false, oldest };
  const page = new Page();
  if (cursor === null) page.add({ kind: "head", v: 1, workshop: at.workshop, base, since });
  let from = cursor ?? (base === null ? `entry ${since}` : `row ${base}  `);
  while (!page.full) {
    const [what, revision = "0", kind = "", id = ""] = from.split(" ");
    const next = what === "row" ? addRows(sql, page, Number(revision), kind, id) : addEntries(sql, page, Number(revision));
    if (next === null) {
      page.add({ kind: "end", revision: at.revision, digest: stateDigest(state), stored: stateDigest(restore(loadRows(sql))) });
      return { ok: true, lines: page.text, next: null };
    }
    from = next;
  }
  return { ok: true, lines: page.text, next: from };
}

class Page {
  text = "";

  get full(): boolean {
    return this.text.length >= PAGE_CHARACTERS;
  }

  add(line: LogLine): void {
    this.text += `${JSON.stringify(line)}\n`;
  }
}

function addRows(sql: Sql, page: Page, base: number, kind: string, id: string): string {
  const rows = sql.all("SELECT kind, id, value FROM log_bases WHERE revision = ? AND kind != 'base' AND (kind, id) > (?, ?) ORDER BY kind, id LIMIT ?", base, kind, id, READ_MOST);
  for (const row of rows) page.add({ kind: "row", of: text(row, "kind") as RowKind, value: JSON.parse(text(row, "value")) });
  const last = rows.at(-1);
  return last === undefined ? `entry ${base}` : `row ${base} ${text(last, "kind")} ${text(last, "id")}`;
}

function addEntries(sql: Sql, page: Page, after: number): string | null {
  const rows = sql.all("SELECT revision, at, command, events FROM log WHERE revision > ? ORDER BY revision LIMIT ?", after, READ_MOST);
  for (const row of rows) page.add({ kind: "entry", ...entryOf(row) });
  const last = rows.at(-1);
  return last === undefined ? null : `entry ${integer(last, "revision")}`;
}

function entryOf(row: Parameters<typeof text>[0]): LogEntry {
  return { revision: integer(row, "revision"), at: integer(row, "at"), command: JSON.parse(text(row, "command")) as LogEntry["command"], events: JSON.parse(text(row, "events")) as LogEntry["events"] };
}

/** Entries that name a job, from `from` to `to` (ms); `complete` false when the log does not reach back so far or the stretch was too long to read. */
export function entriesOf(sql: Sql, job: string, from: number, to: number): { entries: LogEntry[]; complete: boolean } {
  const first = revisionAt(sql, from - MOMENT_MS);
  const last = Math.min(revisionAt(sql, to + MOMENT_MS) + 1, first + STORY_MOST);
  const rows = sql.all("SELECT revision, at, command, events FROM log WHERE revision >= ? AND revision <= ? AND (instr(events, ?) > 0 OR instr(command, ?) > 0) ORDER BY revision", first, last, job, job);
  const oldest = sql.all("SELECT at FROM log ORDER BY revision LIMIT 1")[0];
  return { entries: rows.map(entryOf), complete: oldest !== undefined && integer(oldest, "at") <= from + MOMENT_MS && last < first + STORY_MOST };
}

/** The first revision whose time is not before `at`: found by halving, because revisions and times rise together. */
function revisionAt(sql: Sql, at: number): number {
  const ends = sql.all("SELECT COALESCE(MIN(revision), 0) AS low, COALESCE(MAX(revision), 0) + 1 AS high FROM log")[0] ?? {};
  let low = integer(ends, "low");
  let high = integer(ends, "high");
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const row = sql.all("SELECT at FROM log WHERE revision >= ? ORDER BY revision LIMIT 1", middle)[0];
    if (row !== undefined && integer(row, "at") < at) low = middle + 1;
    else high = middle;
  }
  return low;
}
