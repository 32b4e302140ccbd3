// How a foreign client signs in to a seat: HTTP Basic, or the cookie that the login page gives. Nothing else about a client is ours.
import { WebSocket } from "ws";
import type { Room } from "../support/room.ts";
import type { SeatAccess } from "../../../scripts/stack.ts";

export type SignIn = { how: string; headers(room: Room, access: SeatAccess): Promise<Record<string, string>> };

/** The cookie a browser holds after the login form, as a `Cookie` header. */
export async function signInCookie(origin: string, workshop: string, access: SeatAccess): Promise<string> {
  const body = new URLSearchParams({ seat: access.username, password: access.password });
  const answer = await fetch(`${origin}/${workshop}/login`, { method: "POST", body, redirect: "manual", headers: { origin } });
  const cookie = answer.headers.getSetCookie().map((line) => line.split(";")[0]).join("; ");
  if (cookie === "") throw new Error(`the login answered ${answer.status} and no cookie`);
  return cookie;
}

export const SIGN_INS: SignIn[] = [
  { how: "Basic credentials", headers: async (_room, { username, password }) => ({ Authorization: `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}` }) },
  { how: "a cookie", headers: async (room, access) => ({ Cookie: await signInCookie(room.origin, room.access.workshop, access) }) },
];

/** `ws` with these headers on every handshake: the way its users hand credentials to libraries that take a WebSocket class. */
export function socketClassWith(headers: Record<string, string>, address: (url: string) => string = (url) => url): typeof WebSocket {
  return class extends WebSocket {
    constructor(url: string | URL) {
      super(address(String(url)), { headers });
    }
  } as unknown as typeof WebSocket;
}
