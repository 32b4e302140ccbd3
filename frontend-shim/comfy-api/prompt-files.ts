// The files a graph names, looked up once for validation, for the runner's list and for the names in the graph. Invariant: only this seat's files are
// ever asked for, so a graph that names another seat's file names nothing.
import { contentName, fileKey, findInputFiles, rewriteInputFiles } from "./validation/index.ts";
import type { Catalog, InputFileReference, Prompt, SeatFiles } from "./validation/index.ts";
import { isObject } from "./catalog/json.ts";
import type { InputRef, StoredFile } from "../../durable-objects/contract.ts";
import type { StorageType } from "../../gpu-adapter/contract.ts";
import type { SeatContext } from "./context.ts";

/** What the graph names of the seat's files, by `fileKey`, and the input folder's listing. */
export type PromptFiles = SeatFiles & { readonly found: ReadonlyMap<string, StoredFile> };

/** Beyond this many outputs named by one graph their whole folder is listed instead of asking one by one. */
const MAX_SINGLE_LOOKUPS = 32;

const NO_FILES: PromptFiles = { found: new Map(), inputs: [], exists: () => false };

/** Looks up every file that an unchecked graph could name. */
export async function lookUpFiles(seat: SeatContext, prompt: unknown, catalog: Catalog): Promise<PromptFiles> {
  const references = findInputFiles(readableNodes(prompt), catalog);
  if (references.length === 0) return NO_FILES;
  const found = new Map<string, StoredFile>();
  const inputs = await seat.rpc.listFiles(seat.seat, "input", null);
  for (const file of inputs) found.set(keyOf(file), file);
  for (const type of ["output", "temp"] as const) {
    const wanted = new Map(references.filter((reference) => reference.type === type).map((reference) => [fileKey(reference), reference]));
    for (const file of await storedFiles(seat, type, [...wanted.values()])) found.set(keyOf(file), file);
  }
  return {
    found,
    inputs: inputs.map((file) => keyOf(file).slice("input/".length)),
    exists: (type, subfolder, name) => found.has(fileKey({ type, subfolder, name })),
  };
}

async function storedFiles(seat: SeatContext, type: StorageType, wanted: InputFileReference[]): Promise<StoredFile[]> {
  if (wanted.length > MAX_SINGLE_LOOKUPS) return await seat.rpc.listFiles(seat.seat, type, null);
  const files = await Promise.all(wanted.map(({ subfolder, name }) => seat.rpc.resolveFile(seat.seat, { type, subfolder, filename: name })));
  return files.filter((file) => file !== null);
}

/** The graph as the runner gets it, files under content names [G18], and the list of those files; `prompt` itself when it names none. */
export function withContentNames(prompt: Prompt, catalog: Catalog, outputs: readonly string[], files: PromptFiles): { prompt: Prompt; inputs: InputRef[] } {
  if (files.found.size === 0) return { prompt, inputs: [] };
  const references = findInputFiles(prompt, catalog, outputs);
  const names = new Map<string, string>();
  const inputs = new Map<string, InputRef>();
  for (const reference of references) {
    const file = files.found.get(fileKey(reference));
    if (file === undefined) continue;
    const name = contentName(reference.name, file.sha256);
    names.set(fileKey(reference), name);
    const path = reference.folder === "" ? name : `${reference.folder}/${name}`;
    inputs.set(path, { name: path, original: file.subfolder === "" ? file.filename : `${file.subfolder}/${file.filename}`, key: file.key, sha256: file.sha256, size: file.size });
  }
  return { prompt: rewriteInputFiles(prompt, references, names), inputs: [...inputs.values()] };
}

/** Only what has the form of a node: the rest is for validation to refuse. */
function readableNodes(prompt: unknown): Prompt {
  if (!isObject(prompt)) return {};
  // Nearly always all of them: then there is nothing to copy.
  if (Object.values(prompt).every(isReadable)) return prompt as unknown as Prompt;
  return Object.fromEntries(Object.entries(prompt).filter(([, node]) => isReadable(node))) as unknown as Prompt;
}

function isReadable(node: unknown): boolean {
  return isObject(node) && typeof node["class_type"] === "string" && isObject(node["inputs"]);
}

function keyOf(file: StoredFile): string {
  return fileKey({ type: file.type, subfolder: file.subfolder, name: file.filename });
}
