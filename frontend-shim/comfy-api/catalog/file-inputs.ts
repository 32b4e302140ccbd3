// Which inputs of which nodes name a file of the seat, and where such a name points. Stock classes are known by name, since
// ComfyUI's object_info does not say all of it; custom ones are told by the flags the frontend itself goes by.
import { isObject } from "./json.ts";
import type { FileType, InputSpec, Json } from "./types.ts";

export type FileKind = "image" | "mask" | "audio" | "video" | "3d" | "latent" | "file";

export type FileInput = {
  readonly kind: FileKind;
  /** Below input/: where ComfyUI lists this input's files; 3-D models lie in their own folder. */
  readonly folder: "" | "3d";
  /**
   * How ComfyUI itself checks the name: a validator of the node's own asks whether the file is there; a plain list wants the
   * name among its choices; a recording is an object with names inside, or a name without any check.
   */
  readonly check: "exists" | "listed" | "none";
};

const exists = (kind: FileKind): FileInput => ({ kind, folder: "", check: "exists" });
const model: FileInput = { kind: "3d", folder: "3d", check: "listed" };

/** Stock nodes of ComfyUI 0.3.64 and 0.38 [R object_info]. */
const STOCK: { readonly [classAndInput: string]: FileInput } = {
  "LoadImage.image": exists("image"),
  "LoadImageMask.image": exists("mask"),
  "LoadImageOutput.image": exists("image"),
  "LoadAudio.audio": exists("audio"),
  "LoadVideo.file": exists("video"),
  "LoadLatent.latent": exists("latent"),
  "Load3D.model_file": model,
  "Load3DAnimation.model_file": model,
  "Load3DAdvanced.model_file": model,
};

/** Widgets whose value the page records and uploads itself: a name, or an object with names in it. */
const RECORDED = new Set(["LOAD_3D", "LOAD_3D_ANIMATION", "WEBCAM", "AUDIO_RECORD"]);

const FLAGS: readonly (readonly [flag: string, kind: FileKind])[] = [
  ["image_upload", "image"],
  ["animated_image_upload", "image"],
  ["video_upload", "video"],
  ["audio_upload", "audio"],
  ["mesh_upload", "3d"],
  ["file_upload", "file"],
];

/** How `spec` of `nodeClass.input` names a file, or undefined when it does not. */
export function fileInputOf(nodeClass: string, input: string, spec: InputSpec): FileInput | undefined {
  const key = `${nodeClass}.${input}`;
  if (Object.hasOwn(STOCK, key)) return STOCK[key];
  const [type, options] = spec;
  if (typeof type === "string" && RECORDED.has(type)) return { kind: "file", folder: "", check: "none" };
  for (const [flag, kind] of FLAGS) {
    if (options?.[flag] === true) return exists(kind);
  }
  const remote = options?.["remote"];
  const route = isObject(remote) ? remote["route"] : undefined;
  return typeof route === "string" && route.startsWith("/internal/files/") ? exists("file") : undefined;
}

export type FileName = { readonly type: FileType; readonly subfolder: string; readonly name: string };

const ANNOTATIONS: readonly (readonly [suffix: string, type: FileType])[] = [
  ["[output]", "output"],
  ["[input]", "input"],
  ["[temp]", "temp"],
];

/** `name [input|output|temp]` taken apart as ComfyUI does: the character before the bracket goes too, whatever it is. */
export function splitAnnotation(value: string): { path: string; type: FileType; annotated: boolean } {
  for (const [suffix, type] of ANNOTATIONS) {
    if (value.endsWith(suffix)) return { path: value.slice(0, Math.max(0, value.length - suffix.length - 1)), type, annotated: true };
  }
  return { path: value, type: "input", annotated: false };
}

/** Where a widget's value points, or undefined for a path that names no file or leaves its root. */
export function parseFileName(value: string): FileName | undefined {
  const { path, type } = splitAnnotation(value);
  if (path.startsWith("/") || path.includes("\0")) return undefined;
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") parts.push(part);
    else if (parts.pop() === undefined) return undefined;
  }
  const name = parts.pop();
  return name === undefined ? undefined : { type, subfolder: parts.join("/"), name };
}

const ANNOTATED_FILE = /^[^\n]{0,255}\.[A-Za-z0-9]{1,8} \[(?:input|output|temp)\]$/;

/** Whether a value can only be a file: it carries an ending and ` [input]`, ` [output]` or ` [temp]`. */
export function isAnnotatedFile(value: Json | undefined): value is string {
  return typeof value === "string" && ANNOTATED_FILE.test(value);
}

const ENDINGS: { readonly [kind in FileKind]: RegExp | null } = {
  image: /\.(?:png|jpe?g|jpe|jfif|webp|gif|bmp|tiff?|svg|ico|avif|heic|heif|apng|ppm|pgm|pbm|pnm|xbm|xpm|ras|ief)$/i,
  mask: null,
  audio: /\.(?:wav|mp3|mp2|flac|ogg|oga|opus|m4a|aac|aiff?|aifc|au|snd|ra|mp4|m4v|mov|qt|webm|mkv|avi|mpe?g|mpa|mpe|ogv|3gpp?|3g2|wmv|flv)$/i,
  video: /\.(?:mp4|m4v|mov|qt|webm|mkv|avi|mpe?g|mpa|mpe|m1v|ogv|3gpp?|3g2|wmv|flv|movie)$/i,
  "3d": /\.(?:gltf|glb|obj|fbx|stl|ply|splat|spz|ksplat|usdz)$/i,
  latent: /\.latent$/i,
  file: null,
};

/**
 * The seat's choices for one file input, as ComfyUI would list its disk: top level of input/ (or all of input/3d/ with its
 * prefix), by file ending, sorted by code point. `paths` are relative to input/.
 */
export function listFor(file: FileInput, paths: readonly string[]): string[] {
  const ending = ENDINGS[file.kind];
  return paths
    .filter((path) => (file.folder === "" ? !path.includes("/") : path.startsWith(`${file.folder}/`)) && !path.startsWith(".") && (ending === null || ending.test(path)))
    .sort();
}
