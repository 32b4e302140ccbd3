// A catalog from the report a runner sent [G13], as text, so that object_info keeps ComfyUI's own spelling of numbers.
import { isObject } from "./json.ts";
import { rawMembers } from "../../../gpu-adapter/json.ts";
import { rememberText } from "./object-info-text.ts";
import type { Catalog, Json, JsonObject, NodeValidator, ObjectInfo } from "./types.ts";

function strings(value: Json | undefined): string[] {
  return Array.isArray(value) ? (value as readonly Json[]).filter((item) => typeof item === "string") : [];
}

function stringLists(value: Json | undefined): { [name: string]: string[] } {
  return isObject(value) ? Object.fromEntries(Object.entries(value).map(([name, list]) => [name, strings(list)])) : {};
}

function versionsOf(report: JsonObject): Catalog["versions"] {
  const stats = isObject(report["system_stats"]) ? report["system_stats"] : {};
  const system = isObject(stats["system"]) ? stats["system"] : {};
  const text = (key: string): string | undefined => (typeof system[key] === "string" ? system[key] : undefined);
  const [frontend, python, pytorch] = [text("installed_frontend_version") ?? text("required_frontend_version"), text("python_version"), text("pytorch_version")];
  return {
    comfyui: text("comfyui_version") ?? "0.0.0",
    ...(frontend === undefined ? {} : { frontend }),
    ...(python === undefined ? {} : { python }),
    ...(pytorch === undefined ? {} : { pytorch }),
  };
}

/**
 * Reads a catalog report (the contract's `catalogReport` as JSON text, checked when it came in). Throws SyntaxError when it is no
 * JSON; members that are missing or of another form are empty.
 */
export function loadCatalog(text: string): Catalog {
  // Plain numbers: what is derived from a catalog goes out through JSON.stringify; exact bounds are read from the text kept below.
  const report = JSON.parse(text) as Json;
  if (!isObject(report)) throw new SyntaxError("A catalog report must be a JSON object.");
  const objectInfo = (isObject(report["object_info"]) ? report["object_info"] : {}) as unknown as ObjectInfo;
  const raw = rawMembers(text).get("object_info");
  if (raw !== undefined && isObject(report["object_info"])) rememberText(objectInfo, raw);
  return {
    object_info: objectInfo,
    extensions: strings(report["extensions"]),
    i18n: isObject(report["i18n"]) ? report["i18n"] : {},
    templates: stringLists(report["workflow_templates"]),
    embeddings: strings(report["embeddings"]),
    models: stringLists(report["models"]),
    versions: versionsOf(report),
    digest: typeof report["digest"] === "string" ? report["digest"] : "",
    ...(isObject(report["validators"]) ? { validators: report["validators"] as unknown as { readonly [nodeClass: string]: NodeValidator } } : {}),
  };
}
