// Picture files to 8-bit pixels, colour values as stored: no profile conversion, alpha not multiplied in.

import sharp from "sharp";

export interface Rgba {
  readonly data: Buffer;
  /** Size of one page; `data` holds the pages one below the other. */
  readonly info: { readonly width: number; readonly height: number };
  readonly pages: number;
  readonly hasAlpha: boolean;
}

/** Decodes the first page as RGBA, as it lies in the file. Throws when it is no picture. */
export async function decodeRgba(file: Buffer): Promise<Rgba> {
  return decodePages(file, false);
}

/** Decodes all pages of an animation, or one picture turned upright by its EXIF orientation. Throws when it is no picture. */
export async function decodeUpright(file: Buffer): Promise<Rgba> {
  return decodePages(file, true);
}

async function decodePages(file: Buffer, wantsAll: boolean): Promise<Rgba> {
  const meta = await sharp(file, { pages: wantsAll ? -1 : 1, limitInputPixels: false }).metadata();
  const pages = wantsAll ? (meta.pages ?? 1) : 1;
  const image = sharp(file, { pages: pages > 1 ? -1 : 1, ignoreIcc: true, limitInputPixels: false });
  const turned = wantsAll && pages === 1 ? image.autoOrient() : image;
  const { data, info } = await turned.toColourspace("srgb").ensureAlpha().raw({ depth: "uchar" }).toBuffer({ resolveWithObject: true });
  return { data, info: { width: info.width, height: info.height / pages }, pages, hasAlpha: meta.hasAlpha };
}
