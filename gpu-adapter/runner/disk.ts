// ComfyUI's own folders, when the runner was told where they are. Without them everything goes through ComfyUI's HTTP routes, which works for any
// ComfyUI on any machine; with them files are not copied over HTTP, and can be emptied after their commit [G23].
import { lstat, readdir, realpath, rm, stat, truncate, writeFile } from "node:fs/promises";
import { join, sep } from "node:path";
import type { FileName, StorageType } from "../contract.ts";
import { isSafeName } from "./output-files.ts";

/** `<stem>-<16 hex of sha256><.ext>` [G18]. */
const CONTENT_NAME = /-[0-9a-f]{16}(\.[^.]+)?$/;
/** Stands in the output folder since a runner first used it: what is older is somebody's own and is left alone. */
const MARK = ".comfyume-since";
/** Files looked at together. */
const AT_ONCE = 256;

export class ComfyFolders {
  readonly #folders: Partial<Record<StorageType, string>>;

  constructor(folders: Partial<Record<StorageType, string>>) {
    this.#folders = folders;
  }

  /** The folders are only given where ComfyUI serves nobody but this runner. */
  get owned(): boolean {
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
      const gone = names.filter((name) => name !== MARK && (type !== "input" || CONTENT_NAME.test(name)));
      await Promise.all(gone.map((name) => rm(join(folder ?? "", name), { recursive: true, force: true })));
    }
  }

  /** Cuts a stored file to zero length: its name stays taken, so ComfyUI's counter never gives it out again [G23]. Inputs are left alone. */
  async empty(file: FileName): Promise<void> {
    if (file.type === "input") return;
    const found = await this.find(file);
    if (found !== null && found.size > 0) await truncate(found.path, 0).catch(() => {});
  }

  /**
   * Empties whatever jobs wrote, named by a node or not, so that nothing of one attempt can be read by the next: all of temp, and of output what is
   * younger than the mark there, which the first sweep sets. Names stay taken [G23]. Answers how many files it emptied.
   */
  async sweep(): Promise<number> {
    const { output, temp } = this.#folders;
    const swept = await Promise.all([output === undefined ? 0 : emptyBelow(output, await markedSince(output)), temp === undefined ? 0 : emptyBelow(temp, 0)]);
    return swept[0] + swept[1];
  }
}

/** When the mark was set, on the folder's own clock (a network disk has one); sets it if there is none. */
async function markedSince(folder: string): Promise<number> {
  const path = join(folder, MARK);
  await writeFile(path, "Files younger than this one belong to workshop jobs; the runner empties them.\n", { flag: "wx" }).catch(() => {});
  return await stat(path).then(({ mtimeMs }) => mtimeMs, () => Number.POSITIVE_INFINITY);
}

/** Cuts every file that has bytes and is at least this young to zero length. Links are not followed: they lead to what is not a job's. */
async function emptyBelow(folder: string, since: number): Promise<number> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true }).catch(() => []);
  const paths = entries.filter((entry) => entry.isFile() && entry.name !== MARK).map((entry) => join(entry.parentPath, entry.name));
  let emptied = 0;
  const empty = async (path: string): Promise<void> => {
    const found = await lstat(path);
    if (found.size === 0 || found.mtimeMs < since) return;
    await truncate(path, 0);
    emptied++;
  };
  for (let at = 0; at < paths.length; at += AT_ONCE) await Promise.allSettled(paths.slice(at, at + AT_ONCE).map(empty));
  return emptied;
}
