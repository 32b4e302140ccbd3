// The painter: the same words, seed and size give the same picture; other ones another; colour words show.

import { describe, expect, test } from "vitest";
import type { Recipe } from "../../../gpu-adapter/sandbox/painter/latent.ts";
import { drawMark } from "../../../gpu-adapter/sandbox/painter/mark.ts";
import { MOTIFS, choosePalette } from "../../../gpu-adapter/sandbox/painter/palette.ts";
import { renderRecipes } from "../../../gpu-adapter/sandbox/painter/render.ts";
import { PreviewFrames, finishAfter, noiseLevel } from "../../../gpu-adapter/sandbox/painter/sampler.ts";
import sharp from "sharp";

function recipe(positive: string, change: Partial<Recipe> = {}): Recipe {
  return { positive, negative: "", checkpoint: "sandbox-painter.safetensors", seed: 7n, cfg: 8, finish: 1, strength: 1, ...change };
}

const SIDE = 48;
const paint = (...recipes: Recipe[]): Promise<Float32Array> => renderRecipes(recipes, SIDE, SIDE);

function meanColor(data: Float32Array): [number, number, number] {
  const sum: [number, number, number] = [0, 0, 0];
  for (let i = 0; i < data.length; i++) sum[i % 3] = sum[i % 3]! + data[i]! / (data.length / 3);
  return sum;
}

async function light(word: string): Promise<number> {
  return meanColor(await paint(recipe(`mountains by ${word}`))).reduce((sum, value) => sum + value, 0);
}

function difference(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, i) => sum + Math.abs(value - b[i]!), 0) / a.length;
}

describe("what decides the picture", () => {
  test("the same recipe paints the same picture", async () => {
    expect(await paint(recipe("a quiet valley"))).toEqual(await paint(recipe("a quiet valley")));
  });

  test.each<[string, Recipe]>([
    ["another prompt", recipe("a loud valley")],
    ["another seed", recipe("a quiet valley", { seed: 8n })],
    ["a seed that differs in its upper half only", recipe("a quiet valley", { seed: 7n + (1n << 40n) })],
    ["another negative prompt", recipe("a quiet valley", { negative: "people" })],
    ["another cfg", recipe("a quiet valley", { cfg: 2 })],
    ["fewer steps", recipe("a quiet valley", { finish: 0.5 })],
  ])("%s paints another picture", async (_name, other) => {
    expect(difference(await paint(recipe("a quiet valley")), await paint(other))).toBeGreaterThan(0.004);
  });

  test("values stay within 0..1 and the picture is not one colour", async () => {
    for (const motif of MOTIFS) {
      const data = await paint(recipe(motif === "dunes" ? "desert" : motif));
      expect(data.every((value) => value >= 0 && value <= 1)).toBe(true);
      expect(new Set(data.map((value) => Math.round(value * 20))).size, motif).toBeGreaterThan(5);
    }
  });

  test("painting over at half strength lies between both", async () => {
    const [below, above, both] = await Promise.all([paint(recipe("desert")), paint(recipe("ocean")), paint(recipe("desert"), recipe("ocean", { strength: 0.5 }))]);
    expect(both![0]).toBeCloseTo((below![0]! + above![0]!) / 2, 5);
  });

  test("an empty latent decodes to a flat grey", async () => {
    const data = await paint();
    expect(new Set(data).size).toBe(3);
  });
});

describe("words", () => {
  test.each([["red", 0], ["green", 1], ["blue", 2]] as const)("%s makes that channel the strongest", async (word, channel) => {
    for (const seed of [1n, 2n, 3n]) {
      const mean = meanColor(await paint(recipe(`a ${word} landscape`, { seed })));
      expect(Math.max(...mean)).toBe(mean[channel]);
    }
  });

  test("night is darker than day", async () => {
    expect(await light("night")).toBeLessThan(await light("day"));
  });

  test("places choose the motif, unless the negative prompt takes them away", () => {
    expect(choosePalette("an old forest", "", 1).motif).toBe("forest");
    expect(choosePalette("neon CITY street", "", 1).motif).toBe("city");
    const seeds = Array.from({ length: 20 }, (_, seed) => seed);
    expect(new Set(seeds.map((seed) => choosePalette("city", "city", seed).motif)).size).toBeGreaterThan(1);
  });
});

describe("steps", () => {
  test.each(["normal", "karras", "simple", "beta"])("%s: noise falls with each step and is gone after the last", (scheduler) => {
    const levels = Array.from({ length: 21 }, (_, step) => noiseLevel(step, 20, scheduler));
    expect(levels[0]).toBe(1);
    expect(levels.at(-1)).toBe(0);
    for (let step = 1; step < levels.length; step++) expect(levels[step]!).toBeLessThan(levels[step - 1]!);
  });

  test("more steps finish more, twenty finish all", () => {
    expect(finishAfter(1, "normal")).toBeLessThan(finishAfter(8, "normal"));
    expect(finishAfter(20, "normal")).toBe(1);
  });

  test("previews are small JPEGs that come nearer to the picture step by step", async () => {
    const frames = await PreviewFrames.of([recipe("sunset over the sea")], 1024, 640, 1);
    const pixels = async (level: number) => {
      const jpeg = await frames.jpeg(level);
      expect(jpeg.subarray(0, 2).toString("hex")).toBe("ffd8");
      const { data, info } = await sharp(jpeg).raw().toBuffer({ resolveWithObject: true });
      expect(Math.max(info.width, info.height)).toBeLessThanOrEqual(512);
      return Float32Array.from(data);
    };
    const end = await pixels(0);
    const distances = await Promise.all([0.9, 0.6, 0.3, 0.1].map(async (level) => difference(await pixels(level), end)));
    expect(distances).toEqual([...distances].sort((a, b) => b - a));
  });
});

describe("the mark", () => {
  test("is drawn in the lower right corner and nowhere else", () => {
    const data = new Float32Array(256 * 256 * 3).fill(0.5);
    drawMark(data, 256, 256);
    const touched = [...data.keys()].filter((i) => data[i] !== 0.5).map((i) => Math.floor(i / 3));
    expect(touched.length).toBeGreaterThan(200);
    for (const at of touched) {
      expect(at % 256).toBeGreaterThan(200);
      expect(Math.floor(at / 256)).toBeGreaterThan(230);
    }
  });

  test("leaves very small pictures alone", () => {
    const data = new Float32Array(16 * 16 * 3).fill(0.5);
    drawMark(data, 16, 16);
    expect(data.every((value) => value === 0.5)).toBe(true);
  });
});
