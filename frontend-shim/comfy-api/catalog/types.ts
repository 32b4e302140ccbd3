// The shape of what the GPUs say they have. Invariant: a Catalog is never mutated after it was built, so that everything
// derived from it can be kept beside it in a WeakMap and shared by every seat of every workshop in the isolate.

/** A JSON value; integers beyond 2^53 (ComfyUI seeds go up to 2^64 − 1) are bigint when the text was read by `parseJson`. */
export type Json = null | boolean | number | bigint | string | readonly Json[] | JsonObject;
export type JsonObject = { readonly [key: string]: Json };

/** `[type, options?]`; the type is a name, or, in old combos, the list of choices itself. */
export type InputSpec = readonly [type: string | readonly Json[], options?: JsonObject];
export type InputSection = { readonly [input: string]: InputSpec };

/** One entry of ComfyUI's `GET /object_info`; members beyond those named here are kept as they came. */
export type NodeInfo = {
  readonly input?: { readonly required?: InputSection; readonly optional?: InputSection; readonly hidden?: JsonObject };
  readonly output?: readonly (string | readonly Json[])[];
  readonly output_node?: boolean;
  readonly name?: string;
  readonly display_name?: string;
  readonly category?: string;
  readonly python_module?: string;
  readonly [member: string]: unknown;
};
export type ObjectInfo = { readonly [nodeClass: string]: NodeInfo };

/** Which inputs a node's own Python validates: ComfyUI leaves those out of its min, max and list checks. */
export type NodeValidator = { readonly inputs: readonly string[]; readonly all?: boolean; readonly types?: boolean };

export type CatalogVersions = { readonly comfyui: string; readonly frontend?: string; readonly python?: string; readonly pytorch?: string };

/** What one pool's ComfyUI has, as its runner reported it [G13]; `digest` names this content. */
export type Catalog = {
  readonly object_info: ObjectInfo;
  /** Web files of custom nodes, as `GET /extensions` lists them. */
  readonly extensions: readonly string[];
  readonly i18n: JsonObject;
  /** Workflow templates by pack, as `GET /workflow_templates`. */
  readonly templates: { readonly [pack: string]: readonly string[] };
  readonly embeddings: readonly string[];
  /** Model files by folder (`checkpoints`, `loras` …). */
  readonly models: { readonly [folder: string]: readonly string[] };
  readonly versions: CatalogVersions;
  readonly digest: string;
  /** Reported by the runner where it can see them; stock nodes are known without. */
  readonly validators?: { readonly [nodeClass: string]: NodeValidator };
};

export type FileType = "input" | "output" | "temp";

/** One seat's files, as far as validation and listing need them. */
export type SeatFiles = {
  /** Whether `name` lies in `subfolder` ("" for the top) of that root. */
  exists(type: FileType, subfolder: string, name: string): boolean;
  /** Relative paths of the seat's input folder, subfolders included ("pic.png", "3d/cat.glb"). */
  readonly inputs: readonly string[];
};
