// Offers to take an act back: kept for ten seconds, in the database, because an object may hibernate between two clicks. Each is good for one use.
import type { Subject } from "./subjects.ts";
import { integer, type Sql, text } from "./sql.ts";

/** An offer stands this long (ms). */
export const UNDO_MS = 10_000;
/** Used and expired offers are remembered this long (ms), to say which of the two they are. */
const REMEMBER_MS = 24 * 3_600_000;

export type Offer = { id: string; until: number; does: string; subject: Subject; /** what it was */ before: unknown; /** what the act made of it */ after: unknown };
export type Found = { state: "open"; offer: Offer } | { state: "unknown" | "used" | "expired" };

export function addOffer(sql: Sql, offer: Offer, now: number): void {
  sql.all("DELETE FROM undo WHERE until < ?", now - REMEMBER_MS);
  sql.all("INSERT INTO undo (id, until, does, subject, before, after) VALUES (?, ?, ?, ?, ?, ?)", offer.id, offer.until, offer.does, JSON.stringify(offer.subject), JSON.stringify(offer.before), JSON.stringify(offer.after));
}

export function findOffer(sql: Sql, id: string, now: number): Found {
  const row = sql.all("SELECT until, does, subject, before, after, used FROM undo WHERE id = ?", id)[0];
  if (row === undefined) return { state: "unknown" };
  if (integer(row, "used") === 1) return { state: "used" };
  const until = integer(row, "until");
  if (until < now) return { state: "expired" };
  return { state: "open", offer: { id, until, does: text(row, "does"), subject: JSON.parse(text(row, "subject")) as Subject, before: JSON.parse(text(row, "before")), after: JSON.parse(text(row, "after")) } };
}

export function useOffer(sql: Sql, id: string): void {
  sql.all("UPDATE undo SET used = 1 WHERE id = ?", id);
}
