// Modal through a thin app of ours (images/modal_app.py): submit, status, cancel, stats, scale on one web address ([G] section 3). The app remembers
// which call a dispatch id led to, so our own id is all that is ever asked by, and a repeated submit is answered with the first call.
import type { Dispatch } from "../contract.ts";
import { type Cancelled, type Capacity, type Control, type Controlled, type GpuProvider, type Logs, type OpenProvider, type Price, type ProviderParts, rejected, type RunRef, type RunStatus, type Submitted, unknown, UNSUPPORTED } from "../port.ts";
import { call, type Called, envelopeOf, faultOf, isOk, member, refusalOfRunner, textMember } from "./http.ts";

const WHO = "Modal";

export const openModal: OpenProvider = (parts) => new Modal(parts);

class Modal implements GpuProvider {
  readonly #parts: ProviderParts;

  constructor(parts: ProviderParts) {
    this.#parts = parts;
  }

  async submit(dispatch: Dispatch): Promise<Submitted> {
    const { secret, secretName } = this.#parts;
    if (secret === null || !secret.includes(":")) return rejected("provider_config", `The Worker's secret ${secretName ?? "for this pool"} ${secret === null ? "is not set" : "is not of the form wk-…:ws-…"}. Set it: npx wrangler secret put ${secretName ?? "GPU_MODAL_KEY"}`);
    const called = await this.#call("POST", "/submit", dispatch);
    if (isOk(called) && textMember(called.json, "call_id") !== null) return { outcome: "accepted", ref: dispatch.dispatch_id };
    if (isOk(called) || (called.kind === "failure" && called.status === 303)) return unknown("Modal's answer names no call.");
    return faultOf(WHO, called, this.#parts.now());
  }

  async status({ dispatchId }: RunRef): Promise<RunStatus> {
    const called = await this.#call("GET", `/status/${encodeURIComponent(dispatchId)}`);
    if (called.kind === "none") return { status: "unknown", message: called.message };
    // 303: the web function was cut at 150 s, the call goes on.
    if (called.status === 202 || called.status === 303) return { status: textMember(called.json, "state") === "running" ? "delivered" : "queued" };
    if (called.status === 404) return { status: "absent" };
    if (!isOk(called)) return { status: "unknown", message: `status ${called.status}` };
    const error = textMember(called.json, "error");
    if (error !== null) return { status: "failed", code: "provider_unknown", message: `Modal says: ${error.slice(0, 300)}` };
    return outputOf(member(called.json, "output"));
  }

  async cancel({ dispatchId }: RunRef): Promise<Cancelled> {
    const called = await this.#call("POST", `/cancel/${encodeURIComponent(dispatchId)}`);
    return isOk(called) || (called.kind === "failure" && called.status === 404) ? { outcome: "done" } : unknown(called.kind === "none" ? called.message : `cancel ${called.status}`);
  }

  async capacity(): Promise<Capacity> {
    const called = await this.#call("GET", "/stats");
    if (!isOk(called)) return faultOf(WHO, called, this.#parts.now());
    const running = count(called.json, "runners");
    const backlog = count(called.json, "backlog");
    return { outcome: "known", available: running > 0 ? true : null, replicas: { running, ...(backlog > 0 ? { waiting_inputs: backlog } : {}) }, up: running, min: null, max: null, paused: false, state: running > 0 ? "running" : "idle" };
  }

  async price(): Promise<Price> {
    return UNSUPPORTED;
  }

  async control(control: Control): Promise<Controlled> {
    if (control.action !== "scale") return UNSUPPORTED;
    const called = await this.#call("POST", "/scale", { min: control.min });
    return isOk(called) ? { outcome: "done" } : faultOf(WHO, called, this.#parts.now());
  }

  async logs(): Promise<Logs> {
    return UNSUPPORTED;
  }

  #call(method: string, path: string, body?: unknown): Promise<Called> {
    const { endpoint, secret } = this.#parts;
    const cut = secret?.indexOf(":") ?? -1;
    const headers = { "Modal-Key": secret?.slice(0, cut) ?? "", "Modal-Secret": secret?.slice(cut + 1) ?? "" };
    return call(this.#parts.fetch, { method, url: `${endpoint}${path}`, headers, ...(body === undefined ? {} : { body }) });
  }
}

function outputOf(output: unknown): RunStatus {
  const answer = envelopeOf(output);
  if (answer !== null) return { status: "done", answer, message: "" };
  const status = member(output, "status");
  const refused = typeof status === "number" ? refusalOfRunner(status, member(output, "body")) : null;
  return refused ?? { status: "done", answer: null, message: "What Modal stored of the run is no answer of a runner." };
}

function count(json: unknown, name: string): number {
  const value = member(json, name);
  return typeof value === "number" && value >= 0 ? Math.floor(value) : 0;
}
