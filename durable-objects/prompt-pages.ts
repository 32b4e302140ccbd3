// The bodies of `/queue` and `/history` for one seat, made in pages, spliced from stored JSON texts that are never parsed and written again. Invariants: a page
// stays far below what one call may carry (32 MiB), however large the prompts are; a prompt that stands in the bucket leaves a hole with its key.
import type { Piece, PromptPage } from "./contract.ts";
import { integer, type Sql, type SqlRow, type SqlValue, text, textOrNull } from "./sql.ts";

/** Bytes of prompts in one page; a single one is at most 1 MiB [CF8]. */
const PAGE_BYTES = 6 * 1024 * 1024;
/** Rows whose sizes are looked at in one step. */
const STEP = 128;
/** ComfyUI keeps at most this many history entries. */
const HISTORY_MOST = 10_000;

type Made = Omit<PromptPage, "etag">;

/** Prompts over a row's size live in the bucket; their columns here are null. */
const ITEM = "jobs.job, jobs.number, jobs.created, jobs.outputs_to_execute, jobs.prompt_key, prompts.prompt, prompts.extra_data";
const HISTORY_ITEM = `${ITEM}, jobs.outputs, jobs.status, jobs.meta`;
const FROM = "FROM jobs LEFT JOIN prompts USING (seq)";
const BYTES = "COALESCE(octet_length(prompts.prompt) + octet_length(prompts.extra_data), 0)";
const HISTORY_BYTES = `${BYTES} + octet_length(jobs.outputs) + COALESCE(octet_length(jobs.status), 0)`;

/** ComfyUI's `[number, prompt_id, prompt, extra_data, outputs_to_execute]` as JSON text. */
function queueItem(body: Body, row: SqlRow): void {
  body.add(`[${integer(row, "number")}, ${JSON.stringify(text(row, "job"))}, `);
  const [prompt, key, created] = [textOrNull(row, "prompt"), textOrNull(row, "prompt_key"), integer(row, "created")];
  if (prompt === null && key !== null) body.hole(key, created);
  else body.add(`${prompt ?? "{}"}, ${withCreateTime(textOrNull(row, "extra_data") ?? "{}", created)}`);
  body.add(`, ${text(row, "outputs_to_execute")}]`);
}

/** 0.38 adds `create_time` (ms) to extra_data; an older client ignores it. */
function withCreateTime(extra: string, created: number): string {
  const open = extra.lastIndexOf("}");
  if (open < 0 || extra.includes('"create_time"')) return extra;
  const head = extra.slice(0, open).trimEnd();
  return `${head}${head.endsWith("{") ? "" : ", "}"create_time": ${created}}`;
}

function historyItem(body: Body, row: SqlRow): void {
  body.add(`${JSON.stringify(text(row, "job"))}: {"prompt": `);
  queueItem(body, row);
  body.add(`, "outputs": ${text(row, "outputs")}, "status": ${textOrNull(row, "status") ?? "null"}, "meta": ${text(row, "meta")}}`);
}

const PENDING = '], "queue_pending": [';

/** A page of `GET /queue`: running and stopping first, then waiting in the seat's own order. `after` is the `next` of the page before. */
export function queuePage(sql: Sql, seat: string, after: string | null): Made {
  // A seat's live jobs are some dozens: their order is read whole, their texts only as far as the page goes.
  const from: [number, number, number] = after === null ? [-1, 0, 0] : (JSON.parse(after) as [number, number, number]);
  const order = sql.all(
    `SELECT * FROM (SELECT jobs.seq, jobs.number, jobs.state IN ('waiting', 'dispatched') AS pending, ${BYTES} AS bytes ${FROM} WHERE seat = ? AND ended IS NULL) WHERE (pending, number, seq) > (?, ?, ?) ORDER BY pending, number, seq`,
    seat, ...from,
  );
  const { taken, more } = fitting(order, PAGE_BYTES);
  const rows = bySeq(sql, ITEM, taken);
  const body = new Body();
  let section = Math.max(0, from[0]);
  let empty = after === null;
  if (empty) body.add('{"queue_running": [');
  for (const row of taken) {
    if (integer(row, "pending") > section) {
      body.add(PENDING);
      section = 1;
      empty = true;
    }
    if (!empty) body.add(", ");
    empty = false;
    queueItem(body, rows.get(integer(row, "seq")) ?? {});
  }
  const last = taken.at(-1);
  if (more && last) return { pieces: body.pieces(), next: JSON.stringify([section, integer(last, "number"), integer(last, "seq")]) };
  body.add(section === 0 ? `${PENDING}]}` : "]}");
  return { pieces: body.pieces(), next: null };
}

/**
 * A page of `GET /history`, oldest first. `max_items` alone means the last N, with `offset` N from that index counted from the oldest.
 * `after` is the `next` of the page before.
 */
export function historyPage(sql: Sql, seat: string, query: { max_items: number | null; offset: number | null }, after: string | null): Made {
  const most = Math.min(query.max_items ?? HISTORY_MOST, HISTORY_MOST);
  let { from, left } = after === null ? { from: firstOf(sql, seat, most, query.offset), left: most } : (JSON.parse(after) as { from: number; left: number });
  const body = new Body();
  if (after === null) body.add("{");
  let separator = after === null ? "" : ", ";
  for (let room = PAGE_BYTES; room > 0 && left > 0; ) {
    const step = Math.min(STEP, left);
    const sizes = sql.all(`SELECT jobs.seq, ${HISTORY_BYTES} AS bytes ${FROM} WHERE seat = ? AND in_history = 1 AND jobs.seq >= ? ORDER BY jobs.seq LIMIT ?`, seat, from, step);
    const { taken, more, bytes } = fitting(sizes, room);
    const rows = bySeq(sql, HISTORY_ITEM, taken);
    for (const row of taken) {
      body.add(separator);
      separator = ", ";
      historyItem(body, rows.get(integer(row, "seq")) ?? {});
      from = integer(row, "seq") + 1;
    }
    left = !more && sizes.length < step ? 0 : left - taken.length;
    room = more ? 0 : room - bytes;
  }
  if (left > 0) return { pieces: body.pieces(), next: JSON.stringify({ from, left }) };
  body.add("}");
  return { pieces: body.pieces(), next: null };
}

/** The body of `GET /history/{id}`. */
export function historyEntry(sql: Sql, seat: string, job: string): Piece[] {
  const row = sql.all(`SELECT ${HISTORY_ITEM} ${FROM} WHERE seat = ? AND in_history = 1 AND jobs.job = ?`, seat, job)[0];
  if (!row) return ["{}"];
  const body = new Body();
  body.add("{");
  historyItem(body, row);
  body.add("}");
  return body.pieces();
}

/** Number of the entry that a history begins with. */
function firstOf(sql: Sql, seat: string, most: number, offset: number | null): number {
  const [order, skip] = offset === null ? ["DESC", most - 1] : ["", offset];
  const row = sql.all(`SELECT seq FROM jobs WHERE seat = ? AND in_history = 1 ORDER BY seq ${order} LIMIT 1 OFFSET ?`, seat, Math.max(0, skip))[0];
  // Fewer than asked for: all of them; or an index beyond the end: none.
  return row ? integer(row, "seq") : offset === null ? 0 : Number.MAX_SAFE_INTEGER;
}

/** As many rows as have room, at least one. */
function fitting(rows: SqlRow[], room: number): { taken: SqlRow[]; more: boolean; bytes: number } {
  let bytes = 0;
  const end = rows.findIndex((row, index) => (bytes += integer(row, "bytes")) > room && index > 0);
  return { taken: end < 0 ? rows : rows.slice(0, end), more: end >= 0, bytes };
}

function bySeq(sql: Sql, columns: string, rows: SqlRow[]): Map<number, SqlRow> {
  const numbers: SqlValue = JSON.stringify(rows.map((row) => integer(row, "seq")));
  return new Map(sql.all(`SELECT jobs.seq, ${columns} ${FROM} WHERE jobs.seq IN (SELECT value FROM json_each(?))`, numbers).map((row) => [integer(row, "seq"), row]));
}

/** Texts are put together as they come; only holes stand alone. */
class Body {
  readonly #pieces: Piece[] = [];
  #texts: string[] = [];

  add(part: string): void {
    this.#texts.push(part);
  }

  hole(key: string, created: number): void {
    this.#pieces.push(this.#texts.join(""), { prompt_key: key, created });
    this.#texts = [];
  }

  pieces(): Piece[] {
    return [...this.#pieces, this.#texts.join("")];
  }
}
