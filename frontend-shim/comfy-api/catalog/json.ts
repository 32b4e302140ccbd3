// JSON values of prompts and catalogs: parsed and written without losing a seed (gpu-adapter/json.ts), and looked into safely.
import * as json from "../../../gpu-adapter/json.ts";
import type { Json } from "./types.ts";

/** As `gpu-adapter/json.ts`, typed: integers beyond 2^53 are bigint. Throws SyntaxError on anything that is not JSON. */
export function parseJson(text: string): Json {
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
