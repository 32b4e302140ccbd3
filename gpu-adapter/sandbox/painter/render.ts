// Turns recipes into pixels, a band of rows at a time so that sockets are served in between.

import { PAINT } from "./motifs.ts";
import type { Recipe } from "./latent.ts";
import { choosePalette } from "./palette.ts";
import { Dice, Noise, hashSeed, hashText } from "./random.ts";

/** Milliseconds of painting between two turns of the event loop. */
const BAND_MS = 12;
const FULL_OCTAVES = 5;

/** A latent nothing was sampled into decodes to this, as an empty latent of a real model does to a flat brownish grey. */
const EMPTY = [0.48, 0.45, 0.4] as const;

type RowPainter = (row: number, out: Float32Array) => void;

function makeRowPainter(recipe: Recipe, width: number, height: number): RowPainter {
  const words = hashText(`${recipe.checkpoint}\n${recipe.positive}\n${recipe.negative}`);
  const seed = hashSeed(recipe.seed, words);
  const palette = choosePalette(recipe.positive, recipe.negative, seed);
  const dice = new Dice(seed ^ 0x5bd1e995);
  const pixel = 1 / height;
  const octaves = Math.max(1, Math.round(FULL_OCTAVES * (0.3 + 0.7 * recipe.finish)));
  const paint = PAINT[palette.motif](palette, dice, { aspect: width / height, pixel: pixel * (1 + 14 * (1 - recipe.finish)), octaves });
  const contrast = 0.86 + Math.min(20, recipe.cfg) * 0.018;
  const grain = 0.015 + 0.3 * (1 - recipe.finish);
  const noise = new Noise(dice);
  const color = new Float64Array(3);
  return (row, out) => {
    const y = (row + 0.5) * pixel;
    for (let column = 0; column < width; column++) {
      paint((column + 0.5) * pixel, y, color);
      const dx = (column + 0.5) / width - 0.5;
      const shade = 1 - 0.55 * (dx * dx + (y - 0.5) * (y - 0.5)); // the lens darkens the corners
      const speck = (noise.at(column * 0.83 + 7, row * 0.79) - 0.5) * grain;
      for (let channel = 0; channel < 3; channel++) {
        const value = ((color[channel] as number) - 0.5) * contrast + 0.5;
        out[column * 3 + channel] = Math.min(1, Math.max(0, value * shade + speck));
      }
    }
  };
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Paints one picture of a latent (recipes laid over each other by their strength) into width x height x 3 floats. */
export async function renderRecipes(recipes: readonly Recipe[], width: number, height: number): Promise<Float32Array> {
  const data = new Float32Array(width * height * 3);
  for (let i = 0; i < data.length; i++) data[i] = EMPTY[i % 3] as number;
  const line = new Float32Array(width * 3);
  for (const recipe of recipes) {
    const paintRow = makeRowPainter(recipe, width, height);
    let turn = performance.now();
    for (let row = 0; row < height; row++) {
      paintRow(row, line);
      const start = row * width * 3;
      for (let i = 0; i < line.length; i++) data[start + i] = (data[start + i] as number) + ((line[i] as number) - (data[start + i] as number)) * recipe.strength;
      if (performance.now() - turn < BAND_MS) continue;
      await nextTurn();
      turn = performance.now();
    }
  }
  return data;
}
