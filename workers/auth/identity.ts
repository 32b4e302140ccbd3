// Who is asking for a seat: the session cookie, else HTTP Basic, else nobody. Never a header, a query or a body that merely names a seat [seeds 41].
import type { Role, SeatIdentity } from "../../durable-objects/contract.ts";
import { isSeatName } from "../names.ts";
import { exists, seatIdentity } from "../workshop.ts";
import { guessKey, Guesses } from "./guesses.ts";
import { passwordMatches } from "./passwords.ts";
import { proofKey, Proofs, sessionKey } from "./proofs.ts";
import { readCookies, type Session, verifySession } from "./session.ts";

export type Caller =
  | { kind: "seat"; seat: string; role: Role }
  /** Signed in, but not here. */
  | { kind: "other_seat"; seat: string }
  | { kind: "nobody"; /** credentials were given and did not hold */ refused: boolean }
  | { kind: "wait"; seconds: number };

export const guesses = new Guesses();
const sessions = new Proofs<Session>();
/** Of a password: the seat and the stored hash that it fitted. */
const passwords = new Proofs<{ seat: string; hash: string }>();

/** The caller of a path that belongs to `seat`. `now` in ms since the epoch. */
export async function identify(request: Request, env: Env, workshop: string, seat: string, now: number): Promise<Caller> {
  const cookies = readCookies(request.headers.get("cookie"));
  const own = await fromCookie(env, workshop, seat, cookies.get(seat), now);
  if (own !== null) return own;
  const basic = await fromBasic(request, env, workshop, seat, now);
  if (basic !== null) return basic;
  for (const [other, value] of cookies) {
    const session = other === seat ? null : verifySession(env.SESSION_SECRET, value, now);
    if (session?.workshop === workshop && session.seat === other) return { kind: "other_seat", seat: other };
  }
  return { kind: "nobody", refused: cookies.has(seat) };
}

async function fromCookie(env: Env, workshop: string, seat: string, value: string | undefined, now: number): Promise<Caller | null> {
  const session = value === undefined ? null : readSession(env.SESSION_SECRET, value, now);
  if (session === null) return null;
  // A cookie under another seat's name, copied by hand: signed, but not for this place.
  if (session.workshop !== workshop || session.seat !== seat) return { kind: "other_seat", seat: session.seat };
  const identity = await seatIdentity(env, workshop, seat, now);
  return identity?.version === session.version ? { kind: "seat", seat, role: identity.role } : null;
}

function readSession(secret: string, value: string, now: number): Session | null {
  const key = sessionKey(secret, value);
  const known = sessions.recall(key, now);
  if (known !== undefined && known.expires > now) return known;
  const session = verifySession(secret, value, now);
  if (session !== null) sessions.remember(key, session, now);
  return session;
}

async function fromBasic(request: Request, env: Env, workshop: string, seat: string, now: number): Promise<Caller | null> {
  const header = request.headers.get("authorization");
  if (header === null) return null;
  const key = proofKey(env.SESSION_SECRET, `basic ${workshop}`, header);
  const proven = await provenPassword(request, env, workshop, seat, passwords.recall(key, now), now);
  if (proven !== null) return proven;
  const given = readBasic(header);
  if (given === null) return null;
  const checked = await checkPassword(request, env, workshop, given.user, given.password, now);
  if (checked.kind === "right") passwords.remember(key, { seat: given.user, hash: checked.identity.hash }, now);
  if (checked.kind === "wait") return checked;
  if (checked.kind === "wrong") return { kind: "nobody", refused: true };
  return given.user === seat ? { kind: "seat", seat, role: checked.identity.role } : { kind: "other_seat", seat: given.user };
}

/** The caller of a password that fitted before, when it is this seat's and the seat still has it; null: look again. */
async function provenPassword(request: Request, env: Env, workshop: string, seat: string, proven: { seat: string; hash: string } | undefined, now: number): Promise<Caller | null> {
  if (proven?.seat !== seat || guesses.wait(guessKey(workshop, seat, request), now) > 0) return null;
  const identity = await seatIdentity(env, workshop, seat, now);
  return identity?.hash === proven.hash ? { kind: "seat", seat, role: identity.role } : null;
}

export type PasswordCheck = { kind: "right"; identity: SeatIdentity } | { kind: "wrong" } | { kind: "wait"; seconds: number };

/** The one place where a password is tried; login page and Basic alike. An unknown seat and a wrong password are the same answer. */
export async function checkPassword(request: Request, env: Env, workshop: string, seat: string, password: string, now: number): Promise<PasswordCheck> {
  if (!isSeatName(seat)) return { kind: "wrong" };
  const key = guessKey(workshop, seat, request);
  const seconds = guesses.wait(key, now);
  if (seconds > 0) return { kind: "wait", seconds };
  const identity = (await exists(env, workshop, now)) ? await seatIdentity(env, workshop, seat, now) : null;
  if (identity !== null && passwordMatches(identity, password)) {
    guesses.succeeded(key);
    return { kind: "right", identity };
  }
  guesses.failed(key, now);
  return { kind: "wrong" };
}

/** User and password of an `Authorization: Basic` header (RFC 7617, UTF-8); null when it is none. */
export function readBasic(header: string | null): { user: string; password: string } | null {
  const encoded = /^Basic +([A-Za-z0-9+/=_-]+) *$/i.exec(header ?? "")?.[1];
  if (encoded === undefined) return null;
  try {
    const text = new TextDecoder().decode(Uint8Array.from(atob(encoded), (character) => character.charCodeAt(0)));
    const colon = text.indexOf(":");
    return colon < 0 ? null : { user: text.slice(0, colon), password: text.slice(colon + 1) };
  } catch {
    return null;
  }
}
