// One seat as its edge serves it: the real workshop object, the real bucket, the real routes; only sign-in is done before (workers/auth has its own tests).
import { env } from "cloudflare:workers";
import { serveSeat } from "../../frontend-shim/comfy-api/index.ts";
import type { SeatContext } from "../../frontend-shim/comfy-api/index.ts";
import type { WorkshopRpc } from "../../durable-objects/contract.ts";
import { catalogKey } from "../../r2/keys.ts";
import { catalogReport } from "../../gpu-adapter/contract.ts";

export type Seat = {
  context: SeatContext;
  /** One request; `target` is the raw path inside the seat with its query. Null when it is not a route of ComfyUI's. */
  ask(method: string, target: string, init?: { body?: BodyInit | null; headers?: Record<string, string> }): Promise<Response | null>;
  /** The same, for paths that must be answered. */
  get(method: string, target: string, init?: { body?: BodyInit | null; headers?: Record<string, string> }): Promise<Response>;
  /** Waits for what requests left to do after their answer. */
  settle(): Promise<void>;
};

let workshops = 0;

/** A new workshop with these seats; names differ per call, so tests share nothing. */
export async function openWorkshop(...seats: string[]): Promise<{ workshop: string; rpc: WorkshopRpc; seats: Seat[] }> {
  workshops += 1;
  const workshop = `seat-test-${workshops}-${crypto.randomUUID().slice(0, 8)}`;
  const rpc = env.WORKSHOP.getByName(workshop) as unknown as WorkshopRpc;
  const created = await rpc.create({
    workshop, title: "Seat tests", seats: seats.map((seat) => ({ seat, role: "participant", salt: "AAAAAAAAAAAAAAAAAAAAAA", hash: "A".repeat(43) })),
    pools: [{ id: "gpu", provider: "pull", max_in_flight: 1 }],
  });
  if (!created.ok) throw new Error(created.message);
  return { workshop, rpc, seats: seats.map((seat) => openSeat(workshop, seat, rpc)) };
}

export async function openSeatOf(...seats: string[]): Promise<Seat> {
  const [first] = (await openWorkshop(...(seats.length > 0 ? seats : ["ada"]))).seats;
  if (!first) throw new Error("no seat");
  return first;
}

function openSeat(workshop: string, seat: string, rpc: WorkshopRpc): Seat {
  const pending: Promise<unknown>[] = [];
  const context: SeatContext = { workshop, seat, role: "participant", rpc, files: env.FILES, assets: env.ASSETS, waitUntil: (promise) => pending.push(promise) };
  const ask: Seat["ask"] = async (method, target, init = {}) => {
    const request = new Request(`http://seat.test/${workshop}/${seat}${target.replaceAll("#", "%23")}`, { method, redirect: "manual", ...init });
    return await serveSeat(request, target.split("?")[0] ?? "", context);
  };
  return {
    context,
    ask,
    get: async (method, target, init) => {
      const answer = await ask(method, target, init);
      if (answer === null) throw new Error(`${method} ${target} is not a route`);
      return answer;
    },
    settle: async () => {
      while (pending.length > 0) await pending.shift();
    },
  };
}

export type CatalogParts = { object_info: Record<string, unknown>; version?: string; extensions?: string[]; web_files?: { path: string; size: number; sha256: string; content_type: string }[]; embeddings?: string[]; models?: Record<string, string[]>; i18n?: Record<string, unknown>; workflow_templates?: Record<string, unknown>; system?: Record<string, unknown> };

/** Reports a catalog as a runner would, through the contract's own schema; answers its digest. */
export async function reportCatalog(context: SeatContext, parts: CatalogParts, objectInfoText?: string): Promise<string> {
  const digest = crypto.randomUUID().replaceAll("-", "");
  const { object_info, version = "0.3.64", system = {}, ...rest } = parts;
  const report = { digest, object_info, extensions: [], embeddings: [], models: {}, ...rest, system_stats: { system: { os: "posix", comfyui_version: version, python_version: "3.12", pytorch_version: "2.9", argv: ["main.py", "--enable-manager"], ...system }, devices: [] } };
  catalogReport.parse(report);
  const text = JSON.stringify(report);
  await context.files.put(catalogKey(digest), objectInfoText === undefined ? text : text.replace(`"object_info":${JSON.stringify(object_info)}`, () => `"object_info":${objectInfoText}`));
  await context.rpc.setCatalog("gpu", digest, { comfyui_version: version });
  return digest;
}
