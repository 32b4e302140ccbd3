// Node classes of the shipped templates that the recorded ComfyUI (0.3.64) does not have yet, as later releases describe them; and its own lists, longer.
import type { NodeInfo, ObjectInfo } from "../../../frontend-shim/comfy-api/validation/index.ts";
import { nodeInfo } from "../validation/builders.ts";

const int = (least: number, most: number, step = 1): unknown => ["INT", { default: least, min: least, max: most, step }];
const described = (required: Record<string, unknown>, output: string[]): NodeInfo => nodeInfo(required, { output, input_order: { required: Object.keys(required) } });

const BARE: ObjectInfo = {
  Flux2Scheduler: described({ steps: int(1, 4096), width: int(16, 16384), height: int(16, 16384) }, ["SIGMAS"]),
  EmptyFlux2LatentImage: described({ width: int(16, 16384, 16), height: int(16, 16384, 16), batch_size: int(1, 4096) }, ["LATENT"]),
  ManualSigmas: described({ sigmas: ["STRING", { default: "1, 0.5", multiline: false }] }, ["SIGMAS"]),
  LTXAVTextEncoderLoader: described({ text_encoder: [[]], ckpt_name: [[]], device: [["default", "cpu"]] }, ["CLIP"]),
  LTXVAudioVAELoader: described({ ckpt_name: [[]] }, ["VAE"]),
  LTXVAudioVAEDecode: described({ samples: ["LATENT"], audio_vae: ["VAE"] }, ["AUDIO"]),
  LTXVEmptyLatentAudio: described({ frames_number: int(1, 1000), frame_rate: int(1, 1000), batch_size: int(1, 4096), audio_vae: ["VAE"] }, ["LATENT"]),
  LTXVConcatAVLatent: described({ video_latent: ["LATENT"], audio_latent: ["LATENT"] }, ["LATENT"]),
  LTXVSeparateAVLatent: described({ av_latent: ["LATENT"] }, ["LATENT", "LATENT"]),
  LTXVLatentUpsampler: described({ samples: ["LATENT"], upscale_model: ["LATENT_UPSCALE_MODEL"], vae: ["VAE"] }, ["LATENT"]),
  LatentUpscaleModelLoader: described({ model_name: [[]] }, ["LATENT_UPSCALE_MODEL"]),
};

/** With the members that the page reads, as ComfyUI's own. */
export const NEW_NODES: ObjectInfo = Object.fromEntries(Object.entries(BARE).map(([name, info]) => {
  const { output = [] } = info;
  return [name, { ...info, name, display_name: name, description: "", category: "templates", python_module: "comfy_extras.nodes_new", output_name: [...output], output_is_list: output.map(() => false), output_tooltips: output.map(() => null) } as NodeInfo];
}));

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
