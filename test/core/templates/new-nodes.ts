// Node classes of the shipped templates that the recorded ComfyUI (0.3.64) does not have yet, as later releases describe them; and its own lists, longer.
import type { NodeInfo, ObjectInfo } from "../../../frontend-shim/comfy-api/validation/index.ts";
import { nodeInfo } from "../validation/builders.ts";

const int = (least: number, most: number, step = 1): unknown => ["INT", { default: least, min: least, max: most, step }];
const node = (required: Record<string, unknown>, output: string[]): NodeInfo => nodeInfo(required, { output, input_order: { required: Object.keys(required) } });

export const NEW_NODES: ObjectInfo = {
  Flux2Scheduler: node({ steps: int(1, 4096), width: int(16, 16384), height: int(16, 16384) }, ["SIGMAS"]),
  EmptyFlux2LatentImage: node({ width: int(16, 16384, 16), height: int(16, 16384, 16), batch_size: int(1, 4096) }, ["LATENT"]),
  ManualSigmas: node({ sigmas: ["STRING", { default: "1, 0.5", multiline: false }] }, ["SIGMAS"]),
  LTXAVTextEncoderLoader: node({ text_encoder: [[]], ckpt_name: [[]], device: [["default", "cpu"]] }, ["CLIP"]),
  LTXVAudioVAELoader: node({ ckpt_name: [[]] }, ["VAE"]),
  LTXVAudioVAEDecode: node({ samples: ["LATENT"], audio_vae: ["VAE"] }, ["AUDIO"]),
  LTXVEmptyLatentAudio: node({ frames_number: int(1, 1000), frame_rate: int(1, 1000), batch_size: int(1, 4096), audio_vae: ["VAE"] }, ["LATENT"]),
  LTXVConcatAVLatent: node({ video_latent: ["LATENT"], audio_latent: ["LATENT"] }, ["LATENT"]),
  LTXVSeparateAVLatent: node({ av_latent: ["LATENT"] }, ["LATENT", "LATENT"]),
  LTXVLatentUpsampler: node({ samples: ["LATENT"], upscale_model: ["LATENT_UPSCALE_MODEL"], vae: ["VAE"] }, ["LATENT"]),
  LatentUpscaleModelLoader: node({ model_name: [[]] }, ["LATENT_UPSCALE_MODEL"]),
};

/** Which folder a list of names offers. */
export const LISTS: Record<string, Record<string, string>> = {
  UNETLoader: { unet_name: "diffusion_models" },
  CLIPLoader: { clip_name: "text_encoders" },
  VAELoader: { vae_name: "vae" },
  CheckpointLoaderSimple: { ckpt_name: "checkpoints" },
  LoraLoaderModelOnly: { lora_name: "loras" },
  LTXAVTextEncoderLoader: { text_encoder: "text_encoders", ckpt_name: "checkpoints" },
  LTXVAudioVAELoader: { ckpt_name: "checkpoints" },
  LatentUpscaleModelLoader: { model_name: "latent_upscale_models" },
};
