// From words to colours and to a motif. Words the painter knows steer; all others still count through the hash.

import { Dice } from "./random.ts";

export type Color = readonly [number, number, number];
export const MOTIFS = ["mountains", "sea", "forest", "dunes", "city", "cosmos", "flow"] as const;
export type Motif = (typeof MOTIFS)[number];

export interface Palette {
  readonly high: Color;
  readonly middle: Color;
  readonly low: Color;
  readonly far: Color;
  readonly near: Color;
  readonly light: Color;
  /** 0 day .. 1 night: stars and lit windows. */
  readonly night: number;
  readonly motif: Motif;
}

type Mood = readonly [high: string, middle: string, low: string, far: string, near: string, light: string, night: number];

const MOODS = {
  dawn: ["4a5a8f", "c9a0b4", "ffd9b0", "9d8fae", "3b3a57", "fff1d0", 0.1],
  day: ["2f74c0", "7db8e8", "dff1f7", "8fb0c4", "2e4f4a", "fffbe6", 0],
  sunset: ["2c2a5e", "c44a5c", "ffb35c", "8a4a6b", "241b33", "ffe2a0", 0.15],
  dusk: ["1b1f4b", "5b3f7f", "e08a8a", "57467a", "171430", "ffd9c0", 0.5],
  night: ["060b22", "14245a", "3d5a8f", "22345f", "070b18", "f3f4ff", 1],
  storm: ["2b333d", "56626d", "a7b0b2", "6b767d", "1f272b", "eef3f2", 0.1],
  forest: ["7fa7a3", "b9d3b4", "eef3d2", "7d9f8b", "15291f", "fffbd8", 0],
  ocean: ["1d5f8a", "6fb7c9", "f4ead0", "4c8fa6", "0c2f45", "fff6da", 0],
  desert: ["4a86b5", "f0c894", "ffe6bf", "d79a62", "7a3f2a", "fff3d6", 0],
  snow: ["6d93b8", "b9d2e6", "f6f3ee", "a9c0d4", "51687f", "ffffff", 0],
  spring: ["7db7e0", "f3cfe0", "fff4e6", "b8cf9a", "4b7a4f", "fffdf0", 0],
  autumn: ["6a7f9c", "e6b98a", "ffe9c4", "c9793f", "5a2b1e", "fff0cf", 0],
  neon: ["0d0628", "4b1a78", "ff4fa0", "3a2a86", "0b0a20", "7ff5ff", 0.9],
  candy: ["7fd0e8", "ffc2d9", "fff0c9", "d6a5e0", "7a5aa8", "ffffff", 0],
  ember: ["1a0c10", "6b1f1a", "ff8a3c", "5c211f", "12080a", "ffe08a", 0.5],
} as const satisfies Record<string, Mood>;
type MoodName = keyof typeof MOODS;

const MOOD_WORDS: Record<MoodName, string> = {
  dawn: "dawn sunrise morning pastel misty mist fog foggy",
  day: "day sunny blue-sky noon bright clear summer happy meadow field",
  sunset: "sunset evening golden hour warm cinematic dramatic romantic",
  dusk: "dusk twilight gloaming purple-sky mystic magical magic fantasy dream dreamy",
  night: "night midnight moon moonlight moonlit stars starry dark galaxy space cosmic nebula universe",
  storm: "storm stormy rain rainy cloudy grey-sky gloomy noir monochrome thunder",
  forest: "forest woods jungle tree trees green moss fern nature",
  ocean: "ocean sea beach coast wave waves water lake river island underwater fish boat ship",
  desert: "desert sand dune dunes canyon sahara mars western",
  snow: "snow winter ice icy arctic frozen glacier frost",
  spring: "spring flower flowers blossom garden cherry sakura bloom",
  autumn: "autumn fall october leaves harvest pumpkin",
  neon: "neon cyberpunk synthwave retrowave futuristic robot city-night vaporwave tokyo",
  candy: "candy cute kawaii toy cartoon anime bubblegum sweet unicorn",
  ember: "fire lava volcano ember flame hell dragon burning inferno",
};

const MOTIF_WORDS: Record<Motif, string> = {
  mountains: "mountain mountains alps hill hills peak valley landscape scenery cliff volcano glacier snow",
  sea: "sea ocean beach coast wave waves lake river island boat ship water sunset",
  forest: "forest woods jungle tree trees pine wolf deer fox bear autumn moss",
  dunes: "desert dune dunes sand sahara mars camel",
  city: "city town street skyline building buildings tower tokyo cyberpunk neon car architecture",
  cosmos: "galaxy space nebula planet cosmos cosmic universe astronaut stars",
  flow: "abstract marble fluid pattern texture paint painting swirl silk smoke glass portrait face woman man",
};

const TINTS: Record<string, string> = {
  red: "d8322f", crimson: "b0122f", scarlet: "e0311f", orange: "f2802a", amber: "f5a623", gold: "e8b53a", golden: "e8b53a", yellow: "f5d442", green: "3fa34d", lime: "9ad13c", emerald: "1f9d6b",
  teal: "1d9a96", turquoise: "2ec4b6", cyan: "35c3e8", blue: "2f6fd8", azure: "3f8fe8", navy: "1c2f6e", indigo: "463bb5", purple: "7d3fc2", violet: "8a4fd8", magenta: "d835b0", pink: "f27fb2", rose: "e8657f",
  brown: "8a5a36", white: "f2f2f2", grey: "8c8f94", gray: "8c8f94", silver: "b8c0c8", black: "1a1a1f",
};

function lookup<K extends string>(groups: Record<K, string>): Map<string, K> {
  const result = new Map<string, K>();
  for (const key of Object.keys(groups) as K[]) for (const word of groups[key].split(" ")) if (!result.has(word)) result.set(word, key);
  return result;
}

const moodOf = lookup(MOOD_WORDS);
const motifOf = lookup(MOTIF_WORDS);

export function hex(text: string): Color {
  const value = Number.parseInt(text, 16);
  return [(value >> 16) / 255, ((value >> 8) & 255) / 255, (value & 255) / 255];
}

export function blend(a: Color, b: Color, share: number): Color {
  return [a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share, a[2] + (b[2] - a[2]) * share];
}

const brightness = (color: Color): number => 0.3 * color[0] + 0.59 * color[1] + 0.11 * color[2];

/** The colour moved towards a tint without getting much darker or lighter. */
function tinted(color: Color, tint: Color, share: number): Color {
  const gain = (0.08 + brightness(color)) / (0.08 + brightness(tint));
  const level = gain > 1 ? 1 : gain;
  const lift = gain > 1 ? Math.min(0.75, (gain - 1) * 0.35) : 0;
  const scaled = blend([tint[0] * level, tint[1] * level, tint[2] * level], [1, 1, 1], lift);
  return blend(color, scaled, share);
}

export function words(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
}

/** The palette of a prompt; `seed` decides what the words leave open, the negative words take tints away. */
export function choosePalette(positive: string, negative: string, seed: number): Palette {
  const dice = new Dice(seed);
  const list = words(positive);
  const unwanted = new Set(words(negative));
  const wanted = list.filter((word) => !unwanted.has(word));
  const moods = [...new Set(wanted.map((word) => moodOf.get(word)).filter((mood) => mood !== undefined))];
  const motifs = wanted.map((word) => motifOf.get(word)).filter((motif) => motif !== undefined);
  const anyMood: MoodName = dice.pick(["dawn", "day", "sunset", "dusk", "night", "forest", "ocean", "desert", "spring", "autumn", "candy"]);
  const anyMotif: Motif = dice.pick(["mountains", "mountains", "sea", "forest", "dunes", "flow"]);
  const main = moodColors(moods[0] ?? anyMood);
  const second = moods[1] === undefined ? main : moodColors(moods[1]);
  const tints = wanted.map((word) => TINTS[word]).filter((tint) => tint !== undefined).slice(0, 3);
  const avoided = [...unwanted].map((word) => TINTS[word]).filter((tint) => tint !== undefined).slice(0, 2);
  const colors = main.colors.map((color, slot) => {
    let result = blend(color, second.colors[slot] ?? color, 0.35);
    tints.forEach((tint, order) => {
      const isItsSlot = tints.length === 1 || slot % tints.length === order;
      result = tinted(result, hex(tint), slot === 5 ? 0.3 : isItsSlot ? 0.62 : 0.25);
    });
    for (const tint of avoided) {
      const [r, g, b] = hex(tint);
      result = tinted(result, [1 - r, 1 - g, 1 - b], 0.1);
    }
    return result;
  });
  const [high, middle, low, far, near, light] = colors as [Color, Color, Color, Color, Color, Color];
  const night = moods.includes("night") ? 1 : Math.max(main.night, second.night * 0.6);
  return { high, middle, low, far, near, light, night, motif: motifs[0] ?? anyMotif };
}

function moodColors(name: MoodName): { colors: Color[]; night: number } {
  const [high, middle, low, far, near, light, night] = MOODS[name];
  return { colors: [high, middle, low, far, near, light].map(hex), night };
}
