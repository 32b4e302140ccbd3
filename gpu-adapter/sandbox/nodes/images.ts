// EmptyImage, ImageInvert, ImageCrop, ImageScale, ImageScaleBy, ImageBlend: ComfyUI's picture nodes, value for value.

import { roundHalfEven } from "../graph/python.ts";
import { BLEND_MODES, type BlendMode, blendPictures } from "../pixels/blend.ts";
import { METHODS, type Method, cropPicture, scaleTo } from "../pixels/resample.ts";
import { mapValues, picture } from "../pixels/tensor.ts";
import { type InputSpec, type NodeClass, type NodeInfo, fixedInputs, floats } from "./definition.ts";

const IMAGE: InputSpec = ["IMAGE"];
const side = (min: number, initial: number): InputSpec => ["INT", { default: initial, min, max: 16384, step: 1 }];

function imageNode(name: string, displayName: string | null, category: string, pythonModule = "nodes"): NodeInfo {
  return { name, displayName, description: "", category, pythonModule, output: ["IMAGE"], outputNode: false };
}

export const emptyImage: NodeClass = {
  info: imageNode("EmptyImage", "EmptyImage", "image"),
  inputs: fixedInputs({
    required: {
      width: side(1, 512),
      height: side(1, 512),
      batch_size: ["INT", { default: 1, min: 1, max: 4096 }],
      color: ["INT", { default: 0, min: 0, max: 0xffffff, step: 1, display: "color" }],
    },
  }),
  run(inputs) {
    const color = inputs.number("color");
    const rgb = [16, 8, 0].map((shift) => ((color >> shift) & 0xff) / 0xff);
    const result = picture(inputs.number("batch_size"), inputs.number("height"), inputs.number("width"), 3);
    for (let i = 0; i < result.data.length; i += 3) result.data.set(rgb, i);
    return Promise.resolve({ outputs: [result] });
  },
};

export const imageInvert: NodeClass = {
  info: imageNode("ImageInvert", "Invert Image", "image"),
  inputs: fixedInputs({ required: { image: IMAGE } }),
  run: (inputs) => Promise.resolve({ outputs: [mapValues(inputs.picture("image"), (value) => 1 - value)] }),
};

export const imageCrop: NodeClass = {
  info: imageNode("ImageCrop", "Image Crop", "image/transform", "comfy_extras.nodes_images"),
  inputs: fixedInputs({ required: { image: IMAGE, width: side(1, 512), height: side(1, 512), x: side(0, 0), y: side(0, 0) } }),
  run(inputs) {
    const image = inputs.picture("image");
    const x = Math.min(inputs.number("x"), image.width - 1);
    const y = Math.min(inputs.number("y"), image.height - 1);
    const width = Math.min(inputs.number("width"), image.width - x);
    const height = Math.min(inputs.number("height"), image.height - y);
    return Promise.resolve({ outputs: [cropPicture(image, x, y, width, height)] });
  },
};

export const imageScale: NodeClass = {
  info: imageNode("ImageScale", "Upscale Image", "image/upscaling"),
  inputs: fixedInputs({ required: { image: IMAGE, upscale_method: [METHODS], width: side(0, 512), height: side(0, 512), crop: [["disabled", "center"]] } }),
  run(inputs) {
    const image = inputs.picture("image");
    let width = inputs.number("width");
    let height = inputs.number("height");
    if (width === 0 && height === 0) return Promise.resolve({ outputs: [image] });
    if (width === 0) width = Math.max(1, roundHalfEven((image.width * height) / image.height));
    if (height === 0) height = Math.max(1, roundHalfEven((image.height * width) / image.width));
    return Promise.resolve({ outputs: [scaleTo(image, width, height, inputs.text("upscale_method") as Method, inputs.text("crop"), roundHalfEven)] });
  },
};

export const imageScaleBy: NodeClass = {
  info: imageNode("ImageScaleBy", "Upscale Image By", "image/upscaling"),
  inputs: fixedInputs({ required: { image: IMAGE, upscale_method: [METHODS], scale_by: ["FLOAT", floats({ default: 1, min: 0.01, max: 8, step: 0.01 })] } }),
  run(inputs) {
    const image = inputs.picture("image");
    const scale = inputs.number("scale_by");
    const width = roundHalfEven(image.width * scale);
    const height = roundHalfEven(image.height * scale);
    if (width < 1 || height < 1) throw new RangeError(`scaling ${image.width}x${image.height} by ${scale} leaves no pixels`);
    return Promise.resolve({ outputs: [scaleTo(image, width, height, inputs.text("upscale_method") as Method, "disabled", roundHalfEven)] });
  },
};

export const imageBlend: NodeClass = {
  info: { ...imageNode("ImageBlend", null, "image/postprocessing", "comfy_extras.nodes_post_processing"), outputTooltips: [null], extra: { deprecated: false, experimental: false, api_node: false } },
  inputs: fixedInputs({
    required: {
      image1: ["IMAGE", {}],
      image2: ["IMAGE", {}],
      blend_factor: ["FLOAT", floats({ default: 0.5, min: 0, max: 1, step: 0.01 })],
      blend_mode: ["COMBO", { multiselect: false, options: BLEND_MODES }],
    },
  }),
  run(inputs) {
    const mode = inputs.text("blend_mode") as BlendMode;
    return Promise.resolve({ outputs: [blendPictures(inputs.picture("image1"), inputs.picture("image2"), inputs.number("blend_factor"), mode)] });
  },
};
