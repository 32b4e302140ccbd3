// The files a graph names, and the same graph naming them by content [G18]: two seats' photo.png can never be one file to ComfyUI's
// cache. Invariant: nothing but the found names changes, and the prompt given is never touched.
import { type FileInput, type FileName, isAnnotatedFile, parseFileName } from "../catalog/file-inputs.ts";
import { isObject } from "../catalog/json.ts";
import { type InputShape, type NodeShape, nodeShape } from "../catalog/node-shapes.ts";
import type { Catalog, Json, JsonObject } from "../catalog/types.ts";
import { liveInputs } from "./dynamic-inputs.ts";
import { neededNodes } from "./describe-job.ts";
import type { Prompt, PromptNode } from "./types.ts";

export type InputFileReference = FileName & {
  /** Node id, input name, then keys and indices inside the value. */
  readonly path: readonly string[];
  /** The name as the graph has it. */
  readonly value: string;
  /** Below input/ on the GPU: 3-D models are listed from their own folder. */
  readonly folder: "" | "3d";
};

/** One key per file of a seat: `input/sub/photo.png`. */
export function fileKey(file: FileName): string {
  return [file.type, ...(file.subfolder === "" ? [] : [file.subfolder]), file.name].join("/");
}

const WHOLE_FILE: FileInput = { kind: "file", folder: "", check: "none" };
const RECORDED_FILE = /\.[A-Za-z0-9]{1,8}(?: \[(?:input|output|temp)\])?$/;

type Found = InputFileReference[];

function addReference(found: Found, path: readonly string[], value: string, file: FileInput): void {
  const parsed = parseFileName(value);
  if (parsed !== undefined) found.push({ ...parsed, path, value, folder: file.folder });
}

/** Names inside a recorder's value (a 3-D scene's image, mask, normal … and its recording). */
function addNested(found: Found, path: readonly string[], value: Json, file: FileInput): void {
  if (typeof value === "string") {
    if (RECORDED_FILE.test(value)) addReference(found, path, value, file);
  } else if (typeof value === "object" && value !== null) {
    for (const [key, member] of Object.entries(value)) addNested(found, [...path, key], member as Json, file);
  }
}

/** Multi-line texts may say anything; a combo, or an input the catalog does not know, that ends in ` [output]` is a file. */
function mayBeAnnotated(input: InputShape | undefined): boolean {
  return input === undefined || input.choices !== undefined || (input.type !== "STRING" && input.type !== "INT" && input.type !== "FLOAT");
}

function filesOfNode(found: Found, id: string, node: PromptNode, inputs: ReadonlyMap<string, InputShape>): void {
  for (const [name, sent] of Object.entries(node.inputs)) {
    if (Array.isArray(sent)) continue;
    const input = inputs.get(name);
    const wrapped = isObject(sent) && Object.hasOwn(sent, "__value__");
    const value = wrapped ? ((sent as JsonObject)["__value__"] as Json) : sent;
    const path = wrapped ? [id, name, "__value__"] : [id, name];
    if (input?.file?.check === "none") addNested(found, path, value, input.file);
    else if (input?.file !== undefined && typeof value === "string" && value !== "") addReference(found, path, value, input.file);
    else if (input?.file !== undefined && Array.isArray(value)) addNested(found, path, value, input.file);
    else if (mayBeAnnotated(input) && isAnnotatedFile(value)) addReference(found, path, value, WHOLE_FILE);
  }
}

const NO_INPUTS: ReadonlyMap<string, InputShape> = new Map();

function inputsOf(shape: NodeShape | undefined, node: PromptNode): ReadonlyMap<string, InputShape> {
  if (shape === undefined) return NO_INPUTS;
  return shape.isDynamic ? new Map(liveInputs(shape, node.inputs).inputs.map((input) => [input.name, input])) : shape.byName;
}

/**
 * The files of the seat that a graph names: loaders, upload widgets, recorders, `name [input|output|temp]`, subfolders.
 * `outputs` limits it to what will run. A 3-D loader's entry that is no file ("none") is left out.
 */
export function findInputFiles(prompt: Prompt, catalog: Catalog, outputs?: readonly string[]): InputFileReference[] {
  const found: Found = [];
  for (const [id, node] of neededNodes(prompt, outputs)) {
    filesOfNode(found, id, node, inputsOf(nodeShape(catalog, node.class_type), node));
  }
  return found.filter((reference) => reference.folder === "" || reference.name.includes("."));
}

/** Longest stem kept in a content name, in UTF-16 units; with hash and ending it stays far below a disk's 255 bytes. */
const LONGEST_STEM = 60;

/** `<stem>-<16 hex of sha256><.ext>` [G18]; the stem keeps what every disk takes, the ending is kept for loaders that go by it. */
export function contentName(name: string, sha256: string): string {
  const dot = name.lastIndexOf(".");
  const [stem, ending] = dot > 0 ? [name.slice(0, dot), name.slice(dot)] : [name, ""];
  const safeStem = stem.replace(/[^\p{L}\p{N}._-]+/gu, "_").slice(0, LONGEST_STEM).toWellFormed();
  return `${safeStem === "" ? "file" : safeStem}-${sha256.slice(0, 16).toLowerCase()}${ending.replace(/[^A-Za-z0-9.]+/g, "").slice(0, 16)}`;
}

function replaceAt(value: Json, path: readonly string[], name: string): Json {
  const [key, ...rest] = path;
  if (key === undefined) return name;
  if (Array.isArray(value)) return value.map((item, index) => (String(index) === key ? replaceAt(item as Json, rest, name) : (item as Json)));
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([member, content]) => [member, member === key ? replaceAt(content, rest, name) : content]));
}

/**
 * The prompt with every reference's name replaced by the one `names` has under its `fileKey`; the others stay as they are.
 * `names` values are content names; a 3-D model keeps its folder in front ("3d/cat-0123456789abcdef.glb").
 */
export function rewriteInputFiles(prompt: Prompt, references: readonly InputFileReference[], names: ReadonlyMap<string, string>): Prompt {
  const rewritten = new Map<string, JsonObject>();
  for (const reference of references) {
    const name = names.get(fileKey(reference));
    const [id, ...rest] = reference.path;
    if (name === undefined || id === undefined) continue;
    const inputs = rewritten.get(id) ?? prompt[id]?.inputs;
    if (inputs === undefined) continue;
    rewritten.set(id, replaceAt(inputs, rest, reference.folder === "" ? name : `${reference.folder}/${name}`) as JsonObject);
  }
  if (rewritten.size === 0) return prompt;
  return Object.fromEntries(Object.entries(prompt).map(([id, node]) => [id, rewritten.has(id) ? { ...node, inputs: rewritten.get(id) ?? node.inputs } : node]));
}
