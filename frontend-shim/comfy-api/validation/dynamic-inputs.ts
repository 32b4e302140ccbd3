// Nodes whose inputs depend on what was sent: lists that grow (`images.image0`), a choice that brings its own inputs
// (`model.width`), a slot that opens more. Invariant: what the values sent do not open is never asked for.
import { isObject, own } from "../catalog/json.ts";
import { type InputShape, inputShape, isDynamicType, type NodeShape } from "../catalog/node-shapes.ts";
import type { InputSection, InputSpec, Json, JsonObject } from "../catalog/types.ts";
import { invalidDynamicInput } from "./errors.ts";
import { equals, repr } from "./python.ts";
import type { ComfyError } from "./types.ts";

type Sections = { readonly required?: InputSection; readonly optional?: InputSection };
type Expansion = { readonly nodeClass: string; readonly live: JsonObject; readonly inputs: InputShape[]; readonly errors: ComfyError[] };

function asSections(value: Json | undefined): Sections {
  return isObject(value) ? (value as unknown as Sections) : {};
}

function add(to: Expansion, id: string, spec: InputSpec, required: boolean): void {
  to.inputs.push(inputShape(to.nodeClass, id, spec, required));
}

function growingList(to: Expansion, id: string, options: JsonObject): void {
  const template = isObject(options["template"]) ? options["template"] : {};
  const sections = asSections(template["input"]);
  const required = Object.values(sections.required ?? {})[0];
  const item = required ?? Object.values(sections.optional ?? {})[0];
  if (item === undefined) return;
  const least = typeof template["min"] === "number" ? template["min"] : 0;
  const names = Array.isArray(template["names"])
    ? (template["names"] as readonly Json[]).map(String)
    : Array.from({ length: Math.min(Number(template["max"] ?? 0), 100) }, (_, index) => `${String(template["prefix"] ?? "")}${index}`);
  names.forEach((name, index) => add(to, `${id}.${name}`, item, required !== undefined && index < least));
}

function dynamicChoice(to: Expansion, id: string, spec: InputSpec, required: boolean): void {
  const value = own(to.live, id);
  if (value === undefined || Array.isArray(value)) return;
  const listed = spec[1]?.["options"];
  const options = Array.isArray(listed) ? (listed as readonly Json[]).filter(isObject) : [];
  const selected = options.find((option) => equals(option["key"] ?? null, value));
  if (selected === undefined) {
    to.errors.push(invalidDynamicInput(id, `${id}: ${repr(value)} not in ${repr(options.map((option) => option["key"] ?? null))}`));
    return;
  }
  expandSections(to, asSections(selected["inputs"]), `${id}.`);
  add(to, id, spec, required);
}

function dynamicSlot(to: Expansion, id: string, spec: InputSpec): void {
  if (own(to.live, id) === undefined) return;
  expandSections(to, asSections(spec[1]?.["inputs"]), `${id}.`);
  const type = spec[1]?.["slotType"];
  add(to, id, [typeof type === "string" ? type : "*"], false);
}

function expandInput(to: Expansion, id: string, spec: InputSpec, required: boolean): void {
  if (spec[0] === "COMFY_AUTOGROW_V3") growingList(to, id, spec[1] ?? {});
  else if (spec[0] === "COMFY_DYNAMICCOMBO_V3") dynamicChoice(to, id, spec, required);
  else if (isDynamicType(spec[0])) dynamicSlot(to, id, spec);
  else add(to, id, spec, required);
}

function expandSections(to: Expansion, sections: Sections, prefix: string): void {
  for (const [name, spec] of Object.entries(sections.required ?? {})) expandInput(to, prefix + name, spec, true);
  for (const [name, spec] of Object.entries(sections.optional ?? {})) expandInput(to, prefix + name, spec, false);
}

/** The inputs a node has, given the values sent; `errors` when a dynamic choice names no option. */
export function liveInputs(shape: NodeShape, live: JsonObject): { inputs: readonly InputShape[]; errors: readonly ComfyError[] } {
  if (!shape.isDynamic) return { inputs: shape.inputs, errors: [] };
  const expansion: Expansion = { nodeClass: shape.name, live, inputs: [], errors: [] };
  expandSections(expansion, shape.info.input ?? {}, "");
  return { inputs: expansion.inputs, errors: expansion.errors };
}
