// Pictures as ComfyUI holds them: float32, batch x height x width x channels, 0..1 where nothing overshoots.
// Invariant: arithmetic that reaches a file is done in float32 steps, so that truncation lands where numpy's lands.

import { PythonError } from "../graph/python.ts";

/** An IMAGE: `data[((b * height + y) * width + x) * channels + c]`. */
export interface Picture {
  readonly kind: "image";
  readonly batch: number;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly data: Float32Array;
}

/** A MASK: one value per pixel, 1 where the picture is transparent. */
export interface Mask {
  readonly kind: "mask";
  readonly batch: number;
  readonly height: number;
  readonly width: number;
  readonly data: Float32Array;
}

/** Most values one picture or batch may hold: 1 GiB of float32. A GPU too has an end, and the machine shall survive it. */
const MAX_VALUES = 2 ** 28;

/** Number of values of a picture. Throws torch's out-of-memory error when that is more than the sandbox holds. */
export function sizeOf(batch: number, height: number, width: number, channels: number): number {
  const size = batch * height * width * channels;
  if (size > MAX_VALUES) {
    throw new PythonError("torch.OutOfMemoryError", `Sandbox out of memory: ${batch} picture(s) of ${width}x${height} need ${Math.ceil((size * 4) / 2 ** 20)} MiB, the sandbox holds ${(MAX_VALUES * 4) / 2 ** 20} MiB.`);
  }
  return size;
}

export function picture(batch: number, height: number, width: number, channels: number, data?: Float32Array): Picture {
  const size = sizeOf(batch, height, width, channels);
  if (data !== undefined && data.length !== size) throw new RangeError(`a picture of ${batch}x${height}x${width}x${channels} needs ${size} values, got ${data.length}`);
  return { kind: "image", batch, height, width, channels, data: data ?? new Float32Array(size) };
}

/** A new picture of the same shape with every value passed through `change`. */
export function mapValues(source: Picture, change: (value: number) => number): Picture {
  const { data } = source;
  const result = new Float32Array(data.length);
  for (let i = 0; i < data.length; i++) result[i] = change(data[i] as number);
  return picture(source.batch, source.height, source.width, source.channels, result);
}

/** The values of one picture of the batch, without copying. */
export function frame(source: Picture, index: number): Float32Array {
  const size = source.height * source.width * source.channels;
  return source.data.subarray(index * size, (index + 1) * size);
}

const TO_FLOAT = Float32Array.from({ length: 256 }, (_, value) => value / 255);

/** 0..255 bytes to 0..1 floats. */
export function fromBytes(bytes: Uint8Array): Float32Array {
  const result = new Float32Array(bytes.length);
  for (let i = 0; i < bytes.length; i++) result[i] = TO_FLOAT[bytes[i] as number] as number;
  return result;
}

/** 0..1 floats to bytes: times 255 in float32, clipped, and *truncated* (not rounded), as the save nodes do. */
export function toBytes(values: Float32Array): Uint8Array {
  const result = new Uint8Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const scaled = Math.fround(255 * (values[i] as number));
    result[i] = scaled >= 255 ? 255 : scaled > 0 ? scaled : 0;
  }
  return result;
}

export function concat(pictures: readonly Picture[]): Picture {
  const first = pictures[0];
  if (first === undefined) throw new RangeError("no pictures to put together");
  const data = new Float32Array(pictures.reduce((sum, item) => sum + item.data.length, 0));
  let offset = 0;
  for (const item of pictures) {
    data.set(item.data, offset);
    offset += item.data.length;
  }
  return picture(pictures.reduce((sum, item) => sum + item.batch, 0), first.height, first.width, first.channels, data);
}
