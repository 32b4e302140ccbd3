// One widget value: unwrapped, converted as Python would, then held against min, max and the choices, in ComfyUI's order.
// Invariant: the value returned is the one ComfyUI would store, also when a later check fails.
import { listFor } from "../catalog/file-inputs.ts";
import { isObject } from "../catalog/json.ts";
import { type InputShape, isModelInput } from "../catalog/node-shapes.ts";
import { boundText } from "../catalog/object-info-text.ts";
import type { Json } from "../catalog/types.ts";
import { invalidInputType, outOfRange, valueNotInList } from "./errors.ts";
import { compares, equals, floatText, PythonError, str, toBool, toFloat, toInt } from "./python.ts";
import type { ComfyError, ValidationContext, Vocabulary } from "./types.ts";

/** The list inside `{"__value__": [...]}`, which keeps a list from being taken for a link; any other value as it is. */
export function unwrap(value: Json): Json {
  return isObject(value) && Object.hasOwn(value, "__value__") ? (value["__value__"] as Json) : value;
}

/** The value in the input's type; throws PythonError with Python's own text. */
export function coerce(input: InputShape, value: Json): Json {
  switch (input.type) {
    case "INT":
      return toInt(value);
    case "FLOAT": {
      const float = toFloat(value);
      // JSON has no infinity and no NaN: the text stays, and Python reads it the same way again.
      return Number.isFinite(float) ? float : value;
    }
    case "STRING":
      return str(value);
    case "BOOLEAN":
      return toBool(value);
    default:
      return value;
  }
}

const WHOLE = /^-?\d+$/;

/** A bound as it was written: JSON.parse makes 0 of 0.0 and rounds 2^64 − 1. Falls back to the input's type. */
function exactBound(context: ValidationContext, nodeClass: string, input: InputShape, side: "min" | "max", bound: Json): { value: Json; text: string } {
  if (typeof bound !== "number") return { value: bound, text: str(bound) };
  const written = boundText(context.catalog.object_info, nodeClass, input.name, side);
  if (written === undefined) return { value: bound, text: input.type === "FLOAT" ? floatText(bound) : str(bound) };
  return WHOLE.test(written) ? { value: toInt(written), text: str(toInt(written)) } : { value: bound, text: floatText(bound) };
}

function rangeError(context: ValidationContext, nodeClass: string, input: InputShape, value: Json): ComfyError | undefined {
  for (const side of ["min", "max"] as const) {
    const bound = input.options[side];
    if (bound === undefined) continue;
    const operator = side === "min" ? "<" : ">";
    const number = input.type === "FLOAT" ? toFloat(value) : value;
    if (typeof number !== "bigint" && !compares(number, operator, bound)) continue;
    const exact = exactBound(context, nodeClass, input, side, bound);
    if (!compares(number, operator, exact.value)) continue;
    return outOfRange(input, side, value, { value: input.type === "FLOAT" ? floatText(number as number) : str(number), bound: exact.text });
  }
  return undefined;
}

function choicesFor(context: ValidationContext, input: InputShape): { list: readonly Json[]; set: ReadonlySet<Json> | undefined } | undefined {
  if (input.choices === undefined) return undefined;
  if (input.file?.check !== "listed") return { list: input.choices, set: input.choiceSet };
  const unfiled = input.choices.filter((choice) => typeof choice !== "string" || !choice.includes("."));
  return { list: [...unfiled, ...listFor(input.file, context.seatFiles.inputs)], set: undefined };
}

function listError(context: ValidationContext, vocabulary: Vocabulary, input: InputShape, value: Json): ComfyError | undefined {
  const choices = choicesFor(context, input);
  if (choices === undefined) return undefined;
  const { list, set } = choices;
  const isChoice = (candidate: Json): boolean => set?.has(candidate) === true || list.some((choice) => equals(choice, candidate));
  const several = input.options["multiselect"] === true && Array.isArray(value);
  const wrong = several ? (value as readonly Json[]).filter((item) => !isChoice(item)) : isChoice(value) ? [] : [value];
  if (wrong.length === 0) return undefined;
  const listed = input.file?.check === "listed" ? { ...input, ...withChoices(input, list) } : input;
  return valueNotInList({ input: listed, value, wrong, choices: list, vocabulary, isModel: isModelInput(context.catalog, input, wrong[0] ?? null) });
}

function withChoices(input: InputShape, list: readonly Json[]): Pick<InputShape, "type" | "options"> {
  return typeof input.type === "string" ? { type: input.type, options: { ...input.options, options: list } } : { type: list, options: input.options };
}

export type CheckedValue = { readonly value: Json; readonly error: ComfyError | undefined };

/** Converts and checks one widget value. `ownCheck`: the node validates this input itself, so only the conversion applies. */
export function checkValue(context: ValidationContext, vocabulary: Vocabulary, nodeClass: string, input: InputShape, sent: Json, ownCheck: boolean): CheckedValue {
  const unwrapped = unwrap(sent);
  let value: Json;
  try {
    value = coerce(input, unwrapped);
  } catch (error) {
    if (!(error instanceof PythonError)) throw error;
    return { value: unwrapped, error: invalidInputType(input, unwrapped, error) };
  }
  if (ownCheck) return { value, error: undefined };
  return { value, error: rangeError(context, nodeClass, input, value) ?? listError(context, vocabulary, input, value) };
}
