// A decoded picture: rows of RGBA, 8 bits each, alpha not premultiplied. The one form all codecs here speak.

export type Picture = { width: number; height: number; rgba: Uint8ClampedArray<ArrayBuffer> };

export type PictureFault = "no_picture" | "too_many_pixels";
export type Decoded<T> = { ok: true; picture: T } | { ok: false; fault: PictureFault };
