// Scaling by the formulae of torch's `interpolate` (no antialiasing, align_corners off) and of Pillow's LANCZOS.
// All but lanczos are separable weights per output pixel, so one pass over rows and one over columns does them all.

import { type Picture, picture } from "./tensor.ts";

export type Method = "nearest-exact" | "bilinear" | "area" | "bicubic" | "lanczos";
export const METHODS: readonly Method[] = ["nearest-exact", "bilinear", "area", "bicubic", "lanczos"];

/** For each output position: the first source position and the weights from there on (positions are clamped to the edge). */
interface Taps {
  readonly first: Int32Array;
  readonly count: number;
  readonly weights: Float64Array;
}

function makeTaps(outSize: number, count: number, fill: (at: number, weights: Float64Array, offset: number) => number): Taps {
  const first = new Int32Array(outSize);
  const weights = new Float64Array(outSize * count);
  for (let at = 0; at < outSize; at++) first[at] = fill(at, weights, at * count);
  return { first, count, weights };
}

function nearestTaps(inSize: number, outSize: number): Taps {
  const scale = Math.fround(inSize / outSize);
  return makeTaps(outSize, 1, (at, weights, offset) => {
    weights[offset] = 1;
    return Math.min(Math.floor((at + 0.5) * scale), inSize - 1);
  });
}

function bilinearTaps(inSize: number, outSize: number): Taps {
  const scale = inSize / outSize;
  return makeTaps(outSize, 2, (at, weights, offset) => {
    const source = Math.max(0, (at + 0.5) * scale - 0.5);
    const first = Math.min(Math.floor(source), inSize - 1);
    const share = Math.min(1, source - first);
    weights[offset] = 1 - share;
    weights[offset + 1] = share;
    return first;
  });
}

/** Averages the source pixels an output pixel touches: from floor(i*in/out) up to ceil((i+1)*in/out), all with equal weight. */
function areaTaps(inSize: number, outSize: number): Taps {
  const count = Math.min(inSize, Math.ceil(inSize / outSize) + 1);
  return makeTaps(outSize, count, (at, weights, offset) => {
    const start = Math.floor((at * inSize) / outSize);
    const length = Math.ceil(((at + 1) * inSize) / outSize) - start;
    weights.fill(1 / length, offset, offset + length);
    return start;
  });
}

const CUBIC_A = -0.75; // torch's bicubic coefficient; Pillow and others use -0.5.

function cubic(distance: number): number {
  const x = Math.abs(distance);
  if (x <= 1) return ((CUBIC_A + 2) * x - (CUBIC_A + 3)) * x * x + 1;
  if (x < 2) return ((CUBIC_A * x - 5 * CUBIC_A) * x + 8 * CUBIC_A) * x - 4 * CUBIC_A;
  return 0;
}

function bicubicTaps(inSize: number, outSize: number): Taps {
  const scale = inSize / outSize;
  return makeTaps(outSize, 4, (at, weights, offset) => {
    const source = (at + 0.5) * scale - 0.5;
    const base = Math.floor(source);
    for (let tap = 0; tap < 4; tap++) weights[offset + tap] = cubic(source - base - (tap - 1));
    return base - 1;
  });
}

const LANCZOS_REACH = 3;

function lanczos(x: number): number {
  if (x === 0) return 1;
  if (Math.abs(x) >= LANCZOS_REACH) return 0;
  const angle = Math.PI * x;
  return (Math.sin(angle) / angle) * (Math.sin(angle / LANCZOS_REACH) / (angle / LANCZOS_REACH));
}

const FIXED_POINT = 2 ** 22; // Pillow weighs 8-bit channels with 22-bit fixed-point coefficients.

function lanczosTaps(inSize: number, outSize: number): Taps {
  const scale = inSize / outSize;
  const filterScale = Math.max(1, scale);
  const reach = LANCZOS_REACH * filterScale;
  return makeTaps(outSize, Math.ceil(reach) * 2 + 1, (at, weights, offset) => {
    const center = (at + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - reach + 0.5));
    const end = Math.min(inSize, Math.trunc(center + reach + 0.5));
    let sum = 0;
    for (let source = first; source < end; source++) {
      const weight = lanczos((source - center + 0.5) / filterScale);
      weights[offset + source - first] = weight;
      sum += weight;
    }
    for (let tap = 0; tap < end - first; tap++) weights[offset + tap] = Math.round(((weights[offset + tap] as number) / sum) * FIXED_POINT);
    return first;
  });
}

type Store = (sum: number) => number;
const asFloat: Store = (sum) => sum;
/** Pillow keeps 8 bits between its two passes; so must we, or the last bit differs. */
const asByte: Store = (sum) => Math.min(255, Math.max(0, Math.floor(sum / FIXED_POINT + 0.5)));

interface Plane {
  readonly rows: number;
  readonly length: number;
  readonly channels: number;
}

/** Applies the taps along the middle axis of data seen as rows x length x channels. */
function alongAxis(data: Float32Array, plane: Plane, taps: Taps, store: Store): Float32Array {
  const { rows, length, channels } = plane;
  const { first, count, weights } = taps;
  const outLength = first.length;
  const result = new Float32Array(rows * outLength * channels);
  for (let row = 0; row < rows; row++) {
    for (let at = 0; at < outLength; at++) {
      const start = first[at] as number;
      for (let channel = 0; channel < channels; channel++) {
        let sum = 0;
        for (let tap = 0; tap < count; tap++) {
          const weight = weights[at * count + tap] as number;
          if (weight === 0) continue;
          const source = Math.min(length - 1, Math.max(0, start + tap));
          sum += weight * (data[(row * length + source) * channels + channel] as number);
        }
        result[(row * outLength + at) * channels + channel] = store(sum);
      }
    }
  }
  return result;
}

const TAPS: Record<Method, (inSize: number, outSize: number) => Taps> = {
  "nearest-exact": nearestTaps,
  bilinear: bilinearTaps,
  area: areaTaps,
  bicubic: bicubicTaps,
  lanczos: lanczosTaps,
};

function truncateToByte(value: number): number {
  return Math.floor(Math.min(255, Math.max(0, Math.fround(255 * value))));
}

/** Scales a picture to width x height with one of the five methods; results may overshoot 0..1 with bicubic, as torch's do. */
export function resample(source: Picture, width: number, height: number, method: Method): Picture {
  const { batch, channels } = source;
  const isBytes = method === "lanczos";
  const store = isBytes ? asByte : asFloat;
  let data = isBytes ? source.data.map(truncateToByte) : source.data;
  const skipSame = isBytes; // Pillow leaves an axis of unchanged size alone.
  if (!(skipSame && width === source.width)) data = alongAxis(data, { rows: batch * source.height, length: source.width, channels }, TAPS[method](source.width, width), store);
  if (!(skipSame && height === source.height)) data = alongAxis(data, { rows: batch, length: source.height, channels: width * channels }, TAPS[method](source.height, height), store);
  return picture(batch, height, width, channels, isBytes ? data.map((value) => value / 255) : data);
}

/** Cuts the same margin off both sides; a margin of half the picture or more leaves nothing and is refused by `picture`. */
function cropMargins(source: Picture, x: number, y: number): Picture {
  return cropPicture(source, x, y, source.width - 2 * x, source.height - 2 * y);
}

/** The part of a picture starting at (x, y); it must lie inside. */
export function cropPicture(source: Picture, x: number, y: number, width: number, height: number): Picture {
  const { batch, channels } = source;
  const result = new Float32Array(batch * height * width * channels);
  for (let row = 0; row < batch * height; row++) {
    const item = Math.floor(row / height);
    const start = ((item * source.height + y + (row % height)) * source.width + x) * channels;
    result.set(source.data.subarray(start, start + width * channels), row * width * channels);
  }
  return picture(batch, height, width, channels, result);
}

/** Scales with or without first cutting to the new shape around the centre (`round` is Python's: halves to even). */
export function scaleTo(source: Picture, width: number, height: number, method: Method, crop: string, round: (value: number) => number): Picture {
  if (crop !== "center") return resample(source, width, height, method);
  const oldAspect = source.width / source.height;
  const newAspect = width / height;
  let x = 0;
  let y = 0;
  if (oldAspect > newAspect) x = round((source.width - source.width * (newAspect / oldAspect)) / 2);
  else if (oldAspect < newAspect) y = round((source.height - source.height * (oldAspect / newAspect)) / 2);
  return resample(cropMargins(source, x, y), width, height, method);
}
