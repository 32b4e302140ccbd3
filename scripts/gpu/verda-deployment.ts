// Verda's deployments from gpu.toml: continuous ones and batch jobs ([G] 1.6 to 1.8). Scaling is always sent whole and read again, because what was not named
// was seen to become null (#246).
import type { Rejected, Unknown } from "../../gpu-adapter/port.ts";
import { member, textMember } from "../../gpu-adapter/providers/http.ts";
import { VERDA_API, VerdaApi } from "../../gpu-adapter/providers/verda-api.ts";
import { CommandError } from "../workshop/operator.ts";
import { type Change, changesBetween } from "./changes.ts";
import { imageEnv, keyName, type Plan, type Planner, RUNNER_PORT, type Wish } from "./plan.ts";

type Json = Record<string, unknown>;
type Env = { name: string; value_or_reference_to_secret: string; type: "plain" | "secret" };

/** The deployment without its scaling, as POST and PATCH take it. */
export function verdaDeployment(wish: Wish): Json {
  const { pool, file } = wish;
  const { size = 1, models_volume: volume } = pool.deployment ?? {};
  const env: Env[] = [
    ...Object.entries({ ...imageEnv(wish), ...(isBatch(wish) ? { COMFYUME_MODE: "http-once" } : {}) }).map(([name, value]): Env => ({ name, value_or_reference_to_secret: value, type: "plain" })),
    { name: "COMFYUME_DISPATCH_KEY", value_or_reference_to_secret: keyName(wish), type: "secret" },
  ];
  const credentials = file.image?.registry_credentials;
  return {
    name: wish.name,
    ...(isBatch(wish) ? {} : { is_spot: pool.spot ?? false }),
    compute: { name: pool.gpu ?? "", size },
    container_registry_settings: credentials === undefined ? { is_private: false } : { is_private: true, credentials: { name: credentials } },
    containers: [
      {
        image: file.image?.name ?? "",
        exposed_port: RUNNER_PORT,
        healthcheck: { enabled: true, port: RUNNER_PORT, path: "/health" },
        env: env.sort((a, b) => (a.name < b.name ? -1 : 1)),
        volume_mounts: [{ type: "scratch", mount_path: "/data" }, ...(volume === undefined ? [] : [{ type: "shared", mount_path: "/models", volume_id: volume }])],
      },
    ],
  };
}

/** All of the scaling, as it must always be sent. */
export function verdaScaling(wish: Wish): Json {
  const { deployment, slots } = wish.pool;
  const common = { max_replica_count: deployment?.max_replicas ?? Math.max(1, slots), queue_message_ttl_seconds: deployment?.ttl_s ?? 3600 };
  if (isBatch(wish)) return { ...common, deadline_seconds: deployment?.deadline_s ?? 3600 };
  return {
    ...common,
    concurrent_requests_per_replica: 1,
    scale_up_policy: { delay_seconds: 0 },
    scale_down_policy: { delay_seconds: deployment?.scale_down_s ?? 600 },
    scaling_triggers: { queue_load: { threshold: 1 }, cpu_utilization: { enabled: false, threshold: 80 }, gpu_utilization: { enabled: false, threshold: 80 } },
  };
}

function isBatch({ pool }: Wish): boolean {
  return pool.provider === "verda-batch";
}

export function verdaPlanner(credential: string, apiUrl: string | undefined): Planner {
  const api = new VerdaApi({ baseUrl: apiUrl ?? VERDA_API, credential, credentialName: "control_secret", fetch: (input, init) => fetch(input, init), now: () => Date.now() });
  return (wish) => plan(api, wish);
}

async function plan(api: VerdaApi, wish: Wish): Promise<Plan> {
  if (wish.pool.gpu === undefined) throw new CommandError(`Pool ${wish.pool.id}: a Verda deployment needs gpu, for example gpu = "H200".`);
  const path = `${isBatch(wish) ? "/job-deployments" : "/container-deployments"}/${wish.name}`;
  const there = await read(api, path);
  const scaling = there === null ? null : await read(api, `${path}/scaling`);
  const changes: Change[] = [...changesBetween(comparable(there), verdaDeployment(wish)), ...changesBetween(scaling ?? {}, verdaScaling(wish), "scaling")];
  return {
    what: there === null ? "create" : changes.length === 0 ? "same" : "change",
    changes,
    notes: wish.file.image?.name.endsWith(":latest") === true ? ["Verda rejects :latest. Give the image a tag of its own."] : [],
    endpoint: textMember(there, "endpoint_base_url"),
    apply: async (key) => {
      await ensureSecret(api, keyName(wish), key);
      await (there === null ? create(api, wish, path) : change(api, wish, path, scaling));
      return await confirm(api, wish, path);
    },
  };
}

async function create(api: VerdaApi, wish: Wish, path: string): Promise<void> {
  const min = isBatch(wish) ? {} : { min_replica_count: 0 };
  const made = await api.call("POST", path.slice(0, path.lastIndexOf("/")), { ...verdaDeployment(wish), scaling: { ...min, ...verdaScaling(wish) } });
  // 500 may be a deployment that stands (#230): `confirm` reads what is there.
  if (!made.ok && !(made.fault.outcome === "unknown")) throw refusal(`create ${wish.name}`, made.fault);
}

async function change(api: VerdaApi, wish: Wish, path: string, scaling: unknown): Promise<void> {
  const changed = await api.call("PATCH", path, verdaDeployment(wish));
  if (!changed.ok && changed.fault.outcome !== "unknown") throw refusal(`change ${wish.name}`, changed.fault);
  // The least number of replicas is the workshop's to change (warm and cool), so it stays as it is.
  const min = typeof member(scaling, "min_replica_count") === "number" ? { min_replica_count: member(scaling, "min_replica_count") } : {};
  const scaled = await api.call("PATCH", `${path}/scaling`, { ...(typeof scaling === "object" ? scaling : {}), ...min, ...verdaScaling(wish) });
  if (!scaled.ok && scaled.fault.outcome !== "unknown") throw refusal(`change the scaling of ${wish.name}`, scaled.fault);
}

/** Reads what came of it; throws when it is not what was wanted. */
async function confirm(api: VerdaApi, wish: Wish, path: string): Promise<string> {
  const there = await read(api, path);
  const scaling = await read(api, `${path}/scaling`);
  const endpoint = textMember(there, "endpoint_base_url");
  if (endpoint === null) throw new CommandError(`Verda does not show the deployment ${wish.name}. Nothing is lost: run the same command again; if it stays so, see Verda's console.`);
  const left = [...changesBetween(comparable(there), verdaDeployment(wish)), ...changesBetween(scaling, verdaScaling(wish), "scaling")];
  if (left.length > 0) throw new CommandError(`Verda took the change of ${wish.name}, but still shows ${left.map(({ path: field }) => field).join(", ")} as before. Run the same command again.`);
  return endpoint;
}

/** Env is a list in no promised order. */
function comparable(there: unknown): unknown {
  const containers = member(there, "containers");
  const [first] = Array.isArray(containers) ? (containers as Json[]) : [];
  if (first === undefined) return there;
  const env = Array.isArray(first.env) ? (first.env as Env[]).toSorted((a, b) => (a.name < b.name ? -1 : 1)) : first.env;
  return { ...(there as Json), containers: [{ ...first, env }] };
}

async function ensureSecret(api: VerdaApi, name: string, key: () => Promise<string>): Promise<void> {
  const listed = await api.call("GET", "/secrets");
  if (!listed.ok) throw refusal("list secrets", listed.fault);
  const secrets = Array.isArray(listed.answer.json) ? (listed.answer.json as unknown[]) : [];
  if (secrets.some((secret) => textMember(secret, "name") === name)) return;
  const made = await api.call("POST", "/secrets", { name, value: await key() });
  if (!made.ok) throw refusal(`store the secret ${name}`, made.fault);
}

/** Null when there is no such thing; throws when nobody can say. */
async function read(api: VerdaApi, path: string): Promise<unknown> {
  const answer = await api.call("GET", path);
  if (answer.ok) return answer.answer.json;
  if (answer.status === 404) return null;
  throw refusal(`read ${path.slice(1)}`, answer.fault);
}

function refusal(what: string, fault: Rejected | Unknown): CommandError {
  return new CommandError(`Could not ${what}. ${fault.message}`);
}
