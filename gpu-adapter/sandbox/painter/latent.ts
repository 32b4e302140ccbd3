// What travels between the painter's nodes: nothing but recipes. Pixels appear only in previews and in "decode".

/** MODEL, CLIP and VAE of the sandbox: they carry their checkpoint's name and nothing else. */
export interface PainterPart {
  readonly kind: "model" | "clip" | "vae";
  readonly checkpoint: string;
}

export interface Conditioning {
  readonly kind: "conditioning";
  readonly text: string;
}

/** One painting of one sampler run. */
export interface Recipe {
  readonly positive: string;
  readonly negative: string;
  readonly checkpoint: string;
  readonly seed: bigint;
  readonly cfg: number;
  /** 0..1: how far the sampler got; few steps leave the picture soft and grainy. */
  readonly finish: number;
  /** 0..1: how much of what was there before is painted over. */
  readonly strength: number;
}

/** A LATENT: size in pixels, and for each picture of the batch the recipes laid over each other. */
export interface Latent {
  readonly kind: "latent";
  readonly width: number;
  readonly height: number;
  readonly batch: readonly (readonly Recipe[])[];
}
