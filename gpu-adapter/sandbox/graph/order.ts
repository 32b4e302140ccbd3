// Which node next? All links must be satisfied; among the free ones, what a person will see comes first:
// output nodes, then what feeds an output node, then what feeds that. Cached nodes upstream are not visited at all.

import type { JsonObject } from "../json.ts";
import { linksOf, nodeOf } from "./prompt.ts";

export class ExecutionOrder {
  /** Pending node -> the nodes waiting for it, in the order they were met. */
  private readonly pending = new Map<string, Set<string>>();
  private readonly blockers = new Map<string, Set<string>>();
  private readonly prompt: JsonObject;
  private readonly isCached: (id: string) => boolean;
  private readonly isOutput: (id: string) => boolean;

  constructor(prompt: JsonObject, isCached: (id: string) => boolean, isOutput: (id: string) => boolean) {
    this.prompt = prompt;
    this.isCached = isCached;
    this.isOutput = isOutput;
  }

  /** Adds a node and everything it needs that is not cached. */
  add(target: string): void {
    const stack = [target];
    while (stack.length > 0) {
      const id = stack.pop() as string;
      if (this.pending.has(id)) continue;
      this.pending.set(id, this.pending.get(id) ?? new Set());
      const node = nodeOf(this.prompt, id);
      const needs = (node === undefined ? [] : linksOf(node)).map((link) => link.node).filter((source) => !this.isCached(source));
      this.blockers.set(id, new Set(needs));
      stack.push(...needs);
    }
    for (const [id, needs] of this.blockers) for (const source of needs) this.pending.get(source)?.add(id);
  }

  get isEmpty(): boolean {
    return this.pending.size === 0;
  }

  /** The next node to run, or undefined when the rest waits for itself. */
  next(): string | undefined {
    const free = [...this.pending.keys()].filter((id) => (this.blockers.get(id)?.size ?? 0) === 0);
    const waiting = (id: string): string[] => [...(this.pending.get(id) ?? [])];
    return (
      free.find(this.isOutput) ??
      free.find((id) => waiting(id).some(this.isOutput)) ??
      free.find((id) => waiting(id).some((middle) => waiting(middle).some(this.isOutput))) ??
      free[0]
    );
  }

  done(id: string): void {
    for (const waiting of this.pending.get(id) ?? []) this.blockers.get(waiting)?.delete(id);
    this.pending.delete(id);
    this.blockers.delete(id);
  }
}
