// What was proven a moment ago is not computed again: a credential that was right is known by a digest of how it was sent, never as it was sent.
// Invariant: only what was right is remembered, with what it was right for; whether that still holds is asked each time.
import { createHash } from "node:crypto";
import { BoundedMap } from "../bounded.ts";

/** ms a proof is remembered; what it proves may end sooner, and its user looks. */
const REMEMBERED_MS = 600_000;

export class Proofs<T> {
  readonly #proven = new BoundedMap<T>(5_000);

  /** `key` as `proofKey` makes it; `now` in ms. */
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
