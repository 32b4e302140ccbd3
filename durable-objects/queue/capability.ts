// Which pools may run which job [Q41][Q78]: capability keys, exclusions and groups, each asked once per profile and pool.

import type { Derived, Profile, SeatView, Stake } from "./derived.ts";
import type { Job, Pool, QueueState, Seat } from "./types.ts";

export function internProfile(derived: Derived, job: Job): Profile {
  const excluded = [...new Set(job.excluded.map((entry) => entry.pool))].sort();
  const name = JSON.stringify([job.requires, excluded]);
  const known = derived.profileIds.get(name);
  const found = known === undefined ? undefined : derived.profiles[known];
  if (found !== undefined) return found;
  const profile: Profile = { id: derived.unusedProfiles.pop() ?? derived.profiles.length, name, requires: job.requires, excluded, count: 0, capable: [] };
  derived.profiles[profile.id] = profile;
  derived.profileIds.set(name, profile.id);
  return profile;
}

export function dropProfile(derived: Derived, profile: Profile): void {
  derived.profiles[profile.id] = undefined;
  derived.profileIds.delete(profile.name);
  derived.unusedProfiles.push(profile.id);
}

/** A pool's offers as a set, made once per array the pool was given. */
const offerSets = new WeakMap<readonly string[], ReadonlySet<string>>();

/** `p:` and a pool's id is offered by that pool alone, known catalog or not: a job that requires it is pinned there. */
const PIN = "p:";

export function offersAll(pool: Pool, requires: readonly string[]): boolean {
  if (requires.some((key) => key.startsWith(PIN) && key !== PIN + pool.id)) return false;
  if (pool.offers === null) return true;
  let offers = offerSets.get(pool.offers);
  if (offers === undefined) {
    offers = new Set(pool.offers);
    offerSets.set(pool.offers, offers);
  }
  return requires.every((key) => offers.has(key) || key.startsWith(PIN));
}

export function servesSeat(pool: Pool, seat: Seat): boolean {
  return pool.groups === null || (seat.group !== null && pool.groups.includes(seat.group));
}

function capable(derived: Derived, profile: Profile, place: number): boolean {
  const known = profile.capable[place];
  if (known !== undefined) return known;
  const pool = derived.chain[place];
  const can = pool !== undefined && !profile.excluded.includes(pool.id) && offersAll(pool, profile.requires);
  profile.capable[place] = can;
  return can;
}

/** The pool at this place of the chain may run a waiting job of this seat and profile. */
export function poolMayRun(derived: Derived, view: SeatView, profileId: number, place: number): boolean {
  if (view.served[place] !== true) return false;
  const profile = derived.profiles[profileId];
  return profile !== undefined && capable(derived, profile, place);
}

/** [Q27] Some open slot may run a waiting job of this stake. */
export function hasOpenSlotFor(derived: Derived, view: SeatView, stake: Stake): boolean {
  for (const id of stake.profiles.keys()) {
    for (let place = 0; place < derived.hasOpen.length; place++) {
      if (derived.hasOpen[place] === true && poolMayRun(derived, view, id, place)) return true;
    }
  }
  return false;
}

export function servedPlaces(derived: Derived, seat: Seat): boolean[] {
  return derived.chain.map((pool) => servesSeat(pool, seat));
}

/** Pools of the chain that could run the job if it excluded none [Q55]. */
export function capablePools(state: QueueState, job: Job): Pool[] {
  const view = state.derived.seats.get(job.seat);
  if (view === undefined) return [];
  return state.derived.chain.filter((pool, place) => view.served[place] === true && offersAll(pool, job.requires));
}

/** After any change of pools: chain order, places, and every cached answer. */
export function rebuildChain(state: QueueState): void {
  const { derived } = state;
  derived.chain = [...state.pools.values()].filter((pool) => !pool.removed).sort((a, b) => a.position - b.position || (a.id < b.id ? -1 : 1));
  derived.ordinal = new Map(derived.chain.map((pool, place) => [pool.id, place]));
  for (const profile of derived.profiles) if (profile !== undefined) profile.capable = [];
  for (const view of derived.views) view.served = servedPlaces(derived, view.seat);
  rebuildOpen(state);
  derived.planStale = true;
}

/** After any slot opened or closed: the open ones in slot order (chain position, number) [Q38]. */
export function rebuildOpen(state: QueueState): void {
  const { derived } = state;
  const place = (pool: string) => derived.ordinal.get(pool) ?? derived.chain.length;
  derived.open = [...state.slots.values()].filter((slot) => slot.open).sort((a, b) => place(a.pool) - place(b.pool) || a.number - b.number);
  derived.hasOpen = derived.chain.map(() => false);
  for (const slot of derived.open) {
    const at = derived.ordinal.get(slot.pool);
    if (at !== undefined) derived.hasOpen[at] = true;
  }
}
