// The text of object_info, class by class, exactly as ComfyUI wrote it. It keeps what JSON.parse loses (8.0 is not 8) and lets
// a seat's answer be spliced from ready pieces instead of serialising half a megabyte for everybody.
import type { ObjectInfo } from "./types.ts";

/** Reads past one JSON value that starts at `at`; returns the index after it. */
function skipValue(text: string, at: number): number {
  const first = text[at];
  if (first === '"') return skipString(text, at);
  if (first !== "{" && first !== "[") {
    const end = /[,\]}\s]|$/g;
    end.lastIndex = at;
    return end.exec(text)?.index ?? text.length;
  }
  let depth = 0;
  const marks = /["{}[\]]/g;
  marks.lastIndex = at;
  for (let mark = marks.exec(text); mark !== null; mark = marks.exec(text)) {
    if (mark[0] === '"') marks.lastIndex = skipString(text, mark.index);
    else if (mark[0] === "{" || mark[0] === "[") depth += 1;
    else if ((depth -= 1) === 0) return mark.index + 1;
  }
  return text.length;
}

function skipString(text: string, at: number): number {
  let end = text.indexOf('"', at + 1);
  while (end > 0) {
    let slashes = 0;
    while (text[end - 1 - slashes] === "\\") slashes += 1;
    if (slashes % 2 === 0) return end + 1;
    end = text.indexOf('"', end + 1);
  }
  return text.length;
}

const SPACE = /[\s,:]*/g;
function skipSpace(text: string, at: number): number {
  SPACE.lastIndex = at;
  return at + (SPACE.exec(text)?.[0].length ?? 0);
}

/** The members of the object at `at` as raw texts. `text` must be valid JSON (it has been parsed before). */
export function rawMembers(text: string, at = 0): Map<string, string> {
  const members = new Map<string, string>();
  let position = skipSpace(text, text.indexOf("{", at) + 1);
  while (position < text.length && text[position] === '"') {
    const keyEnd = skipString(text, position);
    const key = JSON.parse(text.slice(position, keyEnd)) as string;
    const start = skipSpace(text, keyEnd);
    const end = skipValue(text, start);
    members.set(key, text.slice(start, end));
    position = skipSpace(text, end);
  }
  return members;
}

/** As ComfyUI wrote it. */
const originals = new WeakMap<ObjectInfo, ReadonlyMap<string, string>>();
/** As we wrote it, where the original was not kept. */
const serialised = new WeakMap<ObjectInfo, ReadonlyMap<string, string>>();

/** Remembers the text `objectInfo` was parsed from; `text` is that of the whole object. */
export function rememberText(objectInfo: ObjectInfo, text: string): void {
  originals.set(objectInfo, rawMembers(text));
}

/** The text of every class: as remembered, else serialised once. Cached for the life of `objectInfo`. */
export function classTexts(objectInfo: ObjectInfo): ReadonlyMap<string, string> {
  let known = originals.get(objectInfo) ?? serialised.get(objectInfo);
  if (known === undefined) {
    known = new Map(Object.entries(objectInfo).map(([name, info]) => [name, JSON.stringify(info)]));
    serialised.set(objectInfo, known);
  }
  return known;
}

/** `min` or `max` of an input as it was written ("0.0", "18446744073709551615"); undefined when the text is not known. */
export function boundText(objectInfo: ObjectInfo, nodeClass: string, input: string, side: "min" | "max"): string | undefined {
  const text = originals.get(objectInfo)?.get(nodeClass);
  if (text === undefined) return undefined;
  const sections = rawMembers(rawMembers(text).get("input") ?? "{}");
  for (const section of [sections.get("required"), sections.get("optional")]) {
    const spec = section === undefined ? undefined : rawMembers(section).get(input);
    if (spec !== undefined) return rawMembers(spec, skipValue(spec, skipSpace(spec, 1))).get(side);
  }
  return undefined;
}
