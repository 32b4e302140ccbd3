// The text of object_info, class by class, exactly as ComfyUI wrote it. It keeps what JSON.parse loses (8.0 is not 8) and lets
// a seat's answer be spliced from ready pieces instead of serialising half a megabyte for everybody.
import { rawItems, rawMembers } from "../../../gpu-adapter/json.ts";
import type { ObjectInfo } from "./types.ts";

/** As ComfyUI wrote it. */
const originals = new WeakMap<ObjectInfo, ReadonlyMap<string, string>>();
/** Complete: as ComfyUI wrote it, or as we did where the original was not kept. */
const serialised = new WeakMap<ObjectInfo, ReadonlyMap<string, string>>();

/** Remembers the text `objectInfo` was parsed from; `text` is that of the whole object. */
export function rememberText(objectInfo: ObjectInfo, text: string): void {
  originals.set(objectInfo, rawMembers(text));
}

/** Classes of a merged object_info that all of `sources` that have them spell alike keep that spelling. */
export function inheritTexts(merged: ObjectInfo, sources: readonly ObjectInfo[]): void {
  const texts = new Map<string, string>();
  for (const name of Object.keys(merged)) {
    const spellings = new Set(sources.filter((source) => Object.hasOwn(source, name)).map((source) => originals.get(source)?.get(name)));
    const [only] = spellings;
    if (spellings.size === 1 && only !== undefined) texts.set(name, only);
  }
  originals.set(merged, texts);
}

/** The text of every class: as remembered, else serialised once. Cached for the life of `objectInfo`. */
export function classTexts(objectInfo: ObjectInfo): ReadonlyMap<string, string> {
  let known = serialised.get(objectInfo);
  if (known === undefined) {
    const original = originals.get(objectInfo);
    known = new Map(Object.entries(objectInfo).map(([name, info]) => [name, original?.get(name) ?? JSON.stringify(info)]));
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
    if (spec !== undefined) return rawMembers(rawItems(spec)[1] ?? "{}").get(side);
  }
  return undefined;
}
