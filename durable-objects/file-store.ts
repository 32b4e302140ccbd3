// Which name a seat knows a stored file by. Invariants: a name belongs to one file at a time, counters never go back [G22], a key is never reused.
import type { CommitFile, NewInput, StoredFile } from "./contract.ts";
import type { FileName, StorageType } from "../gpu-adapter/contract.ts";
import { finalName, parseLocalName } from "../gpu-adapter/file-names.ts";
import { integer, type Sql, type SqlRow, text } from "./sql.ts";

const COLUMNS = "file_id, type, subfolder, filename, key, size, sha256, content_type, created";

function stored(row: SqlRow): StoredFile {
  return {
    file_id: text(row, "file_id"),
    type: text(row, "type") as StorageType,
    subfolder: text(row, "subfolder"),
    filename: text(row, "filename"),
    key: text(row, "key"),
    size: integer(row, "size"),
    sha256: text(row, "sha256"),
    content_type: text(row, "content_type"),
    created: integer(row, "created"),
  };
}

export function findFile(sql: Sql, seat: string, name: FileName): StoredFile | null {
  const row = sql.all(`SELECT ${COLUMNS} FROM files WHERE seat = ? AND type = ? AND subfolder = ? AND filename = ?`, seat, name.type, name.subfolder, name.filename)[0];
  return row ? stored(row) : null;
}

/** Newest first; `subfolder` null for all of them. */
export function listFiles(sql: Sql, seat: string, type: StorageType, subfolder: string | null): StoredFile[] {
  const rows =
    subfolder === null
      ? sql.all(`SELECT ${COLUMNS} FROM files WHERE seat = ? AND type = ? ORDER BY created DESC, filename`, seat, type)
      : sql.all(`SELECT ${COLUMNS} FROM files WHERE seat = ? AND type = ? AND subfolder = ? ORDER BY created DESC, filename`, seat, type, subfolder);
  return rows.map(stored);
}

function insertFile(sql: Sql, seat: string, file: StoredFile, origin: { job: string; attempt: number; local: string } | null): void {
  sql.all(
    `INSERT INTO files (${COLUMNS}, seat, job, attempt, local) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    file.file_id, file.type, file.subfolder, file.filename, file.key, file.size, file.sha256, file.content_type, file.created, seat, origin?.job ?? null, origin?.attempt ?? null, origin?.local ?? null,
  );
}

/** `name.ext` → `name (n).ext`, as ComfyUI names a second upload. */
function numbered(filename: string, n: number): string {
  const dot = filename.lastIndexOf(".");
  return dot > 0 ? `${filename.slice(0, dot)} (${n})${filename.slice(dot)}` : `${filename} (${n})`;
}

/**
 * Gives an uploaded file its name: overwrite replaces; otherwise an equal file under the wanted or a numbered name is kept as it is,
 * and different bytes get the next free number. `kept` false means the new object is not needed.
 */
export function storeInput(sql: Sql, input: NewInput, fileId: string, now: number): { file: StoredFile; kept: boolean; replaced: string | null } {
  const file: StoredFile = { file_id: fileId, type: input.type, subfolder: input.subfolder, filename: input.filename, key: input.key, size: input.size, sha256: input.sha256, content_type: input.content_type, created: now };
  const at = (filename: string): StoredFile | null => findFile(sql, input.seat, { type: input.type, subfolder: input.subfolder, filename });
  if (input.overwrite) {
    const old = at(input.filename);
    if (old) sql.all("DELETE FROM files WHERE file_id = ?", old.file_id);
    insertFile(sql, input.seat, file, null);
    return { file, kept: true, replaced: old?.key ?? null };
  }
  for (let n = 0; ; n++) {
    const filename = n === 0 ? input.filename : numbered(input.filename, n);
    const there = at(filename);
    if (there?.sha256 === input.sha256 && there.size === input.size) return { file: there, kept: false, replaced: null };
    if (there) continue;
    const named = { ...file, filename };
    insertFile(sql, input.seat, named, null);
    return { file: named, kept: true, replaced: null };
  }
}

/** Raises a stem's counter by one and answers it; starts after the highest number the seat already has. */
function nextNumber(sql: Sql, seat: string, type: StorageType, subfolder: string, stem: string): number {
  const row = sql.all(
    "INSERT INTO counters (seat, type, subfolder, stem, last) VALUES (?, ?, ?, ?, 1) ON CONFLICT (seat, type, subfolder, stem) DO UPDATE SET last = last + 1 RETURNING last",
    seat, type, subfolder, stem,
  )[0];
  if (!row) throw new Error("a counter did not answer");
  return integer(row, "last");
}

/**
 * Allots the seat's final names to files of one attempt [G22] and stores them. A repeat of the same commit (same local names, same attempt) answers the same files.
 * Files of one attempt that share stem and local number share the new number. `newId` makes file ids.
 */
export function commitOutputs(sql: Sql, seat: string, job: string, attempt: number, files: CommitFile[], newId: () => string, now: number): StoredFile[] {
  const numbers = new Map<string, number>();
  for (const row of sql.all("SELECT local, subfolder, filename, type FROM files WHERE job = ? AND attempt = ? AND local IS NOT NULL", job, attempt)) {
    const [local, final] = [parseLocalName(text(row, "local").split("/").at(-1) ?? ""), parseLocalName(text(row, "filename"))];
    if (local && final) numbers.set(`${text(row, "type")}/${text(row, "subfolder")}/${local.stem}/${local.digits}`, Number(final.digits));
  }
  return files.map((file) => {
    const local = `${file.type}/${file.subfolder}/${file.filename}`;
    const again = sql.all(`SELECT ${COLUMNS} FROM files WHERE job = ? AND attempt = ? AND local = ?`, job, attempt, local)[0];
    if (again && text(again, "sha256") === file.sha256) return stored(again);
    const filename = again ? freeName(sql, seat, file) : allot(sql, seat, file, numbers);
    const row: StoredFile = { file_id: newId(), type: file.type, subfolder: file.subfolder, filename, key: file.key, size: file.size, sha256: file.sha256, content_type: file.content_type, created: now };
    insertFile(sql, seat, row, { job, attempt, local });
    return row;
  });
}

function allot(sql: Sql, seat: string, file: CommitFile, numbers: Map<string, number>): string {
  const parsed = parseLocalName(file.filename);
  if (!parsed) return freeName(sql, seat, file);
  const group = `${file.type}/${file.subfolder}/${parsed.stem}/${parsed.digits}`;
  const shared = numbers.get(group);
  for (;;) {
    const number = shared ?? nextNumber(sql, seat, file.type, file.subfolder, parsed.stem);
    const filename = finalName(parsed.stem, number, parsed.tail);
    if (!findFile(sql, seat, { type: file.type, subfolder: file.subfolder, filename })) {
      numbers.set(group, number);
      return filename;
    }
    if (shared !== undefined) return freeName(sql, seat, { ...file, filename });
  }
}

/** A name without a counter is kept if free, else becomes `stem_00001_.ext` and on. */
function freeName(sql: Sql, seat: string, file: CommitFile): string {
  const { type, subfolder } = file;
  if (!findFile(sql, seat, { type, subfolder, filename: file.filename })) return file.filename;
  const dot = file.filename.lastIndexOf(".");
  const [stem, extension] = dot > 0 ? [file.filename.slice(0, dot), file.filename.slice(dot)] : [file.filename, ""];
  for (;;) {
    const filename = finalName(stem, nextNumber(sql, seat, type, subfolder, stem), `_${extension}`);
    if (!findFile(sql, seat, { type, subfolder, filename })) return filename;
  }
}

/** The files an attempt's runner may name: its own seat's, by id. */
export function filesById(sql: Sql, seat: string, ids: string[]): Map<string, StoredFile> {
  const found = new Map<string, StoredFile>();
  for (const id of new Set(ids)) {
    const row = sql.all(`SELECT ${COLUMNS} FROM files WHERE file_id = ? AND seat = ?`, id, seat)[0];
    if (row) found.set(id, stored(row));
  }
  return found;
}
