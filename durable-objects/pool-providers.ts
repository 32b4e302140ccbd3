// A pool's provider, opened from what the operator set and the secrets behind its references. Invariant: a secret's value stays in this isolate's memory;
// what is stored and logged is its name.
import type { GpuProvider } from "../gpu-adapter/port.ts";
import { PROVIDERS } from "../gpu-adapter/providers/index.ts";
import type { PoolSetup } from "./contract.ts";
import type { Pool } from "./queue/index.ts";

export class PoolProviders {
  readonly #env: Readonly<Record<string, unknown>>;
  readonly #setup: (pool: string) => PoolSetup | null;
  readonly #pool: (pool: string) => Pool | undefined;

  constructor(parts: { env: object; setup: (pool: string) => PoolSetup | null; pool: (pool: string) => Pool | undefined }) {
    this.#env = parts.env as Readonly<Record<string, unknown>>;
    this.#setup = parts.setup;
    this.#pool = parts.pool;
  }

  /** Null for a pool whose runners come by themselves, and for one nobody set up. */
  open(id: string): GpuProvider | null {
    const setup = this.#setup(id);
    if (setup === null || setup.provider === "pull" || setup.endpoint === undefined) return null;
    const pool = this.#pool(id);
    const secret = this.#secret(setup.secret);
    return PROVIDERS[setup.provider]({
      endpoint: setup.endpoint,
      secret,
      secretName: setup.secret ?? null,
      control: this.#secret(setup.control_secret),
      controlName: setup.control_secret ?? null,
      controlUrl: setup.control_url ?? null,
      deployment: setup.deployment ?? null,
      gpu: setup.gpu ?? null,
      spot: setup.spot ?? false,
      claimMs: pool?.claimBefore ?? 900_000,
      runMs: Math.max(...Object.values(pool?.execLimit ?? { other: 3_600_000 })),
      fetch: (input, init) => fetch(input, init),
      now: () => Date.now(),
    });
  }

  /** Whether the Worker has this secret. */
  isSet(name: string): boolean {
    return this.#secret(name) !== null;
  }

  #secret(name: string | undefined): string | null {
    const value = name !== undefined && name.startsWith("GPU_") ? this.#env[name] : undefined;
    return typeof value === "string" && value !== "" ? value : null;
  }
}
