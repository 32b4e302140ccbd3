// Verda as its documentation describes it ([G] section 1): the gateway of continuous and batch deployments and the control plane, hosting real runners.
// Every point the documentation leaves open is a switch, and the contract suite runs under each answer [G34].
import { type Asked, Host, type Said } from "../fleet/host.ts";
import { Fleet, type FleetOptions, type Message } from "../fleet/fleet.ts";

export type VerdaSwitches = {
  /** A second submit under the same X-Inference-Id. */
  repeatedId: "dedupe" | "second" | "overwrite";
  statusAs: "number" | "string";
  badKey: 401 | 404;
  notReady: 404 | 202 | 204;
  /** A message past its TTL: gone without a word, or completed with `Error`. */
  ttl: "silent" | "error";
  /** ms an answer is kept. */
  keptMs: number;
  /** POST and PATCH of the control plane answer 500 although they took effect (#230). */
  applied500: boolean;
};
export const VERDA_DEFAULTS: VerdaSwitches = { repeatedId: "second", statusAs: "string", badKey: 404, notReady: 404, ttl: "silent", keptMs: 3_600_000, applied500: false };

type Deployment = { name: string; fleet: Fleet; spec: Record<string, unknown>; scaling: Record<string, unknown>; state: string };
const NUMBERS = { queued: 1, delivered: 2, completed: 3, lost: 2, expired: 1, cancelled: 1 } as const;
const WORDS = { queued: "Queue", delivered: "Inference", completed: "Completed", lost: "Inference", expired: "Queue", cancelled: "Queue" } as const;

export class Verda {
  readonly host: Host;
  readonly switches: VerdaSwitches;
  readonly deployments = new Map<string, Deployment>();
  readonly inferenceKey = "dc_simulated_inference_key";
  readonly clientId = "simulated-client";
  readonly clientSecret = "simulated-client-secret";
  /** Access tokens given out, by when they end (ms). */
  readonly tokens = new Map<string, number>();
  tokenLifeS = 3600;
  grants: string[] = [];
  /** Secrets of the account, by name. */
  readonly secrets = new Map<string, string>();
  /** What somebody at the provider made of a stored answer. */
  tamper: (body: unknown) => unknown = (body) => body;
  hardware = [{ name: "H200", size: 1, is_available: true }, { name: "B300", size: 1, is_available: false }];

  constructor(switches: Partial<VerdaSwitches> = {}) {
    this.switches = { ...VERDA_DEFAULTS, ...switches };
    this.host = new Host((asked) => this.#answer(asked));
  }

  async open(): Promise<string> {
    return await this.host.open();
  }

  /** `https://containers.datacrunch.io/<deployment>` of this simulator. */
  endpoint(name: string): string {
    return `${this.host.origin}/${name}`;
  }

  get api(): string {
    return `${this.host.origin}/v1`;
  }

  /** What an operator writes of a deployment. */
  pool(name: string): Record<string, unknown> {
    return { provider: "verda", endpoint: this.endpoint(name), secret: "GPU_VERDA_KEY", control_secret: "GPU_VERDA_API", control_url: this.api, gpu: "H200" };
  }

  /** The secrets that the pools of this account name, as Worker variables. */
  get vars(): Record<string, string> {
    return { GPU_VERDA_KEY: this.inferenceKey, GPU_VERDA_API: `${this.clientId}:${this.clientSecret}` };
  }

  deploy(name: string, options: FleetOptions): Fleet {
    const fleet = new Fleet(options);
    const scaling = { min_replica_count: options.min, max_replica_count: options.max, queue_message_ttl_seconds: 3600, concurrent_requests_per_replica: 1, scale_up_policy: { delay_seconds: 0 }, scale_down_policy: { delay_seconds: 600 }, scaling_triggers: { queue_load: { threshold: 1 }, cpu_utilization: { enabled: false }, gpu_utilization: { enabled: false } } };
    this.deployments.set(name, { name, fleet, spec: { name }, scaling, state: "healthy" });
    return fleet;
  }

  fleet(name: string): Fleet {
    const found = this.deployments.get(name);
    if (found === undefined) throw new Error(`no deployment ${name}`);
    return found.fleet;
  }

  async close(): Promise<void> {
    this.host.close();
    await Promise.all([...this.deployments.values()].map(({ fleet }) => fleet.close()));
  }

  async #answer(asked: Asked): Promise<Said> {
    if (asked.path.startsWith("/v1/")) return this.#control(asked, asked.path.slice(3));
    const [, first = "", second = ""] = asked.path.split("/");
    if (asked.header("authorization") !== `Bearer ${this.inferenceKey}`) return this.switches.badKey === 404 ? { status: 404, body: "Not Found" } : { status: 401, body: { message: "Unauthorized" } };
    if (first === "status" || first === "result") return this.#ask(first, second, asked);
    const deployment = this.deployments.get(first);
    if (deployment === undefined) return { status: 404, body: "Not Found" };
    return await this.#submit(deployment, asked);
  }

  async #submit(deployment: Deployment, asked: Asked): Promise<Said> {
    const { fleet, name } = deployment;
    if (fleet.paused) return { status: 503, body: { message: "Deployment is paused" } };
    if (asked.header("prefer") !== "respond-async") return { status: 400, body: { message: "this simulator takes asynchronous requests only" } };
    const id = asked.header("x-inference-id") ?? crypto.randomUUID();
    fleet.put(id, asked.body, this.switches.repeatedId);
    return { status: 202, headers: { "X-Inference-Id": id, Location: `/status/${name}` }, body: { Id: id, StatusPath: `/status/${name}`, ResultPath: `/result/${name}` } };
  }

  #ask(what: "status" | "result", name: string, asked: Asked): Said {
    const message = this.#message(name, asked.header("x-inference-id") ?? "");
    if (message === null) return { status: 404, body: { message: "not found" } };
    return what === "status" ? this.#status(message) : this.#result(message);
  }

  #message(name: string, id: string): Message | null {
    const message = this.deployments.get(name)?.fleet.messages.get(id);
    if (message === undefined) return null;
    const old = Date.now() - message.at > this.switches.keptMs;
    return message.state === "expired" && this.switches.ttl === "silent" ? null : old ? null : message;
  }

  #status(message: Message): Said {
    const error = message.state === "expired" ? { Error: "message expired" } : {};
    return { status: 200, body: { Id: message.id, Status: this.switches.statusAs === "number" ? NUMBERS[message.state] : WORDS[message.state], ...error } };
  }

  #result(message: Message): Said {
    if (message.answer === null) return this.switches.notReady === 204 ? { status: 204 } : { status: this.switches.notReady, body: { message: "result not found" } };
    return { status: message.answer.status, body: this.tamper(message.answer.body) };
  }

  // ---- control plane -------------------------------------------------------------------------------------------------------------------
  #control(asked: Asked, path: string): Said {
    if (path === "/oauth2/token") return this.#token(asked.body as Record<string, string>);
    if (path === "/container-types") return { status: 200, body: [{ id: "c1", model: "H200", name: "H200 SXM5 141GB", instance_type: "1H200.141S", serverless_price: "3.29", serverless_spot_price: "1.15", currency: asked.query.get("currency") ?? "usd" }] };
    const token = /^Bearer (.+)$/.exec(asked.header("authorization") ?? "")?.[1] ?? "";
    if ((this.tokens.get(token) ?? 0) < Date.now()) return { status: 401, body: { code: "unauthorized_request", message: "Access token is missing or invalid" } };
    if (path === "/secrets") return this.#secretsOf(asked);
    if (path === "/serverless-compute-resources") return { status: 200, body: this.hardware };
    const [, collection = "", name, ...rest] = path.split("/");
    if (collection !== "container-deployments" && collection !== "job-deployments") return notFound();
    if (name === undefined) return this.#collection(asked);
    const deployment = this.deployments.get(name);
    if (deployment === undefined) return notFound();
    return this.#deployment(asked, deployment, rest.join("/"));
  }

  #token(body: Record<string, string>): Said {
    const known = body.grant_type === "client_credentials" ? body.client_id === this.clientId && body.client_secret === this.clientSecret : body.grant_type === "refresh_token" && body.refresh_token?.startsWith("refresh-");
    if (!known) return { status: 401, body: { code: "unauthorized_request", message: "Invalid client credentials" } };
    this.grants.push(body.grant_type ?? "");
    const access = `access-${crypto.randomUUID()}`;
    this.tokens.set(access, Date.now() + this.tokenLifeS * 1000);
    return { status: 200, body: { access_token: access, token_type: "Bearer", expires_in: this.tokenLifeS, refresh_token: `refresh-${crypto.randomUUID()}`, scope: "cloud-api-v1" } };
  }

  #secretsOf(asked: Asked): Said {
    if (asked.method === "GET") return { status: 200, body: [...this.secrets.keys()].map((name) => ({ name, created_at: "2026-03-01T00:00:00Z", secret_type: "generic" })) };
    const { name, value } = asked.body as { name: string; value: string };
    this.secrets.set(name, value);
    return { status: 201, body: {} };
  }

  #collection(asked: Asked): Said {
    if (asked.method === "GET") return { status: 200, body: [...this.deployments.values()].map(({ spec }) => spec) };
    const spec = asked.body as Record<string, unknown> & { name: string };
    if (this.deployments.has(spec.name)) return { status: 409, body: { code: "conflict", message: "a deployment of this name exists" } };
    this.#create(spec);
    return this.#changed({ status: 201, body: { ...spec, endpoint_base_url: this.endpoint(spec.name) } });
  }

  #create(spec: Record<string, unknown> & { name: string }): void {
    const scaling = (spec.scaling ?? {}) as Record<string, unknown>;
    const fleet = new Fleet({ min: 0, max: 0, redeliver: 0, dispatchKey: "", allowOrigins: [] });
    this.deployments.set(spec.name, { name: spec.name, fleet, spec: { ...spec, endpoint_base_url: this.endpoint(spec.name) }, scaling, state: "initializing" });
  }

  #deployment(asked: Asked, deployment: Deployment, rest: string): Said {
    const { fleet } = deployment;
    switch (`${asked.method} ${rest}`) {
      case "GET ":
        // Reading a deployment returns neither status nor scaling.
        return { status: 200, body: Object.fromEntries(Object.entries(deployment.spec).filter(([key]) => key !== "scaling")) };
      case "PATCH ":
        Object.assign(deployment.spec, asked.body);
        return this.#changed({ status: 200, body: deployment.spec });
      case "DELETE ":
        this.deployments.delete(deployment.name);
        return { status: 200, body: {} };
      case "GET status":
        return { status: 200, body: { status: fleet.paused ? "paused" : fleet.noCapacity ? "quota_reached" : deployment.state } };
      case "GET replicas":
        return { status: 200, body: { list: fleet.replicas.filter(({ state }) => state !== "gone").map((replica) => ({ id: replica.id, status: replica.state, started_at: new Date(replica.startedAt).toISOString() })) } };
      case "GET scaling":
        return { status: 200, body: deployment.scaling };
      case "PATCH scaling":
        Object.assign(deployment.scaling, asked.body);
        fleet.scale(Number(deployment.scaling.min_replica_count), Number(deployment.scaling.max_replica_count));
        return this.#changed({ status: 200, body: deployment.scaling });
      case "GET environment-variables":
        return { status: 200, body: [{ container_name: `${deployment.name}-0`, env: [] }] };
      case "GET logs":
        return { status: 200, body: { logs: (fleet.up[0]?.runner?.lines ?? []).slice(-5).map((line) => ({ timestamp: new Date().toISOString(), message: JSON.stringify(line) })) } };
      default:
        return this.#act(asked, deployment, rest);
    }
  }

  #act(asked: Asked, { fleet }: Deployment, rest: string): Said {
    if (asked.method !== "POST") return notFound();
    switch (rest) {
      case "pause":
        fleet.paused = true;
        return { status: 201, body: {} };
      case "resume":
        fleet.paused = false;
        fleet.pump();
        return { status: 201, body: {} };
      case "restart":
        for (const replica of fleet.up) void replica.terminate();
        return { status: 201, body: {} };
      case "purge-queue":
        for (const message of fleet.messages.values()) if (message.state === "queued") fleet.cancel(message);
        return { status: 201, body: {} };
      default:
        return notFound();
    }
  }

  #changed(said: Said): Said {
    return this.switches.applied500 ? { status: 500, body: { code: "server_error", message: "Internal server error" } } : said;
  }
}

function notFound(): Said {
  return { status: 404, body: { code: "not_found", message: "Resource not found, or invalid path" } };
}
