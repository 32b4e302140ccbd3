// Stock nodes that check inputs in their own Python: ComfyUI leaves those inputs out of its min, max and list checks, and
// object_info does not tell. Source: the behaviour of ComfyUI 0.3.64 [R validation-errors] and 0.38.
import type { NodeValidator } from "./types.ts";

const STOCK: { readonly [nodeClass: string]: NodeValidator } = {
  LoadImage: { inputs: ["image"] },
  LoadImageMask: { inputs: ["image"] },
  LoadImageOutput: { inputs: ["image"] },
  LoadAudio: { inputs: ["audio"] },
  LoadVideo: { inputs: ["file"] },
  LoadLatent: { inputs: ["latent"] },
};

/** What is known of a stock class's own validation. */
export function stockValidator(nodeClass: string): NodeValidator | undefined {
  return Object.hasOwn(STOCK, nodeClass) ? STOCK[nodeClass] : undefined;
}
