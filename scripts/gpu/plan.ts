// A provider's part of `deploy`: what it wants, what is there, how it is changed. Invariants: nothing is changed without --apply; after every change it is
// read what came of it, because a provider may answer 500 to a change it made ([G] 1.9).
import type { Change } from "./changes.ts";
import type { GpuFile, GpuPool } from "./file.ts";

export type Wish = { pool: GpuPool; file: GpuFile; /** Name of the deployment at the provider. */ name: string; /** Where machines call back. */ origin: string };
export type Plan = {
  /** `create`, `change`, or nothing to do. */
  what: "create" | "change" | "same";
  changes: Change[];
  /** What a person has to do beside it. */
  notes: string[];
  /** Brings it about and answers the endpoint that dispatches go to. Throws CommandError. */
  apply(key: () => Promise<string>): Promise<string>;
  /** The endpoint, when the deployment is there. */
  endpoint: string | null;
};
export type Planner = (wish: Wish) => Promise<Plan>;

/** Port of the runner in the image. */
export const RUNNER_PORT = 8189;

/** Variables of the image that are no secrets. */
export function imageEnv({ pool, origin }: Wish): Record<string, string> {
  return { COMFYUME_ALLOW_ORIGINS: origin, COMFYUME_PORT: String(RUNNER_PORT), ...pool.deployment?.env };
}

/** Name of the pool's dispatch key in the provider's own store of secrets. */
export function keyName({ pool, file }: Wish): string {
  return `comfyume-${pool.shared_key ?? `${file.workshop}-${pool.id}`}-dispatch-key`;
}
