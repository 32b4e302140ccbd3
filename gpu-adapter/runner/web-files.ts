// The browser parts of custom nodes: the scripts `/extensions` lists, and the files those scripts refer to by a relative path (styles, pictures, modules).
// ComfyUI lists only the scripts, so references are read out of them; what a script builds at run time from pieces cannot be seen here.
import { createHash } from "node:crypto";
import type { Comfy } from "./comfy.ts";

export type WebFile = { content: Uint8Array<ArrayBuffer>; sha256: string; contentType: string };

const MAX_FILE_BYTES = 8 * 1024 * 1024;
const MAX_TOTAL_BYTES = 64 * 1024 * 1024;
const MAX_FILES = 2_000;
/** A relative reference in quotes, with the extension of something a page loads. */
const REFERENCE = /["'`]((?:\.{1,2}\/)?[\w@$%&+,()~/ .-]{1,200}\.(?:js|mjs|css|json|svg|png|jpe?g|webp|gif|ico|html|woff2?|ttf|wasm|wav|mp3|glb))["'`)]/g;

/** Paths below `/extensions/` that a script at `path` refers to. */
export function references(path: string, source: string): string[] {
  const found = new Set<string>();
  for (const [, reference] of source.matchAll(REFERENCE)) {
    if (reference === undefined) continue;
    const resolved = new URL(reference, `http://comfy/extensions/${path}`).pathname;
    const pack = path.split("/")[0] ?? "";
    if (resolved.startsWith(`/extensions/${pack}/`)) found.add(decodeURIComponent(resolved.slice("/extensions/".length)));
  }
  return [...found];
}

/** Every web file of custom nodes, by path below `/extensions/`; the frontend's own (`core/`) are not the runner's to bring. Missing ones are left out. */
export async function findWebFiles(comfy: Comfy, extensions: readonly string[]): Promise<Map<string, WebFile>> {
  const found = new Map<string, WebFile>();
  const seen = new Set<string>();
  const queue = extensions.flatMap((url) => (url.startsWith("/extensions/") && !url.startsWith("/extensions/core/") ? [decodeURIComponent(url.slice("/extensions/".length))] : []));
  let total = 0;
  for (let path = queue.shift(); path !== undefined && found.size < MAX_FILES; path = queue.shift()) {
    if (seen.has(path)) continue;
    seen.add(path);
    const file = await fetchWebFile(comfy, path);
    if (file === null || total + file.content.byteLength > MAX_TOTAL_BYTES) continue;
    total += file.content.byteLength;
    found.set(path, file);
    if (/\.(js|mjs|css)$/.test(path)) queue.push(...references(path, new TextDecoder().decode(file.content)));
  }
  return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
}

async function fetchWebFile(comfy: Comfy, path: string): Promise<WebFile | null> {
  const answer = await comfy.get(`/extensions/${path.split("/").map(encodeURIComponent).join("/")}`).catch(() => null);
  if (answer === null) return null;
  const content = new Uint8Array(await answer.arrayBuffer());
  if (content.byteLength > MAX_FILE_BYTES) return null;
  const contentType = answer.headers.get("Content-Type") ?? "application/octet-stream";
  return { content, sha256: createHash("sha256").update(content).digest("hex"), contentType };
}
