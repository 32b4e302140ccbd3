// What a decision touched, so that a store writes those rows and no others.

import type { Changes } from "./decision.ts";

export function noChanges(): Changes {
  return {
    workshop: false,
    params: false,
    jobs: new Set(),
    attempts: new Set(),
    seats: new Set(),
    pools: new Set(),
    slots: new Set(),
    runners: new Set(),
    estimates: new Set(),
  };
}

/** True when there is anything to commit. */
export function hasChanges(changes: Changes): boolean {
  return (
    changes.workshop || changes.params ||
    changes.jobs.size + changes.attempts.size + changes.seats.size + changes.pools.size + changes.slots.size + changes.runners.size + changes.estimates.size > 0
  );
}

/** Adds what another decision touched: afterwards `changes` names the rows of both. */
export function addChanges(changes: Changes, more: Changes): void {
  changes.workshop ||= more.workshop;
  changes.params ||= more.params;
  for (const name of ["jobs", "attempts", "seats", "pools", "slots", "runners", "estimates"] as const) for (const key of more[name]) changes[name].add(key);
}
