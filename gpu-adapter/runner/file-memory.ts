// Local name -> file id, for the life of the ComfyUI process and per seat [G23]: a cached output node names the file of an earlier run again, and its
// seat then sees that earlier file, as on its own ComfyUI. Another seat's entry is never found: the seat tag is part of the key.
import type { FileName } from "../contract.ts";
import { localKey } from "./output-files.ts";

/** Names kept; the oldest go first. A forgotten one is uploaded anew. */
const MAX_NAMES = 50_000;

export class FileMemory {
  readonly #ids = new Map<string, string>();

  remember(seatTag: string, file: FileName, fileId: string): void {
    this.#ids.set(`${seatTag}\n${localKey(file)}`, fileId);
    if (this.#ids.size <= MAX_NAMES) return;
    const oldest = this.#ids.keys().next();
    if (oldest.done !== true) this.#ids.delete(oldest.value);
  }

  recall(seatTag: string, file: FileName): string | null {
    return this.#ids.get(`${seatTag}\n${localKey(file)}`) ?? null;
  }

  /** True when some seat's earlier run produced this name. */
  knows(file: FileName): boolean {
    const suffix = `\n${localKey(file)}`;
    for (const key of this.#ids.keys()) if (key.endsWith(suffix)) return true;
    return false;
  }

  /** ComfyUI began anew, or its cache was emptied: no name of before can come again. */
  forget(): void {
    this.#ids.clear();
  }
}
