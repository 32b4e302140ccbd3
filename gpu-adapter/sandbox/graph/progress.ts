// Where every started node of a run stands; each change is one `progress_state` message that repeats the whole picture.

import type { Writable } from "../json.ts";

interface Entry {
  value: number;
  max: number;
  state: "running" | "finished" | "error";
}

export class ProgressBoard {
  private readonly entries = new Map<string, Entry>();
  private readonly promptId: string;
  constructor(promptId: string) {
    this.promptId = promptId;
  }

  private entry(id: string): Entry {
    const known = this.entries.get(id);
    if (known !== undefined) return known;
    const made: Entry = { value: 0, max: 1, state: "running" };
    this.entries.set(id, made);
    return made;
  }

  start(id: string): void {
    Object.assign(this.entry(id), { value: 0, max: 1, state: "running" });
  }

  update(id: string, value: number, max: number): void {
    Object.assign(this.entry(id), { value, max, state: "running" });
  }

  finish(id: string): void {
    const entry = this.entry(id);
    entry.state = "finished";
    entry.value = entry.max;
  }

  /** The data of a `progress_state` message. */
  state(): Record<string, Writable> {
    const nodes = new Map<string, Writable>();
    for (const [id, { value, max, state }] of this.entries) {
      nodes.set(id, { value, max, state, node_id: id, prompt_id: this.promptId, display_node_id: id, parent_node_id: null, real_node_id: id });
    }
    return { prompt_id: this.promptId, nodes };
  }
}
