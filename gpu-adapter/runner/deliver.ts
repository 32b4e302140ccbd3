// Brings a result to the platform by HTTP, for as long as somebody may still want it [G24]: repeated until it is accepted, or refused for good.
import type { RunResult } from "../contract.ts";
import { backoffMs, RETRY } from "./backoff.ts";
import { type Log, sleep, words } from "./log.ts";
import { type AttemptRoutes, Refused } from "./platform.ts";

export type Delivery = "accepted" | "already" | "refused" | "undelivered";

/** Leases after which nobody waits for a result any more: when the first has ended without a sign of life, the attempt is lost and what comes late is refused [Q53]. */
const RESULT_LEASES = 8;

/** How long a result is brought (ms), for a lease of `ttl` seconds: with the default of 75 s ten minutes. */
export function deliveryMs(ttl: number): number {
  return RESULT_LEASES * ttl * 1000;
}

/** Posts until 2xx, 409 or 410; any other refusal ends it too, because the same body will not please later. `withinMs` bounds it all. */
export async function deliverResult(routes: AttemptRoutes, result: RunResult, withinMs: number, log: Log, signal?: AbortSignal): Promise<Delivery> {
  const deadline = Date.now() + withinMs;
  for (let failures = 0; ; failures++) {
    try {
      return (await routes.result(result)).status;
    } catch (error) {
      if (error instanceof Refused) {
        log("result_refused", { status: error.status, reason: error.reason, message: error.message });
        return "refused";
      }
      const wait = backoffMs(RETRY, failures, Math.random());
      log("result_retry", { try: failures + 1, error: words(error) });
      if (Date.now() + wait > deadline || signal?.aborted === true) return "undelivered";
      await sleep(wait, signal);
    }
  }
}
