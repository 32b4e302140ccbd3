// A ComfyUI for the shipped templates, and the editor's way from a graph to a prompt.
import { expect } from "vitest";
import type { Template } from "../../../frontend-shim/comfy-api/templates/index.ts";
import type { Catalog, NodeInfo, ObjectInfo } from "../../../frontend-shim/comfy-api/validation/index.ts";
import { catalogOf, recordedCatalog } from "../validation/recorded.ts";
import { LISTS, NEW_NODES } from "./new-nodes.ts";

type Input = { name: string; type: string; link: number | null; widget?: { name: string } };
type Node = { id: number; type: string; pos: [number, number]; size: [number, number]; inputs: Input[]; outputs: { name: string; type: string; links: number[] }[]; widgets_values: unknown[] };
export type Workflow = { nodes: Node[]; links: [number, number, number, number, number, string][]; last_node_id: number; last_link_id: number };

const recorded = recordedCatalog().object_info;
/** A ComfyUI that has every node of the templates and exactly the models of these manifests. */
export function gpuFor(templates: readonly Pick<Template, "models">[]): Catalog {
  const nodes: ObjectInfo = structuredClone({ ...recorded, ...NEW_NODES });
  for (const [name, inputs] of Object.entries(LISTS)) {
    for (const [input, folder] of Object.entries(inputs)) choicesOf(nodes, name, input)[0] = namesIn(templates, folder);
  }
  (choicesOf(nodes, "CLIPLoader", "type")[0] as string[]).push("flux2");
  return catalogOf(nodes);
}

export function namesIn(templates: readonly Pick<Template, "models">[], folder: string): string[] {
  return [...new Set(templates.flatMap(({ models }) => models.filter((model) => model.folder === folder && model.optional !== true).map(({ name }) => name)))];
}

function choicesOf(nodes: ObjectInfo, name: string, input: string): unknown[] {
  return ((nodes[name]?.input?.required ?? {}) as unknown as Record<string, unknown[]>)[input] ?? [];
}

export const workflowOf = (template: Template): Workflow => template.workflow() as Workflow;
export const isNote = ({ type }: Node): boolean => type === "MarkdownNote";
export const definitionsOf = (info: NodeInfo | undefined): [string, unknown][] => Object.entries({ ...info?.input?.required, ...info?.input?.optional });
export const isBox = (definition: unknown): boolean => Array.isArray(definition) && (Array.isArray(definition[0]) || ["INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"].includes(String(definition[0])));
const turns = (name: string, definition: unknown): boolean => name === "noise_seed" || (Array.isArray(definition) && (definition[1] as { control_after_generate?: boolean } | undefined)?.control_after_generate === true);

/** As the editor turns a graph into a prompt: values by the order of the node's inputs, links over them. */
export function promptOf({ nodes, links }: Workflow, catalog: Catalog): Record<string, { class_type: string; inputs: Record<string, unknown> }> {
  return Object.fromEntries(nodes.filter((node) => !isNote(node)).map((node) => {
    const info = catalog.object_info[node.type];
    if (info === undefined) throw new Error(`no node ${node.type}`);
    const values = [...node.widgets_values];
    const inputs: Record<string, unknown> = {};
    for (const [name, definition] of definitionsOf(info)) {
      if (!isBox(definition)) continue;
      inputs[name] = values.shift();
      if (turns(name, definition)) expect(["fixed", "randomize"]).toContain(values.shift());
    }
    expect(values, `${node.type} has as many values as boxes`).toEqual([]);
    for (const { name, link } of node.inputs) {
      const found = links.find(([id]) => id === link);
      if (found) inputs[name] = [String(found[1]), found[2]];
    }
    return [String(node.id), { class_type: node.type, inputs }];
  }));
}
