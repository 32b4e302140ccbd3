// A zod schema as a plain predicate, for messages that come hundreds of times a second. Workers forbid code made from text, which is what makes zod fast
// elsewhere. Invariant: whatever the predicate says yes to, the schema accepts and gives back unchanged; a no decides nothing, then the schema is asked.
import type { z } from "zod";

type Check = (value: unknown) => boolean;
type Def = z.core.$ZodTypeDef;

/** True only for values that `schema` would return exactly as they are. What it cannot judge (a transform, a format) is a no. */
export function quickCheck<T extends z.ZodType>(schema: T): (value: unknown) => value is z.infer<T> {
  return compile(schema) as (value: unknown) => value is z.infer<T>;
}

const never: Check = () => false;

function compile(schema: z.core.$ZodType): Check {
  const def = schema._zod.def as Def & { checks?: z.core.$ZodCheck[] };
  const base = typeOf(def as z.core.$ZodTypes["_zod"]["def"]);
  const further = (def.checks ?? []).map(ruleOf);
  if (further.length === 0) return base;
  return (value) => base(value) && further.every((rule) => rule(value));
}

function typeOf(def: z.core.$ZodTypes["_zod"]["def"]): Check {
  if ("coerce" in def && def.coerce === true) return never;
  switch (def.type) {
    case "unknown":
      return () => true;
    case "string":
      return "format" in def ? never : (value) => typeof value === "string";
    case "number":
      if (!("format" in def)) return (value) => typeof value === "number" && Number.isFinite(value);
      return def.format === "safeint" ? Number.isSafeInteger : never;
    case "boolean":
      return (value) => typeof value === "boolean";
    case "literal":
      return (value) => def.values.includes(value as string);
    case "enum": {
      const values = new Set<unknown>(Object.values(def.entries));
      return (value) => values.has(value);
    }
    case "array": {
      const inner = compile(def.element);
      return (value) => Array.isArray(value) && value.every(inner);
    }
    case "tuple": {
      const items = def.items.map(compile);
      return def.rest === null ? (value) => Array.isArray(value) && value.length === items.length && items.every((item, n) => item(value[n])) : never;
    }
    case "record":
      return (def.keyType._zod.def as Def).type === "string" ? record(compile(def.valueType)) : never;
    case "object":
      return def.catchall === undefined ? object(def.shape) : never;
    case "union":
      return "discriminator" in def ? discriminated(def.discriminator as string, def.options) : never;
    default:
      return never;
  }
}

function ruleOf(check: z.core.$ZodCheck): Check {
  const def = check._zod.def as z.core.$ZodChecks["_zod"]["def"];
  switch (def.check) {
    case "min_length":
      return (value) => (value as string).length >= def.minimum;
    case "max_length":
      return (value) => (value as string).length <= def.maximum;
    case "length_equals":
      return (value) => (value as string).length === def.length;
    case "greater_than":
      return def.inclusive ? (value) => (value as number) >= (def.value as number) : never;
    default:
      return never;
  }
}

function record(inner: Check): Check {
  return (value) => {
    if (!isPlain(value)) return false;
    for (const key in value) if (key === "__proto__" || !inner(value[key])) return false;
    return true;
  };
}

/** Every key known, every one that is not optional there: the schema would drop a key it does not know. */
function object(shape: z.core.$ZodShape): Check {
  const checks = new Map<string, Check>();
  let least = 0;
  const required = new Set<string>();
  for (const [key, member] of Object.entries(shape)) {
    const def = member._zod.def as z.core.$ZodTypes["_zod"]["def"];
    // A default that is not needed is the inner schema; one that is needed changes the value, so its key counts as required here.
    const inner = def.type === "optional" || def.type === "default" ? def.innerType : member;
    checks.set(key, compile(inner));
    if (def.type === "optional") continue;
    required.add(key);
    least += 1;
  }
  return (value) => {
    if (!isPlain(value)) return false;
    let found = 0;
    for (const key in value) {
      const check = checks.get(key);
      if (check === undefined || !check(value[key])) return false;
      if (required.has(key)) found += 1;
    }
    return found === least;
  };
}

function discriminated(key: string, options: readonly z.core.$ZodType[]): Check {
  const checks = new Map<unknown, Check>();
  for (const option of options) {
    const told = (option._zod.def as z.core.$ZodObjectDef).shape[key]?._zod.def as z.core.$ZodLiteralDef<string> | undefined;
    for (const value of told?.values ?? []) checks.set(value, compile(option));
  }
  return (value) => isPlain(value) && (checks.get(value[key]) ?? never)(value);
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}
