// Every error a node can have, in ComfyUI's words. Invariant: no text of ours replaces one of ComfyUI's; what we know more
// (nearest names, how many GPUs) is added beside it.
import { nearestNames } from "../catalog/nearest-names.ts";
import { isObject } from "../catalog/json.ts";
import type { InputShape } from "../catalog/node-shapes.ts";
import type { Json, JsonObject } from "../catalog/types.ts";
import { type PythonError, repr, str } from "./python.ts";
import type { ComfyError, Vocabulary } from "./types.ts";

const config = (input: InputShape): Json => [input.type as Json, input.options];

/** Errors are answers, written by any JSON.stringify: a long integer is shown as a number (its digits stand in the message). */
function shown(value: Json): Json {
  if (typeof value === "bigint") return Number(value);
  if (Array.isArray(value)) return value.map(shown);
  return isObject(value) ? Object.fromEntries(Object.entries(value).map(([key, member]) => [key, shown(member)])) : value;
}

export function requiredInputMissing(input: InputShape, shownName: string): ComfyError {
  return { type: "required_input_missing", message: "Required input is missing", details: shownName, extra_info: { input_name: input.name } };
}

export function badLinkedInput(input: InputShape, value: Json): ComfyError {
  return {
    type: "bad_linked_input",
    message: "Bad linked input, must be a length-2 list of [node_id, slot_index]",
    details: input.name,
    extra_info: { input_name: input.name, input_config: config(input), received_value: shown(value) },
  };
}

export function returnTypeMismatch(input: InputShape, received: Json, link: Json): ComfyError {
  return {
    type: "return_type_mismatch",
    message: "Return type mismatch between linked nodes",
    details: `${input.name}, received_type(${str(received)}) mismatch input_type(${str(input.type as Json)})`,
    extra_info: { input_name: input.name, input_config: config(input), received_type: received, linked_node: shown(link) },
  };
}

export function invalidInputType(input: InputShape, value: Json, error: PythonError): ComfyError {
  return {
    type: "invalid_input_type",
    message: `Failed to convert an input value to a ${str(input.type as Json)} value`,
    details: `${input.name}, ${str(value)}, ${error.message}`,
    extra_info: { input_name: input.name, input_config: config(input), received_value: shown(value), exception_message: error.message },
  };
}

export function outOfRange(input: InputShape, side: "min" | "max", value: Json, texts: { value: string; bound: string }): ComfyError {
  return {
    type: side === "min" ? "value_smaller_than_min" : "value_bigger_than_max",
    message: `Value ${texts.value} ${side === "min" ? "smaller than min" : "bigger than max"} of ${texts.bound}`,
    details: input.name,
    extra_info: { input_name: input.name, input_config: config(input), received_value: shown(value) },
  };
}

/** ComfyUI does not send back lists longer than this. */
const LONGEST_LIST = 20;

export type NotInList = { input: InputShape; value: Json; wrong: readonly Json[]; choices: readonly Json[]; vocabulary: Vocabulary; isModel: boolean };

/** A value that is no choice. For a model no GPU has, up to three names that look like it are added (`extra_info.nearest`). */
export function valueNotInList({ input, value, wrong, choices, vocabulary, isModel }: NotInList): ComfyError {
  const long = choices.length > LONGEST_LIST;
  const named = vocabulary === "0.3.64" ? `'${str(value)}'` : wrong.map(repr).join(", ");
  const details = `${input.name}: ${named} not in ${long ? `(list of length ${choices.length})` : repr(choices)}`;
  const extra = { input_name: input.name, input_config: long ? null : config(input), received_value: shown(value) };
  const nearest = isModel && typeof wrong[0] === "string" ? nearestNames(wrong[0], choices.filter((choice) => typeof choice === "string")) : [];
  return {
    type: "value_not_in_list",
    message: "Value not in list",
    details: nearest.length === 0 ? details : `${details}. ${nearestSentence(nearest)}`,
    extra_info: nearest.length === 0 ? extra : { ...extra, nearest },
  };
}

function nearestSentence(nearest: readonly string[]): string {
  const quoted = nearest.map((name) => `'${name}'`);
  const last = quoted.pop();
  return `No GPU here has that file; the nearest ${quoted.length === 0 ? `is ${last}` : `are ${quoted.join(", ")} and ${last}`}. Choose one of them, or ask your instructor to add it.`;
}

export function customValidationFailed(inputName: string, text: string): ComfyError {
  return { type: "custom_validation_failed", message: "Custom validation failed for node", details: `${inputName} - ${text}`, extra_info: { input_name: inputName } };
}

/** An output node ComfyUI could not even look at; the traceback is empty, since no Python of the server was involved. */
export function exceptionDuringValidation(error: PythonError): ComfyError {
  return {
    type: "exception_during_validation",
    message: "Exception when validating node",
    details: error.message,
    extra_info: { exception_type: error.type, traceback: [] },
  };
}

/** The same for a node behind a link. */
export function exceptionDuringInnerValidation(input: InputShape, link: Json, error: PythonError): ComfyError {
  return {
    type: "exception_during_inner_validation",
    message: "Exception when validating inner node",
    details: error.message,
    extra_info: {
      input_name: input.name,
      input_config: config(input),
      exception_message: error.message,
      exception_type: error.type,
      traceback: [],
      linked_node: shown(link),
    },
  };
}

export function dependencyCycle(nodeId: string, path: string, cycle: readonly string[]): ComfyError {
  return { type: "dependency_cycle", message: "Dependency cycle detected", details: path, extra_info: { node_id: nodeId, cycle_nodes: cycle } };
}

export function invalidDynamicInput(inputName: string, details: string): ComfyError {
  return { type: "invalid_dynamic_input", message: "Invalid dynamic input", details, extra_info: { input_name: inputName } };
}

/** A refusal of the whole prompt. */
export function promptError(type: string, message: string, details: string, extraInfo: JsonObject = {}): ComfyError {
  return { type, message, details, extra_info: extraInfo };
}
