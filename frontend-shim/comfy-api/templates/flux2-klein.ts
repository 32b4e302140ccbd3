// Flux.2 Klein, text to picture: the 4B and the 9B base model in one shape. Written for the public nodes; the note beside the graph names the distilled
// model's settings, so that one graph serves both.
import { type Graph, UNWANTED, WANTED, workflowOf } from "./graph.ts";
import type { Template } from "./manifest.ts";

const GB = 1_000_000_000;
const VAE = { folder: "vae", name: "flux2-vae.safetensors", size: 0.32 * GB, licence: "Apache-2.0, with the Klein 4B release" };

type Klein = { id: string; base: string; distilled: string; encoder: string; prefix: string; licence: string };

function graph({ id, base, distilled, encoder, prefix, licence }: Klein): Graph {
  return {
    id,
    parts: [
      { key: "model", type: "UNETLoader", pos: [40, 120], size: [340, 90], outputs: [["MODEL", "MODEL"]], widgets: [base, "default"] },
      { key: "clip", type: "CLIPLoader", pos: [40, 260], size: [340, 110], outputs: [["CLIP", "CLIP"]], widgets: [encoder, "flux2", "default"] },
      { key: "vae", type: "VAELoader", pos: [40, 420], size: [340, 60], outputs: [["VAE", "VAE"]], widgets: [VAE.name] },
      {
        key: "wanted", type: "CLIPTextEncode", title: "What to see", pos: [430, 120], size: [420, 190], feeds: [["clip", "CLIP", ["clip", 0]]], outputs: [["CONDITIONING", "CONDITIONING"]],
        widgets: ["A harbour town at first light, wet cobblestones, a woman in a yellow coat walking away from the camera, gulls, 35 mm, shallow depth of field"], color: WANTED,
      },
      { key: "unwanted", type: "CLIPTextEncode", title: "What to avoid", pos: [430, 360], size: [420, 120], feeds: [["clip", "CLIP", ["clip", 0]]], outputs: [["CONDITIONING", "CONDITIONING"]], widgets: [""], color: UNWANTED },
      { key: "guider", type: "CFGGuider", pos: [900, 120], size: [260, 110], feeds: [["model", "MODEL", ["model", 0]], ["positive", "CONDITIONING", ["wanted", 0]], ["negative", "CONDITIONING", ["unwanted", 0]]], outputs: [["GUIDER", "GUIDER"]], widgets: [5] },
      { key: "noise", type: "RandomNoise", pos: [900, 280], size: [260, 90], outputs: [["NOISE", "NOISE"]], widgets: [20260301, "randomize"] },
      { key: "sampler", type: "KSamplerSelect", pos: [900, 420], size: [260, 60], outputs: [["SAMPLER", "SAMPLER"]], widgets: ["euler"] },
      { key: "sigmas", type: "Flux2Scheduler", title: "Steps; size as below", pos: [900, 530], size: [260, 120], outputs: [["SIGMAS", "SIGMAS"]], widgets: [20, 1024, 1024] },
      { key: "latent", type: "EmptyFlux2LatentImage", title: "Size", pos: [900, 700], size: [260, 120], outputs: [["LATENT", "LATENT"]], widgets: [1024, 1024, 1] },
      {
        key: "sample", type: "SamplerCustomAdvanced", pos: [1220, 120], size: [240, 120],
        feeds: [["noise", "NOISE", ["noise", 0]], ["guider", "GUIDER", ["guider", 0]], ["sampler", "SAMPLER", ["sampler", 0]], ["sigmas", "SIGMAS", ["sigmas", 0]], ["latent_image", "LATENT", ["latent", 0]]],
        outputs: [["output", "LATENT"], ["denoised_output", "LATENT"]],
      },
      { key: "decode", type: "VAEDecode", pos: [1220, 300], size: [240, 50], feeds: [["samples", "LATENT", ["sample", 0]], ["vae", "VAE", ["vae", 0]]], outputs: [["IMAGE", "IMAGE"]] },
      { key: "save", type: "SaveImage", pos: [1510, 120], size: [480, 540], feeds: [["images", "IMAGE", ["decode", 0]]], widgets: [prefix] },
      {
        key: "note", type: "MarkdownNote", title: "About this graph", pos: [40, 540], size: [810, 240],
        widgets: [`**Models**: \`diffusion_models/${base}\`, \`text_encoders/${encoder}\`, \`vae/${VAE.name}\`\n\n**Licence**: ${licence}\n\n**Faster**: choose \`${distilled}\`, 4 steps and cfg 1; what to avoid is then without effect.\n\n**Size**: change it in both boxes on the right, they must agree.`],
      },
    ],
  };
}

const SMALL: Klein = {
  id: "0f6d2f6c-5f2e-4b5b-8a53-0f2f9c1b4a41", base: "flux-2-klein-base-4b.safetensors", distilled: "flux-2-klein-4b.safetensors", encoder: "qwen_3_4b.safetensors", prefix: "Flux2-Klein-4B",
  licence: "Flux.2 Klein 4B is Apache-2.0.",
};
const LARGE: Klein = {
  id: "3c1a7d52-8a0b-4f0e-9a6e-6d1b7e5c2b92", base: "flux-2-klein-base-9b-fp8.safetensors", distilled: "flux-2-klein-9b-fp8.safetensors", encoder: "qwen_3_8b_fp8mixed.safetensors", prefix: "Flux2-Klein-9B",
  licence: "Flux.2 Klein 9B is for non-commercial use and given out after consent to its licence.",
};

export const FLUX2_KLEIN: readonly Template[] = [
  {
    name: "flux2_klein_4b_text_to_image",
    title: "Flux.2 Klein 4B: text to picture",
    description: "Write what to see, press Run: 1024 × 1024 in about half a minute on a warm GPU. Apache-2.0.",
    media: "image",
    tags: ["Image", "Text to Image", "Flux.2"],
    models: [
      { folder: "diffusion_models", name: SMALL.base, size: 7.3 * GB, licence: "Apache-2.0" },
      { folder: "diffusion_models", name: SMALL.distilled, size: 7.3 * GB, licence: "Apache-2.0", optional: true },
      { folder: "text_encoders", name: SMALL.encoder, size: null, licence: "Apache-2.0 (Qwen3)" },
      VAE,
    ],
    workflow: () => workflowOf(graph(SMALL)),
  },
  {
    name: "flux2_klein_9b_text_to_image",
    title: "Flux.2 Klein 9B: text to picture",
    description: "The larger Klein: finer pictures, more memory and time. Its licence is non-commercial.",
    media: "image",
    tags: ["Image", "Text to Image", "Flux.2"],
    models: [
      { folder: "diffusion_models", name: LARGE.base, size: 9 * GB, licence: "FLUX non-commercial licence, gated" },
      { folder: "diffusion_models", name: LARGE.distilled, size: null, licence: "FLUX non-commercial licence, gated", optional: true },
      { folder: "text_encoders", name: LARGE.encoder, size: 8.1 * GB, licence: "Apache-2.0 (Qwen3)" },
      VAE,
    ],
    workflow: () => workflowOf(graph(LARGE)),
  },
];
