// Is this prompt fit to run? Walks from each output node up its links, coerces literals in place, and collects complaints.
// Invariant (as in ComfyUI): one good output node is enough; bad ones are reported and left out.

import type { Folders } from "../folders.ts";
import { type Json, type JsonObject, WholeFloat, isNumeric, isObject, toNumber } from "../json.ts";
import type { InputGroups, InputOptions, InputSpec, NodeClass } from "../nodes/definition.ts";
import { NODES } from "../nodes/registry.ts";
import { type Complaint, complaints } from "./complaints.ts";
import { PythonError, repr, str, toFloat, toInt, truthy } from "./python.ts";

export interface NodeErrors {
  readonly errors: readonly Complaint[];
  readonly dependent_outputs: string[];
  readonly class_type: string;
}

export type Verdict =
  | { readonly ok: true; readonly outputs: readonly string[]; readonly nodeErrors: ReadonlyMap<string, NodeErrors> }
  | { readonly ok: false; readonly error: Complaint; readonly nodeErrors: ReadonlyMap<string, NodeErrors> };

interface Finding {
  readonly isValid: boolean;
  readonly errors: readonly Complaint[];
}

/** Types match when they are equal, either is "*", or comma-separated alternatives meet. */
function typesMeet(received: string, wanted: string | readonly string[]): boolean {
  if (typeof wanted !== "string") return false;
  if (received === "*" || wanted === "*" || received === wanted) return true;
  const offered = new Set(received.split(",").map((part) => part.trim()));
  return wanted.split(",").some((part) => offered.has(part.trim()));
}

/** A literal turned into the input's type; other types pass unchanged. Throws PythonError. */
export function coerce(type: string | readonly string[], value: Json): Json {
  if (type === "INT") return toInt(value);
  if (type === "FLOAT") return toFloat(value);
  if (type === "STRING") return str(value);
  return type === "BOOLEAN" ? truthy(value) : value;
}

function choicesOf(spec: InputSpec): readonly string[] | undefined {
  if (typeof spec[0] !== "string") return spec[0];
  const options = spec[1]?.["options"];
  return spec[0] === "COMBO" && Array.isArray(options) ? (options as readonly string[]) : undefined;
}

type Limit = number | bigint | WholeFloat;

function isLimit(option: InputOptions[string] | undefined): option is Limit {
  return typeof option === "number" || typeof option === "bigint" || option instanceof WholeFloat;
}

/** For comparing: JavaScript compares bigint with number exactly, so 64-bit seeds lose nothing. */
function magnitude(value: Limit): number | bigint {
  return value instanceof WholeFloat ? value.value : value;
}

function limitComplaint(name: string, spec: InputSpec, value: Json): Complaint | undefined {
  const { min, max } = spec[1] ?? {};
  if (isNumeric(value)) {
    if (isLimit(min) && magnitude(value) < magnitude(min)) return complaints.tooSmall(name, spec, value, min);
    if (isLimit(max) && magnitude(value) > magnitude(max)) return complaints.tooBig(name, spec, value, max);
  }
  const choices = choicesOf(spec);
  const isListed = choices === undefined || (typeof value === "string" && choices.includes(value));
  return isListed ? undefined : complaints.notInList(name, spec, value, choices);
}

class Validation {
  readonly found = new Map<string, Finding>();
  private readonly visiting = new Set<string>();
  private readonly groups = new Map<string, Promise<InputGroups>>();
  private readonly prompt: JsonObject;
  private readonly folders: Folders;
  constructor(prompt: JsonObject, folders: Folders) {
    this.prompt = prompt;
    this.folders = folders;
  }

  classOf(id: string): NodeClass {
    const node = this.prompt.get(id);
    const name = isObject(node) ? node.get("class_type") : undefined;
    const found = typeof name === "string" ? NODES.get(name) : undefined;
    if (found === undefined) throw new PythonError("KeyError", repr(id));
    return found;
  }

  private inputsOf(node: NodeClass): Promise<InputGroups> {
    const known = this.groups.get(node.info.name) ?? node.inputs(this.folders);
    this.groups.set(node.info.name, known);
    return known;
  }

  /** Checks a node and all it needs, once. Throws PythonError where ComfyUI would raise. */
  async node(id: string): Promise<Finding> {
    const known = this.found.get(id);
    if (known !== undefined) return known;
    if (this.visiting.has(id)) return { isValid: false, errors: [] }; // a circle: refused without a culprit [R dependency-cycle]
    this.visiting.add(id);
    try {
      const node = this.prompt.get(id) as JsonObject;
      const inputs = node.get("inputs");
      if (inputs === undefined) throw new PythonError("KeyError", "'inputs'");
      if (!isObject(inputs)) throw new PythonError("TypeError", "inputs must be an object");
      const finding = await this.inputs(this.classOf(id), inputs);
      this.found.set(id, finding);
      return finding;
    } finally {
      this.visiting.delete(id);
    }
  }

  private async inputs(nodeClass: NodeClass, inputs: JsonObject): Promise<Finding> {
    const groups = await this.inputsOf(nodeClass);
    const errors: Complaint[] = [];
    let isSound = true;
    for (const [name, spec] of [...Object.entries(groups.required), ...Object.entries(groups.optional ?? {})]) {
      const value = inputs.get(name);
      if (value === undefined) {
        if (name in groups.required) errors.push(complaints.inputMissing(name));
        continue;
      }
      const result = Array.isArray(value) ? await this.link(name, spec, value) : await this.literal(nodeClass, name, spec, inputs);
      if (result === "bad upstream") isSound = false;
      else if (result !== undefined) errors.push(result);
    }
    return { isValid: isSound && errors.length === 0, errors };
  }

  private async link(name: string, spec: InputSpec, value: Json[]): Promise<Complaint | "bad upstream" | undefined> {
    const [source, slot] = value;
    if (value.length !== 2 || source === undefined || slot === undefined) return complaints.badLink(name, spec, value);
    if (typeof source !== "string" || !this.prompt.has(source)) throw new PythonError("KeyError", repr(source));
    if (!isNumeric(slot)) throw new PythonError("TypeError", "tuple indices must be integers or slices");
    const received = this.classOf(source).info.output.at(toNumber(slot));
    if (received === undefined) throw new PythonError("IndexError", "tuple index out of range");
    if (!typesMeet(received, spec[0])) return complaints.typeMismatch(name, spec, received, value);
    try {
      return (await this.node(source)).isValid ? undefined : "bad upstream";
    } catch (error) {
      this.found.set(source, { isValid: false, errors: [complaints.raisedInside(name, spec, value, error)] });
      return "bad upstream";
    }
  }

  private async literal(nodeClass: NodeClass, name: string, spec: InputSpec, inputs: JsonObject): Promise<Complaint | undefined> {
    let value = inputs.get(name) as Json;
    if (isObject(value) && value.has("__value__")) value = value.get("__value__") as Json;
    try {
      value = coerce(spec[0], value);
    } catch (error) {
      return complaints.notConvertible(name, spec, value, (error as Error).message);
    }
    inputs.set(name, value);
    const check = nodeClass.checks?.[name];
    if (check === undefined) return limitComplaint(name, spec, value);
    const problem = await check(value, this.folders);
    return problem === undefined ? undefined : complaints.checkFailed(name, problem);
  }
}

/** The output nodes to run, or the first node that cannot be one. */
function chooseOutputs(prompt: JsonObject, targets: readonly string[] | undefined): string[] | Complaint {
  const outputs: string[] = [];
  for (const [id, node] of prompt) {
    const name = isObject(node) ? node.get("class_type") : undefined;
    if (name === undefined) return complaints.missingClass(id);
    const found = typeof name === "string" ? NODES.get(name) : undefined;
    if (found === undefined) return complaints.unknownClass(id, str(name));
    if (found.info.outputNode && (targets === undefined || targets.includes(id))) outputs.push(id);
  }
  return outputs.length === 0 ? complaints.noOutputs() : outputs;
}

/** Validates a prompt and coerces its literals in place. `targets` limits which output nodes count. */
export async function validatePrompt(prompt: JsonObject, targets: readonly string[] | undefined, folders: Folders): Promise<Verdict> {
  const nodeErrors = new Map<string, NodeErrors>();
  const outputs = chooseOutputs(prompt, targets);
  if (!Array.isArray(outputs)) return { ok: false, error: outputs, nodeErrors };
  const validation = new Validation(prompt, folders);
  const good: string[] = [];
  const lines: string[] = [];
  for (const output of outputs) {
    const finding = await validation.node(output).catch((error: unknown): Finding => ({ isValid: false, errors: [complaints.raised(error)] }));
    if (finding.isValid) {
      good.push(output);
      continue;
    }
    validation.found.set(output, finding);
    lines.push(...finding.errors.map((error) => `${error.message}: ${error.details}`));
    // Every faulty node seen so far is charged with this output too, whether or not the output depends on it [R "two outputs, both bad"].
    for (const [id, { isValid, errors }] of validation.found) {
      if (isValid || errors.length === 0) continue;
      const known = nodeErrors.get(id) ?? { errors, dependent_outputs: [], class_type: validation.classOf(id).info.name };
      known.dependent_outputs.push(output);
      nodeErrors.set(id, known);
    }
  }
  if (good.length > 0) return { ok: true, outputs: good, nodeErrors };
  return { ok: false, error: complaints.outputsFailed(lines.join("\n")), nodeErrors };
}
