// What the instructor tells the room: kept until its time is over, so that a page opened later hears it too. Sent as `comfyume_notice` to pages that know it.
import type { Level, Notice } from "./instructor-contract.ts";
import { frame } from "./seat-frames.ts";
import { integer, type Sql, type SqlRow, text, textOrNull } from "./sql.ts";

export type NewNotice = { text: string; level: Level; /** null: every seat */ seat: string | null; until: number; by: string; now: number };

export function addNotice(sql: Sql, { text: words, level, seat, until, by, now }: NewNotice): Notice {
  const row = sql.all('INSERT INTO notices (at, until, seat, level, text, "by") VALUES (?, ?, ?, ?, ?, ?) RETURNING id', now, until, seat, level, words, by)[0] ?? {};
  return { id: integer(row, "id"), at: now, until, seat, level, text: words };
}

/** Notices that still hold, oldest first; with a seat, those meant for it. `now` in ms. */
export function currentNotices(sql: Sql, now: number, seat?: string): Notice[] {
  const rows = seat === undefined
    ? sql.all("SELECT id, at, until, seat, level, text FROM notices WHERE until > ? AND withdrawn = 0 ORDER BY id", now)
    : sql.all("SELECT id, at, until, seat, level, text FROM notices WHERE until > ? AND withdrawn = 0 AND (seat IS NULL OR seat = ?) ORDER BY id", now, seat);
  return rows.map(noticeOf);
}

/** The notice that was taken back, or null when there is none that still holds. */
export function withdrawNotice(sql: Sql, id: number, now: number): Notice | null {
  const row = sql.all("UPDATE notices SET withdrawn = 1 WHERE id = ? AND withdrawn = 0 AND until > ? RETURNING id, at, until, seat, level, text", id, now)[0];
  return row ? noticeOf(row) : null;
}

function noticeOf(row: SqlRow): Notice {
  return { id: integer(row, "id"), at: integer(row, "at"), until: integer(row, "until"), seat: textOrNull(row, "seat"), level: text(row, "level") as Level, text: text(row, "text") };
}

export function noticeFrame(notice: Notice, withdrawn = false): string {
  return frame("comfyume_notice", { ...notice, ...(withdrawn ? { withdrawn } : {}) });
}
