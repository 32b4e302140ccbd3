// The door of the picture codecs.
export type { Decoded, Picture } from "./picture.ts";
export { decodePicture, encodeLossy, sniff, type LossyFormat, type PictureFormat } from "./codecs.ts";
export { decodePng, type PngPicture } from "./png-decode.ts";
export { encodePng } from "./png-encode.ts";
export type { Chunk } from "./png-chunks.ts";
