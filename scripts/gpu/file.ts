// gpu.toml: one workshop's chain of pools and the deployments behind them, typed. What the file says is what `put` and `deploy` bring about; everything
// that is wrong with it is said with the pool and the field, before anything is asked of anybody.
import { existsSync, readFileSync } from "node:fs";
import { parse } from "smol-toml";
import { z } from "zod";
import { poolSettings, providerName, settingsFault } from "../../gpu-adapter/pool-settings.ts";
import { CommandError } from "../workshop/operator.ts";

const moment = z.union([z.date(), z.string()]).transform((value, context) => {
  const at = new Date(value).getTime();
  if (Number.isNaN(at)) context.addIssue({ code: "custom", message: "is no moment; write it like 2026-03-01T09:00:00+01:00" });
  return at;
});

/** What `deploy` makes at the provider. Durations in seconds, as the providers count. */
const deployment = z
  .object({
    /** Name at the provider; by default the workshop's and the pool's. */
    name: z.string().regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, "must be small letters, digits and -, at most 63").optional(),
    max_replicas: z.int().min(1).max(100).optional(),
    scale_down_s: z.int().min(0).max(86_400).default(600),
    /** Verda: waiting plus run, after which a message is dropped. */
    ttl_s: z.int().min(60).max(604_800).default(3600),
    /** Verda batch: the longest a job may take. */
    deadline_s: z.int().min(600).max(604_800).default(3600),
    /** GPUs per machine. */
    size: z.int().min(1).max(8).default(1),
    /** A volume with the models, mounted at /models: Verda's shared file system, RunPod's network volume. */
    models_volume: z.string().min(1).optional(),
    /** RunPod: pools of GPU types, in order of preference. */
    gpu_pools: z.array(z.string().min(1)).min(1).max(3).optional(),
    disk_gb: z.int().min(1).max(2000).default(40),
    env: z.record(z.string().regex(/^[A-Z][A-Z0-9_]*$/), z.string()).default({}),
  })
  .strict();

const pool = z
  .object({
    ...poolSettings,
    id: z.string().regex(/^[a-z0-9][a-z0-9-]{0,59}$/, "must be small letters, digits and -, at most 60"),
    provider: providerName,
    slots: z.int().min(0).max(1000),
    rate_eur: z.number().min(0).max(1000).optional(),
    speed: z.int().min(1).max(10_000).optional(),
    lease_ms: z.int().min(1000).max(600_000).optional(),
    claim_ms: z.int().min(1000).max(3_600_000).optional(),
    session: z.array(z.object({ from: moment, to: moment, replicas: z.int().min(0).max(100) }).strict()).optional(),
    deployment: deployment.optional(),
    sessions: z.never().optional(),
    position: z.never().optional(),
  })
  .strict();

const file = z
  .object({
    workshop: z.string().min(1),
    /** Jobs at once over the whole chain; by default those of its first pool. */
    slots: z.int().min(0).max(1000).optional(),
    budget_eur: z.number().min(0).max(1_000_000).optional(),
    /** Where machines call back, if it is not the address the commands go to. */
    origin: z.url({ protocol: /^https?$/ }).optional(),
    image: z.object({ name: z.string().min(1), registry_credentials: z.string().min(1).optional() }).strict().optional(),
    pool: z.array(pool).min(1).max(20),
  })
  .strict();

export type GpuFile = z.infer<typeof file>;
export type GpuPool = GpuFile["pool"][number];

/** Reads and checks the file; throws CommandError with every fault in it. */
export function readGpuFile(path: string): GpuFile {
  if (!existsSync(path)) throw new CommandError(`There is no ${path}. Begin with a copy of gpu.example.toml (docs/gpu.md explains each line).`);
  let value: unknown;
  try {
    value = parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw new CommandError(`${path} is no TOML: ${error instanceof Error ? error.message : String(error)}`);
  }
  const parsed = file.safeParse(value);
  if (!parsed.success) throw new CommandError([`${path} cannot be used:`, ...parsed.error.issues.map((issue) => `  ${placeOf(issue.path, value)}: ${issue.message}`)].join("\n"));
  const faults = faultsOf(parsed.data);
  if (faults.length > 0) throw new CommandError([`${path} cannot be used:`, ...faults.map((fault) => `  ${fault}`)].join("\n"));
  return parsed.data;
}

function placeOf(path: PropertyKey[], value: unknown): string {
  const [first, index, ...rest] = path;
  if (first !== "pool" || typeof index !== "number") return path.map(String).join(".") || "the file";
  const id = (value as { pool?: { id?: unknown }[] }).pool?.[index]?.id;
  return [`pool ${typeof id === "string" ? id : index + 1}`, ...rest.map(String)].join(".");
}

function faultsOf({ pool: pools, image }: GpuFile): string[] {
  const twice = pools.filter(({ id }, n) => pools.findIndex((other) => other.id === id) !== n).map(({ id }) => `pool ${id}: two pools have this id`);
  const unfit = pools.flatMap((one) => {
    // A deployment's address comes from the provider when it is made.
    const { provider, secret } = one;
    const endpoint = one.endpoint ?? (one.deployment === undefined ? undefined : "https://unknown.example");
    const fault = settingsFault({ provider, endpoint, secret });
    const imageless = one.deployment !== undefined && image === undefined ? "has a deployment, but the file names no [image]" : null;
    const backwards = one.session?.find(({ from, to }) => from >= to) === undefined ? null : "a session must end after it begins";
    return [fault, imageless, backwards].filter((text) => text !== null).map((text) => `pool ${one.id}: ${text}`);
  });
  return [...twice, ...unfit];
}

/** The pool as the operator's door takes it. `endpoint` from the provider, when the file names none. */
export function poolBody(one: GpuPool, position: number, endpoint: string | undefined): Record<string, unknown> {
  const { id: _id, slots, rate_eur: rate, session, deployment: _deployment, sessions: _sessions, position: _position, ...rest } = one;
  return {
    ...rest,
    position,
    max_in_flight: slots,
    ...(rate === undefined ? {} : { rate: Math.round(rate * 1_000_000) }),
    ...(session === undefined ? {} : { sessions: session }),
    ...(endpoint === undefined ? {} : { endpoint }),
  };
}
