// JSON values of prompts and catalogs: parsed and written without losing a seed (gpu-adapter/json.ts), and looked into safely.
import * as json from "../../../gpu-adapter/json.ts";
import type { Json } from "./types.ts";

/** Levels of nesting; Python's own parser gives up at about a thousand, and everything that walks a value relies on there being an end. */
const MAX_DEPTH = 900;
const MARK = { quote: 0x22, backslash: 0x5c, openList: 0x5b, closeList: 0x5d, openObject: 0x7b, closeObject: 0x7d } as const;

/** Few brackets cannot nest deeply: counted by native search, which spares the usual prompt the walk. */
function hasManyBrackets(text: string): boolean {
  let count = 0;
  for (const bracket of "[{") {
    for (let at = text.indexOf(bracket); at >= 0; at = text.indexOf(bracket, at + 1)) {
      if (++count > MAX_DEPTH) return true;
    }
  }
  return false;
}

function isTooDeep(text: string): boolean {
  let depth = 0;
  let quoted = false;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (quoted) {
      if (code === MARK.backslash) index += 1;
      else if (code === MARK.quote) quoted = false;
    } else if (code === MARK.quote) quoted = true;
    else if (code === MARK.openList || code === MARK.openObject) {
      depth += 1;
      if (depth > MAX_DEPTH) return true;
    } else if (code === MARK.closeList || code === MARK.closeObject) depth -= 1;
  }
  return false;
}

/**
 * As `gpu-adapter/json.ts`, typed: integers beyond 2^53 are bigint. Throws SyntaxError on anything that is not JSON, or nested more
 * than 900 levels deep.
 */
export function parseJson(text: string): Json {
  if (hasManyBrackets(text) && isTooDeep(text)) throw new SyntaxError(`JSON nested more than ${MAX_DEPTH} levels deep`);
  return json.parseJson(text) as Json;
}

export const { stringifyJson } = json;

/** Whether `value` is a JSON object (not null, not a list). */
export function isObject(value: unknown): value is { readonly [key: string]: Json } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** `object[key]` if it is the object's own member: node ids and class names come from clients ("constructor", "__proto__"). */
export function own<T>(object: { readonly [key: string]: T } | undefined, key: string): T | undefined {
  return object !== undefined && Object.hasOwn(object, key) ? object[key] : undefined;
}
