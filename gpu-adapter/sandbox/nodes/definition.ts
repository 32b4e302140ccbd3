// What a node class is: its face in /object_info, its checks, its work. The executor knows nothing else about nodes.

import type { Folders } from "../folders.ts";
import { type Json, type JsonObject, WholeFloat } from "../json.ts";
import type { Mask, Picture } from "../pixels/tensor.ts";
import type { Conditioning, Latent, PainterPart } from "../painter/latent.ts";

/** Limits of FLOAT inputs are written with `floats`, so that 0.0 is not taken for 0. */
export type InputOptions = { readonly [option: string]: string | number | bigint | boolean | null | WholeFloat | readonly string[] };
export type InputSpec = readonly [type: string | readonly string[], options?: InputOptions];

export interface InputGroups {
  readonly required: Readonly<Record<string, InputSpec>>;
  readonly optional?: Readonly<Record<string, InputSpec>>;
  /** Hidden inputs name what the executor hands over: PROMPT, EXTRA_PNGINFO, UNIQUE_ID. */
  readonly hidden?: Readonly<Record<string, string>>;
}

/** What only nodes make: pictures, and the painter's things. */
export type Thing = Picture | Mask | Latent | Conditioning | PainterPart;
/** What may travel along a link. */
export type Value = Json | Thing;

export type FileRef = { readonly filename: string; readonly subfolder: string; readonly type: string };
/** The `ui` part of a result: lists by any key; the interface and the history show them. */
export type Ui = { readonly [key: string]: readonly (FileRef | string | boolean | number)[] };

export interface NodeResult {
  readonly outputs: readonly Value[];
  readonly ui?: Ui;
}

/** A preview frame: JPEG bytes, at most 512 px on the longer side. */
export type PreviewMaker = () => Promise<Buffer>;

/** What a running node may ask of the server. */
export interface NodeRun {
  readonly folders: Folders;
  readonly nodeId: string;
  /** Milliseconds one painter step should take at least; 0 paints as fast as it can. */
  readonly stepMs: number;
  /** The whole prompt, as validated, for metadata. */
  readonly prompt: JsonObject;
  readonly extraPnginfo: Json | undefined;
  /** Reports progress; throws when the run was interrupted. A preview is made only if somebody can see it. */
  progress(value: number, max: number, preview?: PreviewMaker): Promise<void>;
  /** Something that lives as long as this node stays in the prompts that follow. */
  remember<T extends object>(make: () => T): T;
}

export interface NodeInfo {
  readonly name: string;
  readonly displayName: string | null;
  readonly description: string;
  readonly category: string;
  readonly pythonModule: string;
  readonly output: readonly string[];
  readonly outputName?: readonly string[];
  readonly outputTooltips?: readonly (string | null)[];
  readonly outputNode: boolean;
  /** Members only the newer kind of node definition carries (deprecated, experimental, api_node). */
  readonly extra?: Readonly<Record<string, boolean>>;
}

export interface NodeClass {
  readonly info: NodeInfo;
  /** The inputs now: lists of files are read from the disk. */
  inputs(folders: Folders): Promise<InputGroups>;
  run(inputs: Inputs, run: NodeRun): Promise<NodeResult>;
  /** Inputs this class checks itself; the usual limits and lists are not applied to them. Answers the complaint, if any. */
  readonly checks?: Readonly<Record<string, (value: Json, folders: Folders) => Promise<string | undefined>>>;
  /** A text that changes when the outside world changed what the inputs mean (a file's hash). */
  fingerprint?(inputs: JsonObject, folders: Folders): Promise<string>;
}

/** Reads a node's inputs by type; a wrong type is a fault of the graph that validation let through. */
export interface Inputs {
  readonly all: ReadonlyMap<string, Value>;
  number(name: string): number;
  text(name: string): string;
  flag(name: string): boolean;
  picture(name: string): Picture;
  value(name: string): Value;
}

/** Options of a FLOAT input: whole numbers keep their ".0" in /object_info and in complaints. */
export function floats(options: Readonly<Record<string, string | number>>): InputOptions {
  return Object.fromEntries(Object.entries(options).map(([name, value]) => [name, typeof value === "number" && Number.isInteger(value) ? new WholeFloat(value) : value]));
}

/** A class without file lists: its inputs never change. */
export function fixedInputs(groups: InputGroups): () => Promise<InputGroups> {
  return () => Promise.resolve(groups);
}
