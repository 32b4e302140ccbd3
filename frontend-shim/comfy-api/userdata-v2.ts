// The second listing of user data: everything below a folder, folders as entries of their own. Times are float seconds in every version.
import { both, seatRouter } from "./context.ts";
import { json, text } from "./answers.ts";
import { settingsEntry } from "./settings-file.ts";
import { normalisePath } from "./userdata-paths.ts";
import { findFile, listFiles } from "./userdata-store.ts";
import type { UserFile } from "./userdata-store.ts";

export const userdataV2Routes = seatRouter();

export type Entry = { name: string; path: string; type: "file" | "directory"; size?: number; modified?: number };

userdataV2Routes.on("GET", both("/v2/userdata"), async (c) => {
  const folder = normalisePath(c.req.query("path") ?? "");
  if (folder === null) return text("Invalid path requested", 400);
  const seat = c.env.seat;
  const files = await listFiles(seat, folder, true);
  if (folder !== "" && files.length === 0) {
    const isFile = (await findFile(seat, folder)) !== null;
    return isFile ? text("Requested path is not a directory", 400) : text("Requested path not found", 404);
  }
  const settings = folder === "" ? await settingsEntry(seat) : [];
  return json([...entries(files, folder), ...settings].sort(byKindAndName));
});

/** Files, and every folder on the way to one, below `folder`. */
export function entries(files: readonly UserFile[], folder: string): Entry[] {
  const folders = new Set<string>();
  for (const { path } of files) {
    for (let at = path.indexOf("/", folder === "" ? 0 : folder.length + 1); at >= 0; at = path.indexOf("/", at + 1)) folders.add(path.slice(0, at));
  }
  return [
    ...[...folders].map((path): Entry => ({ name: nameOf(path), path, type: "directory" })),
    ...files.map((file): Entry => ({ name: nameOf(file.path), path: file.path, type: "file", size: file.size, modified: file.modified / 1000 })),
  ];
}

function byKindAndName(a: Entry, b: Entry): number {
  if (a.type !== b.type) return a.type === "directory" ? -1 : 1;
  const [left, right] = [a.name.toLowerCase(), b.name.toLowerCase()];
  return left < right ? -1 : left > right ? 1 : 0;
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
