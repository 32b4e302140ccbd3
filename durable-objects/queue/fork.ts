// A copy of the state to run forward [Q73]. Shares what a forecast only reads: parameters, estimates, runners, and what hangs below a record
// (leases, charges, exclusions). Pools are copied: a removed one goes with its last attempt [Q67], on the copy as in truth.

import type { Derived, List, SeatView, Stake } from "./derived.ts";
import { withHead } from "./state.ts";
import type { Job, QueueState } from "./types.ts";

/** O(live jobs + slots + pools). Nothing done to the copy is seen by the original. */
export function fork(state: QueueState): QueueState {
  const jobs = new Map<string, Job>();
  for (const [id, job] of state.jobs) jobs.set(id, { ...job });
  const copyOf = (job: Job) => jobs.get(job.id) as Job;
  const copy: QueueState = {
    workshop: { ...state.workshop, main: { ...state.workshop.main }, background: { ...state.workshop.background } },
    params: state.params,
    jobs,
    attempts: new Map([...state.attempts].map(([key, attempt]) => [key, { ...attempt }])),
    seats: new Map(),
    pools: new Map([...state.pools].map(([id, pool]) => [id, { ...pool }])),
    slots: new Map([...state.slots].map(([key, slot]) => [key, { ...slot }])),
    runners: state.runners,
    estimates: state.estimates,
    derived: forkDerived(state.derived, copyOf),
  };
  const { derived } = copy;
  derived.views = state.derived.views.map((view) => forkView(view, copyOf));
  for (const view of derived.views) {
    derived.seats.set(view.seat.id, view);
    copy.seats.set(view.seat.id, view.seat);
  }
  derived.chain = state.derived.chain.flatMap((pool) => copy.pools.get(pool.id) ?? []);
  derived.open = state.derived.open.flatMap((slot) => copy.slots.get(slot.key) ?? []);
  return copy;
}

function forkDerived(derived: Derived, copyOf: (job: Job) => Job): Derived {
  return {
    ...derived,
    seats: new Map(),
    demo: derived.demo.map(copyOf),
    hasOpen: [...derived.hasOpen],
    profiles: derived.profiles.map((profile) => profile && { ...profile, capable: [...profile.capable] }),
    profileIds: new Map(derived.profileIds),
    unusedProfiles: [...derived.unusedProfiles],
    contending: { ...derived.contending },
    byTiming: new Map(),
    byKey: new Map(),
    deferred: new Set([...derived.deferred].map(copyOf)),
    excluding: new Set([...derived.excluding].map(copyOf)),
    bumped: new Set([...derived.bumped].map(copyOf)),
  };
}

function forkView(view: SeatView, copyOf: (job: Job) => Job): SeatView {
  const list = ({ order, bySeq }: List): List => ({ order: order.map(copyOf), bySeq: bySeq.map(copyOf) });
  const stake = (of: Stake): Stake => ({ ...of, profiles: new Map(of.profiles) });
  const { seat } = view;
  return withHead({
    ...view,
    seat: { ...seat, main: { ...seat.main }, background: { ...seat.background } },
    normal: list(view.normal),
    background: list(view.background),
    main: stake(view.main),
    idle: stake(view.idle),
  });
}
