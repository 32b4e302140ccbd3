// Pixel values are ComfyUI's: formulae checked by hand, scaling checked against torch and Pillow.

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { roundHalfEven } from "../../../gpu-adapter/sandbox/graph/python.ts";
import { BLEND, type BlendMode, blendPictures } from "../../../gpu-adapter/sandbox/pixels/blend.ts";
import { METHODS, type Method, cropPicture, resample, scaleTo } from "../../../gpu-adapter/sandbox/pixels/resample.ts";
import { type Picture, concat, frame, fromBytes, mapValues, picture, toBytes } from "../../../gpu-adapter/sandbox/pixels/tensor.ts";

/** A grey picture from rows of numbers. */
function grey(...rows: number[][]): Picture {
  return picture(1, rows.length, rows[0]!.length, 1, Float32Array.from(rows.flat()));
}

function flat(color: readonly number[], width = 2, height = 2, batch = 1): Picture {
  return picture(batch, height, width, color.length, Float32Array.from({ length: batch * width * height * color.length }, (_, i) => color[i % color.length]!));
}

const values = (image: Picture): number[] => [...image.data];

describe("bytes and floats", () => {
  test("all 256 byte values survive the way through floats", () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, value) => value);
    expect([...toBytes(fromBytes(bytes))]).toEqual([...bytes]);
  });

  test("values are clipped and cut off, never rounded up", () => {
    expect([...toBytes(Float32Array.of(-0.5, 0, 0.5, 0.999, 1, 1.5))]).toEqual([0, 0, 127, 254, 255, 255]);
  });
});

describe("invert, crop, batches", () => {
  test("inverting is one minus the value, and twice is nothing", () => {
    const once = mapValues(grey([0, 0.25, 1]), (value) => 1 - value);
    expect(values(once)).toEqual([1, 0.75, 0]);
    expect(values(mapValues(once, (value) => 1 - value))).toEqual([0, 0.25, 1]);
  });

  test("a crop is the rectangle itself, in every picture of the batch", () => {
    const one = grey([0, 1, 2], [3, 4, 5], [6, 7, 8]);
    const two = mapValues(one, (value) => value + 10);
    const cut = cropPicture(concat([one, two]), 1, 1, 2, 2);
    expect(values(cut)).toEqual([4, 5, 7, 8, 14, 15, 17, 18]);
    expect([...frame(cut, 1)]).toEqual([14, 15, 17, 18]);
  });
});

describe("scaling", () => {
  test("nearest-exact doubles each pixel", () => {
    expect(values(resample(grey([1, 2], [3, 4]), 4, 4, "nearest-exact"))).toEqual([1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4]);
  });

  test("nearest-exact takes the middle: 3 to 1 is the second pixel", () => {
    expect(values(resample(grey([7, 8, 9]), 1, 1, "nearest-exact"))).toEqual([8]);
  });

  test("area halves by averaging", () => {
    expect(values(resample(grey([0, 1, 2, 3], [4, 5, 6, 7]), 2, 1, "area"))).toEqual([2.5, 4.5]);
  });

  test("area on odd sizes averages every pixel it touches, all equally: 3 to 2", () => {
    expect(values(resample(grey([0, 3, 9]), 2, 1, "area"))).toEqual([1.5, 6]);
  });

  test("bilinear 2 to 4: ends stay, quarters between", () => {
    expect(values(resample(grey([0, 1]), 4, 1, "bilinear"))).toEqual([0, 0.25, 0.75, 1]);
  });

  const reference = JSON.parse(readFileSync(new URL("scaling-reference.json", import.meta.url), "utf8")) as {
    source: number[];
    cases: { method: Method; width: number; height: number; values?: number[]; bytes?: number[] }[];
  };
  test.each(reference.cases)("$method to $width x $height is what torch and Pillow compute", ({ method, width, height, values: wanted, bytes }) => {
    const source = picture(1, 5, 6, 1, fromBytes(Uint8Array.from(reference.source)));
    const result = resample(source, width, height, method);
    if (bytes !== undefined) expect([...toBytes(result.data)]).toEqual(bytes);
    for (const [index, value] of (wanted ?? []).entries()) expect(result.data[index]).toBeCloseTo(value, 5);
    expect(result.data.length).toBe((wanted ?? bytes)!.length);
  });

  test.each(METHODS)("%s keeps a flat colour flat, to the byte", (method) => {
    const source = flat([200 / 255, 17 / 255, 99 / 255], 7, 5, 2);
    for (const [width, height] of [[3, 2], [20, 11]] as const) {
      const bytes = toBytes(resample(source, width, height, method).data);
      expect(bytes.length).toBe(2 * width * height * 3);
      expect(new Set(Array.from({ length: bytes.length / 3 }, (_, i) => [...bytes.subarray(i * 3, i * 3 + 3)].join()))).toEqual(new Set(["200,17,99"]));
    }
  });

  test("center crop cuts the longer side before scaling: 4x2 to 2x2 keeps the middle", () => {
    expect(values(scaleTo(grey([1, 2, 3, 4], [5, 6, 7, 8]), 2, 2, "nearest-exact", "center", roundHalfEven))).toEqual([2, 3, 6, 7]);
    expect(values(scaleTo(grey([1], [2], [3], [4]), 1, 2, "nearest-exact", "center", roundHalfEven))).toEqual([2, 3]);
  });

  test("halves are rounded to even, as Python rounds", () => {
    expect([0.5, 1.5, 2.5, 3.5, 2.4, 2.6].map(roundHalfEven)).toEqual([0, 2, 2, 4, 2, 3]);
  });
});

describe("blending", () => {
  test.each<[BlendMode, number, number, number]>([
    ["normal", 0.2, 0.7, 0.7],
    ["multiply", 0.5, 0.5, 0.25],
    ["screen", 0.5, 0.5, 0.75],
    ["overlay", 0.25, 0.5, 0.25],
    ["overlay", 0.75, 0.5, 0.75],
    ["overlay", 0.5, 1, 1],
    ["soft_light", 0.5, 0.25, 0.375],
    ["soft_light", 0.25, 0.75, 0.375],
    ["soft_light", 0.64, 0.75, 0.72],
    ["difference", 0.75, 0.25, 0.5],
    ["difference", 0.25, 0.75, -0.5],
  ])("%s of %f and %f is %f", (mode, lower, upper, wanted) => {
    expect(BLEND[mode](lower, upper)).toBeCloseTo(wanted, 10);
  });

  test("the factor mixes between the lower picture and the blend, and the result stays within 0..1", () => {
    expect(values(blendPictures(flat([0.5]), flat([0.5]), 0.5, "multiply"))).toEqual([0.375, 0.375, 0.375, 0.375]);
    expect(values(blendPictures(flat([0.25]), flat([1]), 1, "difference"))).toEqual([0, 0, 0, 0]);
  });

  test("an upper picture of another size is fitted to the lower one", () => {
    const result = blendPictures(flat([0], 4, 4), flat([1], 8, 2), 1, "normal");
    expect([result.width, result.height]).toEqual([4, 4]);
    expect(values(result).every((value) => value === 1)).toBe(true);
  });

  test("one picture is laid over a whole batch, other batch sizes are refused", () => {
    expect(blendPictures(flat([0.5], 2, 2, 3), flat([1]), 1, "normal").batch).toBe(3);
    expect(() => blendPictures(flat([0], 2, 2, 2), flat([0], 2, 2, 3), 1, "normal")).toThrow(/batches of 2 and 3/);
  });

  test("alpha is dropped from the upper picture, or added to the lower one as opaque", () => {
    expect(values(blendPictures(flat([0, 0, 0], 1, 1), flat([1, 1, 1, 0.5], 1, 1), 1, "normal"))).toEqual([1, 1, 1]);
  });
});
