// The undeclared literal that keeps ComfyUI's cache from answering one seat with another seat's file [G19], and its removal from anything a person sees.

/** Key added to the inputs of output nodes. ComfyUI counts it in the cache key and does not pass it to the node. */
export const SEAT_TAG_INPUT = "comfyume_seat";

type Json = Record<string, unknown>;

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The graph with the tag on each node whose class is in `classes`. The graph given stays as it is; a tag a client sent itself is overwritten or removed. */
export function tagOutputs(prompt: Json, classes: ReadonlySet<string>, tag: string): Json {
  const tagged: Json = {};
  for (const [id, node] of Object.entries(prompt)) {
    if (!isObject(node)) {
      tagged[id] = node;
      continue;
    }
    const { [SEAT_TAG_INPUT]: _sent, ...inputs } = isObject(node.inputs) ? node.inputs : {};
    const isOutput = typeof node.class_type === "string" && classes.has(node.class_type);
    tagged[id] = { ...node, inputs: isOutput ? { ...inputs, [SEAT_TAG_INPUT]: tag } : inputs };
  }
  return tagged;
}

/** Class names that ComfyUI's own `/object_info` marks as output nodes. */
export function outputClasses(objectInfo: Record<string, unknown>): Set<string> {
  const names = Object.entries(objectInfo).filter(([, info]) => isObject(info) && info.output_node === true);
  return new Set(names.map(([name]) => name));
}

/** Ids of the graph's nodes whose class is an output class. */
export function outputNodes(prompt: Json, classes: ReadonlySet<string>): string[] {
  return Object.entries(prompt).flatMap(([id, node]) => (isObject(node) && typeof node.class_type === "string" && classes.has(node.class_type) ? [id] : []));
}

/** A deep copy without the tag's key, for messages that may quote a node's inputs (errors, validation). */
export function withoutSeatTag(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutSeatTag);
  if (!isObject(value)) return value;
  const kept = Object.entries(value).filter(([key]) => key !== SEAT_TAG_INPUT);
  return Object.fromEntries(kept.map(([key, inner]) => [key, withoutSeatTag(inner)]));
}
