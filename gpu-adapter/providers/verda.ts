// Verda continuous deployments ([G] section 1): a hand-over is one asynchronous request under our own id, taken by any replica that is up; the control
// plane tells of replicas and prices and keeps them warm. What is not established ([G] 1.11) is read so that either answer is safe.
import type { Dispatch } from "../contract.ts";
import { type Capacity, type Control, type Controlled, type GpuProvider, type Logs, type OpenProvider, type Price, type ProviderParts, rejected, type RunRef, type RunStatus, type Submitted, unknown, UNSUPPORTED } from "../port.ts";
import { type Answered, call, envelopeOf, faultOf, isOk, member, refusalOfRunner, saysNoCapacity, splitEndpoint, textMember } from "./http.ts";
import { priceOf, replicasOf, stateOf } from "./verda-facts.ts";
import { VERDA_API, VerdaApi } from "./verda-api.ts";

export type VerdaKind = { who: string; /** Collection in the control plane. */ collection: string };
const CONTINUOUS: VerdaKind = { who: "Verda", collection: "/container-deployments" };

/** `Status` as a number in the tutorial, as a word in SDK and batch page ([G] 1.4). */
const STATES: Record<string, "queued" | "delivered" | "completed"> = {
  "0": "queued", "1": "queued", "2": "delivered", "3": "completed",
  initialized: "queued", initialised: "queued", queue: "queued", queued: "queued", inference: "delivered", delivered: "delivered", processing: "delivered", completed: "completed",
};

export const openVerda: OpenProvider = (parts) => new Verda(parts, CONTINUOUS);

export class Verda implements GpuProvider {
  readonly #parts: ProviderParts;
  readonly #kind: VerdaKind;
  readonly #api: VerdaApi;
  readonly #base: string;
  readonly #name: string;

  constructor(parts: ProviderParts, kind: VerdaKind) {
    const [base, name] = splitEndpoint(parts.endpoint);
    this.#parts = parts;
    this.#kind = kind;
    this.#base = base;
    this.#name = name;
    this.#api = new VerdaApi({ baseUrl: parts.controlUrl ?? VERDA_API, credential: parts.control, credentialName: parts.controlName, fetch: parts.fetch, now: parts.now });
  }

  async submit(dispatch: Dispatch): Promise<Submitted> {
    const { secret, secretName, endpoint } = this.#parts;
    if (secret === null) return rejected("provider_config", `The Worker's secret ${secretName ?? "for this pool"} is not set. Set it: npx wrangler secret put ${secretName ?? "GPU_VERDA_KEY"}`);
    const called = await call(this.#parts.fetch, {
      method: "POST",
      url: `${endpoint}/v1/jobs`,
      headers: { Authorization: `Bearer ${secret}`, Prefer: "respond-async", "X-Inference-Id": dispatch.dispatch_id },
      body: dispatch,
    });
    if (isOk(called)) return { outcome: "accepted", ref: textMember(called.json, "Id") ?? called.header("x-inference-id") ?? dispatch.dispatch_id };
    const fault = faultOf(this.#kind.who, called, this.#parts.now());
    // A missing or wrong inference key was seen as 404 ([G] 1.1), and so would a wrong endpoint be.
    if (called.kind === "failure" && called.status === 404) return rejected("provider_config", `${fault.message} (a wrong inference key and a wrong endpoint look the same here)`);
    return fault;
  }

  async status(run: RunRef): Promise<RunStatus> {
    const called = await this.#inference("status", run);
    if (called.kind === "none") return unknownStatus(called.message);
    if (called.status === 404) return { status: "absent" };
    if (!isOk(called)) return unknownStatus(`status ${called.status}`);
    const state = STATES[String(member(called.json, "Status") ?? member(called.json, "status") ?? "").toLowerCase()];
    if (state === "completed") return await this.#result(run);
    const error = textMember(called.json, "Error") ?? textMember(called.json, "error");
    if (error !== null) return { status: "failed", code: saysNoCapacity(error) ? "provider_capacity" : "provider_unknown", message: `Verda says: ${error.slice(0, 300)}` };
    return state === undefined ? unknownStatus("a status word nobody knows") : { status: state };
  }

  /** The stored answer of the container. Only our own envelope, or our own runner's refusal, counts ([G] 1.4). */
  async #result(run: RunRef): Promise<RunStatus> {
    const called = await this.#inference("result", run);
    if (called.kind === "none") return unknownStatus(called.message);
    const answer = isOk(called) ? envelopeOf(called.json) : null;
    if (answer !== null) return { status: "done", answer, message: "" };
    const refused = refusalOfRunner(called.status, called.json);
    if (refused !== null) return refused;
    if (called.status === 429 || called.status >= 500) return unknownStatus(`result ${called.status}`);
    return { status: "done", answer: null, message: `What Verda stored of the run is no answer of a runner (${called.status}).` };
  }

  #inference(what: "status" | "result", run: RunRef): Promise<Answered | { kind: "none"; message: string }> {
    const headers = { Authorization: `Bearer ${this.#parts.secret ?? ""}`, "X-Inference-Id": run.ref ?? run.dispatchId };
    return call(this.#parts.fetch, { method: "GET", url: `${this.#base}/${what}/${this.#name}`, headers });
  }

  /** Verda has no cancel of one request ([G] 1.5): a message drains, its claim is answered 410. */
  async cancel(): Promise<typeof UNSUPPORTED> {
    return UNSUPPORTED;
  }

  async capacity(): Promise<Capacity> {
    const [status, replicas, scaling, compute] = await Promise.all([this.#get("/status"), this.#get("/replicas"), this.#get("/scaling"), this.#api.call("GET", "/serverless-compute-resources")]);
    if (!status.ok) return status.fault;
    const state = stateOf(status.answer.json);
    const count = replicasOf(replicas.ok ? replicas.answer.json : undefined);
    const limit = (name: string): number | null => {
      const value = scaling.ok ? member(scaling.answer.json, name) : null;
      return typeof value === "number" ? value : null;
    };
    return {
      outcome: "known",
      available: availability(state, count.up, compute.ok ? compute.answer.json : null, this.#parts.gpu),
      replicas: count.byState,
      up: count.up,
      min: limit("min_replica_count"),
      max: limit("max_replica_count"),
      paused: state === "paused",
      state,
    };
  }

  async price(): Promise<Price> {
    if (this.#parts.gpu === null) return UNSUPPORTED;
    const answer = await this.#api.open("/container-types?currency=eur");
    if (!answer.ok) return answer.fault;
    const price = priceOf(answer.answer.json, this.#parts.gpu, this.#parts.spot);
    return price ?? unknown(`Verda's price list has no ${this.#parts.gpu}.`);
  }

  async control(control: Control): Promise<Controlled> {
    if (control.action === "scale") return await this.#scale(control.min);
    const path = control.action === "purge" ? "/purge-queue" : `/${control.action}`;
    const answer = await this.#api.call("POST", this.#path(path));
    return answer.ok ? { outcome: "done" } : answer.fault;
  }

  /** Reads, changes and reads again: a PATCH was seen to lose what it does not name, and a 500 may hide a change that was made ([G] 1.9). */
  async #scale(min: number): Promise<Controlled> {
    const before = await this.#get("/scaling");
    if (!before.ok) return before.fault;
    const settings = typeof before.answer.json === "object" && before.answer.json !== null ? (before.answer.json as Record<string, unknown>) : {};
    const max = typeof settings.max_replica_count === "number" ? settings.max_replica_count : min;
    if (settings.min_replica_count === min) return { outcome: "done" };
    const changed = await this.#api.call("PATCH", this.#path("/scaling"), { ...settings, min_replica_count: min, max_replica_count: Math.max(max, min) });
    const after = await this.#get("/scaling");
    if (after.ok && member(after.answer.json, "min_replica_count") === min) return { outcome: "done" };
    return changed.ok ? unknown("Verda took the change but still says another number of replicas.") : changed.fault;
  }

  async logs(limit: number): Promise<Logs> {
    const answer = await this.#get(`/logs?limit=${Math.min(1000, limit)}`);
    if (!answer.ok) return answer.fault;
    const { json } = answer.answer;
    const list = Array.isArray(json) ? json : (["logs", "list", "entries", "data"].map((name) => member(json, name)).find(Array.isArray) ?? []);
    const lines = (list as unknown[]).map((entry) => ({ at: textMember(entry, "timestamp") ?? textMember(entry, "time") ?? "", line: typeof entry === "string" ? entry : (textMember(entry, "message") ?? textMember(entry, "line") ?? JSON.stringify(entry)) }));
    return { outcome: "known", lines: lines.slice(-limit) };
  }

  #path(path: string): string {
    return `${this.#kind.collection}/${encodeURIComponent(this.#parts.deployment ?? this.#name)}${path}`;
  }

  #get(path: string): ReturnType<VerdaApi["call"]> {
    return this.#api.call("GET", this.#path(path));
  }
}

function unknownStatus(message: string): RunStatus {
  return { status: "unknown", message };
}

/** A replica that is up can take a run; without one Verda's list of free hardware says. */
function availability(state: string, up: number, compute: unknown, gpu: string | null): boolean | null {
  if (state === "paused" || state === "quota_reached" || state === "terminating") return false;
  if (up > 0) return true;
  if (!Array.isArray(compute) || gpu === null) return null;
  const offers = compute.filter((entry) => textMember(entry, "name") === gpu);
  return offers.length === 0 ? null : offers.some((entry) => member(entry, "is_available") === true);
}
