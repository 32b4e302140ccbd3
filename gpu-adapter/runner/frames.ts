// ComfyUI's binary socket frames and ours around them [G15]. ComfyUI's frame is never changed: five bytes go in front of it.
import { BINARY_EVENT_HEADER_BYTES, BINARY_EVENT_VERSION } from "../contract.ts";

/** First uint32 (big-endian) of a ComfyUI frame. */
export const PREVIEW_IMAGE = 1;
export const PREVIEW_TEXT = 3;
export const PREVIEW_IMAGE_WITH_METADATA = 4;
/** Metadata of a preview longer than this is not one of ours to judge: the frame is dropped. */
const MAX_METADATA_BYTES = 64 * 1024;

/** ComfyUI's previews are JPEG; a PNG is what a node such as SaveImageWebsocket has to give, and nowhere else. */
export type ComfyFrame = { kind: "preview" | "picture" | "other"; promptId: string | null };
const PNG = 2;

/** What a binary frame is and whose; null when it is too short or malformed. A frame of type 1 or 3 names no prompt. */
export function readFrame(frame: Uint8Array): ComfyFrame | null {
  if (frame.byteLength < 8) return null;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const type = view.getUint32(0);
  if (type === PREVIEW_IMAGE) return { kind: view.getUint32(4) === PNG ? "picture" : "preview", promptId: null };
  if (type !== PREVIEW_IMAGE_WITH_METADATA) return { kind: "other", promptId: null };
  const length = view.getUint32(4);
  if (length > MAX_METADATA_BYTES || 8 + length > frame.byteLength) return null;
  try {
    const metadata: unknown = JSON.parse(new TextDecoder().decode(frame.subarray(8, 8 + length)));
    const { prompt_id, image_type } = (typeof metadata === "object" && metadata !== null ? metadata : {}) as { prompt_id?: unknown; image_type?: unknown };
    return { kind: image_type === "image/png" ? "picture" : "preview", promptId: typeof prompt_id === "string" ? prompt_id : null };
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
