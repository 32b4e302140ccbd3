// Seven motifs. Each is a function of a point, built once per picture from palette and dice; silhouettes are functions of x only.

import { type Color, type Motif, type Palette, blend } from "./palette.ts";
import { type Dice, Noise, cell } from "./random.ts";
import { type Paint, addStars, makeSky, mixInto, smooth } from "./sky.ts";

export interface Frame {
  readonly aspect: number;
  /** Height of one pixel in picture heights: edges are softened over it. */
  readonly pixel: number;
  /** Octaves of noise: how fine the detail gets. */
  readonly octaves: number;
}

type Silhouette = (x: number, layer: number) => number;

interface Range {
  readonly layers: number;
  readonly horizon: number;
  readonly silhouette: Silhouette;
  /** Colours a point of a layer's body; `below` is its distance under the silhouette. */
  readonly shade: (x: number, y: number, layer: number, depth: number, out: Float64Array, below: number) => void;
}

/** Far to near: each layer covers what is below its silhouette; mist gathers at its foot. */
function layeredPaint(palette: Palette, dice: Dice, frame: Frame, range: Range): Paint {
  const sky = makeSky(palette, dice, frame.aspect, range.horizon + 0.1, frame.octaves);
  const mist = blend(palette.low, palette.middle, 0.3);
  const body = new Float64Array(3);
  const columns = new Map<number, Float64Array>();
  const heightsAt = (x: number): Float64Array => {
    const known = columns.get(x);
    if (known !== undefined) return known;
    const heights = Float64Array.from({ length: range.layers }, (_, layer) => range.silhouette(x, layer));
    columns.set(x, heights);
    return heights;
  };
  return (x, y, out) => {
    const heights = heightsAt(x);
    let first = range.layers - 1; // what a nearer layer hides need not be painted
    while (first >= 0 && y < (heights[first] as number) + frame.pixel) first--;
    if (first < 0) sky.paint(x, y, out);
    for (let layer = Math.max(0, first); layer < range.layers; layer++) {
      const edge = heights[layer] as number;
      const cover = smooth(edge - frame.pixel, edge + frame.pixel, y);
      if (cover <= 0) continue;
      const depth = layer / Math.max(1, range.layers - 1);
      body.set(blend(palette.far, palette.near, depth ** 0.85));
      range.shade(x, y, layer, depth, body, y - edge);
      mixInto(body, mist, smooth(edge, edge + 0.34, y) * 0.6 * (1 - depth));
      mixInto(out, body, cover);
    }
  };
}

function mountains(palette: Palette, dice: Dice, frame: Frame): Paint {
  const noise = new Noise(dice);
  const horizon = dice.between(0.42, 0.58);
  const rough = dice.between(0.8, 1.2);
  const isSnowy = dice.next() < 0.55;
  const lean = dice.pick([-0.8, 0.8]);
  const peak = (x: number, layer: number): number => {
    const along = x * (0.75 + layer * 0.4) + layer * 37.7;
    const ridge = 1 - Math.abs(2 * noise.layered(along * 1.5, layer * 7.3, frame.octaves + 2) - 1);
    return ridge ** 1.6;
  };
  return layeredPaint(palette, dice, frame, {
    layers: 6,
    horizon,
    silhouette: (x, layer) => horizon + layer * 0.085 + 0.05 - peak(x, layer) * (0.3 - layer * 0.03) * rough,
    shade: (x, y, layer, depth, out, below) => {
      const scale = 5 + layer; // ribs run down the slope, leaning one way; light falls from the side
      const px = (x + lean * below) * scale + layer * 9;
      const py = y * scale * 0.7;
      const relief = noise.layered(px + 0.12, py, frame.octaves) - noise.layered(px - 0.12, py, frame.octaves);
      mixInto(out, palette.light, Math.max(0, relief * 2.2) * (1 - depth * 0.5));
      mixInto(out, palette.near, Math.max(0, -relief * 2.4) * (0.4 + 0.6 * depth));
      if (!isSnowy || layer > 3) return;
      const snow = 0.075 - layer * 0.012 + relief * 0.35;
      mixInto(out, palette.light, 0.7 * smooth(snow, snow - 0.02, below) * (1 - depth * 0.6));
    },
  });
}

function forest(palette: Palette, dice: Dice, frame: Frame): Paint {
  const noise = new Noise(dice);
  const horizon = dice.between(0.4, 0.5);
  const salt = Math.floor(dice.next() * 1e9);
  const tree = (x: number, layer: number): number => {
    const gap = 0.028 + layer * 0.019;
    const slot = Math.floor(x / gap);
    let top = 0;
    for (let near = slot - 2; near <= slot + 2; near++) {
      const size = cell(near, layer, salt);
      const center = (near + 0.2 + 0.6 * cell(near, layer, salt + 5)) * gap;
      const height = gap * (2 + 3.2 * size);
      const reach = 1 - Math.abs(x - center) / (gap * (0.5 + 0.4 * size));
      if (reach <= 0) continue;
      const bough = 0.13 * Math.abs(((reach * 7) % 1) - 0.5); // the saw of the branches
      top = Math.max(top, height * Math.max(0, reach - bough));
    }
    return top;
  };
  return layeredPaint(palette, dice, frame, {
    layers: 6,
    horizon,
    silhouette: (x, layer) => horizon + 0.07 + layer * 0.1 + 0.1 * (noise.at(x * 1.7 + layer * 9, 3) - 0.5) - tree(x, layer),
    shade: (x, y, layer, depth, out) => {
      const grain = noise.layered(x * 26, y * 26 + layer * 5, frame.octaves);
      mixInto(out, palette.light, Math.max(0, grain - 0.52) * 0.5 * (1 - depth * 0.6));
    },
  });
}

function dunes(palette: Palette, dice: Dice, frame: Frame): Paint {
  const noise = new Noise(dice);
  const horizon = dice.between(0.45, 0.58);
  const crest = (x: number, layer: number): number => {
    const wave = noise.layered(x * (0.7 + layer * 0.22) + layer * 13.1, layer * 3.7, 2);
    return 1 - Math.abs(2 * wave - 1);
  };
  const sand = blend(palette.far, palette.light, 0.35);
  const lean = dice.pick([-1.7, 1.7]);
  return layeredPaint(palette, dice, frame, {
    layers: 5,
    horizon,
    silhouette: (x, layer) => horizon + 0.1 + layer * 0.1 - crest(x, layer) * 0.17,
    shade: (x, y, layer, depth, out, below) => {
      const foot = x + below * lean + 0.05 * (noise.at(x * 2.3 + layer, y * 5) - 0.5); // the shadow's edge winds down from the crest
      const slope = (crest(foot + 0.02, layer) - crest(foot - 0.02, layer)) * 9;
      mixInto(out, sand, smooth(-0.7, 0.8, slope) * 0.75 * (1 - depth * 0.35));
      const ripple = Math.sin((y * 190 + noise.at(x * 5, y * 18) * 16) * (1 - depth * 0.4));
      mixInto(out, palette.light, 0.05 * (ripple + 1) * depth);
    },
  });
}

/** Width of a house in a city layer. */
function pitch(layer: number): number {
  return 0.042 + layer * 0.022;
}

function city(palette: Palette, dice: Dice, frame: Frame): Paint {
  const salt = Math.floor(dice.next() * 1e9);
  const horizon = dice.between(0.5, 0.6);
  const silhouette: Silhouette = (x, layer) => {
    const slot = Math.floor(x / pitch(layer));
    const size = cell(slot, layer, salt);
    const tower = size > 0.86 && Math.abs(x / pitch(layer) - slot - 0.5) < 0.05 ? 0.07 : 0;
    return horizon + 0.16 + layer * 0.11 - (0.08 + 0.3 * size * size) - tower;
  };
  return layeredPaint(palette, dice, frame, {
    layers: 4,
    horizon,
    silhouette,
    shade: (x, y, layer, depth, out) => {
      const column = Math.floor((x / pitch(layer)) * 6);
      const row = Math.floor(y * (120 - layer * 18));
      const isPane = (x / pitch(layer)) * 6 - column > 0.3 && y * (120 - layer * 18) - row > 0.35;
      const isLit = cell(column, row, salt + layer) < 0.16 + 0.34 * palette.night;
      if (isPane && isLit) mixInto(out, palette.light, (0.25 + 0.55 * palette.night) * (0.35 + 0.65 * depth));
      else if (isPane) mixInto(out, palette.middle, 0.16);
    },
  });
}

function sea(palette: Palette, dice: Dice, frame: Frame): Paint {
  const noise = new Noise(dice);
  const horizon = dice.between(0.46, 0.62);
  const sky = makeSky(palette, dice, frame.aspect, horizon, frame.octaves);
  const coast = dice.next() < 0.7 ? dice.between(0.05, 0.13) : 0;
  const deep = blend(palette.near, palette.high, 0.35);
  const mirror = new Float64Array(3);
  return (x, y, out) => {
    sky.paint(x, y, out);
    const land = horizon - coast * Math.max(0, noise.layered(x * 2.1, 4.4, frame.octaves + 1) * 2.2 - 0.9);
    mixInto(out, blend(palette.far, palette.low, 0.25), coast > 0 ? smooth(land - frame.pixel, land + frame.pixel, y) : 0);
    const cover = smooth(horizon - frame.pixel, horizon + frame.pixel, y);
    if (cover <= 0) return;
    const depth = Math.max(0.001, (y - horizon) / (1 - horizon));
    const wave = noise.layered(x * (5 / (0.15 + depth)), Math.log(depth + 0.02) * 26, Math.max(2, frame.octaves - 1));
    sky.paint(x + (wave - 0.5) * 0.2 * depth, horizon - (y - horizon) * 0.75 + (wave - 0.5) * 0.12 * depth, mirror);
    mixInto(mirror, deep, 0.25 + 0.55 * depth);
    const glitter = smooth(0.52, 0.78, wave) * Math.exp(-Math.abs(x - sky.sun.x) / (0.06 + 0.22 * depth));
    mixInto(mirror, palette.light, 0.85 * glitter);
    mixInto(mirror, palette.light, 0.16 * smooth(0.6, 0.8, wave));
    mixInto(out, mirror, cover);
  };
}

function cosmos(palette: Palette, dice: Dice, frame: Frame): Paint {
  const noise = new Noise(dice);
  const salt = Math.floor(dice.next() * 1e9);
  const planet = { x: frame.aspect * dice.between(0.2, 0.8), y: dice.between(0.55, 0.8), radius: dice.between(0.12, 0.26) };
  const dark: Color = blend(palette.near, [0.02, 0.02, 0.06], 0.6);
  return (x, y, out) => {
    const warpX = noise.layered(x * 1.6, y * 1.6, frame.octaves);
    const warpY = noise.layered(x * 1.6 + 31, y * 1.6 + 7, frame.octaves);
    const cloud = noise.layered(x * 2 + warpX * 2.4, y * 2 + warpY * 2.4, frame.octaves + 1);
    out.set(dark);
    mixInto(out, palette.high, smooth(0.3, 0.62, cloud) * 0.8);
    mixInto(out, palette.middle, smooth(0.45, 0.75, cloud) * 0.75 * warpX * 1.4);
    mixInto(out, palette.low, smooth(0.55, 0.85, cloud + (warpY - 0.5) * 0.4) * 0.8);
    addStars(x, y, salt, 1, out);
    addStars(x * 2.3, y * 2.3, salt + 9, 0.6, out);
    const dx = (x - planet.x) / planet.radius;
    const dy = (y - planet.y) / planet.radius;
    const distance = Math.hypot(dx, dy);
    mixInto(out, palette.light, 0.3 * Math.exp(-Math.max(0, distance - 1) * 7));
    const cover = 1 - smooth(1 - frame.pixel / planet.radius, 1 + frame.pixel / planet.radius, distance);
    if (cover <= 0) return;
    const light = Math.max(0.04, (-dx * 0.6 - dy * 0.5 + Math.sqrt(Math.max(0, 1 - distance * distance)) * 0.6) * 1.1);
    const band = noise.layered(dx * 1.3 + 5, dy * 6 + noise.at(dx * 3, dy * 3), frame.octaves);
    const body = blend(palette.far, palette.low, smooth(0.3, 0.7, band));
    mixInto(out, [body[0] * light, body[1] * light, body[2] * light], cover);
  };
}

function flow(palette: Palette, dice: Dice, frame: Frame): Paint {
  const noise = new Noise(dice);
  const zoom = dice.between(1.1, 1.9);
  const swirl = dice.between(1.6, 3);
  const stops: readonly Color[] = [palette.near, palette.high, palette.middle, palette.far, palette.low, palette.light];
  return (x, y, out) => {
    const ax = noise.layered(x * zoom, y * zoom, 3);
    const ay = noise.layered(x * zoom + 41, y * zoom + 13, 3);
    const bx = noise.layered(x * zoom + ax * swirl, y * zoom + ay * swirl, frame.octaves);
    const by = noise.layered(x * zoom + ay * swirl + 17, y * zoom + ax * swirl + 5, frame.octaves);
    const height = Math.min(0.999, Math.max(0, (bx - 0.22) * 1.75));
    const place = height * (stops.length - 1);
    const index = Math.floor(place);
    out.set(stops[index] as Color);
    mixInto(out, stops[index + 1] as Color, smooth(0, 1, place - index));
    const fold = Math.abs(Math.sin((bx * 7 + by * 3) * Math.PI));
    mixInto(out, palette.light, 0.22 * fold ** 8);
    mixInto(out, palette.near, 0.3 * smooth(0.62, 0.2, fold) * by);
  };
}

export const PAINT: Record<Motif, (palette: Palette, dice: Dice, frame: Frame) => Paint> = { mountains, sea, forest, dunes, city, cosmos, flow };
