// What this ComfyUI has: node classes, models, web parts of custom nodes [G13]. The digest covers everything the report says, so the report leaves out
// what changes by itself: lists of somebody's input files (they are each seat's own) and free memory.
import { canonicalJson, sha256Hex } from "../canonical.ts";
import type { CatalogReport } from "../contract.ts";
import { joinMembers, parseJson, rawItems, rawMembers } from "../json.ts";
import type { Comfy } from "./comfy.ts";
import { findWebFiles, type WebFile } from "./web-files.ts";

type Json = Record<string, unknown>;
/** `objectInfoText`: the report's object_info as it is to be sent. */
export type Catalog = { report: CatalogReport; objectInfoText: string; webFiles: Map<string, WebFile> };

/** File inputs of stock nodes that carry no `*_upload` flag (object_info of ComfyUI 0.3.64 and newer). */
const FILE_INPUTS: Record<string, readonly string[]> = { LoadLatent: ["latent"], Load3D: ["model_file"], Load3DAnimation: ["model_file"], Preview3D: [], LoadImageOutput: ["image"] };
/** Fields of system_stats that differ from call to call. */
const VOLATILE = /(_free|_used)$/;

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isUpload(options: unknown): boolean {
  return isObject(options) && Object.entries(options).some(([name, value]) => name.endsWith("_upload") && value === true);
}

/** An input's definition without its list of files: `[[…], options]` and `["COMBO", {options: […]}]` alike. */
function withoutChoices(definition: string): string {
  const [type = "[]", options, ...rest] = rawItems(definition);
  if (type.startsWith("[")) return `[${["[]", ...(options === undefined ? [] : [options]), ...rest].join(", ")}]`;
  if (options === undefined || !rawMembers(options).get("options")?.startsWith("[")) return definition;
  return `[${[type, joinMembers(rawMembers(options).set("options", "[]")), ...rest].join(", ")}]`;
}

/** A class with the choices of its file inputs emptied; the text itself when it has none. */
function withoutFiles(nodeClass: string, text: string): string {
  const info = rawMembers(text);
  const groups = rawMembers(info.get("input") ?? "{}");
  let changed = false;
  for (const [group, raw] of groups) {
    if (!raw.startsWith("{")) continue;
    const inputs = rawMembers(raw);
    for (const [input, definition] of inputs) {
      if (!definition.startsWith("[")) continue;
      const isFile = FILE_INPUTS[nodeClass]?.includes(input) === true || isUpload(JSON.parse(rawItems(definition)[1] ?? "null"));
      if (!isFile) continue;
      inputs.set(input, withoutChoices(definition));
      changed = true;
    }
    groups.set(group, joinMembers(inputs));
  }
  return changed ? joinMembers(info.set("input", joinMembers(groups))) : text;
}

/** The text of `object_info` with the choices of file inputs emptied; everything else as ComfyUI wrote it (8.0 stays 8.0). */
export function withoutInputFiles(objectInfo: string): string {
  return joinMembers([...rawMembers(objectInfo)].map(([name, text]) => [name, withoutFiles(name, text)] as const));
}

/** A copy without fields that change from call to call. */
export function withoutVolatile(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutVolatile);
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).flatMap(([key, inner]) => (VOLATILE.test(key) ? [] : [[key, withoutVolatile(inner)]])));
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === "string") : [];
}

function object(value: unknown): Json {
  return isObject(value) ? value : {};
}

async function models(comfy: Comfy): Promise<Record<string, string[]>> {
  const folders = strings(await comfy.json("/models", []));
  const lists = await Promise.all(folders.map(async (folder): Promise<[string, string[]]> => [folder, strings(await comfy.json(`/models/${encodeURIComponent(folder)}`, [])).sort()]));
  return Object.fromEntries(lists);
}

/** Asks ComfyUI for everything; throws ComfyError when the essentials do not answer. */
export async function collectCatalog(comfy: Comfy): Promise<Catalog & { objectInfo: Json }> {
  const text = await comfy.text("/object_info");
  const objectInfo = object(parseJson(text));
  const objectInfoText = withoutInputFiles(text);
  const [extensions, i18n, templates, embeddings, modelLists, stats, features] = await Promise.all([
    comfy.json("/extensions", []), comfy.json("/i18n", {}), comfy.json("/workflow_templates", {}), comfy.json("/embeddings", []), models(comfy), comfy.json("/system_stats"), comfy.json("/features", {}),
  ]);
  const urls = strings(extensions).sort();
  const webFiles = await findWebFiles(comfy, urls);
  const described = [...webFiles].map(([path, file]) => ({ path, size: file.content.byteLength, sha256: file.sha256, content_type: file.contentType }));
  const rest: Omit<CatalogReport, "digest"> = {
    object_info: parseJson(objectInfoText) as CatalogReport["object_info"],
    extensions: urls,
    web_files: described,
    i18n: object(i18n),
    workflow_templates: object(templates),
    embeddings: strings(embeddings).sort(),
    models: modelLists,
    system_stats: object(withoutVolatile(stats)),
    features: object(features),
  };
  return { report: { digest: await sha256Hex(canonicalJson(rest)), ...rest }, objectInfoText, webFiles, objectInfo };
}
