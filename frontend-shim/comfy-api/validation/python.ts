// Python's view of a JSON value: int(), float(), str(), bool(), repr() and comparison, with the texts Python gives when they fail.
// ComfyUI shows those texts to people, and stores the converted values, so both must come out the same here.
import type { Json } from "../catalog/types.ts";

/** An exception ComfyUI would have caught; `type` is what it reports as `exception_type`. */
export class PythonError extends Error {
  readonly type: string;
  constructor(type: string, message: string) {
    super(message);
    this.type = type;
  }
}

/** `type(value).__name__`; a whole number counts as int, since JSON text "8.0" and "8" are one value here. */
export function typeName(value: Json): string {
  if (value === null) return "NoneType";
  if (typeof value === "boolean") return "bool";
  if (typeof value === "string") return "str";
  if (typeof value === "bigint") return "int";
  if (typeof value === "number") return Number.isSafeInteger(value) ? "int" : "float";
  return Array.isArray(value) ? "list" : "dict";
}

/** `repr()` of a float: exponent form from 1e16 up and below 1e-4, two exponent digits at least. */
export function floatText(value: number): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e16)) return value.toExponential().replace(/e([+-])(\d)$/, "e$10$2");
  const text = Object.is(value, -0) ? "-0" : String(value);
  return Number.isInteger(value) ? `${text}.0` : text;
}

const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u;
const SHORT_ESCAPES: { readonly [character: string]: string } = { "\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\" };

function escapeCharacter(character: string, quote: string): string {
  if (character === quote) return `\\${quote}`;
  const short = SHORT_ESCAPES[character];
  if (short !== undefined) return short;
  if (!UNPRINTABLE.test(character)) return character;
  const code = character.codePointAt(0) ?? 0;
  if (code <= 0xff) return `\\x${code.toString(16).padStart(2, "0")}`;
  return code <= 0xffff ? `\\u${code.toString(16).padStart(4, "0")}` : `\\U${code.toString(16).padStart(8, "0")}`;
}

function stringRepr(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  let out = "";
  for (const character of text) out += escapeCharacter(character, quote);
  return quote + out + quote;
}

/** `repr(value)`. */
export function repr(value: Json): string {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "string") return stringRepr(value);
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "number") return Number.isSafeInteger(value) ? String(value) : floatText(value);
  if (Array.isArray(value)) return `[${value.map(repr).join(", ")}]`;
  return `{${Object.entries(value).map(([key, member]) => `${stringRepr(key)}: ${repr(member)}`).join(", ")}}`;
}

/** `str(value)`. */
export function str(value: Json): string {
  return typeof value === "string" ? value : repr(value);
}

const INTEGER_LITERAL = /^[+-]?\d(?:_?\d)*$/;
/** CPython's limit on converting long digit strings (sys.int_info.default_max_str_digits). */
const MAX_DIGITS = 4300;

function wholeFromDigits(literal: string): number | bigint {
  const digits = literal.replaceAll("_", "");
  const count = digits.replace(/^[+-]/, "").length;
  if (count > MAX_DIGITS) {
    throw new PythonError("ValueError", `Exceeds the limit (${MAX_DIGITS} digits) for integer string conversion: value has ${count} digits; use sys.set_int_max_str_digits() to increase the limit`);
  }
  const value = Number(digits);
  return Number.isSafeInteger(value) ? value : BigInt(digits.replace(/^\+/, ""));
}

/** `int(value)`; throws PythonError with Python's text. */
export function toInt(value: Json): number | bigint {
  if (typeof value === "number") {
    const whole = Math.trunc(value);
    if (!Number.isFinite(value)) throw new PythonError("OverflowError", "cannot convert float infinity to integer");
    return Number.isSafeInteger(whole) ? whole + 0 : BigInt(whole);
  }
  if (typeof value === "bigint") return value;
  if (typeof value === "boolean") return value ? 1 : 0;
  if (typeof value === "string") {
    const literal = value.trim();
    if (INTEGER_LITERAL.test(literal)) return wholeFromDigits(literal);
    throw new PythonError("ValueError", `invalid literal for int() with base 10: ${stringRepr(value).slice(0, 200)}`);
  }
  throw new PythonError("TypeError", `int() argument must be a string, a bytes-like object or a real number, not '${typeName(value)}'`);
}

const FLOAT_LITERAL = /^[+-]?(?:\d(?:_?\d)*\.?(?:\d(?:_?\d)*)?|\.\d(?:_?\d)*)(?:[eE][+-]?\d(?:_?\d)*)?$/;
const FLOAT_WORD = /^([+-]?)(inf|infinity|nan)$/i;

/** `float(value)`; may be infinite or NaN, as in Python; throws PythonError with Python's text. */
export function toFloat(value: Json): number {
  if (typeof value === "number") return value;
  if (typeof value === "bigint") {
    const float = Number(value);
    if (!Number.isFinite(float)) throw new PythonError("OverflowError", "int too large to convert to float");
    return float;
  }
  if (typeof value === "boolean") return value ? 1 : 0;
  if (typeof value === "string") {
    const literal = value.trim();
    if (FLOAT_LITERAL.test(literal)) return Number(literal.replaceAll("_", ""));
    const word = FLOAT_WORD.exec(literal);
    if (word) return word[2]?.toLowerCase() === "nan" ? Number.NaN : word[1] === "-" ? -Infinity : Infinity;
    throw new PythonError("ValueError", `could not convert string to float: ${stringRepr(value)}`);
  }
  throw new PythonError("TypeError", `float() argument must be a string or a real number, not '${typeName(value)}'`);
}

/** `bool(value)`: empty and zero are false, "false" is true. */
export function toBool(value: Json): boolean {
  if (value === null) return false;
  if (Array.isArray(value)) return value.length > 0;
  if (typeof value === "object") return Object.keys(value).length > 0;
  return Boolean(value);
}

function isNumeric(value: Json): value is number | bigint | boolean {
  return typeof value === "number" || typeof value === "bigint" || typeof value === "boolean";
}

/** `left < right` or `left > right`; throws TypeError in Python's words when the two do not compare. */
export function compares(left: Json, operator: "<" | ">", right: Json): boolean {
  const comparable = (isNumeric(left) && isNumeric(right)) || (typeof left === "string" && typeof right === "string");
  if (!comparable) throw new PythonError("TypeError", `'${operator}' not supported between instances of '${typeName(left)}' and '${typeName(right)}'`);
  return operator === "<" ? left < right : left > right;
}

/** `left == right`: True equals 1, lists and dicts compare by content. */
export function equals(left: Json, right: Json): boolean {
  if (left === right) return true;
  if (isNumeric(left) && isNumeric(right)) return !(left < right) && !(left > right);
  if (Array.isArray(left) && Array.isArray(right)) return left.length === right.length && left.every((item, index) => equals(item as Json, right[index] as Json));
  if (typeof left !== "object" || typeof right !== "object" || left === null || right === null || Array.isArray(left) || Array.isArray(right)) return false;
  const [leftEntries, other] = [Object.entries(left as { [key: string]: Json }), right as { [key: string]: Json }];
  return leftEntries.length === Object.keys(other).length && leftEntries.every(([key, member]) => Object.hasOwn(other, key) && equals(member, other[key] as Json));
}
