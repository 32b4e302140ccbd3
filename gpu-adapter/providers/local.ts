// A runner in mode http at an address of ours ([G7]): the same contract without a provider in between. `detach` is true here only, because nothing watches
// the held request. Used for a GPU box with a public address, for rehearsals and by the contract suite.
import type { Dispatch } from "../contract.ts";
import { runnerHealth } from "../contract.ts";
import { type Cancelled, type Capacity, type Controlled, type GpuProvider, type Logs, type OpenProvider, type Price, type ProviderParts, type RunStatus, type Submitted, UNSUPPORTED } from "../port.ts";
import { call, type Called, faultOf, isOk, refusalOfRunner } from "./http.ts";

const WHO = "The runner";

export const openLocal: OpenProvider = (parts) => new Local(parts);

class Local implements GpuProvider {
  readonly #parts: ProviderParts;

  constructor(parts: ProviderParts) {
    this.#parts = parts;
  }

  async submit(dispatch: Dispatch): Promise<Submitted> {
    const { secret, endpoint } = this.#parts;
    const called = await call(this.#parts.fetch, { method: "POST", url: `${endpoint}/v1/jobs`, ...(secret === null ? {} : { headers: { Authorization: `Bearer ${secret}` } }), body: dispatch });
    if (isOk(called)) return { outcome: "accepted", ref: dispatch.dispatch_id };
    const refused = called.kind === "failure" ? refusalOfRunner(called.status, called.json) : null;
    if (refused !== null) return { outcome: "rejected", code: refused.code, message: refused.message };
    return faultOf(WHO, called, this.#parts.now());
  }

  /** A busy runner has some job, most likely this one; an idle one has none; one that is not there will not claim, and a late claim is fenced off anyway. */
  async status(): Promise<RunStatus> {
    const called = await this.#health();
    if (called.kind === "none") return { status: "failed", code: "provider_capacity", message: `The runner is not there: ${called.message}` };
    const health = runnerHealth.safeParse(called.json);
    if (!health.success) return { status: "unknown", message: "the runner's health was not to be had" };
    return health.data.status === "ok" ? { status: "absent" } : { status: "delivered" };
  }

  /** The runner's own channel carries a cancel; there is nobody else to tell. */
  async cancel(): Promise<Cancelled> {
    return UNSUPPORTED;
  }

  async capacity(): Promise<Capacity> {
    const called = await this.#health();
    const health = runnerHealth.safeParse(jsonOf(called));
    if (!health.success) return faultOf(WHO, called, this.#parts.now());
    const { status } = health.data;
    // `up` counts machines that are paid by the hour; this one is somebody's own.
    return { outcome: "known", available: status === "ok" || status === "busy", replicas: { [status]: 1 }, up: 0, min: null, max: 1, paused: status === "draining", state: status };
  }

  async price(): Promise<Price> {
    return UNSUPPORTED;
  }

  async control(): Promise<Controlled> {
    return UNSUPPORTED;
  }

  async logs(): Promise<Logs> {
    return UNSUPPORTED;
  }

  #health(): Promise<Called> {
    return call(this.#parts.fetch, { method: "GET", url: `${this.#parts.endpoint}/health`, timeoutMs: 5_000 });
  }
}

function jsonOf(called: Called): unknown {
  return called.kind === "none" ? undefined : called.json;
}
