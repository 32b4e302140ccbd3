// What a name in /view, /upload and a mask's reference means. Invariant: what comes out are three words for the workshop's object, type, folder and
// name, with every way out of the seat's own folders refused before.
import { normalisePath } from "./userdata-paths.ts";
import type { StorageType } from "../../gpu-adapter/contract.ts";

export function isStorageType(value: string): value is StorageType {
  return value === "input" || value === "output" || value === "temp";
}

/** `x.png [input]` taken apart as ComfyUI does it: with its space, else a character of the name is lost. */
export function annotated(filename: string, type: string): { filename: string; type: string } {
  for (const candidate of ["output", "input", "temp"]) {
    const suffix = `[${candidate}]`;
    if (filename.endsWith(suffix)) return { filename: filename.slice(0, Math.max(0, filename.length - suffix.length - 1)), type: candidate };
  }
  return { filename, type };
}

export type Located = { ok: true; type: StorageType; subfolder: string; filename: string } | { ok: false; status: 400 | 403 };

/** /view's checks in its order: 400 for a bad name or type, 403 for a folder outside, then only the last part of the name counts. */
export function locate(rawName: string, rawType: string, subfolder: string): Located {
  const { filename, type } = annotated(rawName, rawType);
  if (filename === "" || filename.startsWith("/") || filename.includes("..") || filename.includes("\0") || !isStorageType(type)) return { ok: false, status: 400 };
  const folder = normalisePath(subfolder);
  if (folder === null) return { ok: false, status: 403 };
  return { ok: true, type, subfolder: folder, filename: filename.slice(filename.lastIndexOf("/") + 1) };
}
