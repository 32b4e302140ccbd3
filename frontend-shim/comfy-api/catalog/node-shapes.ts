// What validation asks of a node class, worked out once per catalog and class. Invariant: derived from the catalog alone, so
// the result is shared by all seats; what depends on a seat's files is asked for at the time.
import { type FileInput, fileInputOf } from "./file-inputs.ts";
import { own } from "./json.ts";
import { stockValidator } from "./stock-validators.ts";
import type { Catalog, InputSection, InputSpec, Json, JsonObject, NodeInfo, NodeValidator, ObjectInfo } from "./types.ts";

export type InputShape = {
  readonly name: string;
  readonly type: string | readonly Json[];
  readonly options: JsonObject;
  readonly required: boolean;
  /** The choices of an old list or of a `COMBO`; undefined for other types, and for combos the page fetches itself. */
  readonly choices: readonly Json[] | undefined;
  /** The same as a set when all choices are strings. */
  readonly choiceSet: ReadonlySet<Json> | undefined;
  readonly file: FileInput | undefined;
};

export type NodeShape = {
  readonly name: string;
  readonly info: NodeInfo;
  readonly inputs: readonly InputShape[];
  /** The same by name; without those that only the values sent bring about. */
  readonly byName: ReadonlyMap<string, InputShape>;
  readonly outputs: readonly (string | readonly Json[])[];
  readonly isOutput: boolean;
  /** Whether its inputs depend on the values sent (autogrow, dynamic combo, dynamic slot). */
  readonly isDynamic: boolean;
  /** Newer nodes declare outputs as a list, older ones as a tuple: Python's error texts differ. */
  readonly outputsAreList: boolean;
  readonly validator: NodeValidator | undefined;
};

const DYNAMIC_TYPES = new Set(["COMFY_AUTOGROW_V3", "COMFY_DYNAMICCOMBO_V3", "COMFY_DYNAMICSLOT_V3"]);

/** Whether a type name stands for inputs made from the values sent. */
export function isDynamicType(type: string | readonly Json[]): boolean {
  return typeof type === "string" && DYNAMIC_TYPES.has(type);
}

function choicesOf(type: string | readonly Json[], options: JsonObject): readonly Json[] | undefined {
  if (Array.isArray(type)) return type;
  if (type !== "COMBO" || options["remote"] !== undefined || options["remote_combo"] !== undefined) return undefined;
  const listed = options["options"];
  return Array.isArray(listed) ? (listed as readonly Json[]) : undefined;
}

/** One input of a class from its `[type, options?]`. */
export function inputShape(nodeClass: string, name: string, spec: InputSpec, required: boolean): InputShape {
  const [type, declared] = spec;
  const options = declared ?? {};
  const choices = choicesOf(type, options);
  const allStrings = choices !== undefined && choices.every((choice) => typeof choice === "string");
  return { name, type, options, required, choices, choiceSet: allStrings ? new Set(choices) : undefined, file: fileInputOf(nodeClass, name, spec) };
}

function sectionShapes(nodeClass: string, section: InputSection | undefined, required: boolean): InputShape[] {
  return Object.entries(section ?? {}).map(([name, spec]) => inputShape(nodeClass, name, spec, required));
}

function buildShape(catalog: Catalog, name: string, info: NodeInfo): NodeShape {
  const required = sectionShapes(name, info.input?.required, true);
  const names = new Set(required.map((input) => input.name));
  const optional = sectionShapes(name, info.input?.optional, false).filter((input) => !names.has(input.name));
  const inputs = [...required, ...optional];
  return {
    name,
    info,
    inputs,
    byName: new Map(inputs.map((input) => [input.name, input])),
    outputs: info.output ?? [],
    isOutput: info.output_node === true,
    isDynamic: inputs.some((input) => isDynamicType(input.type)),
    outputsAreList: "api_node" in info && "experimental" in info && "deprecated" in info,
    validator: own(catalog.validators, name) ?? stockValidator(name),
  };
}

const shapes = new WeakMap<ObjectInfo, Map<string, NodeShape>>();

/** The shape of a class, or undefined when the catalog does not have it. Cached for the life of the catalog. */
export function nodeShape(catalog: Catalog, nodeClass: string): NodeShape | undefined {
  let known = shapes.get(catalog.object_info);
  if (known === undefined) shapes.set(catalog.object_info, (known = new Map()));
  const cached = known.get(nodeClass);
  if (cached !== undefined) return cached;
  const info = own(catalog.object_info, nodeClass);
  if (info === undefined) return undefined;
  const shape = buildShape(catalog, nodeClass, info);
  known.set(nodeClass, shape);
  return shape;
}

const MODEL_FILE = /\.(?:safetensors|sft|ckpt|pth?|pt2|bin|gguf|onnx|engine|pkl|msgpack|npz)$/i;
const modelNames = new WeakMap<object, ReadonlySet<string>>();

function knownModels(catalog: Catalog): ReadonlySet<string> {
  let names = modelNames.get(catalog.models);
  if (names === undefined) modelNames.set(catalog.models, (names = new Set(Object.values(catalog.models).flat())));
  return names;
}

/** Whether a widget's value names a model file: by its ending, or because a model folder of the catalog has it. */
export function isModelName(catalog: Catalog, value: Json | undefined): value is string {
  return typeof value === "string" && (MODEL_FILE.test(value) || knownModels(catalog).has(value));
}

/** Whether an input chooses among model files: some choice is one, or the value sent looks like one and nothing else is known. */
export function isModelInput(catalog: Catalog, input: InputShape, value: Json): boolean {
  if (input.choices === undefined || input.file !== undefined) return false;
  return input.choices.some((choice) => isModelName(catalog, choice)) || isModelName(catalog, value);
}
