// Reading a prompt: node id -> { class_type, inputs }. A value is a link when it is [node id, slot].

import { type Json, type JsonObject, isNumeric, isObject, toNumber } from "../json.ts";

export interface Link {
  readonly node: string;
  readonly slot: number;
}

export interface PromptNode {
  readonly classType: string;
  readonly inputs: JsonObject;
}

export function linkOf(value: Json | undefined): Link | undefined {
  if (!Array.isArray(value) || value.length !== 2) return undefined;
  const [node, slot] = value;
  return typeof node === "string" && isNumeric(slot) ? { node, slot: toNumber(slot) } : undefined;
}

const NO_INPUTS: JsonObject = new Map();

/** The node of an id, or undefined when the prompt has none or it has no class. */
export function nodeOf(prompt: JsonObject, id: string): PromptNode | undefined {
  const node = prompt.get(id);
  if (!isObject(node)) return undefined;
  const classType = node.get("class_type");
  const inputs = node.get("inputs");
  return typeof classType === "string" ? { classType, inputs: isObject(inputs) ? inputs : NO_INPUTS } : undefined;
}

/** The links of a node in the order of its inputs, declared or not. */
export function linksOf(node: PromptNode): Link[] {
  const links: Link[] = [];
  for (const value of node.inputs.values()) {
    const link = linkOf(value);
    if (link !== undefined) links.push(link);
  }
  return links;
}
