import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { LoadClock, loaderClasses, loaderNodes } from "../../../gpu-adapter/runner/model-loads.ts";

const objectInfo = JSON.parse(readFileSync(join(import.meta.dirname, "../../recordings/object_info.json"), "utf8")) as Record<string, unknown>;
const classes = loaderClasses(objectInfo);
const nodes = (graph: Record<string, [string, Record<string, unknown>]>): string[] =>
  [...loaderNodes(Object.fromEntries(Object.entries(graph).map(([id, [class_type, inputs]]) => [id, { class_type, inputs }])), classes)];

describe("nodes that do nothing but load, by a real ComfyUI's object_info", () => {
  test("stock loaders are, nodes that also work on pictures are not", () => {
    for (const name of ["CheckpointLoaderSimple", "UNETLoader", "CLIPLoader", "DualCLIPLoader", "VAELoader", "LoraLoader", "ControlNetLoader", "UpscaleModelLoader", "CLIPVisionLoader", "ModelPatchLoader", "AudioEncoderLoader"]) expect([...classes.keys()], name).toContain(name);
    for (const name of ["LoadImage", "KSampler", "VAEDecode", "CLIPTextEncode", "ControlNetApply", "CLIPVisionEncode", "LoadLatent", "CheckpointSave", "TrainLoraNode"]) expect([...classes.keys()], name).not.toContain(name);
  });

  test("a node counts when a model file is chosen in it", () => {
    expect(nodes({
      "1": ["UNETLoader", { unet_name: "flux2.safetensors", weight_dtype: "default" }],
      "2": ["LoraLoader", { lora_name: "None", model: ["1", 0] }],
      "3": ["ModelSamplingDiscrete", { sampling: "lcm", model: ["1", 0] }],
      "4": ["VAELoader", { vae_name: "taesd" }],
      "5": ["SaveImage", { filename_prefix: "model.safetensors" }],
      "6": ["CLIPLoader", { clip_name: ["9", 0], type: "flux" }],
      "7": ["NoSuchClass", { ckpt_name: "a.ckpt" }],
      "8": ["UpscaleModelLoader", { model_name: "x4.PTH" }],
    })).toEqual(["1", "8"]);
  });

  test("odd graphs and odd definitions are nobody's loaders", () => {
    expect([...loaderNodes({ a: null, b: 3, c: { class_type: 5, inputs: {} }, d: { class_type: "UNETLoader" } }, classes)]).toEqual([]);
    expect([...loaderClasses({ a: null, b: { output: "MODEL" }, c: { output: [["MODEL"]], input: { required: { x: [[]] } } }, d: { output: ["MODEL"], input: null } }).keys()]).toEqual([]);
  });
});

describe("the clock", () => {
  function clock(ids: string[]): LoadClock {
    const made = new LoadClock(() => {});
    made.expect(new Set(ids));
    return made;
  }

  test("[Q30] counts from a loader's `executing` to the next word, several loaders in a row, and no other node", () => {
    const made = clock(["1", "2"]);
    for (const [node, at] of [["1", 1000], ["2", 4000], ["3", 9000], ["1", 20_000], [null, 20_500]] as const) made.executing(node, at);
    expect(made.ms).toBe(8500);
  });

  test("[Q30] a cut line ends the count: what nobody heard is execution", () => {
    const made = clock(["1"]);
    made.executing("1", 0);
    made.executing(null, 700);
    made.executing("3", 60_000);
    expect(made.ms).toBe(700);
  });

  test("without loaders it stays at 0", () => {
    const made = clock([]);
    made.executing("1", 0);
    made.executing(null, 5000);
    expect(made.ms).toBe(0);
  });
});
