// Small words for people: counts, durations, sums, names of jobs; and what to do next after a refusal. Pure.
import type { Refusal } from "./contract.ts";
import type { Job } from "./queue/index.ts";

/** "1 prompt", "2 prompts". */
export function plural(count: number, one: string, many: string): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** ms as people say it. */
export function duration(ms: number): string {
  if (ms < 90_000) return plural(Math.round(ms / 1000), "second", "seconds");
  return plural(Math.round(ms / 60_000), "minute", "minutes");
}

/** Micro-units as units of the workshop's currency. */
export function money(micro: number): string {
  return (micro / 1_000_000).toFixed(2);
}

export function jobName({ id, seat }: Pick<Job, "id" | "seat">): string {
  return `Job ${id.slice(-8)} of ${seat}`;
}

/** The refusal with its meaning and the way out: what happened, what it means, what to do. One that says so itself stays as it is. */
export function advised(refusal: Refusal): Refusal {
  const way = WAYS[refusal.reason];
  return way === undefined || /Nothing was \w+/.test(refusal.message) ? refusal : { ...refusal, message: `${refusal.message} ${way}` };
}

const WAYS: { readonly [reason in Refusal["reason"]]?: string } = {
  bad_request: "Nothing was changed. Correct the value and send it again.",
  illegal_transition: "Nothing was changed. Look at the job again: a waiting job can be rearranged, a running one cancelled or taken off its GPU, an ended one neither.",
  not_found: "Nothing was changed. It may have ended or been removed; reload the list.",
  no_such_seat: "Nothing was changed. Check the name; seats are listed in the workshop's state.",
  unknown_mode: "Nothing was changed, the old order stays.",
};
