// Files that arrive in parts, as rows: which parts are there, and what came of the whole. Invariants: a part counts only once the store has it; an upload gets
// its name once, and says the same name ever after; whatever is given up leaves a note for the sweeper in the same transaction.
import type { Answer, InputStored, NewUpload, OpenUpload, StoredFile, UploadAsked } from "./contract.ts";
import { storeInput } from "./file-store.ts";
import { discard, forgive, note } from "./garbage.ts";
import { integer, type Sql, type SqlRow, text, textOrNull } from "./sql.ts";

/** Unfinished uploads of one seat at a time: more are forgotten ones. */
const MAX_OPEN = 20;
/** ms without a new part after which an upload is given up. R2 gives up its half after the same time (developers.cloudflare.com/r2/objects/multipart-objects). */
export const UPLOAD_KEPT_MS = 7 * 24 * 3600 * 1000;
/** ms that a finished upload still answers for itself, to a client that lost the answer. */
const ANSWER_KEPT_MS = 24 * 3600 * 1000;

const COLUMNS = "upload, type, subfolder, filename, overwrite, size, sha256, part_bytes, key, r2_upload, answer";

function opened(sql: Sql, row: SqlRow): OpenUpload {
  const upload = text(row, "upload");
  const answer = textOrNull(row, "answer");
  return {
    upload,
    type: text(row, "type") as OpenUpload["type"],
    subfolder: text(row, "subfolder"),
    filename: text(row, "filename"),
    overwrite: integer(row, "overwrite") === 1,
    size: integer(row, "size"),
    sha256: textOrNull(row, "sha256"),
    part_bytes: integer(row, "part_bytes"),
    key: text(row, "key"),
    r2_upload: text(row, "r2_upload"),
    present: sql.all("SELECT part, etag FROM upload_parts WHERE upload = ? ORDER BY part", upload).map((part) => ({ part: integer(part, "part"), etag: text(part, "etag") })),
    done: answer === null ? null : (JSON.parse(answer) as StoredFile),
  };
}

export function findUpload(sql: Sql, seat: string, upload: string): OpenUpload | null {
  const row = sql.all(`SELECT ${COLUMNS} FROM uploads WHERE upload = ? AND seat = ?`, upload, seat)[0];
  return row ? opened(sql, row) : null;
}

/** An unfinished upload of the very same file: to be gone on with. Without a checksum nobody can know that it is the same. */
export function sameUpload(sql: Sql, seat: string, asked: UploadAsked): OpenUpload | null {
  if (asked.sha256 === null) return null;
  const row = sql.all(
    `SELECT ${COLUMNS} FROM uploads WHERE seat = ? AND type = ? AND subfolder = ? AND filename = ? AND size = ? AND sha256 = ? AND overwrite = ? AND answer IS NULL ORDER BY touched DESC LIMIT 1`,
    seat, asked.type, asked.subfolder, asked.filename, asked.size, asked.sha256, asked.overwrite ? 1 : 0,
  )[0];
  return row ? opened(sql, row) : null;
}

/** Opens an upload, or answers the one that was opened for the same file meanwhile (its id then differs from the one asked for). */
export function openUpload(sql: Sql, asked: NewUpload, now: number): Answer<{ upload: OpenUpload }> {
  const same = sameUpload(sql, asked.seat, asked);
  if (same) return { ok: true, upload: same };
  const open = sql.all("SELECT filename FROM uploads WHERE seat = ? AND answer IS NULL ORDER BY touched", asked.seat).map((row) => text(row, "filename"));
  if (open.length >= MAX_OPEN) {
    return { ok: false, reason: "conflict", limit: MAX_OPEN, current: open.length, message: `${open.length} uploads of this seat are not finished, and ${MAX_OPEN} is the most. Nothing was stored: finish or abort one of them (the oldest is ${open[0] ?? ""}), or wait: they are given up after 7 days.` };
  }
  sql.all(
    `INSERT INTO uploads (upload, seat, type, subfolder, filename, overwrite, size, sha256, part_bytes, key, r2_upload, touched) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    asked.upload, asked.seat, asked.type, asked.subfolder, asked.filename, asked.overwrite ? 1 : 0, asked.size, asked.sha256, asked.part_bytes, asked.key, asked.r2_upload, now,
  );
  note(sql, { key: asked.key, what: "upload", ref: asked.r2_upload, due: now + UPLOAD_KEPT_MS });
  return { ok: true, upload: { ...asked, present: [], done: null } };
}

/** Counts a part that the store has; false when the upload is over. A part that came twice counts as it came last. */
export function addPart(sql: Sql, seat: string, upload: string, part: { part: number; etag: string }, now: number): boolean {
  const open = sql.all("UPDATE uploads SET touched = ? WHERE upload = ? AND seat = ? AND answer IS NULL RETURNING upload", now, upload, seat);
  if (open.length === 0) return false;
  sql.all("INSERT INTO upload_parts (upload, part, etag) VALUES (?, ?, ?) ON CONFLICT (upload, part) DO UPDATE SET etag = excluded.etag", upload, part.part, part.etag);
  return true;
}

/** The store does not know these parts any more: all of them are to be sent again. */
export function forgetParts(sql: Sql, seat: string, upload: string): void {
  sql.all("DELETE FROM upload_parts WHERE upload IN (SELECT upload FROM uploads WHERE upload = ? AND seat = ?)", upload, seat);
}

/** Gives the whole its name, once; a repeat answers the same. `sha256` is of the stored bytes. */
export function finishUpload(sql: Sql, seat: string, upload: string, stored: { sha256: string; content_type: string; file_id: string }, now: number): Answer<InputStored> {
  const open = findUpload(sql, seat, upload);
  if (open === null) return { ok: false, reason: "not_found", message: "This upload is over. Start it again." };
  if (open.done !== null) return { ok: true, file: open.done, kept: open.done.key === open.key, replaced: null };
  const { type, subfolder, filename, overwrite, key, size } = open;
  const answer = storeInput(sql, { seat, type, subfolder, filename, overwrite, key, size, sha256: stored.sha256, content_type: stored.content_type }, stored.file_id, now);
  sql.all("UPDATE uploads SET answer = ?, touched = ? WHERE upload = ?", JSON.stringify(answer.file), now, upload);
  sql.all("DELETE FROM upload_parts WHERE upload = ?", upload);
  if (answer.kept) forgive(sql, key);
  else discard(sql, [key], now);
  if (answer.replaced !== null) discard(sql, [answer.replaced], now);
  return { ok: true, ...answer };
}

/** Gives an unfinished upload up; what is stored of it is swept. False when there is none. */
export function dropUpload(sql: Sql, seat: string, upload: string, now: number): boolean {
  const row = sql.all("DELETE FROM uploads WHERE upload = ? AND seat = ? AND answer IS NULL RETURNING key, r2_upload", upload, seat)[0];
  if (!row) return false;
  sql.all("DELETE FROM upload_parts WHERE upload = ?", upload);
  note(sql, { key: text(row, "key"), what: "upload", ref: text(row, "r2_upload"), due: now });
  return true;
}

/** What the sweeper asks of an upload it finds: still in use until that time (ms), or null and gone for good. */
export function expireUpload(sql: Sql, key: string, now: number): number | null {
  const row = sql.all("SELECT upload, touched FROM uploads WHERE key = ? AND answer IS NULL", key)[0];
  if (!row) return null;
  const until = integer(row, "touched") + UPLOAD_KEPT_MS;
  if (until > now) return until;
  sql.all("DELETE FROM upload_parts WHERE upload = ?", text(row, "upload"));
  sql.all("DELETE FROM uploads WHERE upload = ?", text(row, "upload"));
  return null;
}

export function forgetAnswers(sql: Sql, now: number): void {
  sql.all("DELETE FROM uploads WHERE answer IS NOT NULL AND touched < ?", now - ANSWER_KEPT_MS);
}
