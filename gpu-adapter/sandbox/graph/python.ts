// Python's views of a value: repr and str inside error texts, int()/float()/str()/bool() in input coercion.
// Clients show these texts and API users grep for them, so they read as the real server's do [R validation-errors].

import { type Json, WholeFloat, float, isNumeric, pythonFloat, toNumber } from "../json.ts";

/** An error with the Python type name a client would see in `exception_type`. */
export class PythonError extends Error {
  readonly pythonType: string;
  constructor(pythonType: string, message: string) {
    super(message);
    this.pythonType = pythonType;
  }
}

function reprString(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const escaped = text
    .replaceAll("\\", "\\\\")
    .replaceAll("\n", "\\n")
    .replaceAll("\r", "\\r")
    .replaceAll("\t", "\\t")
    .replaceAll(quote, quote === "'" ? "\\'" : '"');
  return quote + escaped + quote;
}

/** `repr(value)`. */
export function repr(value: Json): string {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "string") return reprString(value);
  if (typeof value === "bigint") return String(value);
  if (value instanceof WholeFloat) return pythonFloat(value.value);
  if (typeof value === "number") return Number.isInteger(value) ? String(value) : pythonFloat(value);
  if (Array.isArray(value)) return `[${value.map(repr).join(", ")}]`;
  return `{${[...value].map(([key, member]) => `${reprString(key)}: ${repr(member)}`).join(", ")}}`;
}

/** `str(value)`. */
export function str(value: Json): string {
  return typeof value === "string" ? value : repr(value);
}

function typeName(value: Json): string {
  if (value === null) return "NoneType";
  return Array.isArray(value) ? "list" : "dict";
}

function wholeNumber(value: number): Json {
  if (!Number.isFinite(value)) throw new PythonError("OverflowError", `cannot convert float ${Number.isNaN(value) ? "NaN" : "infinity"} to integer`);
  const whole = Math.trunc(value) + 0;
  return Number.isSafeInteger(whole) ? whole : BigInt(whole);
}

/** `int(value)`: truncates floats, reads decimal text. Throws PythonError. */
export function toInt(value: Json): Json {
  if (typeof value === "boolean") return value ? 1 : 0;
  if (typeof value === "bigint") return value;
  if (isNumeric(value)) return wholeNumber(toNumber(value));
  if (typeof value === "string") {
    const digits = value.trim().replaceAll("_", "");
    if (!/^[+-]?\d+$/.test(digits)) throw new PythonError("ValueError", `invalid literal for int() with base 10: ${repr(value)}`);
    const number = Number(digits);
    return Number.isSafeInteger(number) ? number : BigInt(digits);
  }
  throw new PythonError("TypeError", `int() argument must be a string, a bytes-like object or a real number, not '${typeName(value)}'`);
}

/** `float(value)`. Throws PythonError. */
export function toFloat(value: Json): Json {
  if (typeof value === "boolean") return float(value ? 1 : 0);
  if (isNumeric(value)) return float(toNumber(value));
  if (typeof value === "string") {
    const text = value.trim();
    const named = /^([+-]?)(inf|infinity|nan)$/i.exec(text);
    if (named !== null) return (named[2] ?? "").toLowerCase() === "nan" ? Number.NaN : named[1] === "-" ? -Infinity : Infinity;
    if (!/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text)) throw new PythonError("ValueError", `could not convert string to float: ${repr(value)}`);
    return float(Number(text));
  }
  throw new PythonError("TypeError", `float() argument must be a string or a real number, not '${typeName(value)}'`);
}

/** `bool(value)`: any text but the empty one is true, "false" too. */
export function truthy(value: Json | undefined): boolean {
  if (value === null || value === undefined) return false;
  if (typeof value === "boolean") return value;
  if (typeof value === "bigint") return value !== 0n;
  if (isNumeric(value)) return toNumber(value) !== 0;
  if (typeof value === "string" || Array.isArray(value)) return value.length > 0;
  return value.size > 0;
}

/** `round(value)`: halves go to the even neighbour, unlike Math.round. */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}
