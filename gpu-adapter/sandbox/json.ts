// JSON that survives a round trip the way ComfyUI's does: key order kept (JavaScript would sort "10" before "2"-like keys),
// 8.0 stays 8.0, a 64-bit seed stays exact, and text is written as Python writes it (", " and ": ", non-ASCII escaped).
// The PNG chunk `prompt` is read back by people's own tools, so it must look the same whoever painted the picture.

/** A whole number that came as a float ("8.0"); any other float is a plain number. */
export class WholeFloat {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
}

export type JsonObject = Map<string, Json>;
export type Json = null | boolean | string | number | bigint | WholeFloat | Json[] | JsonObject;
/** What may be written: parsed values, and plain records made by our own code. */
export type Writable = Json | undefined | readonly Writable[] | ReadonlyMap<string, Writable> | { readonly [key: string]: Writable };

const MAX_DEPTH = 900; // Python refuses at about 1000 levels; a refusal is better than a lost stack.
const NUMBER = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y;
const SPACE = /[ \t\n\r]*/y;

class Reader {
  private at = 0;
  private readonly text: string;
  constructor(text: string) {
    this.text = text;
  }

  document(): Json {
    const value = this.value(0);
    this.space();
    if (this.at !== this.text.length) this.fail();
    return value;
  }

  private fail(): never {
    throw new SyntaxError(`unexpected character at position ${this.at}`);
  }

  private space(): void {
    SPACE.lastIndex = this.at;
    SPACE.exec(this.text);
    this.at = SPACE.lastIndex;
  }

  private take(literal: string): boolean {
    if (!this.text.startsWith(literal, this.at)) return false;
    this.at += literal.length;
    return true;
  }

  private value(depth: number): Json {
    if (depth > MAX_DEPTH) this.fail();
    this.space();
    const first = this.text[this.at];
    if (first === '"') return this.string();
    if (first === "{") return this.object(depth);
    if (first === "[") return this.array(depth);
    if (this.take("true")) return true;
    if (this.take("false")) return false;
    if (this.take("null")) return null;
    return this.number();
  }

  private string(): string {
    const start = this.at++;
    for (;;) {
      const char = this.text[this.at];
      if (char === undefined) this.fail();
      if (char === "\\") this.at += 2;
      else if (this.text[this.at++] === '"') break;
    }
    return JSON.parse(this.text.slice(start, this.at)) as string;
  }

  private number(): Json {
    NUMBER.lastIndex = this.at;
    const match = NUMBER.exec(this.text);
    if (match === null) this.fail();
    this.at = NUMBER.lastIndex;
    const isFloat = match[1] !== undefined || match[2] !== undefined;
    const value = Number(match[0]);
    if (isFloat) return float(value);
    return Number.isSafeInteger(value) ? value : BigInt(match[0]);
  }

  private object(depth: number): JsonObject {
    const result: JsonObject = new Map();
    this.at++;
    this.space();
    if (this.take("}")) return result;
    for (;;) {
      this.space();
      if (this.text[this.at] !== '"') this.fail();
      const key = this.string();
      this.space();
      if (!this.take(":")) this.fail();
      result.set(key, this.value(depth + 1));
      this.space();
      if (this.take("}")) return result;
      if (!this.take(",")) this.fail();
    }
  }

  private array(depth: number): Json[] {
    const result: Json[] = [];
    this.at++;
    this.space();
    if (this.take("]")) return result;
    for (;;) {
      result.push(this.value(depth + 1));
      this.space();
      if (this.take("]")) return result;
      if (!this.take(",")) this.fail();
    }
  }
}

/** Parses JSON text without losing order, float-ness or precision. Throws SyntaxError. */
export function parseJson(text: string): Json {
  return new Reader(text).document();
}

/** A float as a Json value: whole ones keep their mark. */
export function float(value: number): Json {
  return Number.isInteger(value) ? new WholeFloat(value) : value;
}

/** A number for computing with; big integers lose precision, anything else is NaN. */
export function toNumber(value: Json | undefined): number {
  if (typeof value === "number") return value;
  if (typeof value === "bigint") return Number(value);
  if (value instanceof WholeFloat) return value.value;
  return Number.NaN;
}

export function isNumeric(value: Json | undefined): value is number | bigint | WholeFloat {
  return typeof value === "number" || typeof value === "bigint" || value instanceof WholeFloat;
}

/** A float the way Python's repr writes it: 8.0, 1e-07, 1e+16, inf. */
export function pythonFloat(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "Infinity" : "-Infinity";
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e16 || size < 1e-4)) {
    return value.toExponential().replace(/e([+-])(\d)$/, "e$10$2");
  }
  const text = String(value);
  return /[.e]/.test(text) ? text : Object.is(value, -0) ? "-0.0" : `${text}.0`;
}

function quote(text: string): string {
  return JSON.stringify(text).replace(/[\u007f-\uffff]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** Writes JSON as Python's `json.dumps` does by default: spaces after separators, ASCII only. Undefined members are left out. */
export function dumps(value: Writable): string {
  if (value === null || value === undefined) return "null";
  if (typeof value === "string") return quote(value);
  if (typeof value === "boolean" || typeof value === "bigint") return String(value);
  if (typeof value === "number") return Number.isInteger(value) ? String(value) : pythonFloat(value);
  if (value instanceof WholeFloat) return pythonFloat(value.value);
  if (Array.isArray(value)) return `[${value.map(dumps).join(", ")}]`;
  const entries: Iterable<[string, Writable]> = value instanceof Map ? value.entries() : Object.entries(value);
  const parts: string[] = [];
  for (const [key, member] of entries) if (member !== undefined) parts.push(`${quote(key)}: ${dumps(member)}`);
  return `{${parts.join(", ")}}`;
}

export function isObject(value: Json | undefined): value is JsonObject {
  return value instanceof Map;
}
