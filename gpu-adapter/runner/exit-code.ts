// What `http-once` leaves behind for the provider that started it [G3]. Pure. Invariant: 0 says that nothing is wrong with this machine; a failed graph, a
// cancel and a dispatch that was somebody else's are ordinary ends, and starting another machine would not help.
import type { HeldAnswer } from "../contract.ts";
import type { Delivery } from "./deliver.ts";
import { retryClass, type RetryClass } from "../errors.ts";

/** How a dispatch was served: what the held request is answered, and whether the platform has the result; null when there was none to bring. */
export type Served = { held: HeldAnswer; delivery: Delivery | "dropped" | null };

/** Ends for which the machine or its way to the platform is the cause. */
const INFRASTRUCTURE: readonly RetryClass[] = ["crash", "lost", "never_started", "upload", "input", "internal", "config", "unknown", "capacity"];
/** A claim that was refused because the work is not this runner's any more [G10]. */
const NOT_OURS = /^(duplicate|superseded|finished|gone)\b/;

export function exitCodeOf({ held, delivery }: Served): 0 | 1 {
  if (delivery === null) return NOT_OURS.test(held.reason ?? "") ? 0 : 1;
  if (delivery !== "accepted" && delivery !== "already") return 1;
  const code = held.result?.error?.code;
  return code !== undefined && INFRASTRUCTURE.includes(retryClass(code)) ? 1 : 0;
}
