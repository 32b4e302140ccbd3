// Builds graphs in the editor's own format (version 0.4) out of named parts: a part says which outputs of other parts it takes, ids and links follow.
// Pure. Slot types are the nodes' own; a test holds every link against both ends.

/** `from`: `[part, slot]`. */
export type Feed = readonly [input: string, type: string, from: readonly [part: string, slot: number]];
export type Part = {
  /** Name within the graph; the node's id is its place in the list, from 1. */
  key: string;
  type: string;
  title?: string;
  pos: readonly [number, number];
  size: readonly [number, number];
  feeds?: readonly Feed[];
  outputs?: readonly (readonly [name: string, type: string])[];
  widgets?: readonly unknown[];
  color?: readonly [string, string];
};
export type Graph = { id: string; parts: readonly Part[] };

/** Colours of the editor's own palette: what to write, what to avoid. */
export const WANTED = ["#232", "#353"] as const;
export const UNWANTED = ["#322", "#533"] as const;

/** Values that a box of the node holds while nothing is linked to it; the editor marks such inputs. */
const VALUES = new Set(["INT", "FLOAT", "STRING", "BOOLEAN"]);

type Link = [id: number, from: number, fromSlot: number, to: number, toSlot: number, type: string];

export function workflowOf({ id, parts }: Graph): Record<string, unknown> {
  const numbers = new Map(parts.map(({ key }, index) => [key, index + 1]));
  const numberOf = (key: string): number => {
    const found = numbers.get(key);
    if (found === undefined) throw new Error(`no part ${key}`);
    return found;
  };
  const links: Link[] = [];
  for (const part of parts) for (const [slot, [, type, [from, fromSlot]]] of (part.feeds ?? []).entries()) links.push([links.length + 1, numberOf(from), fromSlot, numberOf(part.key), slot, type]);
  return {
    id,
    revision: 0,
    last_node_id: parts.length,
    last_link_id: links.length,
    nodes: parts.map((part, order) => nodeOf(part, order, links)),
    links,
    groups: [],
    config: {},
    extra: { ds: { scale: 0.6, offset: [80, 80] } },
    version: 0.4,
  };
}

function nodeOf(part: Part, order: number, links: readonly Link[]): Record<string, unknown> {
  const id = order + 1;
  return {
    id, type: part.type, pos: part.pos, size: part.size, flags: {}, order, mode: 0,
    inputs: (part.feeds ?? []).map(([name, type], slot) => ({ name, type, ...(VALUES.has(type) ? { widget: { name } } : {}), link: links.find(([, , , to, toSlot]) => to === id && toSlot === slot)?.[0] ?? null })),
    outputs: (part.outputs ?? []).map(([name, type], slot) => ({ name, type, slot_index: slot, links: links.filter(([, from, fromSlot]) => from === id && fromSlot === slot).map(([number]) => number) })),
    ...(part.title === undefined ? {} : { title: part.title }),
    properties: { "Node name for S&R": part.type },
    widgets_values: part.widgets ?? [],
    ...(part.color === undefined ? {} : { color: part.color[0], bgcolor: part.color[1] }),
  };
}
