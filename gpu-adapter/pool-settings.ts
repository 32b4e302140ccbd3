// What an operator says of a pool beyond its name: where its dispatches go, which secret opens that door, what it costs, when it is kept warm.
// Invariant: a secret is named here, never contained; only bindings whose name begins with GPU_ can be named, so no pool can carry another secret away.
import { z } from "zod";

export const providerName = z.enum(["pull", "local", "verda", "verda-batch", "runpod", "modal"]);
export type PoolProvider = z.infer<typeof providerName>;

const secretName = z.string().regex(/^GPU_[A-Z0-9_]{1,60}$/, "must be the name of a Worker secret beginning with GPU_ (the value is set with `wrangler secret put`)");
const address = z.url({ protocol: /^https?$/ }).transform((value) => value.replace(/\/+$/, ""));

/** A stretch of time with machines kept up, ms since the epoch. */
export const session = z.object({ from: z.int().min(0), to: z.int().min(0), replicas: z.int().min(0).max(100) }).refine(({ from, to }) => from < to, "must end after it begins");
export type Session = z.infer<typeof session>;

/** Settings of a pool; times ms, money micro-units of the workshop's currency, memory MiB. */
export const poolSettings = {
  /** Place in the failover chain; smaller first. */
  position: z.int().min(0).max(1000).optional(),
  /** Groups of seats it serves; null or absent: everybody [Q78]. */
  groups: z.array(z.string().min(1).max(60)).max(50).nullable().optional(),
  memory_mb: z.int().min(0).max(10_000_000).optional(),
  /** Startup of a cold container until it was measured. */
  startup_p50_ms: z.int().min(0).max(3_600_000).optional(),
  startup_p90_ms: z.int().min(0).max(3_600_000).optional(),
  /** An expired lease may be taken over by another runner for this long [Q58]; by default what the provider calls for ([G] 6.10). */
  reclaim_ms: z.int().min(0).max(600_000).optional(),
  start_ms: z.int().min(1000).max(3_600_000).optional(),
  silence_ms: z.int().min(1000).max(3_600_000).optional(),
  /** Longest run of every kind, in place of 15 minutes (video: an hour). */
  exec_ms: z.int().min(1000).max(7 * 86_400_000).optional(),
  /** Where dispatches go: the deployment's own address at the provider. */
  endpoint: address.optional(),
  /** Key for the endpoint: Verda's inference key, RunPod's API key, Modal's `wk-…:ws-…`. */
  secret: secretName.optional(),
  /** Key for the control plane, where it is another: Verda's `client_id:client_secret`, RunPod's management key. */
  control_secret: secretName.optional(),
  control_url: address.optional(),
  /** Name of the deployment in the control plane; by default the last segment of the endpoint. */
  deployment: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$/).optional(),
  /** The provider's name of the GPU, for its price list and its list of free hardware. */
  gpu: z.string().min(1).max(100).optional(),
  spot: z.boolean().optional(),
  /** Pools with the same word here sign dispatches with one key, so that one deployment can serve several workshops. */
  shared_key: z.string().regex(/^[a-z0-9][a-z0-9-]{0,59}$/).optional(),
  /** Take the rate from the provider's price list, times this factor into the workshop's currency. */
  price_factor: z.number().positive().max(1000).optional(),
  sessions: z.array(session).max(100).optional(),
};

const settings = z.object({ provider: providerName, ...poolSettings });
export type PoolSettings = Omit<z.infer<typeof settings>, "provider">;

/** What is wrong with the settings as a whole, as a sentence; null when they fit together. */
export function settingsFault(pool: { provider: PoolProvider } & PoolSettings): string | null {
  if (pool.provider === "pull") return null;
  if (pool.endpoint === undefined) return `a pool of ${pool.provider} needs an endpoint: the address its dispatches go to`;
  if (pool.provider !== "local" && pool.secret === undefined) return `a pool of ${pool.provider} needs a secret: the name of the Worker secret that holds its key`;
  const { protocol, hostname } = new URL(pool.endpoint);
  const near = hostname === "localhost" || hostname === "127.0.0.1" || hostname === "[::1]";
  if (pool.provider !== "local" && protocol !== "https:" && !near) return "the endpoint must be https: its key travels there";
  return null;
}

/** ms an expired lease stays claimable: for providers that run the same input again by themselves ([G] 6.10, row reclaim). */
export const RECLAIM_MS: Record<PoolProvider, number> = { pull: 0, local: 0, verda: 0, "verda-batch": 0, runpod: 60_000, modal: 60_000 };
