// The templates a workshop ships besides the starter, each with what it needs of a GPU.
import { FLUX2_KLEIN } from "./flux2-klein.ts";
import { LTX_2 } from "./ltx-2.ts";
import type { Template } from "./manifest.ts";

export const TEMPLATES: readonly Template[] = [...FLUX2_KLEIN, ...LTX_2];

export { checkTemplate, inShort, type PoolCatalogFacts, type Template, type TemplateVerdict } from "./manifest.ts";

/** A tile without a person's picture: frames for a film, one frame for a picture, in the template's own colour. */
export function tileOf({ name, media }: Template): string {
  const hue = [...name].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 360, 7);
  const frame = (x: number, y: number, size: number): string => `<g transform="translate(${x} ${y})"><rect width="${size}" height="${size}" rx="8" fill="hsl(${hue} 35% 62%)"/><path d="M0 ${size * 0.72}l${size * 0.32}-${size * 0.3} ${size * 0.24} ${size * 0.2} ${size * 0.16}-${size * 0.12} ${size * 0.28} ${size * 0.24}v${size * 0.26 - 8}a8 8 0 0 1-8 8H8a8 8 0 0 1-8-8z" fill="hsl(${hue} 40% 30%)"/><circle cx="${size * 0.74}" cy="${size * 0.24}" r="${size * 0.09}" fill="#fff3d6"/></g>`;
  const frames = media === "image" ? frame(80, 80, 160) : [0, 1, 2].map((n) => frame(40 + n * 60, 60 + n * 40, 120)).join("");
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 320 320" role="img" aria-label="${media === "image" ? "A picture" : "A film"}"><rect width="320" height="320" fill="#1f2430"/>${frames}</svg>\n`;
}
