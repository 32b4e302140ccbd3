// The container of a PNG (W3C PNG 5): signature and chunks, nothing about pixels. Text chunks are kept as they stand, since ComfyUI's workflow travels in them.

export type Chunk = { type: string; data: Uint8Array };

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const TEXT_TYPES = new Set(["tEXt", "zTXt", "iTXt"]);

export function isPng(bytes: Uint8Array): boolean {
  return SIGNATURE.every((byte, index) => bytes[index] === byte);
}

/** The chunks up to IEND; null when the file is no PNG or a chunk runs past its end. Checksums are not asked for: a viewer would show the picture too. */
export function readChunks(bytes: Uint8Array): Chunk[] | null {
  if (!isPng(bytes)) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const chunks: Chunk[] = [];
  for (let at = SIGNATURE.length; at + 12 <= bytes.byteLength; ) {
    const length = view.getUint32(at);
    if (at + 12 + length > bytes.byteLength) return null;
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    chunks.push({ type, data: bytes.subarray(at + 8, at + 8 + length) });
    if (type === "IEND") return chunks;
    at += 12 + length;
  }
  return chunks.some((chunk) => chunk.type === "IDAT") ? chunks : null;
}

export function textChunks(chunks: readonly Chunk[]): Chunk[] {
  return chunks.filter((chunk) => TEXT_TYPES.has(chunk.type));
}

/** A whole file from its chunks. */
export function writeChunks(chunks: readonly Chunk[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(chunks.reduce((size, chunk) => size + 12 + chunk.data.byteLength, SIGNATURE.length));
  const view = new DataView(bytes.buffer);
  bytes.set(SIGNATURE, 0);
  let at = SIGNATURE.length;
  for (const chunk of chunks) {
    view.setUint32(at, chunk.data.byteLength);
    for (let index = 0; index < 4; index += 1) bytes[at + 4 + index] = chunk.type.charCodeAt(index);
    bytes.set(chunk.data, at + 8);
    view.setUint32(at + 8 + chunk.data.byteLength, crc32(bytes.subarray(at + 4, at + 8 + chunk.data.byteLength)));
    at += 12 + chunk.data.byteLength;
  }
  return bytes;
}

/** CRC-32 of ISO 3309, as PNG annex D has it. */
const TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value >>> 0;
});

export function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (TABLE[(crc ^ byte) & 0xff] ?? 0) ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}
