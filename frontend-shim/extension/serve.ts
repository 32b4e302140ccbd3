// Our own ComfyUI extension's files: served below /extensions/comfyume/, the way any custom node's browser code is.
import { OWN_STORAGE } from "./own-storage.ts";

const FILES = new Map([["/extensions/comfyume/own-storage.js", OWN_STORAGE]]);

/** One of our files with its validator; null when the path is none of ours. `path` raw, from the seat's root. */
export async function serveOwnExtension(request: Request, path: string): Promise<Response | null> {
  const text = FILES.get(path);
  if (text === undefined || (request.method !== "GET" && request.method !== "HEAD")) return null;
  const etag = `"${await digest(text)}"`;
  const headers = { "content-type": "text/javascript; charset=utf-8", "cache-control": "private, no-cache", "x-content-type-options": "nosniff", etag };
  if (request.headers.get("if-none-match")?.split(",").some((tag) => tag.trim().replace(/^W\//, "") === etag)) return new Response(null, { status: 304, headers });
  return new Response(text, { headers });
}

async function digest(text: string): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return [...new Uint8Array(hash, 0, 8)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
