// How long to wait before trying again: doubling with jitter, so that a hundred runners cut off by one deploy do not come back in one instant.

export type Backoff = { /** ms */ firstMs: number; /** ms */ maxMs: number };

/** Reconnecting to the platform: 0.3 s at first, 10 s at most. */
export const RECONNECT: Backoff = { firstMs: 300, maxMs: 10_000 };
/** Repeating one HTTP call whose answer was lost. */
export const RETRY: Backoff = { firstMs: 200, maxMs: 5_000 };
/** Starting ComfyUI again after it died. */
export const RESTART: Backoff = { firstMs: 1_000, maxMs: 60_000 };

/**
 * Delay in ms before try number `failures + 1`: between half and all of `firstMs * 2^failures`, bounded by `maxMs`.
 * `random` is in [0, 1). "Equal jitter": never zero, so a closed door is not hammered.
 */
export function backoffMs(policy: Backoff, failures: number, random: number): number {
  const full = Math.min(policy.maxMs, policy.firstMs * 2 ** Math.min(failures, 30));
  return Math.round(full / 2 + (full / 2) * random);
}
