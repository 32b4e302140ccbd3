// PNG files with text chunks. sharp compresses the pixels; the chunks around them are put together here, because the
// chunks `prompt` and `workflow` are what makes a saved picture open as a workflow again.

import { crc32, inflateSync } from "node:zlib";
import sharp from "sharp";
import { PythonError } from "../graph/python.ts";

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

export interface TextChunk {
  key: string;
  text: string;
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const frame = Buffer.alloc(body.length + 8);
  frame.writeUInt32BE(data.length, 0);
  body.copy(frame, 4);
  frame.writeUInt32BE(crc32(body), body.length + 4);
  return frame;
}

function isLatin1(text: string): boolean {
  return !/[^\u0000-\u00ff]/.test(text);
}

function textChunk({ key, text }: TextChunk): Buffer {
  if (!isLatin1(key) || key.includes("\0") || key === "") throw new PythonError("UnicodeEncodeError", `'latin-1' codec can't encode the metadata key '${key}'`);
  if (isLatin1(text)) return chunk("tEXt", Buffer.from(`${key}\0${text}`, "latin1"));
  return chunk("iTXt", Buffer.concat([Buffer.from(`${key}\0\0\0\0\0`, "latin1"), Buffer.from(text)]));
}

interface RawChunk {
  type: string;
  data: Buffer;
}

function chunksOf(file: Buffer): RawChunk[] {
  if (!file.subarray(0, 8).equals(SIGNATURE)) throw new RangeError("not a PNG file");
  const result: RawChunk[] = [];
  for (let at = 8; at + 12 <= file.length; ) {
    const length = file.readUInt32BE(at);
    result.push({ type: file.toString("latin1", at + 4, at + 8), data: file.subarray(at + 8, at + 8 + length) });
    at += length + 12;
  }
  return result;
}

/** The same PNG with its header and pixels only, and the given texts right after the header. */
export function withTexts(file: Buffer, texts: readonly TextChunk[]): Buffer {
  const parts: Buffer[] = [SIGNATURE];
  for (const { type, data } of chunksOf(file)) {
    if (type === "IHDR") parts.push(chunk(type, data), ...texts.map(textChunk));
    else if (type === "PLTE" || type === "tRNS" || type === "IDAT" || type === "IEND") parts.push(chunk(type, data));
  }
  return Buffer.concat(parts);
}

/** The text chunks of a PNG (tEXt, zTXt and iTXt), in file order; none for another kind of file. */
export function readTexts(file: Buffer): TextChunk[] {
  if (!file.subarray(0, 8).equals(SIGNATURE)) return [];
  const result: TextChunk[] = [];
  for (const { type, data } of chunksOf(file)) {
    const end = data.indexOf(0);
    const key = data.toString("latin1", 0, end);
    if (type === "tEXt") result.push({ key, text: data.toString("latin1", end + 1) });
    if (type === "zTXt") result.push({ key, text: inflateSync(data.subarray(end + 2)).toString("latin1") });
    if (type === "iTXt") {
      const language = data.indexOf(0, end + 3);
      const start = data.indexOf(0, language + 1) + 1;
      const body = data.subarray(start);
      result.push({ key, text: (data[end + 1] === 1 ? inflateSync(body) : body).toString() });
    }
  }
  return result;
}

/** Compresses raw pixels (1 to 4 channels, 8 bit) into a PNG file with text chunks. `level` 0..9: 4 for saved pictures, 1 for previews. */
export async function encodePng(bytes: Uint8Array, width: number, height: number, channels: number, texts: readonly TextChunk[], level: number): Promise<Buffer> {
  if (channels < 1 || channels > 4) throw new RangeError(`cannot save a picture of ${channels} channels`);
  const raw = { width, height, channels: channels as 1 | 2 | 3 | 4 };
  const file = await sharp(bytes, { raw }).toColourspace(channels < 3 ? "b-w" : "srgb").png({ compressionLevel: level, adaptiveFiltering: channels >= 3, palette: false }).toBuffer();
  return withTexts(file, texts);
}
