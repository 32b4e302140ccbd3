// The air of every picture: a gradient of three colours, a sun or moon, clouds, and stars by night.

import { type Palette } from "./palette.ts";
import { type Dice, Noise, cell } from "./random.ts";

export type Rgb = Float64Array;
/** Colours one point: x grows to the right in units of the picture's height, y is 0 at the top and 1 at the bottom. */
export type Paint = (x: number, y: number, out: Rgb) => void;

export function smooth(low: number, high: number, value: number): number {
  const t = Math.min(1, Math.max(0, (value - low) / (high - low)));
  return t * t * (3 - 2 * t);
}

export function mixInto(out: Rgb, color: ArrayLike<number>, share: number): void {
  for (let i = 0; i < 3; i++) out[i] = (out[i] as number) + ((color[i] as number) - (out[i] as number)) * share;
}

export interface SunPlace {
  readonly x: number;
  readonly y: number;
  readonly radius: number;
}

export interface Sky {
  readonly paint: Paint;
  readonly sun: SunPlace;
}

/** A sky whose gradient ends at `horizon` (0..1 from the top), for a picture `aspect` times as wide as high. */
export function makeSky(palette: Palette, dice: Dice, aspect: number, horizon: number, octaves: number): Sky {
  const noise = new Noise(dice);
  const sun: SunPlace = { x: aspect * dice.between(0.2, 0.8), y: horizon * dice.between(0.3, 0.85), radius: dice.between(0.035, 0.075) };
  const cloudLevel = dice.between(0.45, 0.6);
  const stretch = dice.between(2, 4);
  const salt = Math.floor(dice.next() * 1e9);
  const glow = 0.55 - 0.25 * palette.night;
  const paint: Paint = (x, y, out) => {
    const t = y / horizon;
    out.set(palette.high);
    mixInto(out, palette.middle, smooth(0, 0.65, t));
    mixInto(out, palette.low, smooth(0.5, 1.02, t));
    if (palette.night > 0.3) addStars(x, y, salt, palette.night * (1 - smooth(0.5, 1, t)), out);
    const distance = Math.hypot(x - sun.x, y - sun.y);
    mixInto(out, palette.light, glow * Math.exp(-distance * 3.2) + 0.35 * Math.exp(-distance * 12));
    mixInto(out, palette.light, 1 - smooth(sun.radius * 0.94, sun.radius * 1.04, distance));
    const cloud = noise.layered(x * 2.2 + 3, y * 2.2 * stretch + 11, octaves);
    const cover = smooth(cloudLevel, cloudLevel + 0.22, cloud) * smooth(0.02, 0.4, t) * (1 - 0.5 * palette.night);
    if (cover > 0) {
      const lit = Math.exp(-distance * 2.4);
      mixInto(out, palette.light, cover * (0.18 + 0.5 * lit));
      mixInto(out, palette.far, cover * 0.22 * (1 - lit) * smooth(cloudLevel, cloudLevel + 0.4, cloud));
    }
  };
  return { paint, sun };
}

const STAR_GRID = 46;

export function addStars(x: number, y: number, salt: number, strength: number, out: Rgb): void {
  const column = Math.floor(x * STAR_GRID);
  const row = Math.floor(y * STAR_GRID);
  const chance = cell(column, row, salt);
  if (chance > 0.3 || strength <= 0) return;
  const dx = x * STAR_GRID - column - (0.2 + 0.6 * cell(column, row, salt + 1));
  const dy = y * STAR_GRID - row - (0.2 + 0.6 * cell(column, row, salt + 2));
  const size = 0.05 + 0.12 * cell(column, row, salt + 3) ** 3;
  const light = strength * Math.exp(-(dx * dx + dy * dy) / (size * size));
  for (let i = 0; i < 3; i++) out[i] = Math.min(1, (out[i] as number) + light * (i === 2 ? 1 : 0.92));
}
