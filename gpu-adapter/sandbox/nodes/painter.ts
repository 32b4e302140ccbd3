// The sandbox painter behind the names of the classic text-to-image graph. No model runs: the nodes hand each other recipes,
// KSampler steps through them with real progress and previews, VAEDecode paints. Every description says so.

import { setTimeout as sleep } from "node:timers/promises";
import { PythonError } from "../graph/python.ts";
import type { Conditioning, Latent, Recipe } from "../painter/latent.ts";
import { drawMark } from "../painter/mark.ts";
import { hashSeed } from "../painter/random.ts";
import { renderRecipes } from "../painter/render.ts";
import { PreviewFrames, finishAfter, noiseLevel } from "../painter/sampler.ts";
import { concat, picture, sizeOf } from "../pixels/tensor.ts";
import { type Inputs, type NodeClass, type NodeInfo, type Thing, fixedInputs, floats } from "./definition.ts";
import { isLiteral } from "./inputs.ts";

const SAMPLERS = [
  "euler", "euler_cfg_pp", "euler_ancestral", "euler_ancestral_cfg_pp", "heun", "heunpp2", "dpm_2", "dpm_2_ancestral", "lms", "dpm_fast", "dpm_adaptive", "dpmpp_2s_ancestral",
  "dpmpp_2s_ancestral_cfg_pp", "dpmpp_sde", "dpmpp_sde_gpu", "dpmpp_2m", "dpmpp_2m_cfg_pp", "dpmpp_2m_sde", "dpmpp_2m_sde_gpu", "dpmpp_2m_sde_heun", "dpmpp_2m_sde_heun_gpu", "dpmpp_3m_sde",
  "dpmpp_3m_sde_gpu", "ddpm", "lcm", "ipndm", "ipndm_v", "deis", "res_multistep", "res_multistep_cfg_pp", "res_multistep_ancestral", "res_multistep_ancestral_cfg_pp", "gradient_estimation",
  "gradient_estimation_cfg_pp", "er_sde", "seeds_2", "seeds_3", "sa_solver", "sa_solver_pece", "ddim", "uni_pc", "uni_pc_bh2",
] as const;
const SCHEDULERS = ["simple", "sgm_uniform", "karras", "exponential", "ddim_uniform", "beta", "normal", "linear_quadratic", "kl_optimal"] as const;
const MAX_SEED = 2n ** 64n - 1n;

function painterNode(name: string, displayName: string, category: string, description: string, output: readonly string[], outputTooltips: readonly string[]): NodeInfo {
  return {
    name,
    displayName: `${displayName} (sandbox)`,
    category: `sandbox/${category}`,
    description: `Sandbox painter: ${description} No model runs here; connect a real GPU for real pictures.`,
    pythonModule: "custom_nodes.sandbox_painter",
    output,
    outputTooltips,
    outputNode: false,
  };
}

function thing<K extends Thing["kind"]>(inputs: Inputs, name: string, kind: K): Thing & { readonly kind: K } {
  const value = inputs.value(name);
  if (!isLiteral(value) && value.kind === kind) return value as Thing & { readonly kind: K };
  throw new PythonError("TypeError", `input '${name}' is not a ${kind}`);
}

/** Seeds keep all their 64 bits. */
function seedOf(inputs: Inputs, name: string): bigint {
  const value = inputs.value(name);
  return typeof value === "bigint" ? value : BigInt(Math.trunc(inputs.number(name)));
}

export const checkpointLoader: NodeClass = {
  info: painterNode("CheckpointLoaderSimple", "Load Checkpoint", "loaders", "hands out the painter's model, text and decode parts.", ["MODEL", "CLIP", "VAE"], ["The painter.", "Reads prompts.", "Turns latents into pictures."]),
  inputs: async (folders) => ({ required: { ckpt_name: [await folders.modelFiles("checkpoints"), { tooltip: "The checkpoint; the sandbox has one that holds no weights." }] } }),
  run(inputs) {
    const checkpoint = inputs.text("ckpt_name");
    return Promise.resolve({ outputs: (["model", "clip", "vae"] as const).map((kind) => ({ kind, checkpoint })) });
  },
};

/** Longest pretended loading, seconds. */
const LONGEST_LOAD = 600;

export const loadModel: NodeClass = {
  info: painterNode("SandboxLoadModel", "Sandbox Load Model", "loaders", "the checkpoint as above, after the time that a real one takes to come from the disk. Like a real loader it cannot be interrupted.", ["MODEL", "CLIP", "VAE"], ["The painter.", "Reads prompts.", "Turns latents into pictures."]),
  inputs: async (folders) => ({
    required: { ckpt_name: [await folders.modelFiles("checkpoints"), { tooltip: "The checkpoint." }], seconds: ["FLOAT", floats({ default: 2, min: 0, max: LONGEST_LOAD, step: 0.1, tooltip: "How long it takes." })] },
  }),
  async run(inputs) {
    const checkpoint = inputs.text("ckpt_name");
    await sleep(inputs.number("seconds") * 1000);
    return { outputs: (["model", "clip", "vae"] as const).map((kind) => ({ kind, checkpoint })) };
  },
};

export const textEncode: NodeClass = {
  info: painterNode("CLIPTextEncode", "CLIP Text Encode (Prompt)", "conditioning", "keeps the words; colours, times of day and places steer the picture.", ["CONDITIONING"], ["The words."]),
  inputs: fixedInputs({ required: { text: ["STRING", { multiline: true, dynamicPrompts: true, tooltip: "What to paint." }], clip: ["CLIP", { tooltip: "From the checkpoint." }] } }),
  run(inputs) {
    thing(inputs, "clip", "clip");
    const conditioning: Conditioning = { kind: "conditioning", text: inputs.text("text") };
    return Promise.resolve({ outputs: [conditioning] });
  },
};

const LATENT_CELL = 8;
const latentSide = (tooltip: string) => ["INT", { default: 512, min: 16, max: 16384, step: 8, tooltip }] as const;

export const emptyLatent: NodeClass = {
  info: painterNode("EmptyLatentImage", "Empty Latent Image", "latent", "an empty canvas.", ["LATENT"], ["The empty canvas."]),
  inputs: fixedInputs({
    required: { width: latentSide("Width in pixels."), height: latentSide("Height in pixels."), batch_size: ["INT", { default: 1, min: 1, max: 4096, tooltip: "How many pictures." }] },
  }),
  run(inputs) {
    const whole = (name: string): number => Math.floor(inputs.number(name) / LATENT_CELL) * LATENT_CELL;
    const latent: Latent = { kind: "latent", width: whole("width"), height: whole("height"), batch: Array.from({ length: inputs.number("batch_size") }, () => []) };
    return Promise.resolve({ outputs: [latent] });
  },
};

export const sampler: NodeClass = {
  info: painterNode("KSampler", "KSampler", "sampling", "works the picture out of noise, step by step.", ["LATENT"], ["The finished latent."]),
  inputs: fixedInputs({
    required: {
      model: ["MODEL", { tooltip: "The painter." }],
      seed: ["INT", { default: 0, min: 0, max: MAX_SEED, control_after_generate: true, tooltip: "Same seed, same picture." }],
      steps: ["INT", { default: 20, min: 1, max: 10000, tooltip: "Few steps leave it soft and grainy." }],
      cfg: ["FLOAT", floats({ default: 8, min: 0, max: 100, step: 0.1, round: 0.01, tooltip: "More is more contrast." })],
      sampler_name: [SAMPLERS, { tooltip: "Kept for workflows; the painter has one way of working." }],
      scheduler: [SCHEDULERS, { tooltip: "How fast the noise clears." }],
      positive: ["CONDITIONING", { tooltip: "What to paint." }],
      negative: ["CONDITIONING", { tooltip: "Words and colours to keep away from." }],
      latent_image: ["LATENT", { tooltip: "The canvas." }],
      denoise: ["FLOAT", floats({ default: 1, min: 0, max: 1, step: 0.01, tooltip: "How much of the canvas is painted over." })],
    },
  }),
  async run(inputs, run) {
    const latent = thing(inputs, "latent_image", "latent");
    const steps = inputs.number("steps");
    const scheduler = inputs.text("scheduler");
    const seed = seedOf(inputs, "seed");
    const recipe: Omit<Recipe, "seed"> = {
      positive: thing(inputs, "positive", "conditioning").text,
      negative: thing(inputs, "negative", "conditioning").text,
      checkpoint: thing(inputs, "model", "model").checkpoint,
      cfg: inputs.number("cfg"),
      finish: finishAfter(steps, scheduler),
      strength: inputs.number("denoise"),
    };
    if (recipe.strength <= 0) return { outputs: [latent] };
    const batch = latent.batch.map((below, index) => [...below, { ...recipe, seed: seed + BigInt(index) }]);
    let frames: Promise<PreviewFrames> | undefined;
    const framesNow = (): Promise<PreviewFrames> => (frames ??= PreviewFrames.of(batch[0] ?? [], latent.width, latent.height, hashSeed(seed, steps)));
    let next = performance.now();
    for (let step = 1; step <= steps; step++) {
      next += run.stepMs;
      const level = noiseLevel(step, steps, scheduler) * recipe.strength;
      const wait = next - performance.now();
      if (wait > 0) await sleep(wait);
      await run.progress(step, steps, async () => (await framesNow()).jpeg(level));
    }
    const result: Latent = { ...latent, batch };
    return { outputs: [result] };
  },
};

export const decode: NodeClass = {
  info: painterNode("VAEDecode", "VAE Decode", "latent", "paints the latent in full size and puts a small mark in the corner.", ["IMAGE"], ["The picture."]),
  inputs: fixedInputs({ required: { samples: ["LATENT", { tooltip: "The latent to paint." }], vae: ["VAE", { tooltip: "From the checkpoint." }] } }),
  async run(inputs) {
    const latent = thing(inputs, "samples", "latent");
    thing(inputs, "vae", "vae");
    sizeOf(latent.batch.length, latent.height, latent.width, 3);
    const pictures = [];
    for (const recipes of latent.batch) {
      const data = await renderRecipes(recipes, latent.width, latent.height);
      if (recipes.length > 0) drawMark(data, latent.width, latent.height);
      pictures.push(picture(1, latent.height, latent.width, 3, data));
    }
    return { outputs: [concat(pictures)] };
  },
};
