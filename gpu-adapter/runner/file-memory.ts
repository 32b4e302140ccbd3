// Local name -> file id, for the life of the ComfyUI process and per seat [G23]: a cached output node names the file of an earlier run again, and its
// seat then sees that earlier file, as on its own ComfyUI. Another seat's entry is never found: the seat tag is part of the key.
import type { FileName } from "../contract.ts";
import { localKey } from "./output-files.ts";

/** Names kept; the oldest go first. A forgotten one is uploaded anew. */
const MAX_NAMES = 50_000;

export class FileMemory {
  /** By local name, then by seat tag. */
  readonly #ids = new Map<string, Map<string, string>>();

  remember(seatTag: string, file: FileName, fileId: string): void {
    const name = localKey(file);
    const seats = this.#ids.get(name) ?? new Map<string, string>();
    this.#ids.set(name, seats.set(seatTag, fileId));
    if (this.#ids.size <= MAX_NAMES) return;
    const oldest = this.#ids.keys().next();
    if (oldest.done !== true) this.#ids.delete(oldest.value);
  }

  recall(seatTag: string, file: FileName): string | null {
    return this.#ids.get(localKey(file))?.get(seatTag) ?? null;
  }

  /** True when some seat's earlier run produced this name. */
  knows(file: FileName): boolean {
    return this.#ids.has(localKey(file));
  }

  /** ComfyUI began anew, or its cache was emptied: no name of before can come again. */
  forget(): void {
    this.#ids.clear();
  }
}
