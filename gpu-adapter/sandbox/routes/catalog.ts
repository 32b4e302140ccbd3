// What the sandbox has: node classes, models, embeddings, extensions, templates, translations.

import { open, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { MODEL_FOLDERS } from "../folders.ts";
import { type Call, type Reply, type Route, empty, json } from "../http.ts";
import { type Writable, isObject, parseJson } from "../json.ts";
import { describeAll, describeNode, NODES } from "../nodes/registry.ts";
import type { Server } from "../server.ts";

function isModelFolder(name: string): boolean {
  return (MODEL_FOLDERS as readonly string[]).includes(name);
}

const HIDDEN_FOLDERS = new Set(["configs", "custom_nodes"]);

async function modelDetails(server: Server, folder: string): Promise<Writable[]> {
  const names = await server.folders.modelFiles(folder);
  return Promise.all(
    names.map(async (name) => {
      const info = await stat(join(server.folders.models(folder), name));
      return { name, pathIndex: 0, modified: info.mtimeMs / 1000, created: info.ctimeMs / 1000, size: info.size };
    }),
  );
}

/** Longest header of a .safetensors file that is read, bytes (ComfyUI reads up to 100 MiB). */
const MAX_HEADER = 1024 * 1024;

async function safetensorsMetadata(path: string): Promise<Writable | undefined> {
  const file = await open(path).catch(() => undefined);
  if (file === undefined) return undefined;
  try {
    const length = Number((await file.read(Buffer.alloc(8), 0, 8, 0)).buffer.readBigUInt64LE());
    if (length > MAX_HEADER) return undefined;
    const header = parseJson((await file.read(Buffer.alloc(length), 0, length, 8)).buffer.toString());
    return isObject(header) ? header.get("__metadata__") : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof RangeError) return undefined; // no safetensors file
    throw error;
  } finally {
    await file.close();
  }
}

async function viewMetadata(server: Server, call: Call): Promise<Reply> {
  const folder = call.params[0] ?? "";
  const name = call.url.searchParams.get("filename") ?? "";
  const path = isModelFolder(folder) && name.endsWith(".safetensors") ? server.folders.inside(server.folders.models(folder), name) : undefined;
  const metadata = path === undefined ? undefined : await safetensorsMetadata(path);
  return metadata === undefined ? empty(404) : json(metadata);
}

/** A picture lying beside a model ("<name>.webp" or .png or .jpg); 404 is the usual answer. */
async function modelPreview(server: Server, call: Call): Promise<Reply> {
  const [folder = "", , name = ""] = call.params;
  const base = name.replace(/\.[^.]*$/, "");
  const path = isModelFolder(folder) ? server.folders.inside(server.folders.models(folder), `${base}.webp`) : undefined;
  const bytes = path === undefined ? undefined : await readFile(path).catch(() => undefined);
  return bytes === undefined ? empty(404) : { status: 200, headers: { "content-type": "image/webp" }, body: bytes };
}

async function objectInfo(server: Server, call: Call): Promise<Reply> {
  const name = call.params[0] ?? "";
  const node = NODES.get(name);
  return json(node === undefined ? {} : { [name]: await describeNode(node, server.folders) });
}

async function embeddings(server: Server): Promise<Reply> {
  return json((await server.folders.modelFiles("embeddings")).map((name) => name.replace(/\.[^.]*$/, "")));
}

async function ofFolder(call: Call, list: (folder: string) => Promise<Writable>): Promise<Reply> {
  const folder = call.params[0] ?? "";
  return isModelFolder(folder) ? json(await list(folder)) : empty(404);
}

export function catalogRoutes(server: Server): Route[] {
  const { folders } = server;
  return [
    { method: "GET", path: "/object_info", at: "both", handle: async () => json(await describeAll(folders)) },
    { method: "GET", path: "/object_info/*", at: "both", handle: (call) => objectInfo(server, call) },
    { method: "GET", path: "/models", at: "both", handle: () => json([...MODEL_FOLDERS]) },
    { method: "GET", path: "/models/*", at: "both", handle: (call) => ofFolder(call, (folder) => folders.modelFiles(folder)) },
    { method: "GET", path: "/experiment/models", at: "both", handle: () => json(MODEL_FOLDERS.filter((name) => !HIDDEN_FOLDERS.has(name)).map((name) => ({ name, folders: [folders.models(name)] }))) },
    { method: "GET", path: "/experiment/models/*", at: "both", handle: (call) => ofFolder(call, (folder) => modelDetails(server, folder)) },
    { method: "GET", path: "/experiment/models/preview/*/*/*", at: "both", handle: (call) => modelPreview(server, call) },
    { method: "GET", path: "/view_metadata/*", at: "both", handle: (call) => viewMetadata(server, call) },
    { method: "GET", path: "/embeddings", at: "both", handle: () => embeddings(server) },
    { method: "GET", path: "/extensions", at: "both", handle: () => json([]) },
    { method: "GET", path: "/i18n", at: "both", handle: () => json({}) },
    { method: "GET", path: "/workflow_templates", at: "both", handle: () => json({}) },
  ];
}
