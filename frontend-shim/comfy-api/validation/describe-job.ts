// What the queue is told of a prompt: which models it loads, which runs take about as long [Q70], what comes out [Q71].
// Invariant: only nodes that the requested outputs need count; two prompts that differ in seed or text get the same signatures.
import { own } from "../catalog/json.ts";
import { isModelName, type NodeShape, nodeShape } from "../catalog/node-shapes.ts";
import type { Catalog, Json } from "../catalog/types.ts";
import type { JobDescription, OutputKind, Prompt, PromptNode } from "./types.ts";

/** The factors of the work, under the names nodes give them [Q70]; video nodes call their frames `length`. */
const FACTOR_OF: ReadonlyMap<string, number> = new Map([
  ["width", 0],
  ["height", 1],
  ["frames", 2], ["length", 2], ["num_frames", 2], ["frame_count", 2], ["video_frames", 2], ["frames_number", 2],
  ["batch", 3], ["batch_size", 3],
  ["steps", 4],
]);

/** `outputs` and every node they need, in the prompt's order; all nodes when `outputs` is not given. */
export function neededNodes(prompt: Prompt, outputs: readonly string[] | undefined): [string, PromptNode][] {
  if (outputs === undefined) return Object.entries(prompt);
  const needed = new Set<string>();
  const pending = [...outputs];
  for (let id = pending.pop(); id !== undefined; id = pending.pop()) {
    const node = needed.has(id) ? undefined : own(prompt, id);
    if (node === undefined) continue;
    needed.add(id);
    for (const value of Object.values(node.inputs)) {
      if (Array.isArray(value) && value.length === 2 && typeof value[0] === "string") pending.push(value[0]);
    }
  }
  return Object.entries(prompt).filter(([id]) => needed.has(id));
}

function modelsOf(node: PromptNode, shape: NodeShape | undefined, catalog: Catalog): string[] {
  const found: string[] = [];
  for (const [name, value] of Object.entries(node.inputs)) {
    const input = shape?.byName.get(name);
    // A declared text, number or file is no model, whatever it says; what the catalog does not declare is taken by its ending.
    if (input !== undefined && (input.choices === undefined || input.file !== undefined)) continue;
    for (const item of Array.isArray(value) && input?.options["multiselect"] === true ? (value as readonly Json[]) : [value]) {
      if (isModelName(catalog, item)) found.push(item);
    }
  }
  return found;
}

function workBits(nodes: readonly [string, PromptNode][]): number {
  const largest = [1, 1, 1, 1, 1];
  for (const [, node] of nodes) {
    for (const [name, value] of Object.entries(node.inputs)) {
      const factor = FACTOR_OF.get(name);
      if (factor === undefined || typeof value !== "number" || !Number.isSafeInteger(Math.floor(value))) continue;
      largest[factor] = Math.max(largest[factor] ?? 1, Math.floor(value));
    }
  }
  return largest.reduce((product, factor) => product * BigInt(factor), 1n).toString(2).length;
}

const VIDEO_CLASS = /video|webm|animated|\bgif\b|mp4/i;
const MODEL_3D_CLASS = /3d|glb|mesh|voxel|splat/i;
const SOCKET_KINDS: { readonly [type: string]: OutputKind } = { VIDEO: "video", MESH: "3d", VOXEL: "3d", LOAD_3D: "3d", AUDIO: "audio", IMAGE: "image", MASK: "image", SVG: "image" };

function kindOf(nodeClass: string, shape: NodeShape | undefined): OutputKind {
  const label = `${nodeClass} ${shape?.info.display_name ?? ""}`;
  if (VIDEO_CLASS.test(label)) return "video";
  if (MODEL_3D_CLASS.test(label)) return "3d";
  for (const input of shape?.inputs ?? []) {
    const types = typeof input.type === "string" ? input.type.split(",") : [];
    const kind = types.map((type) => SOCKET_KINDS[type.trim()]).find((candidate) => candidate !== undefined);
    if (kind !== undefined) return kind;
  }
  return "other";
}

/** From the longest expected run to the shortest: a job is estimated by its dearest output [Q71]. */
const DEAREST_FIRST: readonly OutputKind[] = ["video", "3d", "audio", "image", "other"];

/**
 * Describes a validated prompt for the queue. `outputs` (the verdict's `outputsToExecute`) limits it to what will run.
 * Model names are those of the graph; a class the catalog does not know counts by its name only.
 */
export function describeJob(prompt: Prompt, catalog: Catalog, outputs?: readonly string[]): JobDescription {
  const nodes = neededNodes(prompt, outputs);
  const models = new Set<string>();
  const classes = new Map<string, number>();
  const kinds = new Set<OutputKind>();
  const wanted = outputs === undefined ? undefined : new Set(outputs);
  for (const [id, node] of nodes) {
    const shape = nodeShape(catalog, node.class_type);
    classes.set(node.class_type, (classes.get(node.class_type) ?? 0) + 1);
    for (const model of modelsOf(node, shape, catalog)) models.add(model);
    if (wanted?.has(id) ?? shape?.isOutput === true) kinds.add(kindOf(node.class_type, shape));
  }
  const sortedModels = [...models].sort();
  const modelSignature = sortedModels.join("\n");
  const sortedClasses = [...classes.keys()].sort();
  const counted = sortedClasses.map((name) => `${name}*${classes.get(name) ?? 0}`).join(",");
  return {
    modelSignature,
    timingSignature: `${modelSignature}|${counted}|${workBits(nodes)}`,
    outputKind: DEAREST_FIRST.find((kind) => kinds.has(kind)) ?? "other",
    requires: { nodes: sortedClasses, models: sortedModels },
  };
}
