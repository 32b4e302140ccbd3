// A pool as the operator wrote it, as the queue wants it. Deadlines of a pool whose runners dial in are short: a runner is here or it is not.
import type { PoolSetup } from "./contract.ts";
import { defaultPool, type Pool, type PoolConfig } from "./queue/index.ts";

/** `there` is the pool as it stands, whose live values (offers, runners here) are kept; `count` gives a new one its place at the end of the chain. */
export function poolConfig(setup: PoolSetup, there: Pool | undefined, count: number): PoolConfig {
  const base = there ?? { ...defaultPool, id: setup.id, position: count };
  const { id, position, offers, groups, speed, rate, memory, startup50, startup90, keepWarm, claimBefore, startAfterClaim, silence, execLimit, lease, reclaim } = base;
  return {
    id, position, offers, groups, memory, startup50, startup90, keepWarm, startAfterClaim, silence, execLimit, reclaim,
    maxInFlight: setup.provider === "pull" ? (there?.maxInFlight ?? 0) : setup.max_in_flight,
    speed: setup.speed ?? speed,
    rate: setup.rate ?? rate,
    claimBefore: setup.claim_ms ?? (setup.provider === "pull" ? 30_000 : claimBefore),
    lease: setup.lease_ms ?? lease,
  };
}
