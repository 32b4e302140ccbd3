// Validation, order and cache, without a server.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Folders } from "../../../gpu-adapter/sandbox/folders.ts";
import { signatures } from "../../../gpu-adapter/sandbox/graph/cache.ts";
import { ExecutionOrder } from "../../../gpu-adapter/sandbox/graph/order.ts";
import { validatePrompt } from "../../../gpu-adapter/sandbox/graph/validate.ts";
import { type JsonObject, dumps, parseJson } from "../../../gpu-adapter/sandbox/json.ts";

let folders: Folders;
beforeAll(async () => {
  folders = new Folders(await mkdtemp(join(tmpdir(), "sandbox-graph-")));
  await folders.prepare();
});
afterAll(() => rm(folders.base, { recursive: true, force: true }));

type Nodes = Record<string, { class_type: string; inputs: Record<string, unknown> }>;
const prompt = (nodes: Nodes): JsonObject => parseJson(JSON.stringify(nodes)) as JsonObject;
const image = (inputs: Record<string, unknown> = {}) => ({ class_type: "EmptyImage", inputs: { width: 8, height: 8, batch_size: 1, color: 0, ...inputs } });
const save = (from: string, prefix: unknown = "x") => ({ class_type: "SaveImage", inputs: { images: [from, 0], filename_prefix: prefix } });

async function coerced(inputs: Record<string, unknown>): Promise<Record<string, string>> {
  const parsed = prompt({ "1": image(inputs), "2": save("1") });
  const verdict = await validatePrompt(parsed, undefined, folders);
  expect(verdict.ok).toBe(true);
  const after = (parsed.get("1") as JsonObject).get("inputs") as JsonObject;
  return Object.fromEntries(Object.keys(inputs).map((name) => [name, dumps(after.get(name))]));
}

async function complaint(nodes: Nodes, id: string) {
  const verdict = await validatePrompt(prompt(nodes), undefined, folders);
  return verdict.nodeErrors.get(id)?.errors[0];
}

const order = (nodes: Nodes, outputs: string[], cached: string[] = []): string[] => {
  const parsed = prompt(nodes);
  const list = new ExecutionOrder(parsed, (id) => cached.includes(id), (id) => ["SaveImage", "PreviewImage"].includes(nodes[id]?.class_type ?? ""));
  for (const output of outputs) list.add(output);
  const ran: string[] = [];
  for (let id = list.next(); id !== undefined; id = list.next()) {
    ran.push(id);
    list.done(id);
  }
  return ran;
};
const invert = (from: string) => ({ class_type: "ImageInvert", inputs: { image: [from, 0] } });
const sampler = (seed: string) => `{"3":{"class_type":"KSampler","inputs":{"seed":${seed}}},"4":{"class_type":"VAEDecode","inputs":{"samples":["3",0],"vae":["3",0]}},"5":{"class_type":"SaveImage","inputs":{"images":["4",0],"filename_prefix":"x"}}}`;
const types = async (seed: string) => (await validatePrompt(parseJson(sampler(seed)) as JsonObject, undefined, folders)).nodeErrors.get("3")?.errors.map((error) => error.type);
const signature = async (nodes: Nodes, id: string) => (await signatures(prompt(nodes), folders)).get(id);
const tagged = (seat: string): Nodes => ({ "1": image(), "2": { class_type: "SaveImage", inputs: { images: ["1", 0], filename_prefix: "x", comfyume_seat: seat } } });

describe("literals are turned into the input's type, as Python would", () => {
  test("text, floats and truth become whole numbers", async () => {
    expect(await coerced({ width: "64", height: 9.9, color: true })).toEqual({ width: "64", height: "9", color: "1" });
  });

  test("a FLOAT gets its point, a STRING its quotes", async () => {
    const parsed = prompt({ "1": image(), "2": { class_type: "ImageScaleBy", inputs: { image: ["1", 0], upscale_method: "area", scale_by: 2 } }, "3": save("2", 5) });
    expect((await validatePrompt(parsed, undefined, folders)).ok).toBe(true);
    expect(dumps(parsed)).toContain('"scale_by": 2.0');
    expect(dumps(parsed)).toContain('"filename_prefix": "5"');
  });

  test("a wrapped list is a value, not a link", async () => {
    const parsed = prompt({ "1": { class_type: "SandboxText", inputs: { text: { __value__: ["a", 1] } } } });
    expect((await validatePrompt(parsed, undefined, folders)).ok).toBe(true);
    expect(dumps(parsed)).toContain(`"text": "['a', 1]"`);
  });

  test.each([
    [null, "width, None, int() argument must be a string, a bytes-like object or a real number, not 'NoneType'"],
    ["1.5", "width, 1.5, invalid literal for int() with base 10: '1.5'"],
    [{ a: "b" }, "width, {'a': 'b'}, int() argument must be a string, a bytes-like object or a real number, not 'dict'"],
  ])("%j is no INT", async (value, details) => {
    expect(await complaint({ "1": image({ width: value }), "2": save("1") }, "1")).toMatchObject({ type: "invalid_input_type", details });
  });
});

describe("limits and lists", () => {
  test("a FLOAT's limit is shown with its point", async () => {
    const nodes = { "1": image(), "2": { class_type: "ImageBlend", inputs: { image1: ["1", 0], image2: ["1", 0], blend_factor: 2, blend_mode: "normal" } }, "3": save("2") };
    expect(await complaint(nodes, "2")).toMatchObject({ type: "value_bigger_than_max", message: "Value 2.0 bigger than max of 1.0" });
  });

  test("a 64-bit seed is within its limit, one more is not", async () => {
    expect(await types("18446744073709551615")).not.toContain("value_bigger_than_max");
    expect(await types("18446744073709551616")).toContain("value_bigger_than_max");
  });

  test("a long list is not sent back", async () => {
    const nodes = { "3": { class_type: "KSampler", inputs: { sampler_name: "magic" } }, "4": { class_type: "VAEDecode", inputs: { samples: ["3", 0], vae: ["3", 0] } }, "5": save("4") };
    const verdict = await validatePrompt(prompt(nodes), undefined, folders);
    const found = verdict.nodeErrors.get("3")?.errors.find((error) => error.type === "value_not_in_list");
    expect(found).toMatchObject({ details: "sampler_name: 'magic' not in (list of length 42)", extra_info: { input_config: null } });
  });

  test("a newly stored checkpoint is in the list at once", async () => {
    const nodes: Nodes = { "1": { class_type: "CheckpointLoaderSimple", inputs: { ckpt_name: "mine.safetensors" } }, "2": { class_type: "VAEDecode", inputs: { vae: ["1", 2], samples: ["3", 0] } }, "3": { class_type: "EmptyLatentImage", inputs: { width: 16, height: 16, batch_size: 1 } }, "4": save("2") };
    expect(await complaint(nodes, "1")).toMatchObject({ type: "value_not_in_list" });
    await writeFile(join(folders.models("checkpoints"), "mine.safetensors"), "");
    expect(await complaint(nodes, "1")).toBeUndefined();
  });
});

describe("a path in an image name", () => {
  test.each(["../secret.png", "/etc/hostname", "a/../../b.png [output]"])("%s is no input file", async (name) => {
    expect(await complaint({ "1": { class_type: "LoadImage", inputs: { image: name } }, "2": save("1") }, "1")).toMatchObject({ type: "custom_validation_failed", details: `image - Invalid image file: ${name}` });
  });
});

describe("order of execution", () => {
  test("what can be seen early is run early: the preview before the rest of the chain", () => {
    expect(order({ "1": image(), "2": invert("1"), "3": invert("2"), "4": save("3"), "5": { class_type: "PreviewImage", inputs: { images: ["2", 0] } } }, ["4", "5"])).toEqual(["1", "2", "5", "3", "4"]);
  });

  test("cached nodes upstream are not visited, outputs always are", () => {
    expect(order({ "1": image(), "2": invert("1"), "4": save("2") }, ["4"], ["1", "2", "4"])).toEqual(["4"]);
  });

  test("each node runs once, after all it needs", () => {
    const nodes: Nodes = { "9": image(), "8": invert("9"), "7": invert("9"), "6": { class_type: "ImageBlend", inputs: { image1: ["8", 0], image2: ["7", 0] } }, "5": save("6") };
    const ran = order(nodes, ["5"]);
    expect([...ran].sort()).toEqual(["5", "6", "7", "8", "9"]);
    for (const [id, node] of Object.entries(nodes)) for (const value of Object.values(node.inputs)) if (Array.isArray(value)) expect(ran.indexOf(value[0] as string)).toBeLessThan(ran.indexOf(id));
  });

  test("a circle yields nothing to run", () => {
    expect(order({ "1": invert("2"), "2": invert("1"), "4": save("2") }, ["4"])).toEqual([]);
  });
});

describe("what counts for the cache", () => {
  test("node ids and key order do not count", async () => {
    const one = await signature({ "1": image(), "2": save("1") }, "2");
    const other = await signature({ "b": { class_type: "SaveImage", inputs: { filename_prefix: "x", images: ["a", 0] } }, "a": image() }, "b");
    expect(other).toBe(one);
  });

  test("a literal far upstream counts", async () => {
    expect(await signature({ "1": image({ color: 1 }), "2": save("1") }, "2")).not.toBe(await signature({ "1": image(), "2": save("1") }, "2"));
  });

  test("[G19] an undeclared literal counts, for its own node and not upstream", async () => {
    expect(await signature(tagged("ada"), "2")).not.toBe(await signature(tagged("bob"), "2"));
    expect(await signature(tagged("ada"), "1")).toBe(await signature(tagged("bob"), "1"));
  });

  test("the same file name with other bytes is another picture", async () => {
    const nodes: Nodes = { "1": { class_type: "LoadImage", inputs: { image: "a.png" } }, "2": save("1") };
    await writeFile(join(folders.of("input"), "a.png"), "one");
    const before = await signature(nodes, "2");
    await writeFile(join(folders.of("input"), "a.png"), "two");
    expect(await signature(nodes, "2")).not.toBe(before);
    await writeFile(join(folders.of("input"), "a.png"), "one");
    expect(await signature(nodes, "2")).toBe(before);
  });
});
