// ComfyUI's binary socket frames and ours around them [G15]. ComfyUI's frame is never changed: five bytes go in front of it.
import { BINARY_EVENT_HEADER_BYTES, BINARY_EVENT_VERSION } from "../contract.ts";

/** First uint32 (big-endian) of a ComfyUI frame. */
export const PREVIEW_IMAGE = 1;
export const PREVIEW_TEXT = 3;
export const PREVIEW_IMAGE_WITH_METADATA = 4;
/** Metadata of a preview longer than this is not one of ours to judge: the frame is dropped. */
const MAX_METADATA_BYTES = 64 * 1024;

export type ComfyFrame = { kind: "image" | "other"; promptId: string | null };

/** What a binary frame is and whose; null when it is too short or malformed. A frame of type 1 or 3 names no prompt. */
export function readFrame(frame: Uint8Array): ComfyFrame | null {
  if (frame.byteLength < 8) return null;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const type = view.getUint32(0);
  if (type === PREVIEW_IMAGE) return { kind: "image", promptId: null };
  if (type !== PREVIEW_IMAGE_WITH_METADATA) return { kind: "other", promptId: null };
  const length = view.getUint32(4);
  if (length > MAX_METADATA_BYTES || 8 + length > frame.byteLength) return null;
  try {
    const metadata: unknown = JSON.parse(new TextDecoder().decode(frame.subarray(8, 8 + length)));
    const id = typeof metadata === "object" && metadata !== null && "prompt_id" in metadata ? metadata.prompt_id : null;
    return { kind: "image", promptId: typeof id === "string" ? id : null };
  } catch {
    return null;
  }
}

/** Version byte, uint32 seq, then the frame as it came. */
export function eventFrame(seq: number, frame: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(BINARY_EVENT_HEADER_BYTES + frame.byteLength);
  bytes[0] = BINARY_EVENT_VERSION;
  new DataView(bytes.buffer).setUint32(1, seq);
  bytes.set(frame, BINARY_EVENT_HEADER_BYTES);
  return bytes;
}
