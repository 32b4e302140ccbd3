// What the queue is told of a prompt.
import { describe, expect, test } from "vitest";
import { describeJob, type Prompt } from "../../../frontend-shim/comfy-api/validation/index.ts";
import { nodeInfo, withNodes } from "./builders.ts";
import { recordedCatalog } from "./recorded.ts";

const stock = recordedCatalog();

const textToImage = (change: Record<string, Record<string, unknown>> = {}): Prompt => {
  const nodes: Record<string, { class_type: string; inputs: Record<string, unknown> }> = {
    "1": { class_type: "CheckpointLoaderSimple", inputs: { ckpt_name: "sd15-fake.safetensors" } },
    "2": { class_type: "LoraLoader", inputs: { model: ["1", 0], clip: ["1", 1], lora_name: "style.safetensors", strength_model: 1, strength_clip: 1 } },
    "3": { class_type: "CLIPTextEncode", inputs: { clip: ["2", 1], text: "a cat, like cat.safetensors" } },
    "4": { class_type: "EmptyLatentImage", inputs: { width: 512, height: 768, batch_size: 1 } },
    "5": { class_type: "KSampler", inputs: { model: ["2", 0], positive: ["3", 0], negative: ["3", 0], latent_image: ["4", 0], seed: 1, steps: 20, cfg: 7, sampler_name: "euler", scheduler: "normal", denoise: 1 } },
    "6": { class_type: "VAEDecode", inputs: { samples: ["5", 0], vae: ["1", 2] } },
    "7": { class_type: "SaveImage", inputs: { images: ["6", 0], filename_prefix: "x" } },
  };
  for (const [id, inputs] of Object.entries(change)) Object.assign(nodes[id]!.inputs, inputs);
  return nodes as unknown as Prompt;
};

describe("models", () => {
  test("are the files of the graph's loaders, sorted; texts that look like one are none", () => {
    const job = describeJob(textToImage(), stock);
    expect(job.modelSignature).toBe("sd15-fake.safetensors\nstyle.safetensors");
    expect(job.requires.models).toEqual(["sd15-fake.safetensors", "style.safetensors"]);
    expect(job.requires.nodes).toEqual(["CLIPTextEncode", "CheckpointLoaderSimple", "EmptyLatentImage", "KSampler", "LoraLoader", "SaveImage", "VAEDecode"]);
  });
  test("without an ending are known by the catalog's folders", () => {
    const catalog = withNodes({ L: nodeInfo({ unet: [["flux-dir", "other"]], mode: [["flux-dir"]] }, { output_node: true }) }, { models: { diffusion_models: ["flux-dir"] } });
    expect(describeJob({ "1": { class_type: "L", inputs: { unet: "other" } } }, catalog).modelSignature).toBe("");
    expect(describeJob({ "1": { class_type: "L", inputs: { unet: "flux-dir" } } }, catalog).modelSignature).toBe("flux-dir");
  });
  test("of branches that do not run are not loaded", () => {
    const prompt = { ...textToImage(), "20": { class_type: "VAELoader", inputs: { vae_name: "fake-vae.safetensors" } } };
    expect(describeJob(prompt, stock).requires.models).toContain("fake-vae.safetensors");
    expect(describeJob(prompt, stock, ["7"]).requires.models).not.toContain("fake-vae.safetensors");
    expect(describeJob(prompt, stock, ["7"]).requires.nodes).not.toContain("VAELoader");
  });
  test("none: the signature is empty", () => {
    expect(describeJob({ "1": { class_type: "EmptyImage", inputs: {} } }, stock).modelSignature).toBe("");
  });
});

const timing = (change: Parameters<typeof textToImage>[0] = {}): string => describeJob(textToImage(change), stock).timingSignature;

describe("[Q70] the timing signature", () => {
  test("is models | classes with counts | bit length of width × height × frames × batch × steps", () => {
    expect(timing()).toBe(
      `sd15-fake.safetensors\nstyle.safetensors|CLIPTextEncode*1,CheckpointLoaderSimple*1,EmptyLatentImage*1,KSampler*1,LoraLoader*1,SaveImage*1,VAEDecode*1|${(512 * 768 * 20).toString(2).length}`,
    );
  });
  test("does not change with seed, text or names of files; a little more work is the same, twice as much is not", () => {
    expect(timing({ "5": { seed: 99, cfg: 3 }, "3": { text: "b" }, "7": { filename_prefix: "y" } })).toBe(timing());
    expect(timing({ "5": { steps: 21 } })).toBe(timing());
    expect(timing({ "5": { steps: 43 } })).not.toBe(timing());
  });
  test("takes the largest literal of each name, and a video's length as frames", () => {
    const catalog = withNodes({ V: nodeInfo({}, { output_node: true }) });
    const bits = (...inputs: Record<string, unknown>[]): string | undefined =>
      describeJob(Object.fromEntries(inputs.map((input, index) => [String(index), { class_type: "V", inputs: input }])) as unknown as Prompt, catalog).timingSignature.split("|")[2];
    expect(bits({})).toBe("1");
    expect(bits({ width: 8 }, { width: 1024, length: 4 }, { width: ["0", 0] })).toBe("13");
    expect(bits({ width: 16384, height: 16384, batch_size: 4096, steps: 10_000, num_frames: 4096 })).toBe("66");
    expect(bits({ width: "huge", steps: -5, height: 0.5 })).toBe("1");
  });
});

const kind = (inputs: Record<string, unknown>, display = "", name = "X"): string => {
  const catalog = withNodes({ [name]: nodeInfo(inputs, { output_node: true, display_name: display }) });
  return describeJob({ "1": { class_type: name, inputs: {} } }, catalog).outputKind;
};

describe("[Q71] the kind of output", () => {
  test("goes by what the output node takes", () => {
    expect([kind({ images: ["IMAGE"] }), kind({ audio: ["AUDIO"] }), kind({ video: ["VIDEO"] }), kind({ mesh: ["MESH"] }), kind({ text: ["STRING"] }), kind({ x: ["STRING,AUDIO"] })]).toEqual(["image", "audio", "video", "3d", "other", "audio"]);
  });
  test("pictures that are made into a film count as one", () => {
    expect([kind({ images: ["IMAGE"] }, "Video Combine", "VHS_VideoCombine"), kind({ images: ["IMAGE"] }, "", "SaveAnimatedWEBP"), kind({ images: ["IMAGE"] }, "", "SaveWEBM")]).toEqual(["video", "video", "video"]);
  });
  test("of a job is that of its dearest output that runs", () => {
    const prompt = { "1": { class_type: "SaveImage", inputs: {} }, "2": { class_type: "SaveVideo", inputs: {} } };
    expect(describeJob(prompt, stock).outputKind).toBe("video");
    expect(describeJob(prompt, stock, ["1"]).outputKind).toBe("image");
  });
});
