// What in a node's output is a file [G20], and the same output with the seat's names. Invariant: order and everything that is no file
// name pass untouched, but for `fullpath`, which would tell a machine's folders to the room.
import { isObject } from "../catalog/json.ts";
import type { FileType, Json, JsonObject } from "../catalog/types.ts";

export type OutputFile = {
  readonly filename: string;
  readonly subfolder: string;
  readonly type: FileType;
  /** The top-level key of the output it stands under (`images`, `gifs`, `3d` …). */
  readonly key: string;
};

function asFile(value: JsonObject): Omit<OutputFile, "key"> | undefined {
  const { filename, subfolder, type } = value;
  if (typeof filename !== "string" || filename === "") return undefined;
  if (subfolder !== undefined && subfolder !== null && typeof subfolder !== "string") return undefined;
  if (type !== undefined && type !== "output" && type !== "temp" && type !== "input") return undefined;
  return { filename, subfolder: subfolder ?? "", type: type ?? "output" };
}

function visit(value: Json, key: string, found: OutputFile[]): void {
  if (Array.isArray(value)) {
    for (const item of value) visit(item as Json, key, found);
  } else if (isObject(value)) {
    const file = asFile(value);
    if (file !== undefined) found.push({ ...file, key });
    for (const member of Object.values(value)) visit(member, key, found);
  }
}

/** Every file of a node's ui output, in order; the same file named twice is listed twice. `null` (no output) has none. */
export function findOutputFiles(output: Json): OutputFile[] {
  const found: OutputFile[] = [];
  if (isObject(output)) for (const [key, value] of Object.entries(output)) visit(value, key, found);
  return found;
}

export type NewName = { readonly filename: string; readonly subfolder?: string; readonly type?: FileType };

function renameValue(value: Json, key: string, rename: (file: OutputFile) => NewName | undefined): Json {
  if (Array.isArray(value)) return value.map((item) => renameValue(item as Json, key, rename));
  if (!isObject(value)) return value;
  const file = asFile(value);
  const name = file === undefined ? undefined : rename({ ...file, key });
  const members = Object.entries(value).filter(([member]) => file === undefined || member !== "fullpath");
  return Object.fromEntries(
    members.map(([member, content]): [string, Json] => {
      if (name !== undefined && member === "filename") return [member, name.filename];
      if (name !== undefined && member === "subfolder") return [member, name.subfolder ?? content];
      if (name !== undefined && member === "type") return [member, name.type ?? content];
      return [member, renameValue(content, key, rename)];
    }),
  );
}

/** The output with `rename`'s names in place of each file's; where it answers undefined the name stays. */
export function renameOutputFiles(output: Json, rename: (file: OutputFile) => NewName | undefined): Json {
  if (!isObject(output)) return output;
  return Object.fromEntries(Object.entries(output).map(([key, value]) => [key, renameValue(value, key, rename)]));
}
