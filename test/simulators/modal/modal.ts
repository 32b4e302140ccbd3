// Modal with our thin app on it ([G] section 3, images/modal_app.py): proxy authentication, the app's five routes, inputs that are run again elsewhere when a
// container is pre-empted, a web function that is cut and answers 303.
import { Fleet, type FleetOptions } from "../fleet/fleet.ts";
import { type Asked, Host, type Said } from "../fleet/host.ts";
import { handled } from "../runpod/runpod.ts";

type App = { fleet: Fleet; calls: Map<string, string> };

export class Modal {
  readonly host: Host;
  readonly key = { id: "wk-simulated", secret: "ws-simulated" };
  readonly apps = new Map<string, App>();
  /** The next status answers are 303: the web function was cut at 150 s. */
  cuts = 0;

  constructor() {
    this.host = new Host((asked) => this.#answer(asked));
  }

  async open(): Promise<string> {
    return await this.host.open();
  }

  get vars(): Record<string, string> {
    return { GPU_MODAL_KEY: `${this.key.id}:${this.key.secret}` };
  }

  pool(name: string): Record<string, unknown> {
    return { provider: "modal", endpoint: `${this.host.origin}/${name}`, secret: "GPU_MODAL_KEY", gpu: "L40S", reclaim_ms: 0 };
  }

  deploy(name: string, options: FleetOptions): Fleet {
    const fleet = new Fleet(options);
    this.apps.set(name, { fleet, calls: new Map() });
    return fleet;
  }

  async close(): Promise<void> {
    this.host.close();
    await Promise.all([...this.apps.values()].map(({ fleet }) => fleet.close()));
  }

  async #answer(asked: Asked): Promise<Said> {
    if (asked.header("modal-key") !== this.key.id || asked.header("modal-secret") !== this.key.secret) return { status: 401, body: "modal-http: missing credentials for proxy authorization" };
    const [, name = "", route = "", id = ""] = asked.path.split("/");
    const app = this.apps.get(name);
    if (app === undefined) return { status: 404, body: "modal-http: app for invoked web endpoint is stopped" };
    switch (`${asked.method} ${route}`) {
      case "POST submit":
        return this.#submit(app, asked.body as { dispatch_id: string });
      case "GET status":
        return this.#status(app, asked, id);
      case "POST cancel":
        return this.#cancel(app, id);
      case "GET stats":
        return { status: 200, body: { backlog: [...app.fleet.messages.values()].filter(({ state }) => state === "queued").length, runners: app.fleet.up.length } };
      case "POST scale":
        app.fleet.scale((asked.body as { min: number }).min);
        return { status: 200, body: {} };
      default:
        return { status: 404, body: { detail: "no such dispatch" } };
    }
  }

  /** Guarded by a Dict: the same dispatch twice is one call. */
  #submit({ fleet, calls }: App, dispatch: { dispatch_id: string }): Said {
    const known = calls.get(dispatch.dispatch_id);
    if (known !== undefined) return { status: 200, body: { call_id: known } };
    const call = `fc-${crypto.randomUUID()}`;
    calls.set(dispatch.dispatch_id, call);
    fleet.put(call, dispatch);
    return { status: 200, body: { call_id: call } };
  }

  #status({ fleet, calls }: App, asked: Asked, id: string): Said {
    const message = fleet.messages.get(calls.get(id) ?? "");
    if (message === undefined) return { status: 404, body: { detail: "no such dispatch" } };
    if (this.cuts > 0) {
      this.cuts--;
      return { status: 303, headers: { Location: `${this.host.origin}${asked.path}?__modal_function_call_id=${calls.get(id)}` } };
    }
    if (message.answer !== null) return { status: 200, body: { output: handled(message.answer) } };
    if (message.state === "lost" || message.state === "cancelled") return { status: 200, body: { error: message.state === "lost" ? "InternalFailure: container was lost" : "InputCancellation: cancelled" } };
    return { status: 202, body: { state: "pending" } };
  }

  #cancel({ fleet, calls }: App, id: string): Said {
    const message = fleet.messages.get(calls.get(id) ?? "");
    if (message === undefined) return { status: 404, body: { detail: "no such dispatch" } };
    fleet.cancel(message);
    return { status: 200, body: {} };
  }
}
