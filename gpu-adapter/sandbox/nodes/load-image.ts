// LoadImage: a file of the input folder becomes IMAGE and MASK; animations become a batch.

import { readFile } from "node:fs/promises";
import { sha256 } from "../folders.ts";
import { PythonError } from "../graph/python.ts";
import { decodeUpright } from "../pixels/decode.ts";
import { type Mask, type Picture, picture } from "../pixels/tensor.ts";
import type { NodeClass } from "./definition.ts";

/** Size of the empty mask of a picture without alpha, as ComfyUI has it. */
const NO_MASK = 64;

interface Decoded {
  readonly image: Picture;
  readonly mask: Mask;
}

/** Reads a picture file: EXIF orientation applied, colour values as stored, alpha turned into a mask (1 = transparent). */
export async function decodePicture(file: Buffer): Promise<Decoded> {
  const { data, info, pages, hasAlpha } = await decodeUpright(file);
  const { width, height } = info;
  const image = picture(pages, height, width, 3);
  const pixels = pages * width * height;
  const alpha = new Float32Array(pixels);
  for (let i = 0; i < pixels; i++) {
    for (let channel = 0; channel < 3; channel++) image.data[i * 3 + channel] = (data[i * 4 + channel] as number) / 255;
    alpha[i] = 1 - Math.fround((data[i * 4 + 3] as number) / 255);
  }
  const mask: Mask = hasAlpha
    ? { kind: "mask", batch: pages, height, width, data: alpha }
    : { kind: "mask", batch: pages, height: NO_MASK, width: NO_MASK, data: new Float32Array(pages * NO_MASK * NO_MASK) };
  return { image, mask };
}

export const loadImage: NodeClass = {
  info: { name: "LoadImage", displayName: "Load Image", description: "", category: "image", pythonModule: "nodes", output: ["IMAGE", "MASK"], outputNode: false },
  inputs: async (folders) => ({ required: { image: [await folders.inputImages(), { image_upload: true }] } }),
  checks: {
    image: async (value, folders) => (typeof value === "string" && (await folders.find(value)) !== undefined ? undefined : `Invalid image file: ${String(value)}`),
  },
  async fingerprint(inputs, folders) {
    const name = inputs.get("image");
    const path = typeof name === "string" ? await folders.find(name) : undefined;
    return path === undefined ? "" : sha256(await readFile(path));
  },
  async run(inputs, run) {
    const name = inputs.text("image");
    const path = await run.folders.find(name);
    if (path === undefined) throw new PythonError("FileNotFoundError", `[Errno 2] No such file or directory: '${name}'`);
    const { image, mask } = await decodePicture(await readFile(path));
    return { outputs: [image, mask] };
  },
};
