// The self-test of a pool in words: how far the smallest job came on the whole path, what stopped it, what to do [G]. Pure.
export type TestFacts = {
  pool: string;
  provider: string;
  secret: string | null;
  state: "waiting" | "dispatched" | "running" | "stopping" | "succeeded" | "failed" | "cancelled";
  /** Times ms since the epoch; null: not yet. */
  begun: number;
  handed: number | null;
  claimed: number | null;
  started: number | null;
  ended: number | null;
  runner: { gpu_name?: string | undefined; comfyui_version?: string | undefined; cold_start_ms?: number | undefined; version?: string | undefined } | null;
  files: number;
  /** What the last try that failed said. */
  last: { code: string; message: string } | null;
  /** The pool rests until then [Q56]. */
  restsUntil: number | null;
  draining: boolean;
};
export type Verdict = {
  verdict: "works" | "broken" | "pending";
  says: string;
  /** What to do; null when nothing is to be done. */
  advice: string | null;
  stages: { name: "handed over" | "claimed" | "started" | "stored"; done: boolean; after_ms: number | null }[];
};

/** Faults that waiting does not heal: the test ends with them. */
const BROKEN = new Set(["provider_auth", "provider_config", "provider_funds"]);

export function isBroken(code: string): boolean {
  return BROKEN.has(code);
}

export function verdictOf(facts: TestFacts, now: number): Verdict {
  const after = (at: number | null): number | null => (at === null ? null : at - facts.begun);
  const stages: Verdict["stages"] = [
    { name: "handed over", done: facts.handed !== null, after_ms: after(facts.handed) },
    { name: "claimed", done: facts.claimed !== null, after_ms: after(facts.claimed) },
    { name: "started", done: facts.started !== null, after_ms: after(facts.started) },
    { name: "stored", done: facts.state === "succeeded" && facts.files > 0, after_ms: facts.state === "succeeded" ? after(facts.ended) : null },
  ];
  if (facts.state === "succeeded" && facts.files > 0) return { verdict: "works", says: success(facts), advice: null, stages };
  if (facts.state === "succeeded") return { verdict: "broken", says: `${facts.pool}: the run ended, but no picture arrived.`, advice: "Run the test again with the runner's log in view; uploads are logged there.", stages };
  const fault = facts.last;
  if (facts.state === "failed" || facts.state === "cancelled" || (fault !== null && BROKEN.has(fault.code))) {
    const code = fault?.code ?? "cancelled";
    return { verdict: "broken", says: `${facts.pool} does not work: ${fault?.message ?? "the test was cancelled"}.`, advice: adviceFor(code, facts), stages };
  }
  return { verdict: "pending", says: pending(facts, now), advice: fault === null ? null : adviceFor(fault.code, facts), stages };
}

function success({ pool, runner, begun, handed, claimed, started, ended }: TestFacts): string {
  const seconds = (from: number | null, to: number | null): string => (from === null || to === null ? "?" : ((to - from) / 1000).toFixed(1));
  const machine = [runner?.gpu_name, runner?.comfyui_version === undefined ? undefined : `ComfyUI ${runner.comfyui_version}`].filter(Boolean).join(", ");
  const cold = runner?.cold_start_ms !== undefined && claimed !== null && handed !== null && claimed - handed >= runner.cold_start_ms ? ` (a cold start; the machine itself needed ${(runner.cold_start_ms / 1000).toFixed(1)} s)` : "";
  return `${pool} works: a picture went the whole way in ${seconds(begun, ended)} s. A machine came after ${seconds(handed, claimed)} s${cold}, the run with its upload took ${seconds(started ?? claimed, ended)} s.${machine === "" ? "" : ` It ran on ${machine}.`}`;
}

function pending(facts: TestFacts, now: number): string {
  const since = (at: number): string => `${Math.max(0, Math.round((now - at) / 1000))} s`;
  if (facts.started !== null) return `${facts.pool}: the picture is being made, since ${since(facts.started)}.`;
  if (facts.claimed !== null) return `${facts.pool}: a machine has taken the job, since ${since(facts.claimed)}.`;
  if (facts.handed !== null && facts.state === "dispatched") return `${facts.pool}: ${facts.provider} has the job; no machine has come for it in ${since(facts.handed)}. A cold start takes minutes.`;
  if (facts.draining) return `${facts.pool} takes no new jobs (draining), so the test waits.`;
  if (facts.restsUntil !== null && facts.restsUntil > now) return `${facts.pool}: ${facts.last?.message ?? "the pool rests after a failure"}; the next try is in ${Math.ceil((facts.restsUntil - now) / 1000)} s.`;
  return `${facts.pool}: the test waits for a slot of this pool, since ${since(facts.begun)}.`;
}

function adviceFor(code: string, { secret, provider }: TestFacts): string {
  const key = secret === null ? "the pool's secret" : `the Worker's secret ${secret}`;
  switch (code) {
    case "provider_auth":
      return `Put the right key into ${key}: npx wrangler secret put ${secret ?? "GPU_…"}. Keys of the inference endpoint and of the control plane are different ones.`;
    case "provider_config":
      return `Check the pool's endpoint and deployment (npm run gpu -- pools), and that ${key} is the key of this endpoint.`;
    case "provider_funds":
      return `Top up the account at ${provider}; nothing was lost, waiting jobs go on by themselves.`;
    case "provider_capacity":
    case "provider_rate_limited":
      return "The provider has none free: add a pool of another kind behind this one, or wait. Jobs keep their places.";
    case "claim_timeout":
    case "provider_unknown":
      return "The hand-over arrived, no machine claimed it. See the machine's log (npm run gpu -- logs): does the image start, are the models there, is COMFYUME_DISPATCH_KEY the key of this pool (npm run gpu -- key), is this server's address allowed (--allow-origin)?";
    case "start_timeout":
      return "ComfyUI did not begin the run: see the machine's log for what it loads or waits for.";
    case "container_lost":
    case "lease_expired":
      return "The machine went away in the middle. Once may be a spot eviction; twice is worth a look at its log (memory, scale-down delay).";
    case "oom":
      return "The smallest picture does not fit into the GPU's memory: something else fills it. Restart the deployment.";
    case "missing_node":
    case "validation":
      return "ComfyUI there does not know EmptyImage or SaveImage: is it a whole ComfyUI of 0.3 or newer?";
    case "upload_failed":
      return "The machine cannot store files here: see its log for the address it was refused at.";
    default:
      return "See the machine's log (npm run gpu -- logs).";
  }
}
