// A pool as the operator wrote it, as the queue wants it. Deadlines of a pool whose runners dial in or stand at our own address are short: a runner is
// there or it is not.
import { RECLAIM_MS } from "../gpu-adapter/pool-settings.ts";
import type { PoolSetup } from "./contract.ts";
import { defaultPool, type Pool, type PoolConfig } from "./queue/index.ts";

/** `there` is the pool as it stands, whose live values (offers, runners here, measured startups) are kept; `count` gives a new one its place at the end of the chain. */
export function poolConfig(setup: PoolSetup, there: Pool | undefined, count: number): PoolConfig {
  const base = there ?? { ...defaultPool, id: setup.id, position: count };
  return {
    id: base.id,
    offers: base.offers,
    keepWarm: base.keepWarm,
    position: setup.position ?? base.position,
    groups: setup.groups === undefined ? base.groups : setup.groups,
    memory: setup.memory_mb ?? base.memory,
    // An operator's guess counts until starts were measured; after that the measured ones do (pool facts put them here).
    startup50: base.startup50 > 0 ? base.startup50 : (setup.startup_p50_ms ?? 0),
    startup90: base.startup90 > 0 ? base.startup90 : (setup.startup_p90_ms ?? setup.startup_p50_ms ?? 0),
    maxInFlight: setup.provider === "pull" ? (there?.maxInFlight ?? 0) : setup.max_in_flight,
    speed: setup.speed ?? base.speed,
    rate: setup.rate ?? base.rate,
    claimBefore: setup.claim_ms ?? (setup.provider === "pull" || setup.provider === "local" ? 30_000 : base.claimBefore),
    startAfterClaim: setup.start_ms ?? base.startAfterClaim,
    silence: setup.silence_ms ?? base.silence,
    execLimit: setup.exec_ms === undefined ? base.execLimit : { image: setup.exec_ms, audio: setup.exec_ms, video: setup.exec_ms, "3d": setup.exec_ms, other: setup.exec_ms },
    lease: setup.lease_ms ?? base.lease,
    reclaim: setup.reclaim_ms ?? (there === undefined ? RECLAIM_MS[setup.provider] : base.reclaim),
  };
}
