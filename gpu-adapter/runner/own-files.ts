// Which names in a node's output are files that this run wrote [G20], and not what somebody else left under the same name: age decides, on ComfyUI's own clock.
import type { FileName } from "../contract.ts";
import type { Comfy } from "./comfy.ts";
import type { ComfyFolders } from "./disk.ts";
import type { FileMemory } from "./file-memory.ts";
import { fileCandidates, type FoundFile } from "./output-files.ts";

export type OwnFilesDeps = { comfy: Comfy; folders: ComfyFolders; memory: FileMemory; signal: AbortSignal };

export class OwnFiles {
  readonly #deps: OwnFilesDeps;
  /** ms on ComfyUI's clock; null before the run began. */
  #startedAt: number | null = null;

  constructor(deps: OwnFilesDeps) {
    this.#deps = deps;
  }

  /** The run began at this time of ComfyUI's clock (ms); from then on ComfyUI writes for nobody else. */
  started(serverMs: number): void {
    this.#startedAt = serverMs;
  }

  /** Plain strings that name a file this run wrote. A text node could otherwise name another seat's file; `stored` says which are this attempt's already. */
  async candidates(output: unknown, stored: (file: FileName) => boolean): Promise<FoundFile[]> {
    const startedAt = this.#startedAt;
    if (startedAt === null) return [];
    const found: FoundFile[] = [];
    for (const candidate of fileCandidates(output)) {
      for (const type of ["output", "temp"] as const) {
        const file: FoundFile = { ...candidate, type };
        if (this.#deps.memory.knows(file) && !stored(file)) continue;
        if (!(await this.#isYoung(file, startedAt))) continue;
        found.push(file);
        break;
      }
    }
    return found;
  }

  /** False for a file that was there before the run; inputs are nobody's in particular, and without a start nothing can be told. */
  async wrote(file: FileName): Promise<boolean> {
    return file.type === "input" || this.#startedAt === null || (await this.#isYoung(file, this.#startedAt));
  }

  async #isYoung(file: FileName, startedAt: number): Promise<boolean> {
    const { comfy, folders, signal } = this.#deps;
    const local = await folders.find(file);
    if (local !== null) return local.size > 0 && local.changed >= startedAt;
    if (folders.folder(file.type) !== null) return false;
    const written = await comfy.writtenAt(file, signal);
    return written !== null && written >= startedAt;
  }
}
