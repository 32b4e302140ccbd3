// The vocabulary of refusals at POST /prompt (ComfyUI 0.3.64, recordings/validation-errors): types, messages, details, extra_info.

import type { InputSpec } from "../nodes/definition.ts";
import type { Json, Writable } from "../json.ts";
import { PythonError, repr, str } from "./python.ts";

export type Complaint = {
  readonly type: string;
  readonly message: string;
  readonly details: string;
  readonly extra_info: { readonly [key: string]: Writable };
};

/** Lists longer than this are not sent back. */
const MAX_LISTED = 20;

function config(spec: InputSpec): Writable {
  return [spec[0], spec[1] ?? {}];
}

export const complaints = {
  noPrompt: (): Complaint => ({ type: "no_prompt", message: "No prompt provided", details: "No prompt provided", extra_info: {} }),
  noOutputs: (): Complaint => ({ type: "prompt_no_outputs", message: "Prompt has no outputs", details: "", extra_info: {} }),
  missingClass: (id: string): Complaint => ({ type: "invalid_prompt", message: "Cannot execute because a node is missing the class_type property.", details: `Node ID '#${id}'`, extra_info: {} }),
  unknownClass: (id: string, name: string): Complaint => ({ type: "invalid_prompt", message: `Cannot execute because node ${name} does not exist.`, details: `Node ID '#${id}'`, extra_info: {} }),
  outputsFailed: (details: string): Complaint => ({ type: "prompt_outputs_failed_validation", message: "Prompt outputs failed validation", details, extra_info: {} }),
  inputMissing: (name: string): Complaint => ({ type: "required_input_missing", message: "Required input is missing", details: name, extra_info: { input_name: name } }),
  badLink: (name: string, spec: InputSpec, value: Json): Complaint => ({
    type: "bad_linked_input",
    message: "Bad linked input, must be a length-2 list of [node_id, slot_index]",
    details: name,
    extra_info: { input_name: name, input_config: config(spec), received_value: value },
  }),
  typeMismatch: (name: string, spec: InputSpec, received: string, link: Json): Complaint => ({
    type: "return_type_mismatch",
    message: "Return type mismatch between linked nodes",
    details: `${name}, received_type(${received}) mismatch input_type(${typeof spec[0] === "string" ? spec[0] : repr([...spec[0]])})`,
    extra_info: { input_name: name, input_config: config(spec), received_type: received, linked_node: link },
  }),
  notConvertible: (name: string, spec: InputSpec, value: Json, problem: string): Complaint => ({
    type: "invalid_input_type",
    message: `Failed to convert an input value to a ${String(spec[0])} value`,
    details: `${name}, ${str(value)}, ${problem}`,
    extra_info: { input_name: name, input_config: config(spec), received_value: value, exception_message: problem },
  }),
  tooSmall: (name: string, spec: InputSpec, value: Json, min: Json): Complaint => ({
    type: "value_smaller_than_min",
    message: `Value ${str(value)} smaller than min of ${str(min)}`,
    details: name,
    extra_info: { input_name: name, input_config: config(spec), received_value: value },
  }),
  tooBig: (name: string, spec: InputSpec, value: Json, max: Json): Complaint => ({
    type: "value_bigger_than_max",
    message: `Value ${str(value)} bigger than max of ${str(max)}`,
    details: name,
    extra_info: { input_name: name, input_config: config(spec), received_value: value },
  }),
  notInList: (name: string, spec: InputSpec, value: Json, choices: readonly string[]): Complaint => ({
    type: "value_not_in_list",
    message: "Value not in list",
    details: `${name}: '${str(value)}' not in ${choices.length > MAX_LISTED ? `(list of length ${choices.length})` : repr([...choices])}`,
    extra_info: { input_name: name, input_config: choices.length > MAX_LISTED ? null : config(spec), received_value: value },
  }),
  checkFailed: (name: string, problem: string): Complaint => ({ type: "custom_validation_failed", message: "Custom validation failed for node", details: `${name} - ${problem}`, extra_info: { input_name: name } }),
  raised: (error: unknown): Complaint => ({ type: "exception_during_validation", message: "Exception when validating node", details: messageOf(error), extra_info: { exception_type: typeOf(error), traceback: traceback(error) } }),
  raisedInside: (name: string, spec: InputSpec, link: Json, error: unknown): Complaint => ({
    type: "exception_during_inner_validation",
    message: "Exception when validating inner node",
    details: messageOf(error),
    extra_info: { input_name: name, input_config: config(spec), exception_message: messageOf(error), exception_type: typeOf(error), traceback: traceback(error), linked_node: link },
  }),
};

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The Python name of an error's type: the one it carries, or the nearest built-in. */
export function typeOf(error: unknown): string {
  if (error instanceof PythonError) return error.pythonType;
  if (error instanceof TypeError) return "TypeError";
  return error instanceof RangeError ? "ValueError" : "RuntimeError";
}

/** The stack as Python writes it, innermost last, with paths inside the sandbox only: no path of the machine leaves it. */
export function traceback(error: unknown): string[] {
  const stack = error instanceof Error ? (error.stack ?? "") : "";
  const lines: string[] = [];
  for (const match of stack.matchAll(/at (?:async )?(?:(\S[^(\n]*?) \()?(?:file:\/\/)?[^()\n]*?\/(sandbox\/[\w./-]+):(\d+):\d+\)?/g)) {
    lines.push(`  File "${match[2]}", line ${match[3]}, in ${match[1] ?? "<module>"}\n`);
  }
  return lines.reverse();
}
