// POST /upload/image and /upload/mask. Invariant: an upload never replaces other bytes unless `overwrite` says so.

import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { dirname, extname, join, normalize } from "node:path";
import { type FileType, annotated, isFileType } from "../folders.ts";
import { type Call, type Reply, type Route, empty, json } from "../http.ts";
import { isObject, parseJson } from "../json.ts";
import { decodeRgba } from "../pixels/decode.ts";
import { encodePng, readTexts } from "../pixels/png.ts";
import type { Server } from "../server.ts";

interface Upload {
  readonly form: FormData;
  readonly file: File;
  readonly bytes: Buffer;
}

function field(form: FormData, name: string): string | undefined {
  const value = form.get(name);
  return typeof value === "string" ? value : undefined;
}

/** The form and its file; undefined when there is no part called "image". A text part of that name throws (500). */
async function readUpload(call: Call): Promise<Upload | undefined> {
  const body = await call.bytes();
  const form = await new Response(new Uint8Array(body), { headers: { "content-type": call.headers["content-type"] ?? "" } }).formData();
  const file = form.get("image");
  if (file === null) return undefined;
  if (typeof file === "string") throw new TypeError("the part 'image' is text, not a file");
  return { form, file, bytes: Buffer.from(await file.arrayBuffer()) };
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(() => true, () => false);
}

/** Makes the bytes to store of an upload; undefined stores nothing. */
type Transform = (upload: Upload) => Promise<Buffer | undefined | number>;

async function store(server: Server, call: Call, transform: Transform): Promise<Reply> {
  const upload = await readUpload(call);
  if (upload === undefined) return empty(400);
  const { form, file } = upload;
  const type = field(form, "type") ?? "input";
  if (!isFileType(type)) throw new TypeError(`unknown type '${type}'`);
  if (file.name === "") return empty(400);
  const subfolder = field(form, "subfolder") ?? "";
  const root = server.folders.of(type);
  const folder = server.folders.inside(root, normalize(subfolder === "" ? "." : subfolder));
  if (folder === undefined || server.folders.inside(root, join(folder, file.name)) === undefined || file.name.startsWith("/")) return empty(400);
  await mkdir(folder, { recursive: true });
  const mayOverwrite = ["true", "1"].includes(field(form, "overwrite") ?? "");
  const { name, isThere } = mayOverwrite ? { name: file.name, isThere: false } : await freeName(folder, file.name, upload.bytes);
  if (!isThere) {
    const bytes = await transform(upload);
    if (typeof bytes === "number") return empty(bytes);
    if (bytes !== undefined) await writeFile(join(folder, name), bytes); // a folder inside the name that does not exist throws: 500
  }
  return json({ name, subfolder, type });
}

/** The name itself, or "name (1).ext", "name (2).ext"...: the first that is free, or already holds these bytes. */
async function freeName(folder: string, name: string, bytes: Buffer): Promise<{ name: string; isThere: boolean }> {
  const ending = extname(name);
  const stem = name.slice(0, name.length - ending.length);
  for (let count = 0; ; count++) {
    const candidate = count === 0 ? name : `${stem} (${count})${ending}`;
    const path = join(folder, candidate);
    if (!(await exists(path))) return { name: candidate, isThere: false };
    if ((await readFile(path)).equals(bytes)) return { name: candidate, isThere: true };
  }
}

/** The file an `original_ref` names, or the status that refuses it. */
async function originalOf(server: Server, form: FormData): Promise<Buffer | number | undefined> {
  const ref = parseJson(field(form, "original_ref") ?? "");
  const name = isObject(ref) ? ref.get("filename") : undefined;
  if (!isObject(ref) || typeof name !== "string") throw new TypeError("original_ref names no file");
  if (name === "" || name.startsWith("/") || name.includes("..")) return 400;
  const wanted = ref.get("type") ?? "output";
  const target = annotated(name, typeof wanted === "string" && isFileType(wanted) ? wanted : "output");
  if (target.name === name && (typeof wanted !== "string" || !isFileType(wanted))) return 400;
  const subfolder = ref.get("subfolder");
  const type: FileType = target.type;
  const folder = server.folders.inside(server.folders.of(type), typeof subfolder === "string" ? subfolder : "");
  if (folder === undefined) return 403;
  const path = join(folder, target.name);
  return (await exists(path)) && dirname(path).startsWith(server.folders.of(type)) ? readFile(path) : undefined;
}

/** Original colours with the uploaded picture's alpha, as PNG that keeps the original's texts. */
async function withAlphaOf(original: Buffer, mask: Buffer): Promise<Buffer> {
  const [color, alpha] = await Promise.all([decodeRgba(original), decodeRgba(mask)]);
  if (color.info.width !== alpha.info.width || color.info.height !== alpha.info.height) throw new RangeError("the mask's size differs from the original's");
  for (let i = 3; i < color.data.length; i += 4) color.data[i] = alpha.data[i] as number;
  return encodePng(color.data, color.info.width, color.info.height, 4, readTexts(original), 4);
}

function maskTransform(server: Server): Transform {
  return async ({ form, bytes }) => {
    const original = await originalOf(server, form);
    return Buffer.isBuffer(original) ? withAlphaOf(original, bytes) : original;
  };
}

export function uploadRoutes(server: Server): Route[] {
  return [
    { method: "POST", path: "/upload/image", at: "both", handle: (call) => store(server, call, ({ bytes }) => Promise.resolve(bytes)) },
    { method: "POST", path: "/upload/mask", at: "both", handle: (call) => store(server, call, maskTransform(server)) },
  ];
}
