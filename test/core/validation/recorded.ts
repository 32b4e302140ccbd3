// The recorded exchanges of POST /prompt, and the seat they were recorded against: its catalog and the files it had.
import { readdirSync, readFileSync } from "node:fs";
import { rememberText } from "../../../frontend-shim/comfy-api/catalog/object-info-text.ts";
import type { Catalog, ObjectInfo, SeatFiles } from "../../../frontend-shim/comfy-api/validation/index.ts";

const folder = new URL("../../recordings/", import.meta.url);

export const objectInfoText = readFileSync(new URL("object_info.json", folder), "utf8");

export function catalogOf(objectInfo: ObjectInfo, extra: Partial<Catalog> = {}): Catalog {
  return { object_info: objectInfo, extensions: [], i18n: {}, templates: {}, embeddings: [], models: {}, versions: { comfyui: "0.3.64" }, digest: "recorded", ...extra };
}

export function recordedCatalog(): Catalog {
  const objectInfo = JSON.parse(objectInfoText) as ObjectInfo;
  rememberText(objectInfo, objectInfoText);
  return catalogOf(objectInfo);
}

export function seatWith(...paths: string[]): SeatFiles {
  const files = new Set(paths.map((path) => (/^(?:input|output|temp):/.test(path) ? path : `input:${path}`)));
  return {
    exists: (type, subfolder, name) => files.has(`${type}:${subfolder === "" ? "" : `${subfolder}/`}${name}`),
    inputs: [...files].filter((path) => path.startsWith("input:")).map((path) => path.slice("input:".length)),
  };
}

export type Exchange = { file: string; note: string; request: string; status: number; response: string };
type Event = { dir: string; text?: string; method?: string; path?: string; request_body?: unknown; status?: number; response_json?: unknown; response_text?: string };

function exchangesIn(file: string): Exchange[] {
  const { events } = JSON.parse(readFileSync(new URL(file, folder), "utf8")) as { events?: Event[] };
  const found: Exchange[] = [];
  let note = "";
  for (const event of events ?? []) {
    if (event.dir === "note") note = event.text ?? "";
    if (event.dir !== "http" || event.method !== "POST" || !/\/prompt(?:\?|$)/.test(event.path ?? "")) continue;
    const request = typeof event.request_body === "string" ? event.request_body : JSON.stringify(event.request_body);
    const response = event.response_json === undefined ? (event.response_text ?? "") : JSON.stringify(event.response_json);
    found.push({ file, note, request, status: event.status ?? 0, response });
  }
  return found;
}

export function recordedPrompts(): Exchange[] {
  return readdirSync(folder).filter((file) => file.endsWith(".json") && file !== "object_info.json").sort().flatMap(exchangesIn);
}

type History = { [id: string]: { prompt: [number, string, unknown, { client_id?: string; create_time?: number }, string[]] } };

/** Every history entry the recordings hold, once per id. */
export function recordedHistory(): History[string][] {
  const entries = new Map<string, History[string]>();
  for (const file of readdirSync(folder).filter((name) => name.endsWith(".json") && name !== "object_info.json")) {
    const { events } = JSON.parse(readFileSync(new URL(file, folder), "utf8")) as { events?: Event[] };
    for (const event of events ?? []) {
      if (event.dir !== "http" || event.status !== 200 || !/\/history\/[^/]+$/.test(event.path ?? "")) continue;
      for (const [id, entry] of Object.entries((event.response_json ?? {}) as History)) entries.set(id, entry);
    }
  }
  return [...entries.values()];
}
