// The steps one sees: noise that clears into the picture. The target is painted once in preview size and blurred by halves;
// each step shows the blur that fits its noise level, under just that much noise. This is what previews are made of.

import sharp from "sharp";
import type { Recipe } from "./latent.ts";
import { Dice } from "./random.ts";
import { renderRecipes } from "./render.ts";

/** Longer side of a preview in pixels; ComfyUI's previews are at most 512. */
const PREVIEW_SIDE = 240;

/** Share of noise left after step `step` of `steps`: 1 at the start, 0 after the last; karras falls faster at first. */
export function noiseLevel(step: number, steps: number, scheduler: string): number {
  const left = 1 - step / steps;
  if (scheduler === "karras" || scheduler === "exponential") return left ** 2;
  return scheduler === "simple" || scheduler === "normal" ? left ** 1.3 : left ** 1.6;
}

/** How finished the picture is after so many steps: about 0.4 for one, 1 from sixteen on. */
export function finishAfter(steps: number, scheduler: string): number {
  const pace = scheduler === "karras" ? 1.15 : 1;
  return Math.min(1, 0.4 + 0.04 * pace * Math.max(0, steps - 1));
}

interface Level {
  readonly width: number;
  readonly height: number;
  readonly data: Float32Array;
}

function halve(level: Level): Level {
  const width = Math.max(1, level.width >> 1);
  const height = Math.max(1, level.height >> 1);
  const data = new Float32Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width * 3; x++) {
      const column = Math.floor(x / 3) * 2;
      const right = Math.min(column + 1, level.width - 1);
      const below = Math.min(y * 2 + 1, level.height - 1);
      const at = (row: number, col: number): number => level.data[(row * level.width + col) * 3 + (x % 3)] as number;
      data[y * width * 3 + x] = (at(y * 2, column) + at(y * 2, right) + at(below, column) + at(below, right)) / 4;
    }
  }
  return { width, height, data };
}

/** Enlarges to the preview's size with straight lines between the pixels. */
function enlarge(level: Level, width: number, height: number): Float32Array {
  if (level.width === width && level.height === height) return level.data;
  const data = new Float32Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    const sy = Math.min(level.height - 1, Math.max(0, ((y + 0.5) * level.height) / height - 0.5));
    const top = Math.floor(sy);
    const below = Math.min(level.height - 1, top + 1);
    for (let x = 0; x < width; x++) {
      const sx = Math.min(level.width - 1, Math.max(0, ((x + 0.5) * level.width) / width - 0.5));
      const left = Math.floor(sx);
      const right = Math.min(level.width - 1, left + 1);
      for (let c = 0; c < 3; c++) {
        const a = level.data[(top * level.width + left) * 3 + c] as number;
        const b = level.data[(top * level.width + right) * 3 + c] as number;
        const d = level.data[(below * level.width + left) * 3 + c] as number;
        const e = level.data[(below * level.width + right) * 3 + c] as number;
        const upper = a + (b - a) * (sx - left);
        data[(y * width + x) * 3 + c] = upper + (d + (e - d) * (sx - left) - upper) * (sy - top);
      }
    }
  }
  return data;
}

export class PreviewFrames {
  private readonly width: number;
  private readonly height: number;
  private readonly levels: readonly Float32Array[];
  private readonly noise: Float32Array;

  private constructor(width: number, height: number, levels: readonly Float32Array[], noise: Float32Array) {
    this.width = width;
    this.height = height;
    this.levels = levels;
    this.noise = noise;
  }

  /** Paints the target in preview size and prepares its blurred versions. */
  static async of(recipes: readonly Recipe[], width: number, height: number, seed: number): Promise<PreviewFrames> {
    const scale = Math.min(1, PREVIEW_SIDE / Math.max(width, height));
    const w = Math.max(1, Math.round(width * scale));
    const h = Math.max(1, Math.round(height * scale));
    let level: Level = { width: w, height: h, data: await renderRecipes(recipes, w, h) };
    const levels = [level.data];
    while (Math.min(level.width, level.height) > 4 && levels.length < 6) {
      level = halve(level);
      levels.push(enlarge(level, w, h));
    }
    const dice = new Dice(seed);
    const noise = Float32Array.from({ length: w * h * 3 }, () => (dice.next() + dice.next() + dice.next()) * 0.8 - 1.2);
    return new PreviewFrames(w, h, levels, noise);
  }

  /** The picture with a share of noise left, as JPEG. */
  jpeg(noiseShare: number): Promise<Buffer> {
    const depth = Math.min(this.levels.length - 1, noiseShare * this.levels.length);
    const fine = this.levels[Math.floor(depth)] as Float32Array;
    const coarse = this.levels[Math.min(this.levels.length - 1, Math.floor(depth) + 1)] as Float32Array;
    const share = depth - Math.floor(depth);
    const keep = Math.sqrt(1 - noiseShare * noiseShare);
    const bytes = new Uint8ClampedArray(fine.length);
    for (let i = 0; i < bytes.length; i++) {
      const clean = (fine[i] as number) * (1 - share) + (coarse[i] as number) * share;
      bytes[i] = ((clean - 0.5) * keep + 0.5 + (this.noise[i] as number) * noiseShare * 0.6) * 255;
    }
    return sharp(bytes, { raw: { width: this.width, height: this.height, channels: 3 } }).jpeg({ quality: 74 }).toBuffer();
  }
}
