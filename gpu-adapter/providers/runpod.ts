// RunPod queue endpoints ([G] section 2): `run` with a policy of ours, `status`, `cancel`, `health` on the endpoint; workers and prices on API v2.
// RunPod takes no id of ours, so after a lost answer nobody can be asked: the same dispatch goes once more and the claim lets one through.
// Its webhooks are unsigned and are not used: a forged, doubled or lost one changes nothing here.
import type { Dispatch } from "../contract.ts";
import { type Cancelled, type Capacity, type Control, type Controlled, type GpuProvider, type Logs, type OpenProvider, type Price, type ProviderParts, rejected, type RunRef, type RunStatus, type Submitted, unknown, UNSUPPORTED } from "../port.ts";
import { type Answered, call, type Called, envelopeOf, faultOf, isOk, member, refusalOfRunner, saysNoCapacity, splitEndpoint, textMember } from "./http.ts";

const WHO = "RunPod";
const RUNPOD_API = "https://api.runpod.io/v2";
/** Documented bounds of `policy`, ms. */
const EXECUTION_MS = { least: 5_000, most: 7 * 86_400_000 };
const TTL_MS = { least: 10_000, most: 7 * 86_400_000 };
/** Our own upload and the answer after it come on top of the longest run (ms). */
const AFTER_RUN_MS = 900_000;

export const openRunpod: OpenProvider = (parts) => new Runpod(parts);

class Runpod implements GpuProvider {
  readonly #parts: ProviderParts;

  constructor(parts: ProviderParts) {
    this.#parts = parts;
  }

  async submit(dispatch: Dispatch): Promise<Submitted> {
    const { secret, secretName, claimMs, runMs } = this.#parts;
    if (secret === null) return rejected("provider_config", `The Worker's secret ${secretName ?? "for this pool"} is not set. Set it: npx wrangler secret put ${secretName ?? "GPU_RUNPOD_KEY"}`);
    const executionTimeout = bounded(runMs + AFTER_RUN_MS, EXECUTION_MS);
    const policy = { executionTimeout, ttl: bounded(claimMs + executionTimeout, TTL_MS) };
    const called = await this.#call("POST", "run", { input: dispatch, policy });
    const ref = isOk(called) ? textMember(called.json, "id") : null;
    if (ref !== null) return { outcome: "accepted", ref };
    return isOk(called) ? unknown("RunPod's answer names no job.") : faultOf(WHO, called, this.#parts.now());
  }

  async status({ ref }: RunRef): Promise<RunStatus> {
    if (ref === null) return { status: "unknown", message: "RunPod's answer to the hand-over was lost, and it knows no id of ours" };
    const called = await this.#call("GET", `status/${encodeURIComponent(ref)}`);
    if (called.kind === "none") return { status: "unknown", message: called.message };
    if (called.status === 404) return { status: "absent" };
    return isOk(called) ? statusOf(called) : { status: "unknown", message: `status ${called.status}` };
  }

  async cancel({ ref }: RunRef): Promise<Cancelled> {
    if (ref === null) return unknown("RunPod's name of the job was lost.");
    const called = await this.#call("POST", `cancel/${encodeURIComponent(ref)}`);
    return isOk(called) || (called.kind === "failure" && called.status === 404) ? { outcome: "done" } : unknown(called.kind === "none" ? called.message : `cancel ${called.status}`);
  }

  /** `health` counts workers; an endpoint scaled to max 0 by idleness ([G] section 2) is found by asking API v2. */
  async capacity(): Promise<Capacity> {
    const [health, endpoint] = await Promise.all([this.#call("GET", "health"), this.#parts.control === null && this.#parts.secret === null ? null : this.#api("GET", "")]);
    if (!isOk(health)) return faultOf(WHO, health, this.#parts.now());
    const workers = member(health.json, "workers");
    const replicas = Object.fromEntries(Object.entries(typeof workers === "object" && workers !== null ? workers : {}).filter((entry): entry is [string, number] => typeof entry[1] === "number" && entry[1] > 0));
    const limits = endpoint !== null && isOk(endpoint) ? member(endpoint.json, "workers") : undefined;
    const [min, max] = [numberOf(member(limits, "min")), numberOf(member(limits, "max"))];
    const up = (replicas.idle ?? 0) + (replicas.running ?? 0);
    const coming = (replicas.initializing ?? 0) + (replicas.ready ?? 0);
    const stuck = up === 0 && coming === 0 && ((replicas.throttled ?? 0) > 0 || (replicas.unhealthy ?? 0) > 0);
    return { outcome: "known", available: max === 0 ? false : stuck ? false : up > 0 ? true : null, replicas, up, min, max, paused: max === 0, state: max === 0 ? "max workers 0" : stuck ? "throttled" : "ready" };
  }

  async price(): Promise<Price> {
    const { gpu } = this.#parts;
    if (gpu === null) return UNSUPPORTED;
    const called = await this.#control("GET", "/catalog/gpus");
    if (!isOk(called)) return faultOf(WHO, called, this.#parts.now());
    const list = member(called.json, "gpus");
    const found = (Array.isArray(list) ? (list as unknown[]) : []).find((entry) => [textMember(entry, "id"), textMember(entry, "name"), textMember(entry, "pool")].some((name) => name?.toLowerCase() === gpu.toLowerCase()));
    const perHour = numberOf(member(member(found, "price"), "serverless"));
    return perHour === null ? unknown(`RunPod's catalog has no serverless price of ${gpu}.`) : { outcome: "known", microPerHour: Math.ceil(perHour * 1_000_000), currency: "USD", source: "RunPod's catalog" };
  }

  /** Pausing is max 0, as RunPod's own idle scale-down does it. */
  async control(control: Control): Promise<Controlled> {
    if (control.action === "purge") return done(await this.#call("POST", "purge-queue"), this.#parts.now());
    if (control.action === "restart") return UNSUPPORTED;
    const before = await this.#api("GET", "");
    if (!isOk(before)) return faultOf(WHO, before, this.#parts.now());
    const max = numberOf(member(member(before.json, "workers"), "max")) ?? 1;
    const workers = control.action === "scale" ? { min: control.min, max: Math.max(max, control.min) } : control.action === "pause" ? { min: 0, max: 0 } : { max: Math.max(1, max) };
    return done(await this.#api("PATCH", "", { workers }), this.#parts.now());
  }

  async logs(): Promise<Logs> {
    return UNSUPPORTED;
  }

  #call(method: string, path: string, body?: unknown): Promise<Called> {
    const { endpoint, secret } = this.#parts;
    return call(this.#parts.fetch, { method, url: `${endpoint}/${path}`, headers: { Authorization: `Bearer ${secret ?? ""}` }, ...(body === undefined ? {} : { body }) });
  }

  #api(method: string, path: string, body?: unknown): Promise<Called> {
    const id = this.#parts.deployment ?? splitEndpoint(this.#parts.endpoint)[1];
    return this.#control(method, `/serverless/${encodeURIComponent(id)}${path}`, body);
  }

  #control(method: string, path: string, body?: unknown): Promise<Called> {
    const { control, secret, controlUrl } = this.#parts;
    return call(this.#parts.fetch, { method, url: `${controlUrl ?? RUNPOD_API}${path}`, headers: { Authorization: `Bearer ${control ?? secret ?? ""}` }, ...(body === undefined ? {} : { body }) });
  }
}

function statusOf(called: Answered): RunStatus {
  const state = textMember(called.json, "status") ?? "";
  const words = errorText(called.json);
  switch (state) {
    case "IN_QUEUE":
      return { status: "queued" };
    case "IN_PROGRESS":
    case "RUNNING":
      return { status: "delivered" };
    case "COMPLETED":
      return outputOf(member(called.json, "output"));
    case "FAILED":
      return { status: "failed", code: saysNoCapacity(words) ? "provider_capacity" : "provider_unknown", message: `RunPod says the job failed${words === "" ? "" : `: ${words}`}` };
    case "TIMED_OUT":
      return { status: "failed", code: "claim_timeout", message: "RunPod gave the job up: its time was over before a runner claimed it" };
    case "CANCELLED":
      return { status: "failed", code: "provider_unknown", message: "RunPod says the job was cancelled, and not by us" };
    default:
      return { status: "unknown", message: `RunPod says ${state.slice(0, 40)}` };
  }
}

/** The handler returns the runner's answer as it is, with its status when that was no success. */
function outputOf(output: unknown): RunStatus {
  const answer = envelopeOf(output);
  if (answer !== null) return { status: "done", answer, message: "" };
  const status = numberOf(member(output, "status"));
  const refused = status === null ? null : refusalOfRunner(status, member(output, "body"));
  return refused ?? { status: "done", answer: null, message: "What RunPod stored of the run is no answer of a runner." };
}

function errorText(json: unknown): string {
  const error = member(json, "error") ?? member(json, "output");
  return (typeof error === "string" ? error : JSON.stringify(error ?? "")).replaceAll(/\s+/g, " ").slice(0, 300);
}

function numberOf(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

function bounded(value: number, { least, most }: { least: number; most: number }): number {
  return Math.min(most, Math.max(least, Math.round(value)));
}

function done(called: Called, now: number): Controlled {
  return isOk(called) ? { outcome: "done" } : faultOf(WHO, called, now);
}
