// JSON in and out without losing a seed: ComfyUI's INT goes to 2^64 − 1, a JavaScript number is exact only to 2^53. Invariant: `stringifyJson(parseJson(text))`
// names the same integers as `text`; values in between are bigint where they must be. What parsing loses all the same (8.0 is not 8) is kept by taking
// objects and lists apart as texts.

const LONG_INTEGER = /\d{16}/;
const INTEGER = /^-?\d+$/;

type SourceAware = (this: unknown, key: string, value: unknown, context: { source?: string }) => unknown;
const keepLongIntegers: SourceAware = (_key, value, context) =>
  typeof value === "number" && !Number.isSafeInteger(value) && context.source !== undefined && INTEGER.test(context.source) ? BigInt(context.source) : value;

/**
 * Parses JSON; integers beyond 2^53 come back as bigint, everything else as `JSON.parse` gives it.
 * Throws SyntaxError on anything that is not JSON. The slow path runs only for texts with a run of sixteen digits.
 */
export function parseJson(text: string): unknown {
  return LONG_INTEGER.test(text) ? JSON.parse(text, keepLongIntegers as (key: string, value: unknown) => unknown) : JSON.parse(text);
}

const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown };

/** Writes JSON; bigint as the integer it is. For whatever came out of `parseJson`: plain JSON.stringify throws on a bigint. */
export function stringifyJson(value: unknown): string {
  try {
    // Without a replacer it is several times faster, and throws when there is a bigint.
    return JSON.stringify(value);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
  }
  return JSON.stringify(value, (_key, member: unknown) => (typeof member === "bigint" ? rawJSON(member.toString()) : member));
}

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

/** The members of a JSON object as the texts they were written in. `text` must be valid JSON (it has been parsed before); no object has no members. */
export function rawMembers(text: string): Map<string, string> {
  const members = new Map<string, string>();
  let position = skipSpace(text, text.indexOf("{") + 1);
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

/** The items of a JSON list, likewise. */
export function rawItems(text: string): string[] {
  const items: string[] = [];
  let position = skipSpace(text, text.indexOf("[") + 1);
  while (position < text.length && text[position] !== "]") {
    const end = skipValue(text, position);
    items.push(text.slice(position, end));
    position = skipSpace(text, end);
  }
  return items;
}

/** An object of members that are JSON texts already, spelt as Python's `json` spells it. */
export function joinMembers(members: Iterable<readonly [string, string]>): string {
  return `{${[...members].map(([name, value]) => `${JSON.stringify(name)}: ${value}`).join(", ")}}`;
}
