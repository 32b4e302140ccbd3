// One node: its widgets, its links, and, through them, every node upstream, each once. Invariant: a node's result does not depend
// on who asked first; a fault upstream makes a node invalid without giving it errors of its own.
import { parseFileName } from "../catalog/file-inputs.ts";
import { isObject, own } from "../catalog/json.ts";
import { type InputShape, type NodeShape, nodeShape } from "../catalog/node-shapes.ts";
import type { Json, JsonObject } from "../catalog/types.ts";
import { liveInputs } from "./dynamic-inputs.ts";
import { badLinkedInput, customValidationFailed, dependencyCycle, exceptionDuringInnerValidation, requiredInputMissing, returnTypeMismatch } from "./errors.ts";
import { typesMatch } from "./link-types.ts";
import { equals, PythonError, repr, typeName } from "./python.ts";
import type { ComfyError, ValidationContext, Vocabulary } from "./types.ts";
import { checkValue } from "./widget-values.ts";

export type NodeResult = { readonly ok: boolean; readonly errors: readonly ComfyError[] };

/** One validation of one prompt: what it goes by, and what it has found so far. */
export type Run = {
  readonly context: ValidationContext;
  readonly vocabulary: Vocabulary;
  readonly prompt: { readonly [nodeId: string]: JsonObject };
  /** Results in the order nodes were finished. */
  readonly validated: Map<string, NodeResult>;
  /** Converted inputs of the nodes that have any. */
  readonly coerced: Map<string, { [input: string]: Json }>;
  /** The nodes between the output and here. */
  readonly path: string[];
};

/** Python gives up at about 1000 frames; a chain of nodes this long has never been drawn by hand. */
const MAX_DEPTH = 900;

const keyError = (key: Json): PythonError => new PythonError("KeyError", repr(key));

function nodeAt(run: Run, id: Json): { id: string; node: JsonObject; shape: NodeShape } {
  if (typeof id === "object" && id !== null) throw new PythonError("TypeError", `unhashable type: '${typeName(id)}'`);
  const node = typeof id === "string" ? own(run.prompt, id) : undefined;
  if (node === undefined || typeof id !== "string") throw keyError(id);
  const classType = node["class_type"];
  const shape = typeof classType === "string" ? nodeShape(run.context.catalog, classType) : undefined;
  if (shape === undefined) throw keyError(classType ?? null);
  return { id, node, shape };
}

function outputType(shape: NodeShape, slot: Json): string | readonly Json[] {
  const sequence = shape.outputsAreList ? "list" : "tuple";
  const index = typeof slot === "boolean" ? Number(slot) : slot;
  if (typeof index !== "number" || !Number.isInteger(index)) throw new PythonError("TypeError", `${sequence} indices must be integers or slices, not ${typeName(slot)}`);
  const type = shape.outputs[index < 0 ? shape.outputs.length + index : index];
  if (type === undefined) throw new PythonError("IndexError", `${sequence} index out of range`);
  return type;
}

/** A link: `error` is this node's own, `ok` false alone means that something upstream is wrong. */
function checkLink(run: Run, nodeId: string, shape: NodeShape, input: InputShape, link: readonly Json[]): { ok: boolean; error?: ComfyError } {
  if (link.length !== 2) return { ok: false, error: badLinkedInput(input, link) };
  const source = nodeAt(run, link[0] ?? null);
  const received = outputType(source.shape, link[1] ?? null);
  if (shape.validator?.types !== true && !typesMatch(received, input.type)) return { ok: false, error: returnTypeMismatch(input, received as Json, link) };
  run.path.push(nodeId);
  try {
    return { ok: validateNode(run, source.id).ok };
  } catch (error) {
    if (!(error instanceof PythonError)) throw error;
    run.validated.set(source.id, { ok: false, errors: [exceptionDuringInnerValidation(input, link, error)] });
    return { ok: false };
  } finally {
    run.path.pop();
  }
}

const NOUNS = { image: "image", mask: "image", audio: "audio", video: "video", "3d": "3D model", latent: "latent", file: "file" } as const;

function fileError(run: Run, input: InputShape, value: Json | undefined): ComfyError | undefined {
  if (input.file?.check !== "exists" || value === undefined || Array.isArray(value)) return undefined;
  if (typeof value !== "string") throw new PythonError("AttributeError", `'${typeName(value)}' object has no attribute 'endswith'`);
  const file = parseFileName(value);
  if (file !== undefined && run.context.seatFiles.exists(file.type, file.subfolder, file.name)) return undefined;
  const noun = NOUNS[input.file.kind];
  return customValidationFailed(input.name, `Invalid ${noun === "file" ? "" : `${noun} `}file: ${value}`);
}

function checksItself(shape: NodeShape, input: InputShape): boolean {
  return shape.validator?.all === true || shape.validator?.inputs.includes(input.name) === true || input.file?.check === "exists";
}

function sentInputs(node: JsonObject): JsonObject {
  const inputs = node["inputs"];
  if (inputs === undefined) throw keyError("inputs");
  if (isObject(inputs)) return inputs;
  if (typeof inputs === "string" || Array.isArray(inputs)) return {};
  throw new PythonError("TypeError", `argument of type '${typeName(inputs)}' is not iterable`);
}

function cycleFrom(run: Run, id: string): NodeResult {
  // ComfyUI 0.3.64 runs into Python's recursion limit here and ends up with invalid nodes that have no errors [R dependency-cycle].
  if (run.vocabulary === "0.3.64") return { ok: false, errors: [] };
  const around = [...run.path.slice(run.path.indexOf(id)), id];
  const cycle = [...new Set(around)];
  const path = around.map((nodeId) => `${nodeId} (${String(own(run.prompt, nodeId)?.["class_type"])})`).join(" -> ");
  for (const nodeId of cycle) run.validated.set(nodeId, { ok: false, errors: [dependencyCycle(nodeId, path, cycle)] });
  return run.validated.get(id) ?? { ok: false, errors: [] };
}

function checkInputs(run: Run, id: string, shape: NodeShape, sent: JsonObject): NodeResult {
  const errors: ComfyError[] = [];
  let ok = true;
  const { inputs, errors: dynamicErrors } = liveInputs(shape, sent);
  if (dynamicErrors.length > 0) return { ok: false, errors: dynamicErrors };
  let changed: { [input: string]: Json } | undefined;
  for (const input of inputs) {
    const value = own(sent, input.name);
    if (value === undefined) {
      if (input.required) errors.push(requiredInputMissing(input, shape.isDynamic ? (input.name.split(".").at(-1) ?? input.name) : input.name));
      continue;
    }
    if (Array.isArray(value)) {
      const link = checkLink(run, id, shape, input, value as readonly Json[]);
      if (link.error !== undefined) errors.push(link.error);
      ok &&= link.ok;
      continue;
    }
    const checked = checkValue(run.context, run.vocabulary, shape.name, input, value, checksItself(shape, input));
    if (checked.value !== value) (changed ??= {})[input.name] = checked.value;
    if (checked.error !== undefined) errors.push(checked.error);
  }
  if (changed !== undefined) run.coerced.set(id, changed);
  for (const input of inputs) {
    const error = fileError(run, input, changed?.[input.name] ?? own(sent, input.name));
    if (error !== undefined) errors.push(error);
  }
  return { ok: ok && errors.length === 0, errors };
}

/** The result of one node and everything upstream of it; throws PythonError where ComfyUI's own code would have raised. */
export function validateNode(run: Run, id: string): NodeResult {
  const known = run.validated.get(id);
  if (known !== undefined) return known;
  if (run.path.includes(id)) return cycleFrom(run, id);
  if (run.path.length > MAX_DEPTH) throw new PythonError("RecursionError", "maximum recursion depth exceeded");
  const { node, shape } = nodeAt(run, id);
  const found = checkInputs(run, id, shape, sentInputs(node));
  // A cycle found on the way may have put an error here already; ComfyUI 0.3.64 overwrites, 0.38 joins.
  const before = run.vocabulary === "0.3.64" ? undefined : run.validated.get(id);
  const added = found.errors.filter((error) => !before?.errors.some((other) => equals(other as unknown as Json, error as unknown as Json)));
  const result = before === undefined ? found : { ok: before.ok && found.ok, errors: [...before.errors, ...added] };
  run.validated.set(id, result);
  return result;
}
