// Seats and their passwords, as the operator's commands make them. Invariant: whatever is handed out opens the seat now. A seat keeps its password for
// as long as the stored hash still fits the derived one; else it gets the next issue, and older sessions of it end.
import type { Answer, Refusal, Role, SeatCredential } from "../durable-objects/contract.ts";
import { credentialOf, derivePassword, passwordMatches } from "./auth/passwords.ts";
import { INSTRUCTOR } from "./names.ts";
import { forgetIdentity, openWorkshop, type WorkshopDoor } from "./workshop.ts";

export type SeatWish = { seat: string; role: Role };
export type SeatPassword = { seat: string; password: string };

/** `user001`, `user002`, …: the first `count` names of a prefix, or the next ones after `from`. */
export function seatNames(prefix: string, count: number, from = 1): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}${String(from + index).padStart(3, "0")}`);
}

/** The credentials a new workshop starts with: the instructor's and every seat's first issue. */
export function firstCredentials(secret: string, workshop: string, wishes: SeatWish[]): SeatCredential[] {
  return wishes.map(({ seat, role }) => credentialOf(seat, role, derivePassword(secret, workshop, seat, 1)));
}

/** Makes the wished seats exist and answers their passwords, in order. With `renew`, every one of them gets a new password. */
export async function ensureSeats(env: Env, workshop: string, wishes: SeatWish[], renew = false): Promise<Answer<{ seats: SeatPassword[]; added: string[] }>> {
  const door = openWorkshop(env, workshop);
  const changes: SeatCredential[] = [];
  for (const wish of wishes) {
    const known = await door.identity(wish.seat);
    if (!known.ok && known.reason !== "no_such_seat") return known;
    const version = known.ok ? known.identity.version : 0;
    const kept = known.ok && !renew && passwordMatches(known.identity, derivePassword(env.SESSION_SECRET, workshop, wish.seat, version));
    if (!kept) changes.push(credentialOf(wish.seat, known.ok ? known.identity.role : wish.role, derivePassword(env.SESSION_SECRET, workshop, wish.seat, version + 1)));
  }
  let added: string[] = [];
  if (changes.length > 0) {
    const put = await door.putSeats(changes);
    if (!put.ok) return put;
    added = put.added;
  }
  for (const { seat } of changes) forgetIdentity(workshop, seat);
  const passwords = await readPasswords(env, door, workshop, wishes);
  return Array.isArray(passwords) ? { ok: true, seats: passwords, added } : passwords;
}

/** The passwords of seats as they are. A password that was not derived from today's secret cannot be known, and is left out. */
export async function readPasswords(env: Env, door: WorkshopDoor, workshop: string, wishes: SeatWish[]): Promise<SeatPassword[] | Refusal> {
  const found: SeatPassword[] = [];
  for (const { seat } of wishes) {
    const known = await door.identity(seat);
    if (!known.ok) return known;
    const password = derivePassword(env.SESSION_SECRET, workshop, seat, known.identity.version);
    if (passwordMatches(known.identity, password)) found.push({ seat, password });
  }
  return found;
}

/** The instructor comes first in every workshop. */
export function withInstructor(seats: string[]): SeatWish[] {
  return [{ seat: INSTRUCTOR, role: "instructor" }, ...seats.map((seat): SeatWish => ({ seat, role: "participant" }))];
}
