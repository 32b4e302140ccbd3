// Whole prompts: the request, the graph, its links, and what is said of each; in the words of 0.3.64 and of 0.38.
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Json, vocabularyOf } from "../../../frontend-shim/comfy-api/validation/index.ts";
import { errorsOf, graphOf, judge, nodeInfo, withNodes } from "./builders.ts";
import { recordedCatalog, seatWith } from "./recorded.ts";
import { validatePrompt } from "../../../frontend-shim/comfy-api/validation/index.ts";

const plain = withNodes({ T: nodeInfo({}, { optional: { i: ["INT"] }, output: ["X"] }) });
const good = { "1": { class_type: "Src", inputs: {} }, "9": { class_type: "Out", inputs: { value: ["1", 0] } } };
const id = "72037753-6862-4de1-8d89-a35413ca3a26";
const newer = { vocabulary: "0.38" } as const;

const front = (more: Record<string, unknown>): unknown => {
  const verdict = judge(plain, good, more);
  return verdict.ok ? verdict.front : verdict.status;
};
const takes = (type: unknown, slot: unknown, node: unknown = "2"): unknown[] => {
  const catalog = withNodes({ T: nodeInfo({ x: [type] }, { output: ["X"] }) });
  const verdict = judge(catalog, { ...graphOf({ x: [node, slot] }), "2": { class_type: "Src", inputs: {} } });
  return verdict.ok ? [] : verdict.status === 400 ? (verdict.body.node_errors["1"]?.errors.map((error) => `${error.type}: ${error.details}`) ?? []) : ["500"];
};
const pass = (from: string): unknown => ({ class_type: "Pass", inputs: { x: [from, 0] } });
const grow = (min: number): unknown => ["COMFY_AUTOGROW_V3", { template: { input: { required: { image: ["IMAGE", {}] } }, prefix: "image", min, max: 5 } }];
const imageFrom = (slot: unknown, node?: unknown): unknown => takes("IMAGE", slot, node)[0];

describe("the request", () => {
  test("client_id goes into extra_data; everything else of extra_data passes untouched", () => {
    const extra = { extra_pnginfo: { workflow: { id: "w-1", nodes: [1] } }, auth_token_comfy_org: "t", preview_method: "auto" };
    const verdict = judge(plain, good, { client_id: "c", extra_data: extra });
    expect(verdict).toMatchObject({ ok: true, clientId: "c", extraData: { ...extra, client_id: "c" }, workflowId: "w-1", outputsToExecute: ["9"], nodeErrors: {}, front: false, partial: false });
    expect(judge(plain, good, { client_id: "" })).toMatchObject({ extraData: { client_id: "" }, workflowId: null });
    expect(judge(plain, good, { client_id: "" })).not.toHaveProperty("clientId");
    expect(judge(plain, good)).toMatchObject({ extraData: {} });
  });
  test("[Q14] front is `front: true` or a number not above zero; other numbers are ignored", () => {
    expect([{}, { front: true }, { front: 0 }, { number: -1 }, { number: 0 }, { number: 7, front: true }, { number: "-100.5" }].map(front)).toEqual([false, true, false, true, true, false, true]);
  });
  test("[Q14] prompt_id: absent or null is minted, a UUID is kept, anything else is refused in the seat's vocabulary", () => {
    expect(judge(plain, good, { prompt_id: null })).not.toHaveProperty("promptId");
    expect(judge(plain, good, { prompt_id: id })).toMatchObject({ ok: true, promptId: id });
    for (const wrong of ["not-a-uuid", id.toUpperCase(), 5, {}, `{${id}}`, ""]) {
      expect(judge(plain, good, { prompt_id: wrong })).toMatchObject({ status: 400, body: { error: { type: "invalid_prompt", message: expect.stringContaining("UUID") }, node_errors: {} } });
      expect(judge(plain, good, { prompt_id: wrong }, newer)).toMatchObject({ status: 400, body: { error: { type: "invalid_prompt_id", message: "prompt_id must be a valid UUID" } } });
    }
  });
  test("what cannot be read says which member and what it should be", () => {
    for (const [more, words] of [[{ number: "x" }, "number"], [{ number: {} }, "number"], [{ extra_data: [] }, "extra_data must be an object"], [{ partial_execution_targets: "4" }, "partial_execution_targets must be a list"]] as const) {
      expect(judge(plain, good, more)).toMatchObject({ ok: false, status: 400, body: { error: { type: "invalid_prompt", details: expect.stringContaining(words) } } });
    }
    for (const prompt of ["text", 5, true, ["1"]]) expect(judge(plain, prompt)).toMatchObject({ status: 400, body: { error: { type: "invalid_prompt", message: "The prompt is not a graph." } } });
  });
  test("the catalog's version decides the vocabulary", () => {
    expect(["0.3.64", "v0.3.7", "0.2.1", "0.4.0", "0.38.1", "1.0.0"].map(vocabularyOf)).toEqual(["0.3.64", "0.3.64", "0.3.64", "0.38", "0.38", "0.38"]);
    const verdict = judge(withNodes({}, { versions: { comfyui: "0.38.1" } }), { "1": { class_type: "Nope", inputs: {}, _meta: { title: "My node" } } });
    expect(verdict).toMatchObject({
      reason: "unknown_node",
      body: { error: { type: "missing_node_type", message: "Node 'My node' not found. The custom node may not be installed.", details: "Node ID '#1'", extra_info: { node_id: "1", class_type: "Nope", node_title: "My node" } }, node_errors: {} },
    });
  });
});

describe("nodes", () => {
  test("names every object has are no nodes and no classes", () => {
    expect(judge(plain, { "1": { class_type: "constructor", inputs: {} } })).toMatchObject({ reason: "unknown_node" });
    expect(judge(plain, { "9": { class_type: "Out", inputs: { value: ["constructor", 0] } } })).toMatchObject({ body: { node_errors: { "9": { errors: [{ details: "'constructor'", extra_info: { exception_type: "KeyError" } }] } } } });
    const odd = JSON.parse('{"__proto__": {"class_type": "Src", "inputs": {}}, "9": {"class_type": "Out", "inputs": {"value": ["__proto__", 0]}}}');
    expect(judge(plain, odd)).toMatchObject({ ok: true, outputsToExecute: ["9"] });
  });
  test("without a class, in both vocabularies", () => {
    const prompt = { "1": { inputs: {}, _meta: { title: "" } } };
    expect(judge(plain, prompt)).toMatchObject({ body: { error: { type: "invalid_prompt", message: "Cannot execute because a node is missing the class_type property." } } });
    expect(judge(plain, prompt, {}, newer)).toMatchObject({ body: { error: { type: "missing_node_type", message: "Node 'ID #1' has no class_type. The workflow may be corrupted or a custom node is missing.", extra_info: { node_id: "1", class_type: null, node_title: "" } } } });
    for (const node of [null, 5, "Src", []]) expect(judge(plain, { "1": node })).toMatchObject({ status: 400, body: { error: { type: "invalid_prompt", details: "Node ID '#1'" } } });
  });
  test("ids of subgraphs are ordinary ids", () => {
    expect(judge(plain, { "12:5": good["1"], "12:6": { class_type: "Out", inputs: { value: ["12:5", 1] } } }, { partial_execution_targets: ["12:6"] })).toMatchObject({ ok: true, outputsToExecute: ["12:6"], partial: true });
  });
  test("targets limit the outputs; unknown ones leave none", () => {
    const two = { ...good, "8": { class_type: "Out", inputs: {} } };
    expect(judge(plain, two, { partial_execution_targets: ["9"] })).toMatchObject({ ok: true, outputsToExecute: ["9"], nodeErrors: {} });
    expect(judge(plain, two, { partial_execution_targets: ["1", 9] })).toMatchObject({ body: { error: { type: "prompt_no_outputs" } } });
    expect(judge(plain, two, { partial_execution_targets: null })).toMatchObject({ ok: true, outputsToExecute: ["9"], partial: false });
  });
  test("inputs that are no object", () => {
    expect(judge(plain, { "9": { class_type: "Out", inputs: null } })).toMatchObject({ body: { node_errors: { "9": { errors: [{ type: "exception_during_validation", details: "argument of type 'NoneType' is not iterable" }] } } } });
    expect(judge(plain, { "9": { class_type: "Out", inputs: [] } })).toMatchObject({ body: { node_errors: { "9": { errors: [{ type: "required_input_missing" }] } } } });
  });
});

describe("links", () => {
  test("match by name, by any name of a union, by wildcard", () => {
    for (const [type, slot] of [["IMAGE", 0], ["LATENT, IMAGE", 0], ["MASK", 2], ["MASK,X", 2], ["*", 1], ["NAME", 3], ["A,*", 0], ["COMFY_MATCHTYPE_V3", 1], [["a", "b"], 4], ["COMBO", 4], ["IMAGE", -5], ["LATENT", true]] as const) {
      expect(takes(type, slot)).toEqual([]);
    }
    expect(takes("IMAGE", 1)).toEqual(["return_type_mismatch: x, received_type(LATENT) mismatch input_type(IMAGE)"]);
    expect(takes("LATENT", 2)).toEqual(["return_type_mismatch: x, received_type(IMAGE,MASK) mismatch input_type(LATENT)"]);
    expect(takes(["a"], 4)).toEqual(["return_type_mismatch: x, received_type(['a', 'b']) mismatch input_type(['a'])"]);
    expect(takes(["a", "b"], 0)).toEqual(["return_type_mismatch: x, received_type(IMAGE) mismatch input_type(['a', 'b'])"]);
  });
  test("to nowhere are told as the exception ComfyUI runs into", () => {
    expect(imageFrom(0, "77")).toBe("exception_during_inner_validation: '77'");
    expect(imageFrom(0, 2)).toBe("exception_during_inner_validation: 2");
    expect(imageFrom(0, null)).toBe("exception_during_inner_validation: None");
    expect(imageFrom(0, { a: 1 })).toBe("exception_during_inner_validation: unhashable type: 'dict'");
    expect(imageFrom(99)).toBe("exception_during_inner_validation: tuple index out of range");
    expect(imageFrom("0")).toBe("exception_during_inner_validation: tuple indices must be integers or slices, not str");
    expect(imageFrom(0.5)).toBe("exception_during_inner_validation: tuple indices must be integers or slices, not float");
  });
  test("newer nodes keep outputs in a list, and the text says so", () => {
    const catalog = withNodes({ T: nodeInfo({}, { output: ["X"], api_node: false, experimental: false, deprecated: false }) });
    expect(JSON.stringify(judge(catalog, { "1": { class_type: "T", inputs: {} }, "9": { class_type: "Out", inputs: { value: ["1", 3] } } }))).toContain('"details":"list index out of range"');
  });
  test("of another length than two are bad, whatever is in them", () => {
    expect(errorsOf(nodeInfo({ x: ["INT"] }), { x: [] })).toMatchObject([{ type: "bad_linked_input", details: "x", extra_info: { received_value: [] } }]);
  });
  test("a fault upstream is told once, at its own node, with every failed output", () => {
    const catalog = withNodes({ T: nodeInfo({ i: ["INT"] }, { output: ["X"] }), Pass: nodeInfo({ x: ["*"] }, { output: ["X"] }) });
    const prompt = { "1": { class_type: "T", inputs: {} }, "2": { class_type: "Pass", inputs: { x: ["1", 0] } }, "8": { class_type: "Out", inputs: { value: ["2", 0] } }, "9": { class_type: "Out", inputs: { value: ["2", 0] } } };
    const verdict = judge(catalog, prompt);
    expect(verdict).toMatchObject({ body: { error: { type: "prompt_outputs_failed_validation", details: "" }, node_errors: { "1": { dependent_outputs: ["8", "9"], class_type: "T" } } } });
    expect(Object.keys((verdict as { body: { node_errors: object } }).body.node_errors)).toEqual(["1"]);
  });
  test("partial success runs the good outputs and tells of the bad", () => {
    const verdict = judge(plain, { ...good, "8": { class_type: "Out", inputs: {} } });
    expect(verdict).toMatchObject({ ok: true, outputsToExecute: ["9"], nodeErrors: { "8": { errors: [{ type: "required_input_missing", details: "value" }], dependent_outputs: ["8"], class_type: "Out" } } });
  });
});

describe("cycles", () => {
  const catalog = withNodes({ Pass: nodeInfo({ x: ["*"] }, { output: ["X"] }) });
  const cycle = { "1": pass("2"), "2": pass("1"), "9": { class_type: "Out", inputs: { value: ["2", 0] } } };
  test("0.3.64 refuses without a word", () => {
    expect(judge(catalog, cycle)).toMatchObject({ body: { error: { type: "prompt_outputs_failed_validation", details: "" }, node_errors: {} } });
  });
  test("0.38 shows the way round at each node of it", () => {
    const error = { type: "dependency_cycle", message: "Dependency cycle detected", details: "2 (Pass) -> 1 (Pass) -> 2 (Pass)" };
    expect(judge(catalog, cycle, {}, newer)).toMatchObject({
      body: { node_errors: { "1": { errors: [{ ...error, extra_info: { node_id: "1", cycle_nodes: ["2", "1"] } }] }, "2": { errors: [{ ...error, extra_info: { node_id: "2" } }] } } },
    });
  });
  test("a node that feeds itself", () => {
    const self = { "1": pass("1"), "9": { class_type: "Out", inputs: { value: ["1", 0] } } };
    expect(judge(catalog, self).ok).toBe(false);
    expect(judge(catalog, self, {}, newer)).toMatchObject({ body: { node_errors: { "1": { errors: [{ details: "1 (Pass) -> 1 (Pass)" }] } } } });
  });
  test("a chain of fifty thousand nodes is refused, not fatal", () => {
    const chain: Record<string, unknown> = { "0": { class_type: "Src", inputs: {} }, out: { class_type: "Out", inputs: { value: ["50000", 0] } } };
    for (let index = 1; index <= 50_000; index += 1) chain[String(index)] = pass(String(index - 1));
    expect(JSON.stringify(judge(catalog, chain))).toContain("maximum recursion depth exceeded");
  });
});

describe("inputs that depend on the values sent", () => {
  const choice = ["COMFY_DYNAMICCOMBO_V3", { options: [{ key: "pro", inputs: { required: { width: ["INT", { min: 8 }] } } }, { key: "lite", inputs: { required: {}, optional: {} } }] }];
  test("a growing list asks for its least and checks what is there", () => {
    const verdict = judge(withNodes({ T: nodeInfo({ images: grow(2) }, { output: ["X"] }) }), { ...graphOf({ "images.image0": ["2", 0], "images.image3": ["2", 1] }), "2": { class_type: "Src", inputs: {} } });
    expect(verdict).toMatchObject({ body: { node_errors: { "1": { errors: [{ type: "required_input_missing", details: "image1", extra_info: { input_name: "images.image1" } }, { type: "return_type_mismatch" }] } } } });
  });
  test("names may be given instead of a prefix, and an optional one asks for nothing", () => {
    const named = ["COMFY_AUTOGROW_V3", { template: { input: { optional: { n: ["INT", {}] } }, names: ["a", "b"], min: 1 } }];
    expect(errorsOf(nodeInfo({ l: named }), {})).toEqual([]);
    expect(errorsOf(nodeInfo({ l: named }), { "l.b": "x" })).toMatchObject([{ type: "invalid_input_type" }]);
  });
  test("a choice brings its own inputs", () => {
    expect(errorsOf(nodeInfo({ model: choice }), { model: "pro", "model.width": 64 })).toEqual([]);
    expect(errorsOf(nodeInfo({ model: choice }), { model: "pro" })).toMatchObject([{ type: "required_input_missing", details: "width", extra_info: { input_name: "model.width" } }]);
    expect(errorsOf(nodeInfo({ model: choice }), { model: "pro", "model.width": 1 })).toMatchObject([{ type: "value_smaller_than_min", details: "model.width" }]);
    expect(errorsOf(nodeInfo({ model: choice }), { model: "lite", "model.width": 1 })).toEqual([]);
    expect(errorsOf(nodeInfo({ model: choice }), { model: "other" })).toMatchObject([{ type: "invalid_dynamic_input", message: "Invalid dynamic input", extra_info: { input_name: "model" } }]);
  });
  test("a slot opens more once it is used", () => {
    const slot = ["COMFY_DYNAMICSLOT_V3", { slotType: "IMAGE", inputs: { required: { strength: ["FLOAT", {}] } } }];
    const catalog = withNodes({ T: nodeInfo({}, { optional: { s: slot }, output: ["X"] }) });
    const source = { "2": { class_type: "Src", inputs: {} } };
    expect(judge(catalog, { ...graphOf({}), ...source }).ok).toBe(true);
    expect(JSON.stringify(judge(catalog, { ...graphOf({ s: ["2", 0] }), ...source }))).toContain('"input_name":"s.strength"');
    expect(judge(catalog, { ...graphOf({ s: ["2", 0], "s.strength": 1 }), ...source }).ok).toBe(true);
    expect(judge(catalog, { ...graphOf({ s: ["2", 1], "s.strength": 1 }), ...source }).ok).toBe(false);
  });
});

describe("whatever is sent", () => {
  const catalog = recordedCatalog();
  const classes = Object.keys(catalog.object_info);
  const json = fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<Json>;
  const link = fc.tuple(fc.oneof(fc.constantFrom("1", "2", "3"), json), fc.oneof(fc.integer({ min: -2, max: 3 }), json));
  const inputNames = [...new Set(classes.flatMap((name) => Object.keys({ ...catalog.object_info[name]?.input?.required, ...catalog.object_info[name]?.input?.optional })))];
  const inputs = fc.dictionary(fc.constantFrom(...inputNames), fc.oneof(json, link, fc.record({ __value__: json })));
  const node = fc.oneof({ weight: 8, arbitrary: fc.record({ class_type: fc.constantFrom(...classes), inputs }) }, { weight: 1, arbitrary: json });
  const body = fc.record(
    { prompt: fc.oneof(fc.dictionary(fc.constantFrom("1", "2", "3", "12:5"), node, { minKeys: 1 }), json), number: json, front: json, client_id: json, prompt_id: json, extra_data: json, partial_execution_targets: json },
    { requiredKeys: ["prompt"] },
  );
  test("is answered, never thrown, always as JSON, and the request is not touched", () => {
    fc.assert(
      fc.property(body, fc.constantFrom("0.3.64" as const, "0.38" as const), (request, vocabulary) => {
        const before = JSON.stringify(request);
        const verdict = validatePrompt(request, { catalog, seatFiles: seatWith(), vocabulary });
        expect(JSON.stringify(request)).toBe(before);
        expect(() => JSON.stringify(verdict)).not.toThrow();
        if (verdict.ok) expect(verdict.outputsToExecute.length).toBeGreaterThan(0);
        else expect([400, 500]).toContain(verdict.status);
      }),
      { numRuns: 1500 },
    );
  });
});
