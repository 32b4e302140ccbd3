// RunPod's queue endpoints and its API v2 as documented ([G] section 2), hosting real runners behind a handler of the same shape as images/runpod_handler.py.
// Open points are switches: how often a job whose worker died is queued again, and whether results are still kept.
import { Fleet, type FleetOptions, type Message } from "../fleet/fleet.ts";
import { type Asked, Host, type Said } from "../fleet/host.ts";

export type RunpodSwitches = {
  /** ms a result is kept (30 min documented). */
  keptMs: number;
  /** Workers are there but throttled: nothing starts. */
  throttled: boolean;
};
export const RUNPOD_DEFAULTS: RunpodSwitches = { keptMs: 1_800_000, throttled: false };

type Policy = { executionTimeout?: number; ttl?: number };
type Job = { message: Message; policy: Policy; at: number };
type Endpoint = { id: string; fleet: Fleet; workers: { min: number; max: number }; jobs: Map<string, Job>; /** As it was created or changed. */ spec: Record<string, unknown> };

const STATES = { queued: "IN_QUEUE", delivered: "IN_PROGRESS", completed: "COMPLETED", lost: "FAILED", expired: "TIMED_OUT", cancelled: "CANCELLED" } as const;

export class Runpod {
  readonly host: Host;
  readonly key = "rp_simulated_key";
  readonly switches: RunpodSwitches;
  readonly endpoints = new Map<string, Endpoint>();

  constructor(switches: Partial<RunpodSwitches> = {}) {
    this.switches = { ...RUNPOD_DEFAULTS, ...switches };
    this.host = new Host((asked) => this.#answer(asked));
  }

  async open(): Promise<string> {
    return await this.host.open();
  }

  get vars(): Record<string, string> {
    return { GPU_RUNPOD_KEY: this.key };
  }

  pool(name: string): Record<string, unknown> {
    return { provider: "runpod", endpoint: `${this.host.origin}/v2/${name}`, secret: "GPU_RUNPOD_KEY", control_url: `${this.host.origin}/v2`, gpu: "RTX 4090", reclaim_ms: 0 };
  }

  deploy(name: string, options: FleetOptions): Fleet {
    const fleet = new Fleet(options);
    this.endpoints.set(name, { id: name, fleet, workers: { min: options.min, max: options.max }, jobs: new Map(), spec: {} });
    return fleet;
  }

  async close(): Promise<void> {
    this.host.close();
    await Promise.all([...this.endpoints.values()].map(({ fleet }) => fleet.close()));
  }

  async #answer(asked: Asked): Promise<Said> {
    if (asked.header("authorization") !== `Bearer ${this.key}`) return { status: 401, body: { error: "Unauthorized" } };
    const [, , first = "", second = "", third] = asked.path.split("/");
    if (first === "serverless") return this.#control(asked, second, third);
    if (first === "catalog") return { status: 200, body: { gpus: [{ id: "NVIDIA GeForce RTX 4090", name: "RTX 4090", pool: "ADA_24", memory: 24, price: { secure: 0.69, community: 0.34, serverless: 1.1 }, availability: "HIGH" }] } };
    const endpoint = this.endpoints.get(first);
    if (endpoint === undefined) return { status: 404, body: { error: "endpoint not found" } };
    switch (`${asked.method} ${second}`) {
      case "POST run":
        return this.#run(endpoint, asked.body as { input?: unknown; policy?: Policy });
      case "GET status":
        return this.#status(endpoint, third ?? "");
      case "POST cancel":
        return this.#cancel(endpoint, third ?? "");
      case "POST purge-queue":
        return this.#purge(endpoint);
      case "GET health":
        return { status: 200, body: this.#health(endpoint) };
      default:
        return { status: 404, body: { error: "no such route" } };
    }
  }

  #run(endpoint: Endpoint, { input, policy = {} }: { input?: unknown; policy?: Policy }): Said {
    if (input === undefined) return { status: 400, body: { error: "input is required" } };
    const { executionTimeout = 600_000, ttl = 86_400_000 } = policy;
    if (executionTimeout < 5000 || executionTimeout > 604_800_000 || ttl < 10_000 || ttl > 604_800_000) return { status: 400, body: { error: "policy out of bounds" } };
    const id = `${crypto.randomUUID()}-e1`;
    if (this.switches.throttled) endpoint.fleet.noCapacity = true;
    endpoint.jobs.set(id, { message: endpoint.fleet.put(id, input), policy: { executionTimeout, ttl }, at: Date.now() });
    return { status: 200, body: { id, status: "IN_QUEUE" } };
  }

  #status(endpoint: Endpoint, id: string): Said {
    const job = endpoint.jobs.get(id);
    if (job === undefined || Date.now() - job.at > Math.min(this.switches.keptMs, job.policy.ttl ?? Infinity)) return { status: 404, body: { error: "job not found" } };
    const { message } = job;
    const status = STATES[message.state];
    return { status: 200, body: { id, status, delayTime: 1, executionTime: 1, ...(message.answer === null ? {} : { output: handled(message.answer) }), ...(status === "FAILED" ? { error: "worker exited unexpectedly" } : {}) } };
  }

  #cancel(endpoint: Endpoint, id: string): Said {
    const job = endpoint.jobs.get(id);
    if (job === undefined) return { status: 404, body: { error: "job not found" } };
    endpoint.fleet.cancel(job.message);
    return { status: 200, body: { id, status: "CANCELLED" } };
  }

  #purge({ fleet }: Endpoint): Said {
    const waiting = [...fleet.messages.values()].filter(({ state }) => state === "queued");
    for (const message of waiting) fleet.cancel(message);
    return { status: 200, body: { removed: waiting.length, status: "completed" } };
  }

  #health({ fleet }: Endpoint): Record<string, unknown> {
    const count = (state: Message["state"]): number => [...fleet.messages.values()].filter((message) => message.state === state).length;
    const busy = count("delivered");
    return {
      jobs: { completed: count("completed"), failed: count("lost"), inProgress: busy, inQueue: count("queued"), retried: 0 },
      workers: { idle: Math.max(0, fleet.up.length - busy), running: busy, initializing: fleet.replicas.filter(({ state }) => state === "initializing").length, throttled: this.switches.throttled ? 1 : 0, unhealthy: 0 },
    };
  }

  // ---- API v2 --------------------------------------------------------------------------------------------------------------------------
  #control(asked: Asked, id: string, rest: string | undefined): Said {
    if (id === "") return this.#collection(asked);
    const endpoint = this.endpoints.get(id);
    if (endpoint === undefined) return { status: 404, body: { title: "Not Found", status: 404, detail: "no such endpoint" } };
    if (rest === "workers") return { status: 200, body: { summary: this.#health(endpoint).workers, workers: [] } };
    if (asked.method === "PATCH") {
      const { workers = {} } = asked.body as { workers?: { min?: number; max?: number } };
      Object.assign(endpoint.spec, asked.body);
      Object.assign(endpoint.workers, workers);
      endpoint.fleet.scale(endpoint.workers.min, endpoint.workers.max);
    }
    return { status: 200, body: this.#shown(endpoint) };
  }

  #shown({ id, spec, workers }: Endpoint): Record<string, unknown> {
    return { id, name: id, type: "QUEUE", ...spec, workers, requestUrls: { run: `${this.host.origin}/v2/${id}/run` } };
  }

  #collection(asked: Asked): Said {
    if (asked.method === "GET") return { status: 200, body: { endpoints: [...this.endpoints.values()].map((endpoint) => this.#shown(endpoint)) } };
    const spec = asked.body as Record<string, unknown> & { workers?: { min?: number; max?: number } };
    const id = `e${this.endpoints.size + 1}`;
    const fleet = new Fleet({ min: 0, max: 0, redeliver: 0, dispatchKey: "", allowOrigins: [] });
    const endpoint: Endpoint = { id, fleet, workers: { min: 0, max: 3, ...spec.workers }, jobs: new Map(), spec };
    this.endpoints.set(id, endpoint);
    return { status: 201, body: this.#shown(endpoint) };
  }
}

/** As images/forward.py passes an answer on. */
export function handled({ status, body }: { status: number; body: unknown }): unknown {
  return status === 200 ? body : { status, body };
}
