// ComfyUI's own folders, when the runner was told where they are. Without them everything goes through ComfyUI's HTTP routes, which works for any
// ComfyUI on any machine; with them files are not copied over HTTP, and can be emptied after their commit [G23].
import { readdir, realpath, rm, stat, truncate } from "node:fs/promises";
import { join, sep } from "node:path";
import type { FileName, StorageType } from "../contract.ts";
import { isSafeName } from "./output-files.ts";

/** `<stem>-<16 hex of sha256><.ext>` [G18]. */
const CONTENT_NAME = /-[0-9a-f]{16}(\.[^.]+)?$/;

export class ComfyFolders {
  readonly #folders: Partial<Record<StorageType, string>>;

  constructor(folders: Partial<Record<StorageType, string>>) {
    this.#folders = folders;
  }

  /** True when finished files are emptied, so that ComfyUI's cache must never outlive our memory of their names. */
  get emptiesFiles(): boolean {
    return this.#folders.output !== undefined || this.#folders.temp !== undefined;
  }

  folder(type: StorageType): string | null {
    return this.#folders[type] ?? null;
  }

  /** Real path, bytes and ms of last change of a file inside its folder; null when the folder is unknown, the file is not there or a link leads outside. */
  async find(file: FileName): Promise<{ path: string; size: number; changed: number } | null> {
    const root = this.folder(file.type);
    if (root === null || !isSafeName(file.filename, file.subfolder)) return null;
    try {
      const [realRoot, path] = await Promise.all([realpath(root), realpath(join(root, file.subfolder, file.filename))]);
      if (!path.startsWith(realRoot + sep)) return null;
      const found = await stat(path);
      return found.isFile() ? { path, size: found.size, changed: found.mtimeMs } : null;
    } catch {
      return null;
    }
  }

  /** Removes what jobs left behind: all of output and temp, and of input what carries a content name. For a change of workshop [G19]. */
  async wipe(): Promise<void> {
    for (const type of ["output", "temp", "input"] as const) {
      const folder = this.folder(type);
      const names = folder === null ? [] : await readdir(folder).catch(() => []);
      const gone = names.filter((name) => type !== "input" || CONTENT_NAME.test(name));
      await Promise.all(gone.map((name) => rm(join(folder ?? "", name), { recursive: true, force: true })));
    }
  }

  /** Cuts a stored file to zero length: its name stays taken, so ComfyUI's counter never gives it out again [G23]. Inputs are left alone. */
  async empty(file: FileName): Promise<void> {
    if (file.type === "input") return;
    const found = await this.find(file);
    if (found !== null && found.size > 0) await truncate(found.path, 0).catch(() => {});
  }
}
