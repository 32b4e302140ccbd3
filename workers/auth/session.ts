// The session: a signed cookie per seat, set only after a successful login. It says who somebody was at login; whether that still holds is asked of the
// workshop's object (credential version), so a new password ends every older session.
import { z } from "zod";
import type { Role } from "../../durable-objects/contract.ts";
import { seal, unseal } from "../../r2/seal.ts";
import { INSTRUCTOR } from "../names.ts";

/** Seven days: a workshop week. */
export const SESSION_MS = 7 * 24 * 3600 * 1000;

const payload = z.object({
  workshop: z.string(),
  seat: z.string(),
  role: z.enum(["participant", "instructor"]),
  /** The seat's credential version at login. */
  version: z.int(),
  /** ms since the epoch. */
  issued: z.int(),
  expires: z.int(),
});
export type Session = z.infer<typeof payload>;

export function newSession(who: { workshop: string; seat: string; role: Role; version: number }, now: number): Session {
  return { workshop: who.workshop, seat: who.seat, role: who.role, version: who.version, issued: now, expires: now + SESSION_MS };
}

export function signSession(secret: string, session: Session): string {
  return seal(secret, "session-v1", session);
}

/** The session in a cookie's value, or null when it was not made here, was changed, or has ended. `now` in ms. */
export function verifySession(secret: string, value: string, now: number): Session | null {
  const parsed = payload.safeParse(unseal(secret, "session-v1", value));
  return parsed.success && parsed.data.expires > now && parsed.data.issued <= now + 60_000 ? parsed.data : null;
}

export function cookieName(seat: string): string {
  return `cm_${seat}`;
}

/** Where a seat's cookie is sent to: its own path, and for the instructor the dashboard as well. */
export function cookiePaths(workshop: string, seat: string, role: Role): string[] {
  const own = `/${workshop}/${seat}/`;
  return role === "instructor" && seat === INSTRUCTOR ? [own, `/${workshop}/dashboard/`] : [own];
}

/** `Set-Cookie` values; an empty `value` clears. `secure` when the request came over https. */
export function setCookies(session: Session, value: string, secure: boolean): string[] {
  const age = value === "" ? 0 : Math.floor((session.expires - session.issued) / 1000);
  return cookiePaths(session.workshop, session.seat, session.role).map((path) => `${cookieName(session.seat)}=${value}; Path=${path}; Max-Age=${age}; HttpOnly; SameSite=Lax${secure ? "; Secure" : ""}`);
}

/** All cookies of ours in a `Cookie` header, by seat. The first of a name wins: browsers send the longest path first (RFC 6265 5.4). */
export function readCookies(header: string | null): Map<string, string> {
  const found = new Map<string, string>();
  for (const part of (header ?? "").split(";")) {
    const [name = "", ...value] = part.trim().split("=");
    if (name.startsWith("cm_") && !found.has(name.slice(3))) found.set(name.slice(3), value.join("="));
  }
  return found;
}
