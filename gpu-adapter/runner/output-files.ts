// What in a node's output is a file [G20]: any object with a string `filename`, under any key, at any depth. Everything else passes untouched, except
// `fullpath`, a path of this machine. A plain string can name a file too; whether it does is for the disk to say, so it is only a candidate here.
import type { FileName, StorageType } from "../contract.ts";

export type FoundFile = FileName & { /** the output's top-level key, e.g. `images` */ key: string };
export type Candidate = { key: string; subfolder: string; filename: string };

const TYPES: readonly string[] = ["output", "temp", "input"] satisfies StorageType[];
/** Depth and number beyond which an output is not searched: a node may return anything. */
const MAX_DEPTH = 8;
const MAX_FILES = 10_000;
/** Strings tried per output as names of files; each costs a look at the disk. */
const MAX_CANDIDATES = 20;

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function storageType(value: unknown): StorageType {
  return typeof value === "string" && TYPES.includes(value) ? (value as StorageType) : "output";
}

/** A name ComfyUI itself would serve: relative, inside its root. */
export function isSafeName(filename: string, subfolder: string): boolean {
  if (filename === "" || filename.length > 300 || subfolder.length > 500 || filename.includes("/") || filename.includes("\\") || filename.includes("\0")) return false;
  if (filename === "." || filename === ".." || subfolder.startsWith("/") || subfolder.includes("\0") || /^[A-Za-z]:/.test(subfolder)) return false;
  return !subfolder.split(/[/\\]/).includes("..");
}

/** Every file an output names, in order, without repeats. */
export function findFiles(output: unknown): FoundFile[] {
  const found = new Map<string, FoundFile>();
  const visit = (value: unknown, key: string, depth: number): void => {
    if (depth > MAX_DEPTH || found.size >= MAX_FILES) return;
    if (Array.isArray(value)) return value.forEach((inner) => visit(inner, key, depth + 1));
    if (!isObject(value)) return;
    if (typeof value.filename === "string") {
      const file = { type: storageType(value.type), subfolder: typeof value.subfolder === "string" ? value.subfolder : "", filename: value.filename, key };
      if (isSafeName(file.filename, file.subfolder) && !found.has(localKey(file))) found.set(localKey(file), file);
      return;
    }
    for (const [name, inner] of Object.entries(value)) visit(inner, depth === 0 ? name : key, depth + 1);
  };
  visit(output, "", 0);
  return [...found.values()];
}

/** Plain strings of an output that look like a file's name: an extension, no line break, a relative path. */
export function fileCandidates(output: unknown): Candidate[] {
  if (!isObject(output)) return [];
  const found = new Map<string, Candidate>();
  for (const [key, value] of Object.entries(output)) {
    for (const text of Array.isArray(value) ? value : [value]) {
      if (typeof text !== "string" || text.length > 500 || !/^[^\r\n]+\.[A-Za-z0-9]{1,8}$/.test(text) || found.size >= MAX_CANDIDATES) continue;
      const cut = text.lastIndexOf("/");
      const candidate = { key, subfolder: cut < 0 ? "" : text.slice(0, cut), filename: text.slice(cut + 1) };
      // One spelling per file: another one could not be told from a file that is known to be somebody else's.
      const plain = candidate.subfolder === "" || candidate.subfolder.split(/[/\\]/).every((segment) => segment !== "" && segment !== ".");
      if (plain && isSafeName(candidate.filename, candidate.subfolder)) found.set(text, candidate);
    }
  }
  return [...found.values()];
}

/** A copy without `fullpath` keys. */
export function withoutFullPaths(value: unknown, depth = 0): unknown {
  if (depth > MAX_DEPTH) return value;
  if (Array.isArray(value)) return value.map((inner) => withoutFullPaths(inner, depth + 1));
  if (!isObject(value)) return value;
  const kept = Object.entries(value).filter(([key]) => key !== "fullpath");
  return Object.fromEntries(kept.map(([key, inner]) => [key, withoutFullPaths(inner, depth + 1)]));
}

/** A copy without the files in `gone` (by `localKey`): what cannot be fetched is not named. */
export function withoutFiles(value: unknown, gone: ReadonlySet<string>, depth = 0): unknown {
  if (gone.size === 0 || depth > MAX_DEPTH) return value;
  const isGone = (inner: unknown): boolean => isObject(inner) && typeof inner.filename === "string" && findFiles(inner).some((file) => gone.has(localKey(file)));
  if (Array.isArray(value)) return value.filter((inner) => !isGone(inner)).map((inner) => withoutFiles(inner, gone, depth + 1));
  if (!isObject(value)) return value;
  const kept = Object.entries(value).filter(([, inner]) => !isGone(inner));
  return Object.fromEntries(kept.map(([key, inner]) => [key, withoutFiles(inner, gone, depth + 1)]));
}

/** One string per place on ComfyUI's disk. */
export function localKey(file: FileName): string {
  return `${file.type}\n${file.subfolder}\n${file.filename}`;
}
