// Results kept from prompt to prompt. A result is known by what made it: class, literals (undeclared ones too), and all of that
// upstream; node ids do not count. Invariant: only what the newest prompt mentions is kept (ComfyUI's classic cache).

import type { Folders } from "../folders.ts";
import { dumps, type JsonObject } from "../json.ts";
import { NODES } from "../nodes/registry.ts";
import type { Ui, Value } from "../nodes/definition.ts";
import { linkOf, nodeOf } from "./prompt.ts";

export interface CacheEntry {
  readonly outputs: readonly Value[];
  readonly ui: Ui | undefined;
}

function sortedInputs(inputs: JsonObject) {
  return [...inputs].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}

/** Ids of everything upstream, each once, in an order that depends on the graph's shape only. */
function ancestors(prompt: JsonObject, id: string): string[] {
  const found = new Map<string, number>();
  const visit = (at: string): void => {
    const node = nodeOf(prompt, at);
    if (node === undefined) return;
    for (const [, value] of sortedInputs(node.inputs)) {
      const link = linkOf(value);
      if (link === undefined || found.has(link.node) || link.node === id) continue;
      found.set(link.node, found.size);
      visit(link.node);
    }
  };
  visit(id);
  return [...found.keys()];
}

async function fingerprints(prompt: JsonObject, folders: Folders): Promise<Map<string, string>> {
  const result = new Map<string, string>();
  for (const id of prompt.keys()) {
    const node = nodeOf(prompt, id);
    const nodeClass = node === undefined ? undefined : NODES.get(node.classType);
    if (node === undefined || nodeClass?.fingerprint === undefined) continue;
    result.set(id, await nodeClass.fingerprint(node.inputs, folders).catch(() => `unreadable ${id} ${performance.now()}`));
  }
  return result;
}

/** The signature of every node of a prompt. */
export async function signatures(prompt: JsonObject, folders: Folders): Promise<Map<string, string>> {
  const prints = await fingerprints(prompt, folders);
  const own = (id: string, order: readonly string[]): string => {
    const node = nodeOf(prompt, id);
    if (node === undefined) return `missing ${id}`;
    const parts = sortedInputs(node.inputs).map(([name, value]) => {
      const link = linkOf(value);
      return [name, link === undefined ? value : ["link", order.indexOf(link.node), link.slot]] as const;
    });
    return dumps([node.classType, prints.get(id) ?? false, parts]);
  };
  const result = new Map<string, string>();
  for (const id of prompt.keys()) {
    const order = ancestors(prompt, id);
    result.set(id, [own(id, order), ...order.map((ancestor) => own(ancestor, order))].join("\n"));
  }
  return result;
}

/** Results and per-node memories across prompts. */
export class ResultCache {
  private entries = new Map<string, CacheEntry>();
  private memories = new Map<string, object>();
  private keys = new Map<string, string>();

  /** Takes over a new prompt: what it does not mention is forgotten. */
  async begin(prompt: JsonObject, folders: Folders): Promise<void> {
    this.keys = await signatures(prompt, folders);
    const used = new Set(this.keys.values());
    this.entries = new Map([...this.entries].filter(([key]) => used.has(key)));
    const nodes = new Set([...prompt.keys()].map((id) => memoryKey(prompt, id)));
    this.memories = new Map([...this.memories].filter(([key]) => nodes.has(key)));
  }

  get(id: string): CacheEntry | undefined {
    const key = this.keys.get(id);
    return key === undefined ? undefined : this.entries.get(key);
  }

  set(id: string, entry: CacheEntry): void {
    const key = this.keys.get(id);
    if (key !== undefined) this.entries.set(key, entry);
  }

  remember<T extends object>(prompt: JsonObject, id: string, make: () => T): T {
    const key = memoryKey(prompt, id);
    const known = this.memories.get(key);
    if (known !== undefined) return known as T;
    const made = make();
    this.memories.set(key, made);
    return made;
  }

  clear(): void {
    this.entries = new Map();
    this.memories = new Map();
  }
}

function memoryKey(prompt: JsonObject, id: string): string {
  return `${nodeOf(prompt, id)?.classType ?? ""} ${id}`;
}
