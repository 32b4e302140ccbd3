// RunPod's endpoints from gpu.toml, over API v2 ([G] section 2). The dispatch key is referred to by the name of a RunPod secret that a person makes in the
// console: it does not pass through here.
import { call, type Called, faultOf, isOk, member, textMember } from "../../gpu-adapter/providers/http.ts";
import { CommandError } from "../workshop/operator.ts";
import { changesBetween } from "./changes.ts";
import { imageEnv, keyName, type Plan, type Planner, type Wish } from "./plan.ts";

const RUNPOD_API = "https://api.runpod.io/v2";
type Json = Record<string, unknown>;
type Api = (method: string, path: string, body?: unknown) => Promise<Called>;

/** The endpoint as POST and PATCH take it. `timeout` in ms, idle time in s. */
export function runpodEndpoint(wish: Wish): Json {
  const { pool, file } = wish;
  const { deployment } = pool;
  return {
    image: file.image?.name ?? "",
    ...(file.image?.registry_credentials === undefined ? {} : { registry: file.image.registry_credentials }),
    env: { ...imageEnv(wish), COMFYUME_MODE: "runpod", COMFYUME_DISPATCH_KEY: `{{ RUNPOD_SECRET_${secretOf(wish)} }}` },
    disk: deployment?.disk_gb ?? 40,
    gpu: { pools: deployment?.gpu_pools ?? [], count: deployment?.size ?? 1 },
    scaling: { type: "QUEUE_DELAY", queueDelay: 4 },
    timeout: (pool.exec_ms ?? 3_600_000) + 900_000,
    ...(deployment?.models_volume === undefined ? {} : { networkVolumes: [deployment.models_volume] }),
    flashboot: "FLASHBOOT",
    workers: { max: deployment?.max_replicas ?? Math.max(1, pool.slots), idleTimeout: Math.min(3600, Math.max(1, deployment?.scale_down_s ?? 600)) },
  };
}

/** RunPod's secrets take letters, digits and underscores. */
function secretOf(wish: Wish): string {
  return keyName(wish).replaceAll("-", "_");
}

export function runpodPlanner(key: string, apiUrl: string | undefined): Planner {
  const api: Api = (method, path, body) => call((input, init) => fetch(input, init), { method, url: `${apiUrl ?? RUNPOD_API}${path}`, headers: { Authorization: `Bearer ${key}` }, timeoutMs: 30_000, ...(body === undefined ? {} : { body }) });
  return (wish) => plan(api, wish);
}

async function plan(api: Api, wish: Wish): Promise<Plan> {
  if (wish.pool.deployment?.gpu_pools === undefined) throw new CommandError(`Pool ${wish.pool.id}: a RunPod endpoint needs deployment.gpu_pools, for example gpu_pools = ["ADA_24"].`);
  const there = await find(api, wish.name);
  const wanted = runpodEndpoint(wish);
  const changes = changesBetween(there ?? {}, there === null ? { name: wish.name, type: "QUEUE", ...wanted } : wanted);
  return {
    what: there === null ? "create" : changes.length === 0 ? "same" : "change",
    changes,
    notes: [`RunPod's console → Secrets: make ${secretOf(wish)} with the value that npm run gpu -- key ${wish.pool.id} prints.`],
    endpoint: endpointOf(there),
    apply: async () => {
      const done = there === null ? await api("POST", "/serverless", { name: wish.name, type: "QUEUE", ...wanted, workers: { min: 0, ...(wanted.workers as Json) } }) : await api("PATCH", `/serverless/${textMember(there, "id") ?? ""}`, wanted);
      // A 5xx may have been carried out: what is there is read in any case.
      if (done.kind === "failure" && done.status < 500) throw new CommandError(`Could not ${there === null ? "create" : "change"} ${wish.name}. ${faultOf("RunPod", done, Date.now()).message}`);
      const after = await find(api, wish.name);
      const endpoint = endpointOf(after);
      const left = changesBetween(after ?? {}, wanted);
      if (endpoint === null || left.length > 0) throw new CommandError(`RunPod ${endpoint === null ? `does not show the endpoint ${wish.name}` : `still shows ${left.map(({ path }) => path).join(", ")} as before`}. Run the same command again.`);
      return endpoint;
    },
  };
}

async function find(api: Api, name: string): Promise<unknown> {
  const listed = await api("GET", "/serverless");
  if (!isOk(listed)) throw new CommandError(`RunPod's endpoints cannot be listed. ${faultOf("RunPod", listed, Date.now()).message}`);
  const endpoints = member(listed.json, "endpoints");
  return (Array.isArray(endpoints) ? (endpoints as unknown[]) : []).find((endpoint) => textMember(endpoint, "name") === name) ?? null;
}

/** The base of its request addresses: `https://api.runpod.ai/v2/<id>`. */
function endpointOf(endpoint: unknown): string | null {
  const run = textMember(member(endpoint, "requestUrls"), "run");
  return run === null ? null : run.replace(/\/run$/, "");
}
