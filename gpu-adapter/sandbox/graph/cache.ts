// Results kept from prompt to prompt. A result is known by what made it: class, literals (undeclared ones too), and all of that
// upstream; node ids do not count. Invariant: only what the newest prompt mentions is kept (ComfyUI's classic cache).

import { type Folders, sha256 } from "../folders.ts";
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

/** The signature of every node of a prompt: a hash over its class, fingerprint and sorted inputs, links standing for the signature they lead to. */
export async function signatures(prompt: JsonObject, folders: Folders): Promise<Map<string, string>> {
  const prints = await fingerprints(prompt, folders);
  const result = new Map<string, string>();
  const signature = (id: string): string => {
    const known = result.get(id);
    if (known !== undefined) return known;
    result.set(id, `circle ${id}`); // stands until the node is done; a circle never gets to run
    const node = nodeOf(prompt, id);
    const parts = sortedInputs(node?.inputs ?? new Map()).map(([name, value]) => {
      const link = linkOf(value);
      return [name, link === undefined ? { literal: value } : { link: signature(link.node), slot: link.slot }] as const;
    });
    const made = sha256(Buffer.from(dumps([node?.classType ?? `missing ${id}`, prints.get(id) ?? false, parts])));
    result.set(id, made);
    return made;
  };
  for (const id of prompt.keys()) signature(id);
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
