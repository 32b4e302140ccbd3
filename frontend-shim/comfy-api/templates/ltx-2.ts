// LTX-2, text to film with sound: a first pass at half size, the latent upscaler, a second pass with few steps. The full model takes a schedule and guidance,
// the distilled one fixed steps. Both frame rates must agree, and the nodes want them in two kinds: a
// box with a fraction feeds the film, the sound has a whole number of its own.
import { type Feed, type Graph, type Part, UNWANTED, WANTED, workflowOf } from "./graph.ts";
import type { Template } from "./manifest.ts";

const GB = 1_000_000_000;
const LTX = "LTX-2 community licence (Lightricks)";
const ENCODER = { folder: "text_encoders", name: "gemma_3_12B_it_fp4_mixed.safetensors", size: 8.8 * GB, licence: "Gemma terms of use" };
const UPSCALER = { folder: "latent_upscale_models", name: "ltx-2-spatial-upscaler-x2-1.0.safetensors", size: 0.95 * GB, licence: LTX };
const LORA = { folder: "loras", name: "ltx-2-19b-distilled-lora-384.safetensors", size: 7.1 * GB, licence: LTX };
const FULL = "ltx-2-19b-dev-fp8.safetensors";
const DISTILLED = "ltx-2-19b-distilled.safetensors";

/** Steps as noise levels, from the distilled model's own recipe. */
const FIRST_SIGMAS = "1.0, 0.99375, 0.9875, 0.98125, 0.975, 0.909375, 0.725, 0.421875, 0.0";
const SECOND_SIGMAS = "0.909375, 0.725, 0.421875, 0.0";
const FRAMES = 121;
const RATE = 25;
/** Half of 1280 × 704: latents come in steps of 32 pixels, and the upscaler doubles them. */
const HALF = [640, 352] as const;

const SHOT = "A ferry leaves a small harbour at dusk, the camera rises slowly from the water line to the deck lights; gulls, the low hum of the engine, waves against the hull";

function loaders(checkpoint: string): Part[] {
  return [
    { key: "checkpoint", type: "CheckpointLoaderSimple", pos: [40, 100], size: [340, 110], outputs: [["MODEL", "MODEL"], ["CLIP", "CLIP"], ["VAE", "VAE"]], widgets: [checkpoint] },
    { key: "encoder", type: "LTXAVTextEncoderLoader", pos: [40, 260], size: [340, 120], outputs: [["CLIP", "CLIP"]], widgets: [ENCODER.name, checkpoint, "default"] },
    { key: "sound", type: "LTXVAudioVAELoader", pos: [40, 430], size: [340, 60], outputs: [["Audio VAE", "VAE"]], widgets: [checkpoint] },
    { key: "upscaler", type: "LatentUpscaleModelLoader", pos: [40, 540], size: [340, 60], outputs: [["LATENT_UPSCALE_MODEL", "LATENT_UPSCALE_MODEL"]], widgets: [UPSCALER.name] },
    { key: "rate", type: "PrimitiveFloat", title: "Frames per second", pos: [40, 650], size: [340, 60], outputs: [["FLOAT", "FLOAT"]], widgets: [RATE] },
    { key: "length", type: "PrimitiveInt", title: "Frames (a multiple of 8, and 1)", pos: [40, 760], size: [340, 90], outputs: [["INT", "INT"]], widgets: [FRAMES, "fixed"] },
    { key: "wanted", type: "CLIPTextEncode", title: "What to see and hear", pos: [430, 100], size: [420, 200], feeds: [["clip", "CLIP", ["encoder", 0]]], outputs: [["CONDITIONING", "CONDITIONING"]], widgets: [SHOT], color: WANTED },
  ];
}

/** Conditioning at the frame rate, empty latents of picture and sound, joined. */
function beginning(negative: Feed): Part[] {
  return [
    { key: "conditioning", type: "LTXVConditioning", pos: [900, 100], size: [260, 110], feeds: [["positive", "CONDITIONING", ["wanted", 0]], negative, ["frame_rate", "FLOAT", ["rate", 0]]], outputs: [["positive", "CONDITIONING"], ["negative", "CONDITIONING"]], widgets: [RATE] },
    { key: "picture", type: "EmptyLTXVLatentVideo", title: "Half of the final size", pos: [900, 260], size: [260, 150], feeds: [["length", "INT", ["length", 0]]], outputs: [["LATENT", "LATENT"]], widgets: [...HALF, FRAMES, 1] },
    { key: "silence", type: "LTXVEmptyLatentAudio", title: "Sound; frame_rate as on the left", pos: [900, 460], size: [260, 130], feeds: [["audio_vae", "VAE", ["sound", 0]], ["frames_number", "INT", ["length", 0]]], outputs: [["Latent", "LATENT"]], widgets: [FRAMES, RATE, 1] },
    { key: "joined", type: "LTXVConcatAVLatent", pos: [900, 640], size: [260, 60], feeds: [["video_latent", "LATENT", ["picture", 0]], ["audio_latent", "LATENT", ["silence", 0]]], outputs: [["latent", "LATENT"]] },
    { key: "sampler", type: "KSamplerSelect", pos: [900, 750], size: [260, 60], outputs: [["SAMPLER", "SAMPLER"]], widgets: ["euler"] },
  ];
}

function pass(name: "first" | "second", at: number, take: { model: string; positive: readonly [string, number]; negative: readonly [string, number]; cfg: number; sigmas: string; latent: string; seed: number }): Part[] {
  return [
    { key: `${name}-noise`, type: "RandomNoise", pos: [at, 100], size: [260, 90], outputs: [["NOISE", "NOISE"]], widgets: [take.seed, name === "first" ? "randomize" : "fixed"] },
    { key: `${name}-guider`, type: "CFGGuider", pos: [at, 240], size: [260, 110], feeds: [["model", "MODEL", [take.model, 0]], ["positive", "CONDITIONING", take.positive], ["negative", "CONDITIONING", take.negative]], outputs: [["GUIDER", "GUIDER"]], widgets: [take.cfg] },
    {
      key: name, type: "SamplerCustomAdvanced", title: name === "first" ? "First pass" : "Second pass", pos: [at, 400], size: [260, 120],
      feeds: [["noise", "NOISE", [`${name}-noise`, 0]], ["guider", "GUIDER", [`${name}-guider`, 0]], ["sampler", "SAMPLER", ["sampler", 0]], ["sigmas", "SIGMAS", [take.sigmas, 0]], ["latent_image", "LATENT", [take.latent, 0]]],
      outputs: [["output", "LATENT"], ["denoised_output", "LATENT"]],
    },
    { key: `${name}-parts`, type: "LTXVSeparateAVLatent", pos: [at, 570], size: [260, 60], feeds: [["av_latent", "LATENT", [name, 0]]], outputs: [["video_latent", "LATENT"], ["audio_latent", "LATENT"]] },
  ];
}

function doubling(video: readonly [string, number]): Part[] {
  return [
    { key: "doubled", type: "LTXVLatentUpsampler", pos: [1540, 100], size: [260, 80], feeds: [["samples", "LATENT", video], ["upscale_model", "LATENT_UPSCALE_MODEL", ["upscaler", 0]], ["vae", "VAE", ["checkpoint", 2]]], outputs: [["LATENT", "LATENT"]] },
    { key: "rejoined", type: "LTXVConcatAVLatent", pos: [1540, 230], size: [260, 60], feeds: [["video_latent", "LATENT", ["doubled", 0]], ["audio_latent", "LATENT", ["first-parts", 1]]], outputs: [["latent", "LATENT"]] },
    { key: "second-sigmas", type: "ManualSigmas", pos: [1540, 340], size: [260, 60], outputs: [["SIGMAS", "SIGMAS"]], widgets: [SECOND_SIGMAS] },
  ];
}

function ending(licence: string, checkpoint: string): Part[] {
  return [
    { key: "images", type: "VAEDecodeTiled", pos: [2200, 100], size: [260, 160], feeds: [["samples", "LATENT", ["second-parts", 0]], ["vae", "VAE", ["checkpoint", 2]]], outputs: [["IMAGE", "IMAGE"]], widgets: [512, 64, 4096, 8] },
    { key: "audio", type: "LTXVAudioVAEDecode", pos: [2200, 310], size: [260, 60], feeds: [["samples", "LATENT", ["second-parts", 1]], ["audio_vae", "VAE", ["sound", 0]]], outputs: [["Audio", "AUDIO"]] },
    { key: "film", type: "CreateVideo", pos: [2200, 420], size: [260, 90], feeds: [["images", "IMAGE", ["images", 0]], ["audio", "AUDIO", ["audio", 0]], ["fps", "FLOAT", ["rate", 0]]], outputs: [["VIDEO", "VIDEO"]], widgets: [RATE] },
    { key: "save", type: "SaveVideo", pos: [2510, 100], size: [520, 460], feeds: [["video", "VIDEO", ["film", 0]]], widgets: ["video/LTX-2", "mp4", "h264"] },
    {
      key: "note", type: "MarkdownNote", title: "About this graph", pos: [430, 520], size: [420, 330],
      widgets: [`**Models**: \`checkpoints/${checkpoint}\`, \`text_encoders/${ENCODER.name}\`, \`latent_upscale_models/${UPSCALER.name}\`${checkpoint === FULL ? `, \`loras/${LORA.name}\`` : ""}\n\n**Licence**: ${licence}. The text encoder has Google's Gemma terms.\n\n**Length**: ${FRAMES} frames at ${RATE} per second are not quite five seconds. A run takes minutes: it counts as much in the queue as it takes.\n\n**Frames per second**: change it in both boxes, of the film and of the sound.\n\n**Size**: ${HALF[0] * 2} × ${HALF[1] * 2}; the box holds half of it, in steps of 32.`],
    },
  ];
}

function full(): Graph {
  return {
    id: "b7a1f0c4-2d57-4d3e-8c1c-5f0a9e6d7b13",
    parts: [
      ...loaders(FULL),
      { key: "unwanted", type: "CLIPTextEncode", title: "What to avoid", pos: [430, 350], size: [420, 120], feeds: [["clip", "CLIP", ["encoder", 0]]], outputs: [["CONDITIONING", "CONDITIONING"]], widgets: ["blurry, low quality, flicker, distorted, watermark, subtitles"], color: UNWANTED },
      { key: "lora", type: "LoraLoaderModelOnly", title: "For the second pass", pos: [40, 900], size: [340, 90], feeds: [["model", "MODEL", ["checkpoint", 0]]], outputs: [["MODEL", "MODEL"]], widgets: [LORA.name, 1] },
      ...beginning(["negative", "CONDITIONING", ["unwanted", 0]]),
      { key: "first-sigmas", type: "LTXVScheduler", pos: [900, 860], size: [260, 160], feeds: [["latent", "LATENT", ["joined", 0]]], outputs: [["SIGMAS", "SIGMAS"]], widgets: [20, 2.05, 0.95, true, 0.1] },
      ...pass("first", 1220, { model: "checkpoint", positive: ["conditioning", 0], negative: ["conditioning", 1], cfg: 4, sigmas: "first-sigmas", latent: "joined", seed: 20260302 }),
      { key: "cropped", type: "LTXVCropGuides", pos: [1540, 450], size: [260, 80], feeds: [["positive", "CONDITIONING", ["conditioning", 0]], ["negative", "CONDITIONING", ["conditioning", 1]], ["latent", "LATENT", ["first-parts", 0]]], outputs: [["positive", "CONDITIONING"], ["negative", "CONDITIONING"], ["latent", "LATENT"]] },
      ...doubling(["cropped", 2]),
      ...pass("second", 1870, { model: "lora", positive: ["cropped", 0], negative: ["cropped", 1], cfg: 1, sigmas: "second-sigmas", latent: "rejoined", seed: 7 }),
      ...ending(LTX, FULL),
    ],
  };
}

function distilled(): Graph {
  return {
    id: "d2c5e8b6-7f41-4a8f-b0d7-1e3c4f9a5d24",
    parts: [
      ...loaders(DISTILLED),
      { key: "nothing", type: "ConditioningZeroOut", title: "Nothing to avoid at cfg 1", pos: [430, 350], size: [420, 50], feeds: [["conditioning", "CONDITIONING", ["wanted", 0]]], outputs: [["CONDITIONING", "CONDITIONING"]] },
      ...beginning(["negative", "CONDITIONING", ["nothing", 0]]),
      { key: "first-sigmas", type: "ManualSigmas", pos: [900, 860], size: [260, 60], outputs: [["SIGMAS", "SIGMAS"]], widgets: [FIRST_SIGMAS] },
      ...pass("first", 1220, { model: "checkpoint", positive: ["conditioning", 0], negative: ["conditioning", 1], cfg: 1, sigmas: "first-sigmas", latent: "joined", seed: 20260303 }),
      ...doubling(["first-parts", 0]),
      ...pass("second", 1870, { model: "checkpoint", positive: ["conditioning", 0], negative: ["conditioning", 1], cfg: 1, sigmas: "second-sigmas", latent: "rejoined", seed: 7 }),
      ...ending(LTX, DISTILLED),
    ],
  };
}

export const LTX_2: readonly Template[] = [
  {
    name: "ltx2_text_to_video",
    title: "LTX-2: text to film with sound",
    description: "Not quite five seconds of 1280 × 704 with sound, in two passes. Minutes on a large GPU.",
    media: "video",
    tags: ["Video", "Text to Video", "Audio", "LTX-2"],
    models: [{ folder: "checkpoints", name: FULL, size: 27 * GB, licence: LTX }, ENCODER, UPSCALER, LORA],
    workflow: () => workflowOf(full()),
  },
  {
    name: "ltx2_text_to_video_distilled",
    title: "LTX-2 distilled: text to film with sound",
    description: "The same film in eight and three steps: several times faster, a little less obedient.",
    media: "video",
    tags: ["Video", "Text to Video", "Audio", "LTX-2"],
    models: [{ folder: "checkpoints", name: DISTILLED, size: 15 * GB, licence: LTX }, ENCODER, UPSCALER],
    workflow: () => workflowOf(distilled()),
  },
];
