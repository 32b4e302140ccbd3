// Slows down guessing of passwords: failures are counted per seat and client address, in this isolate's memory only. That is a courtesy to the log,
// not the lock: the lock is 130 random bits per password. Per address as well as per seat, so that nobody can shut a seat out by guessing at it.
import { BoundedMap } from "../bounded.ts";

/** Failures after which an address waits. */
export const MAX_FAILURES = 10;
/** ms a run of failures is remembered. */
export const WINDOW_MS = 60_000;

export class Guesses {
  readonly #failures = new BoundedMap<{ count: number; until: number }>(10_000);

  /** Seconds to wait before another try, or 0. `now` in ms. */
  wait(key: string, now: number): number {
    const failed = this.#failures.get(key, now);
    return failed !== undefined && failed.count >= MAX_FAILURES ? Math.max(1, Math.ceil((failed.until - now) / 1000)) : 0;
  }

  failed(key: string, now: number): void {
    const failed = this.#failures.get(key, now) ?? { count: 0, until: now + WINDOW_MS };
    this.#failures.set(key, { count: failed.count + 1, until: failed.until }, failed.until);
  }

  succeeded(key: string): void {
    this.#failures.delete(key);
  }
}

export function guessKey(workshop: string, seat: string, request: Request): string {
  return `${workshop}/${seat}/${request.headers.get("cf-connecting-ip") ?? "local"}`;
}
