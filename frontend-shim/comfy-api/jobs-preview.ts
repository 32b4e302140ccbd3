// Which of a job's outputs its tile shows, and how many there are to see. Invariant: the same choice as ComfyUI 0.38, so that a page's
// asset list reads alike on both: saved pictures, films, sounds and models first, then unsaved ones, then text files, then text.
import { isObject } from "./catalog/json.ts";
import type { Json, JsonObject } from "./catalog/types.ts";
import { str } from "./validation/python.ts";

const MEDIA_KEYS = new Set(["images", "video", "audio", "3d", "text"]);
const MODEL_3D = /\.(?:obj|fbx|gltf|glb|usdz)$/i;
const TEXT_FILE = /\.(?:txt|md|json)$/i;
/** Characters of a text shown in a list; the whole is in the job's outputs. */
const LONGEST_TEXT = 1024;

type Item = { readonly node: string; readonly key: string; readonly value: Json };

/** Every item of every list; `animated` is a flag, not an output. */
function* itemsOf(outputs: JsonObject): Generator<Item> {
  for (const [node, output] of Object.entries(outputs)) {
    if (!isObject(output)) continue;
    for (const [key, items] of Object.entries(output)) {
      if (key === "animated" || !Array.isArray(items)) continue;
      for (const value of items as readonly Json[]) yield { node, key, value };
    }
  }
}

/** A bare string that names a 3-D model stands for a saved file; other strings are no files. */
function asFile(value: Json): JsonObject | undefined {
  if (isObject(value)) return value;
  return typeof value === "string" && MODEL_3D.test(value) ? { filename: value, type: "output", subfolder: "", mediaType: "3d" } : undefined;
}

const text = (value: Json | undefined): string => (typeof value === "string" ? value : "");

function isPreviewable(key: string, file: JsonObject): boolean {
  return MEDIA_KEYS.has(key) || /^(?:video|audio)\//.test(text(file["format"])) || MODEL_3D.test(text(file["filename"])) || TEXT_FILE.test(text(file["filename"]));
}

function isText(key: string, file: JsonObject): boolean {
  return key === "text" || TEXT_FILE.test(text(file["filename"]));
}

function textPreview({ node, key, value }: Item): JsonObject {
  const content = [...str(value)];
  const cut = content.length > LONGEST_TEXT;
  return { content: cut ? content.slice(0, LONGEST_TEXT).join("") : content.join(""), ...(cut ? { truncated: true } : {}), nodeId: node, mediaType: key };
}

export type OutputSummary = { readonly count: number; readonly previewable: number; readonly preview: JsonObject | undefined };

/** Counts a job's outputs and chooses the one to show. `outputs` is history's: node id to ui output. */
export function summariseOutputs(outputs: JsonObject): OutputSummary {
  let [count, previewable] = [0, 0];
  let saved: JsonObject | undefined;
  let unsaved: JsonObject | undefined;
  let textFile: JsonObject | undefined;
  let plainText: JsonObject | undefined;
  for (const item of itemsOf(outputs)) {
    const file = asFile(item.value);
    if (file === undefined) {
      if (item.key === "text" && item.value !== null) plainText ??= textPreview(item);
      continue;
    }
    count += 1;
    if (!isPreviewable(item.key, file)) continue;
    previewable += 1;
    const shown = { ...file, nodeId: item.node, mediaType: file["mediaType"] ?? item.key };
    if (isText(item.key, file)) textFile ??= shown;
    else if (file["type"] === "output") saved ??= shown;
    else unsaved ??= shown;
  }
  return { count, previewable, preview: saved ?? unsaved ?? textFile ?? plainText };
}

function detailedItems(key: string, items: Json): Json {
  if (key === "animated" || !Array.isArray(items)) return items;
  return (items as readonly Json[]).filter((item) => item !== null).map((item) => asFile(item) ?? item);
}

/** Outputs as a job's detail has them: names of 3-D models become files, empty items go. */
export function detailedOutputs(outputs: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(outputs).map(([node, output]) => [node, isObject(output) ? Object.fromEntries(Object.entries(output).map(([key, items]) => [key, detailedItems(key, items)])) : output]),
  );
}
