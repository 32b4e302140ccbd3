// The templates a workshop ships: graphs that the nodes accept, and a manifest that says the truth about what they need.
import { describe, expect, test } from "vitest";
import { checkTemplate, inShort, type PoolCatalogFacts, type Template, TEMPLATES, tileOf } from "../../../frontend-shim/comfy-api/templates/index.ts";
import { validatePrompt } from "../../../frontend-shim/comfy-api/validation/index.ts";
import { seatWith } from "../validation/recorded.ts";
import { definitionsOf, gpuFor, isBox, isNote, promptOf, workflowOf } from "./kit.ts";

describe.each(TEMPLATES.map((template) => [template.name, template] as const))("%s", (_, template) => {
  const workflow = workflowOf(template);
  const gpu = gpuFor([template]);

  test("every link agrees with both its ends and with the nodes", () => {
    expect([workflow.last_node_id, workflow.last_link_id]).toEqual([workflow.nodes.length, workflow.links.length]);
    for (const [id, from, fromSlot, to, toSlot, type] of workflow.links) {
      const source = workflow.nodes.find((node) => node.id === from);
      const target = workflow.nodes.find((node) => node.id === to);
      expect(source?.outputs[fromSlot]?.links).toContain(id);
      expect(target?.inputs[toSlot]?.link).toBe(id);
      const told = [type, source?.outputs[fromSlot]?.type, gpu.object_info[source?.type ?? ""]?.output?.[fromSlot], target?.inputs[toSlot]?.type];
      expect(told, `${source?.type} to ${target?.type}.${target?.inputs[toSlot]?.name}`).toEqual([type, type, type, type]);
      const definition = definitionsOf(gpu.object_info[target?.type ?? ""]).find(([name]) => name === target?.inputs[toSlot]?.name)?.[1] as [string] | undefined;
      expect(definition?.[0]).toBe(type);
      expect(target?.inputs[toSlot]?.widget !== undefined).toBe(isBox(definition));
    }
    for (const node of workflow.nodes.filter((one) => !isNote(one))) expect(node.outputs.map(({ type }) => type), node.type).toEqual(gpu.object_info[node.type]?.output);
  });

  test("a GPU with the manifest's models accepts it, and nothing in it is spare", () => {
    const prompt = promptOf(workflow, gpu);
    const verdict = validatePrompt({ prompt }, { catalog: gpu, seatFiles: seatWith() });
    expect(verdict).toMatchObject({ ok: true });
    const used = new Set(Object.values(prompt).flatMap(({ inputs }) => Object.values(inputs).filter(Array.isArray).map(([id]) => String(id))));
    const ends = Object.entries(prompt).filter(([id]) => !used.has(id)).map(([, { class_type: name }]) => name);
    expect(ends).toEqual([template.media === "image" ? "SaveImage" : "SaveVideo"]);
  });

  test("without any one of the manifest's models it is refused", () => {
    for (const missing of template.models.filter(({ optional }) => optional !== true)) {
      const poorer = gpuFor([{ models: template.models.filter((model) => model !== missing) }]);
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

  test("nobody has told yet", () => expect(checkTemplate(klein, [])).toMatchObject({ accepted: false, runs_on: [], lacks: [], says: `${klein.title}: no GPU has told yet what it has.` }));

  test("every pool has it; a model for another choice is not needed", () => {
    const verdict = checkTemplate(klein, [whole("a"), whole("b")]);
    expect(verdict).toMatchObject({ accepted: true, runs_on: ["a", "b"], lacks: [], says: `${klein.title} runs on a, b.` });
    expect(verdict.models.map(({ name, on }) => [name, on])).toEqual([["flux-2-klein-base-4b.safetensors", ["a", "b"]], ["flux-2-klein-4b.safetensors", []], ["qwen_3_4b.safetensors", ["a", "b"]], ["flux2-vae.safetensors", ["a", "b"]]]);
  });

  test("some pools have it: the others stand in the way, and are named with what they lack", () => {
    const verdict = checkTemplate(klein, [whole("a"), { ...whole("b"), models: new Map([["vae", new Set(["flux2-vae.safetensors"])]]) }]);
    expect(verdict).toMatchObject({ accepted: false, runs_on: ["a"], lacks: ["diffusion_models/flux-2-klein-base-4b.safetensors", "text_encoders/qwen_3_4b.safetensors"] });
    expect(verdict.says).toBe(`${klein.title} runs on a, but its prompts are refused until every pool has what it needs: b lacks diffusion_models/flux-2-klein-base-4b.safetensors, text_encoders/qwen_3_4b.safetensors.`);
    expect(verdict.pools[1]).toMatchObject({ pool: "b", runs: false, missing_nodes: [], missing_models: verdict.lacks });
  });

  test("no pool has it; a file in a folder below is another file", () => {
    const near = { ...whole("near"), models: new Map([...whole("near").models, ["vae", new Set(["flux2/flux2-vae.safetensors"])]]) };
    expect(checkTemplate(klein, [near])).toMatchObject({ accepted: false, runs_on: [], says: `${klein.title} runs on no GPU of this workshop: near lacks vae/flux2-vae.safetensors.` });
    expect(inShort(["vae/x", "node A", "node B"])).toBe("vae/x, node A, node B");
    expect(inShort(["vae/x", "node A", "node B", "node C"])).toBe("vae/x, 3 kinds of nodes");
    expect(checkTemplate(klein, [{ ...near, nodes: new Set([...near.nodes].filter((name) => name !== "Flux2Scheduler")) }]).lacks).toEqual(["vae/flux2-vae.safetensors", "node Flux2Scheduler"]);
  });
});
