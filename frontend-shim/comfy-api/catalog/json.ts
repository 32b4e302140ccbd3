// JSON in and out without losing a seed: ComfyUI's INT goes to 2^64 − 1, a JavaScript number is exact only to 2^53.
// Invariant: `stringifyJson(parseJson(text))` names the same integers as `text`.
import type { Json } from "./types.ts";

const LONG_INTEGER = /\d{16}/;
const INTEGER = /^-?\d+$/;

type SourceAware = (this: unknown, key: string, value: unknown, context: { source?: string }) => unknown;
const keepLongIntegers: SourceAware = (_key, value, context) =>
  typeof value === "number" && !Number.isSafeInteger(value) && context.source !== undefined && INTEGER.test(context.source) ? BigInt(context.source) : value;

/**
 * Parses JSON; integers beyond 2^53 come back as bigint, everything else as `JSON.parse` gives it.
 * Throws SyntaxError on anything that is not JSON. The slow path runs only for texts with a run of sixteen digits.
 */
export function parseJson(text: string): Json {
  return LONG_INTEGER.test(text) ? (JSON.parse(text, keepLongIntegers as (key: string, value: unknown) => unknown) as Json) : (JSON.parse(text) as Json);
}

type RawJson = { rawJSON(text: string): unknown };
const { rawJSON } = JSON as unknown as RawJson;

/** Writes JSON; bigint as the integer it is. For whatever came out of `parseJson`: plain JSON.stringify throws on a bigint. */
export function stringifyJson(value: unknown): string {
  return JSON.stringify(value, (_key, member: unknown) => (typeof member === "bigint" ? rawJSON(member.toString()) : member));
}

/** Whether `value` is a JSON object (not null, not a list). */
export function isObject(value: unknown): value is { readonly [key: string]: Json } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** `object[key]` if it is the object's own member: node ids and class names come from clients ("constructor", "__proto__"). */
export function own<T>(object: { readonly [key: string]: T } | undefined, key: string): T | undefined {
  return object !== undefined && Object.hasOwn(object, key) ? object[key] : undefined;
}
