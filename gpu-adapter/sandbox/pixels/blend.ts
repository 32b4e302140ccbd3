// Blend modes per value, and the frame around them: the second picture is fitted to the first, the result is clamped.

import { PythonError, roundHalfEven } from "../graph/python.ts";
import { scaleTo } from "./resample.ts";
import { type Picture, picture } from "./tensor.ts";

export const BLEND_MODES = ["normal", "multiply", "screen", "overlay", "soft_light", "difference"] as const;
export type BlendMode = (typeof BLEND_MODES)[number];

/** The W3C soft-light helper: a polynomial up to a quarter, a square root above. */
function softLightCurve(x: number): number {
  return x <= 0.25 ? ((16 * x - 12) * x + 4) * x : Math.sqrt(x);
}

/** `a` is the lower picture, `b` the upper one. "difference" is signed, so negative parts end as black. */
export const BLEND: Record<BlendMode, (a: number, b: number) => number> = {
  normal: (_a, b) => b,
  multiply: (a, b) => a * b,
  screen: (a, b) => 1 - (1 - a) * (1 - b),
  overlay: (a, b) => (a <= 0.5 ? 2 * a * b : 1 - 2 * (1 - a) * (1 - b)),
  soft_light: (a, b) => (b <= 0.5 ? a - (1 - 2 * b) * a * (1 - a) : a + (2 * b - 1) * (softLightCurve(a) - a)),
  difference: (a, b) => a - b,
};

/** Brings the second picture to the first's number of channels: drops extra ones, adds an opaque alpha. */
function matchChannels(first: Picture, second: Picture): [Picture, Picture] {
  if (first.channels < second.channels) return [first, selectChannels(second, first.channels)];
  if (first.channels > second.channels) return [addOpaque(first), second];
  return [first, second];
}

function selectChannels(source: Picture, channels: number): Picture {
  const result = picture(source.batch, source.height, source.width, channels);
  for (let i = 0; i < result.data.length; i++) {
    result.data[i] = source.data[Math.floor(i / channels) * source.channels + (i % channels)] as number;
  }
  return result;
}

function addOpaque(source: Picture): Picture {
  const channels = source.channels + 1;
  const result = picture(source.batch, source.height, source.width, channels);
  for (let i = 0; i < result.data.length; i++) {
    const channel = i % channels;
    result.data[i] = channel === source.channels ? 1 : (source.data[Math.floor(i / channels) * source.channels + channel] as number);
  }
  return result;
}

/**
 * Lays `upper` over `lower`: out = lower * (1 - factor) + mode(lower, upper) * factor, clamped to 0..1.
 * A batch of one is repeated for the other's batch; other differences in batch size are refused (PythonError RuntimeError).
 */
export function blendPictures(lower: Picture, upper: Picture, factor: number, mode: BlendMode): Picture {
  const [first, fixed] = matchChannels(lower, upper);
  const isSameSize = first.width === fixed.width && first.height === fixed.height;
  const second = isSameSize && first.batch === fixed.batch ? fixed : scaleTo(fixed, first.width, first.height, "bicubic", "center", roundHalfEven);
  if (first.channels !== second.channels || (first.batch !== second.batch && first.batch !== 1 && second.batch !== 1)) {
    throw new PythonError("RuntimeError", `The two images cannot be blended: batches of ${first.batch} and ${second.batch}, ${first.channels} and ${second.channels} channels`);
  }
  const batch = Math.max(first.batch, second.batch);
  const result = picture(batch, first.height, first.width, first.channels);
  const size = first.height * first.width * first.channels;
  const blend = BLEND[mode];
  for (let i = 0; i < result.data.length; i++) {
    const a = first.data[first.batch === 1 ? i % size : i] as number;
    const b = second.data[second.batch === 1 ? i % size : i] as number;
    result.data[i] = Math.min(1, Math.max(0, a * (1 - factor) + blend(a, b) * factor));
  }
  return result;
}
