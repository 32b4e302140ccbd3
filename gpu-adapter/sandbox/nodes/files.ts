// Names of saved files: prefix tokens, sub-folders and the counter, by ComfyUI's rule
// "highest number found in the folder, plus one" (so names count up across prompts and restarts).

import { mkdir, readdir } from "node:fs/promises";
import { basename, join, relative } from "node:path";
import type { Folders, FileType } from "../folders.ts";
import { splitPath } from "../folders.ts";
import { PythonError } from "../graph/python.ts";

const pad = (value: number): string => String(value).padStart(2, "0");

/** Fills %width% %height% %year% %month% %day% %hour% %minute% %second% (local time). */
export function fillTokens(prefix: string, width: number, height: number, now: Date): string {
  if (!prefix.includes("%")) return prefix;
  const values: Record<string, string> = {
    width: String(width),
    height: String(height),
    year: String(now.getFullYear()),
    month: pad(now.getMonth() + 1),
    day: pad(now.getDate()),
    hour: pad(now.getHours()),
    minute: pad(now.getMinutes()),
    second: pad(now.getSeconds()),
  };
  return prefix.replace(/%(width|height|year|month|day|hour|minute|second)%/g, (_, token: string) => values[token] ?? "");
}

/** The number after "<name>_" in a listed file, or undefined if the file belongs to another prefix. A number that cannot be read counts as 0. */
function counterOf(file: string, name: string, prefixLength: number): number | undefined {
  const head = file.slice(0, prefixLength + 1);
  if (head !== `${name}_`) return undefined;
  const digits = file.slice(prefixLength + 1).split("_")[0] ?? "";
  return /^\d+$/.test(digits) ? Number(digits) : 0;
}

export interface SavePlace {
  readonly folder: string;
  readonly subfolder: string;
  readonly name: string;
  readonly counter: number;
}

/** Where the next file of a prefix goes; makes the folder. Throws when the prefix leads outside the root. */
export async function savePlace(folders: Folders, type: FileType, filenamePrefix: string, width: number, height: number): Promise<SavePlace> {
  const prefix = fillTokens(filenamePrefix, width, height, new Date());
  const [subfolder, name] = splitPath(prefix);
  const root = folders.of(type);
  const folder = folders.inside(root, subfolder);
  if (folder === undefined) {
    throw new PythonError("Exception", `Saving outside the ${type} folder is not allowed: the prefix '${prefix}' leads to '${join(basename(root), subfolder)}'. Use a prefix without '..' or a leading '/'.`);
  }
  const listed = await readdir(folder).catch(() => undefined);
  if (listed === undefined) await mkdir(folder, { recursive: true });
  const prefixLength = basename(prefix).length;
  const counters = (listed ?? []).map((file) => counterOf(file, name, prefixLength)).filter((value) => value !== undefined);
  return { folder, subfolder: relative(root, folder), name, counter: counters.reduce((highest, value) => Math.max(highest, value), 0) + 1 };
}

/** "<name>_<00001>_<ending>", the batch number put in where the prefix asks for it. */
export function fileName(place: SavePlace, offset: number, ending: string): string {
  return `${place.name.replaceAll("%batch_num%", String(offset))}_${String(place.counter + offset).padStart(5, "0")}_${ending}`;
}
