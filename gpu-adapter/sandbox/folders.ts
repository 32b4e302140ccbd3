// Where files live under the sandbox's folder, laid out as ComfyUI's: input, output, temp, models.
// Invariant: no name that came over the wire leads outside the folder it was meant for.

import { createHash } from "node:crypto";
import { mkdir, readdir, rm, stat, writeFile } from "node:fs/promises";
import { basename, extname, join, normalize, resolve, sep } from "node:path";

export type FileType = "input" | "output" | "temp";
export const CHECKPOINT = "sandbox-painter.safetensors";

/** Model folders the interface knows; only the first two hold anything here. */
export const MODEL_FOLDERS = [
  "checkpoints", "configs", "loras", "vae", "text_encoders", "diffusion_models", "clip_vision", "style_models", "embeddings", "diffusers", "vae_approx",
  "controlnet", "gligen", "upscale_models", "custom_nodes", "hypernetworks", "photomaker", "classifiers", "model_patches", "audio_encoders",
] as const;

const TYPES: Record<string, string> = {
  ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp", ".gif": "image/gif", ".bmp": "image/bmp", ".tif": "image/tiff", ".tiff": "image/tiff",
  ".avif": "image/avif", ".svg": "image/svg+xml", ".ico": "image/vnd.microsoft.icon", ".mp4": "video/mp4", ".webm": "video/webm", ".mov": "video/quicktime", ".mkv": "video/x-matroska",
  ".wav": "audio/wav", ".mp3": "audio/mpeg", ".flac": "audio/flac", ".ogg": "audio/ogg", ".opus": "audio/ogg", ".txt": "text/plain", ".json": "application/json",
  ".html": "text/html", ".htm": "text/html", ".css": "text/css", ".js": "text/javascript", ".xhtml": "application/xhtml+xml", ".glb": "model/gltf-binary", ".obj": "model/obj", ".safetensors": "application/octet-stream",
};

/** Media type by file extension; unknown ones are bytes. */
export function mediaType(name: string): string {
  return TYPES[extname(name).toLowerCase()] ?? "application/octet-stream";
}

export interface Annotated {
  name: string;
  type: FileType;
}

/** Splits "cat.png [output]" into name and folder; without a suffix the folder is `fallback`. */
export function annotated(name: string, fallback: FileType): Annotated {
  const match = /^(.*) \[(input|output|temp)\]$/s.exec(name);
  return match === null ? { name, type: fallback } : { name: match[1] ?? "", type: match[2] as FileType };
}

export function isFileType(text: string): text is FileType {
  return text === "input" || text === "output" || text === "temp";
}

/** A minimal safetensors file: header length (8 bytes, little endian), a JSON header, no tensors. */
function checkpointBytes(): Buffer {
  const header = Buffer.from(JSON.stringify({ __metadata__: { "modelspec.title": "Sandbox painter", "modelspec.description": "No weights: pictures are painted by code on the CPU.", format: "sandbox" } }));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([length, header]);
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then((info) => info.isFile(), () => false);
}

export class Folders {
  readonly base: string;
  constructor(base: string) {
    this.base = resolve(base);
  }

  of(type: FileType): string {
    return join(this.base, type);
  }

  models(folder: string): string {
    return join(this.base, "models", folder);
  }

  /** Makes the folders, empties temp (as ComfyUI does at start) and puts the checkpoint in its place. */
  async prepare(): Promise<void> {
    await rm(this.of("temp"), { recursive: true, force: true });
    for (const path of [this.of("input"), this.of("output"), this.of("temp"), ...MODEL_FOLDERS.map((folder) => this.models(folder))]) await mkdir(path, { recursive: true });
    const checkpoint = join(this.models("checkpoints"), CHECKPOINT);
    if (!(await isFile(checkpoint))) await writeFile(checkpoint, checkpointBytes());
  }

  /** The path below a root, or undefined when it would lead outside. */
  inside(root: string, relative: string): string | undefined {
    const path = resolve(root, relative);
    return path === root || path.startsWith(root + sep) ? path : undefined;
  }

  /** The file a node input names ("cat.png", "sub/cat.png [output]"), or undefined when there is none. */
  async find(name: string, fallback: FileType = "input"): Promise<string | undefined> {
    const target = annotated(name, fallback);
    const path = this.inside(this.of(target.type), target.name);
    return path !== undefined && (await isFile(path)) ? path : undefined;
  }

  /** Names of the pictures at the top level of input/, sorted as Python sorts text. */
  async inputImages(): Promise<string[]> {
    const entries = await readdir(this.of("input"), { withFileTypes: true }).catch(() => []);
    return entries.filter((entry) => entry.isFile() && mediaType(entry.name).startsWith("image/")).map((entry) => entry.name).sort(byCodePoint);
  }

  /** Files of a model folder with sub-folders, "sub/name.safetensors" style, sorted. */
  async modelFiles(folder: string): Promise<string[]> {
    const entries = await readdir(this.models(folder), { withFileTypes: true, recursive: true }).catch(() => []);
    const root = this.models(folder);
    return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1).split(sep).join("/")).sort(byCodePoint);
  }
}

function byCodePoint(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Parts of a path with "." and ".." worked out and no slash at the end: [folder, name]. */
export function splitPath(path: string): [string, string] {
  const clean = normalize(path).replace(/\/+$/, "") || ".";
  const name = basename(clean);
  return [clean.slice(0, Math.max(0, clean.length - name.length - 1)) || (clean.startsWith("/") ? "/" : ""), name];
}
