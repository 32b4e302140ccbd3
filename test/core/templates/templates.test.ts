// The templates a workshop ships: graphs that the nodes accept, and a manifest that says the truth about what they need.
import { describe, expect, test } from "vitest";
import { checkTemplate, type PoolCatalogFacts, type Template, TEMPLATES, tileOf } from "../../../frontend-shim/comfy-api/templates/index.ts";
import { type Catalog, type NodeInfo, type ObjectInfo, validatePrompt } from "../../../frontend-shim/comfy-api/validation/index.ts";
import { catalogOf, recordedCatalog, seatWith } from "../validation/recorded.ts";
import { LISTS, NEW_NODES } from "./new-nodes.ts";

type Input = { name: string; type: string; link: number | null; widget?: { name: string } };
type Node = { id: number; type: string; pos: [number, number]; size: [number, number]; inputs: Input[]; outputs: { name: string; type: string; links: number[] }[]; widgets_values: unknown[] };
type Workflow = { nodes: Node[]; links: [number, number, number, number, number, string][]; last_node_id: number; last_link_id: number };

const recorded = recordedCatalog().object_info;
/** A ComfyUI that has every node of the templates and exactly the models of this one's manifest. */
function gpuFor(template: Template): Catalog {
  const nodes: ObjectInfo = structuredClone({ ...recorded, ...NEW_NODES });
  for (const [name, inputs] of Object.entries(LISTS)) {
    for (const [input, folder] of Object.entries(inputs)) (nodes[name]?.input?.required as Record<string, unknown[]>)[input]![0] = template.models.filter((model) => model.folder === folder && model.optional !== true).map((model) => model.name);
  }
  ((nodes.CLIPLoader?.input?.required as Record<string, unknown[]>).type![0] as string[]).push("flux2");
  return catalogOf(nodes);
}

const workflowOf = (template: Template): Workflow => template.workflow() as Workflow;
const isNote = ({ type }: Node): boolean => type === "MarkdownNote";
const definitionsOf = (info: NodeInfo): [string, unknown][] => Object.entries({ ...info.input?.required, ...info.input?.optional });
const isBox = (definition: unknown): boolean => Array.isArray(definition) && (Array.isArray(definition[0]) || ["INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"].includes(String(definition[0])));
const turns = (name: string, definition: unknown): boolean => name === "noise_seed" || (Array.isArray(definition) && (definition[1] as { control_after_generate?: boolean } | undefined)?.control_after_generate === true);

/** As the editor turns a graph into a prompt: values by the order of the node's inputs, links over them. */
function promptOf({ nodes, links }: Workflow, catalog: Catalog): Record<string, { class_type: string; inputs: Record<string, unknown> }> {
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

describe.each(TEMPLATES.map((template) => [template.name, template] as const))("%s", (_, template) => {
  const workflow = workflowOf(template);
  const gpu = gpuFor(template);

  test("every link agrees with both its ends and with the nodes", () => {
    expect([workflow.last_node_id, workflow.last_link_id]).toEqual([workflow.nodes.length, workflow.links.length]);
    for (const [id, from, fromSlot, to, toSlot, type] of workflow.links) {
      const source = workflow.nodes.find((node) => node.id === from);
      const target = workflow.nodes.find((node) => node.id === to);
      expect(source?.outputs[fromSlot]?.links).toContain(id);
      expect(target?.inputs[toSlot]?.link).toBe(id);
      const told = [type, source?.outputs[fromSlot]?.type, gpu.object_info[source?.type ?? ""]?.output?.[fromSlot], target?.inputs[toSlot]?.type];
      expect(told, `${source?.type} to ${target?.type}.${target?.inputs[toSlot]?.name}`).toEqual([type, type, type, type]);
      const definition = definitionsOf(gpu.object_info[target?.type ?? ""]!).find(([name]) => name === target?.inputs[toSlot]?.name)?.[1] as [string] | undefined;
      expect(definition?.[0]).toBe(type);
      expect(target?.inputs[toSlot]?.widget !== undefined).toBe(isBox(definition));
    }
    for (const node of workflow.nodes.filter((one) => !isNote(one))) expect(node.outputs.map(({ type }) => type), node.type).toEqual(gpu.object_info[node.type]?.output);
  });

  test("a GPU with the manifest's models accepts it, and nothing in it is spare", () => {
    const prompt = promptOf(workflow, gpu);
    const verdict = validatePrompt({ prompt }, { catalog: gpu, seatFiles: seatWith() });
    expect(verdict.ok ? "accepted" : verdict.body).toBe("accepted");
    const used = new Set(Object.values(prompt).flatMap(({ inputs }) => Object.values(inputs).filter(Array.isArray).map(([id]) => String(id))));
    const ends = Object.entries(prompt).filter(([id]) => !used.has(id)).map(([, { class_type: name }]) => name);
    expect(ends).toEqual([template.media === "image" ? "SaveImage" : "SaveVideo"]);
  });

  test("without any one of the manifest's models it is refused", () => {
    for (const missing of template.models.filter(({ optional }) => optional !== true)) {
      const poorer = gpuFor({ ...template, models: template.models.filter((model) => model !== missing) });
      expect(validatePrompt({ prompt: promptOf(workflow, gpu) }, { catalog: poorer, seatFiles: seatWith() }).ok, missing.name).toBe(false);
    }
  });

  test("its boxes do not lie over each other, and its tile is a drawing", () => {
    for (const [n, a] of workflow.nodes.entries()) {
      for (const b of workflow.nodes.slice(n + 1)) {
        const apart = a.pos[0] + a.size[0] <= b.pos[0] || b.pos[0] + b.size[0] <= a.pos[0] || a.pos[1] + a.size[1] <= b.pos[1] - 30 || b.pos[1] + b.size[1] <= a.pos[1] - 30;
        expect(apart, `${a.type} and ${b.type}`).toBe(true);
      }
    }
    expect(tileOf(template)).toMatch(/^<svg [^>]+>.*<\/svg>\n$/s);
    expect(tileOf(template)).not.toMatch(/NaN|script/);
  });
});

describe("what the GPUs lack for a template", () => {
  const [klein] = TEMPLATES as [Template];
  const whole = (pool: string): PoolCatalogFacts => ({
    pool,
    nodes: new Set(workflowOf(klein).nodes.map(({ type }) => type)),
    models: new Map([["diffusion_models", new Set(["flux-2-klein-base-4b.safetensors"])], ["text_encoders", new Set(["qwen_3_4b.safetensors"])], ["vae", new Set(["flux2-vae.safetensors"])]]),
  });

  test("nobody has told yet", () => expect(checkTemplate(klein, [])).toMatchObject({ runs_on: [], lacks: [], says: `${klein.title}: no GPU has told yet what it has.` }));

  test("the pools that can run it; a model for another choice is not needed", () => {
    const verdict = checkTemplate(klein, [whole("a"), { ...whole("b"), models: new Map() }]);
    expect(verdict).toMatchObject({ runs_on: ["a"], says: `${klein.title} runs on a.` });
    expect(verdict.models.map(({ name, on }) => [name, on])).toEqual([["flux-2-klein-base-4b.safetensors", ["a"]], ["flux-2-klein-4b.safetensors", []], ["qwen_3_4b.safetensors", ["a"]], ["flux2-vae.safetensors", ["a"]]]);
    expect(verdict.pools[1]).toMatchObject({ pool: "b", runs: false, missing_nodes: [], missing_models: ["diffusion_models/flux-2-klein-base-4b.safetensors", "text_encoders/qwen_3_4b.safetensors", "vae/flux2-vae.safetensors"] });
  });

  test("the pool that comes closest is named with what it lacks; a file in a folder below is another file", () => {
    const near = { ...whole("near"), models: new Map([...whole("near").models, ["vae", new Set(["flux2/flux2-vae.safetensors"])]]) };
    const old = { ...whole("old"), nodes: new Set(["SaveImage"]), models: new Map<string, Set<string>>() };
    expect(checkTemplate(klein, [old, near])).toMatchObject({ runs_on: [], lacks: ["vae/flux2-vae.safetensors"], says: `${klein.title} runs on no GPU of this workshop. near comes closest and lacks: vae/flux2-vae.safetensors.` });
    expect(checkTemplate(klein, [{ ...near, nodes: new Set([...near.nodes].filter((name) => name !== "Flux2Scheduler")) }]).lacks).toEqual(["vae/flux2-vae.safetensors", "node Flux2Scheduler"]);
  });
});
