// JSON in and out without losing a seed: ComfyUI's INT goes to 2^64 − 1, a JavaScript number is exact only to 2^53. Invariant: `stringifyJson(parseJson(text))`
// names the same integers as `text`; values in between are bigint where they must be.

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
