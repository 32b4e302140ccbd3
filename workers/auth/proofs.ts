// What was proven a moment ago is not computed again. A password that was right is known by a digest of how it was sent, never as it was sent; a session's
// cookie, which was made here and ends by itself, is known as it is.
// Invariant: only what was right is remembered, with what it was right for; whether that still holds is asked each time.
import { createHash } from "node:crypto";
import { BoundedMap } from "../bounded.ts";

/** ms a proof is remembered; what it proves may end sooner, and its user looks. */
const REMEMBERED_MS = 600_000;

export class Proofs<T> {
  readonly #proven = new BoundedMap<T>(5_000);

  /** `key` as `proofKey` or `sessionKey` makes it; `now` in ms. */
  recall(key: string, now: number): T | undefined {
    return this.#proven.get(key, now);
  }

  remember(key: string, what: T, now: number): void {
    this.#proven.set(key, what, now + REMEMBERED_MS);
  }
}

/** Keyed with the server's secret: another secret knows none of the old proofs. `scope` says what the credential was sent for. */
export function proofKey(secret: string, scope: string, credential: string): string {
  return createHash("sha256").update(`${secret}\n${scope}\n${credential}`).digest("hex");
}

/** The same for what came in a cookie: each of a seat's requests brings one, and a digest of it costs more than all the rest of signing in. */
export function sessionKey(secret: string, value: string): string {
  return `${secret}\n${value}`;
}
