// The one way the platform talks to a GPU provider ([G] 6.10): hand over, ask, take back, look at, steer. Implementations stand in providers/.
// Invariants: nothing throws, every call has a timeout, an answer of unknown shape is `unknown`; no outcome here ends a job well,
// because only the runner's own signed word does that [G26].
import type { Dispatch, ErrorCode, HeldAnswer } from "./contract.ts";

/** A no with a reason the retry table knows; `retryAfterMs` as the provider asked. */
export type Rejected = { outcome: "rejected"; code: ErrorCode; message: string; retryAfterMs?: number };
/** No usable answer: it may or may not have happened. */
export type Unknown = { outcome: "unknown"; message: string };

/** `ref` is the provider's own name of the run, or our dispatch id where that is what it is asked by. */
export type Submitted = { outcome: "accepted"; ref: string } | Rejected | Unknown;

/** What a run is asked by: our own id always, the provider's when its answer arrived. */
export type RunRef = { dispatchId: string; ref: string | null };

export type RunStatus =
  /** In the provider's queue. */
  | { status: "queued" }
  /** Some replica was given it. */
  | { status: "delivered" }
  /** The container answered; null when what is stored is not our envelope. */
  | { status: "done"; answer: HeldAnswer | null; message: string }
  | { status: "failed"; code: ErrorCode; message: string }
  /** The provider has never heard of it, or has forgotten it. */
  | { status: "absent" }
  | { status: "unknown"; message: string };

export type Cancelled = { outcome: "done" } | { outcome: "unsupported" } | Unknown;

export type Capacity =
  | {
      outcome: "known";
      /** Whether a run handed over now would find or get a machine; null when the provider does not say. */
      available: boolean | null;
      /** Machines by the provider's own word for their state. */
      replicas: Readonly<Record<string, number>>;
      /** Machines that are up and cost money. */
      up: number;
      /** Least and most machines the provider keeps, when it says. */
      min: number | null;
      max: number | null;
      paused: boolean;
      /** The provider's own word for the deployment's state. */
      state: string;
    }
  | { outcome: "unsupported" }
  | Rejected
  | Unknown;

/** Price of one machine in micro-units of `currency` per hour. */
export type Price = { outcome: "known"; microPerHour: number; currency: string; source: string } | { outcome: "unsupported" } | Rejected | Unknown;

export type Control = { action: "pause" | "resume" | "restart" | "purge" } | { action: "scale"; min: number };
export type Controlled = { outcome: "done" } | { outcome: "unsupported" } | Rejected | Unknown;

export type Logs = { outcome: "known"; lines: { at: string; line: string }[] } | { outcome: "unsupported" } | Rejected | Unknown;

/** One pool's provider. Every method answers within seconds (each states its own limit) and never throws. */
export interface GpuProvider {
  /** Hands the dispatch over; at most 10 s. A repeat of the same dispatch is harmless, because the claim lets one through. */
  submit(dispatch: Dispatch): Promise<Submitted>;
  /** At most two calls of 10 s each. */
  status(run: RunRef): Promise<RunStatus>;
  cancel(run: RunRef): Promise<Cancelled>;
  capacity(): Promise<Capacity>;
  price(): Promise<Price>;
  control(control: Control): Promise<Controlled>;
  /** The newest `limit` lines of the containers, oldest first. */
  logs(limit: number): Promise<Logs>;
}

/** What a provider is opened with: a pool's settings, the secrets behind its references, and the world. */
export type ProviderParts = {
  /** Where dispatches go; without a slash at the end. */
  endpoint: string;
  /** The value of the pool's secret, or null when the binding is missing. `secretName` is for messages. */
  secret: string | null;
  secretName: string | null;
  /** The value of the secret for the control plane, where that is another one. */
  control: string | null;
  controlName: string | null;
  /** Another control plane than the provider's usual one (a simulator, a region). */
  controlUrl: string | null;
  /** Name of the deployment in the control plane; by default the last segment of the endpoint. */
  deployment: string | null;
  /** The provider's name of the GPU, for price and availability. */
  gpu: string | null;
  spot: boolean;
  /** ms: the longest wait for a claim and the longest run, for the provider's own time limits. */
  claimMs: number;
  runMs: number;
  fetch: typeof fetch;
  now: () => number;
};

export type OpenProvider = (parts: ProviderParts) => GpuProvider;

export function rejected(code: ErrorCode, message: string, retryAfterMs?: number): Rejected {
  return retryAfterMs === undefined ? { outcome: "rejected", code, message } : { outcome: "rejected", code, message, retryAfterMs };
}

export function unknown(message: string): Unknown {
  return { outcome: "unknown", message };
}

export const UNSUPPORTED = { outcome: "unsupported" } as const;
