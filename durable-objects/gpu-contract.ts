// The door of a workshop object for its GPUs: what operators may ask and what comes back. Plain data only; refusals are values [CF16].
// Times are ms since the epoch, durations ms, money micro-units of the workshop's currency.
import type { PoolProvider } from "../gpu-adapter/pool-settings.ts";
import type { Answer, RunnerLine } from "./contract.ts";

export type PoolView = {
  pool: string; provider: PoolProvider; position: number; slots: number; draining: boolean; groups: readonly string[] | null;
  gpu: string | null; spot: boolean; rate: number; speed: number; memory_mb: number;
  endpoint: string | null;
  /** Names of the Worker's secrets, and whether they are set; never their values. */
  secrets: { name: string; set: boolean }[];
  /** Attempts at the provider: handed over and not claimed, and claimed. */
  unclaimed: number; claimed: number;
  /** Why no jobs go there, when none do [Q56]. */
  circuit: { state: "closed" | "open" | "half_open"; until: number | null; code: string | null; says: string | null };
  startup: { p50: number; p90: number; measured: number };
  machines: { up: number; by_state: Readonly<Record<string, number>>; available: boolean | null; min: number | null; max: number | null; paused: boolean; state: string; at: number } | null;
  /** Those that are connected, with what they say of themselves. */
  runners: RunnerLine[];
  /** Why `machines` is null, when the provider was asked and said nothing usable. */
  silent: string | null;
  warm: { wanted: number; why: "order" | "session" | "none"; until: number | null; applied: number | null; fault: string | null };
  price: { per_hour: number; currency: string; source: string; at: number } | null;
  catalog: { digest: string; reported: number; comfyui_version: string; nodes: number; models: number } | null;
};
export type PoolNoteView = { at: number; pool: string; kind: "info" | "warning" | "alarm"; line: string };
export type MoneyView = { budget: number | null; spent: number; reserved: number; left: number | null; burn_per_hour: number; lasts_until: number | null; says: string };
export type GpuView = { slots: number; pools: PoolView[]; money: MoneyView };

/** `pending` asks to be asked again. */
export type TestView = {
  pool: string; job: string; verdict: "works" | "broken" | "pending"; says: string; advice: string | null; begun: number; ended: number | null;
  stages: { name: "handed over" | "claimed" | "started" | "stored"; done: boolean; /** since the test began */ after_ms: number | null }[];
};

export type PoolAction = "pause" | "resume" | "restart" | "purge";

/** RPC methods of the workshop object for its GPUs; the role is checked at the edge, `by` names the person [Q69]. */
export interface GpuRpc {
  /** `ask`: the providers are asked for their machines first (at most 10 s). */
  gpus(ask: boolean): Promise<Answer<{ view: GpuView }>>;
  poolNotes(limit: number, pool: string | null): Promise<Answer<{ notes: PoolNoteView[] }>>;
  removePool(pool: string, by: string): Promise<Answer<{}>>;
  setSlots(slots: number, by: string): Promise<Answer<{}>>;
  setBudget(budget: number | null, by: string): Promise<Answer<{}>>;
  /** Machines kept up until then; an order ends by itself. */
  warmPool(pool: string, replicas: number, until: number, by: string): Promise<Answer<{ says: string }>>;
  /** Nothing is kept up any more; a running session is passed over. */
  coolPool(pool: string, by: string): Promise<Answer<{ says: string }>>;
  controlPool(pool: string, action: PoolAction): Promise<Answer<{ says: string }>>;
  poolLogs(pool: string, limit: number): Promise<Answer<{ lines: { at: string; line: string }[] }>>;
  /** Sends the smallest job through the whole path; one test of a pool at a time. */
  testPool(pool: string): Promise<Answer<{ test: TestView }>>;
  poolTest(pool: string): Promise<Answer<{ test: TestView }>>;
}
