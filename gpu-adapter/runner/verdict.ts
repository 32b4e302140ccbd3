// How a run ended, read from what ComfyUI said: the one place where its words become an error code of the contract ([G] 6.9). Pure.
import type { ErrorCode, JobError } from "../contract.ts";
import { isModelFile } from "../file-names.ts";
import { withoutSeatTag } from "./seat-tag.ts";

type Json = Record<string, unknown>;
type Messages = [string, Json][];

export type Ending = "success" | "error" | "interrupted" | "unknown";

/** The last word of ComfyUI's messages. `execution_error` may be followed by `execution_success` (a blocked output): then the run succeeded. */
export function endingOf(messages: Messages, statusText?: string): Ending {
  const names = messages.map(([name]) => name);
  if (names.includes("execution_interrupted")) return "interrupted";
  if (names.includes("execution_success") || statusText === "success") return "success";
  if (names.includes("execution_error") || statusText === "error") return "error";
  return "unknown";
}

function text(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

const OOM_TYPE = /(^|\.)OutOfMemory(Error)?$|OOM/i;
const OOM_MESSAGE = /(CUDA|HIP|MPS|GPU).{0,40}out of memory|allocation on device/i;

/** Out of memory by the exception's type; some back ends raise a plain RuntimeError and say it in words. */
export function isOutOfMemory(type: string | undefined, message: string | undefined): boolean {
  if (type !== undefined && OOM_TYPE.test(type)) return true;
  return message !== undefined && (type === undefined || /RuntimeError|AcceleratorError/.test(type)) && OOM_MESSAGE.test(message);
}

/** The contract's error for ComfyUI's `execution_error`. */
export function nodeError(data: Json): JobError {
  const type = text(data.exception_type);
  const message = text(data.exception_message)?.trim() ?? "";
  const trace = Array.isArray(data.traceback) ? data.traceback.filter((line): line is string => typeof line === "string") : [];
  return {
    code: isOutOfMemory(type, message) ? "oom" : "node_error",
    message: message === "" ? (type ?? "The node failed without a message.") : message,
    node_id: text(data.node_id),
    node_type: text(data.node_type),
    exception_type: type,
    traceback: trace.slice(0, 200),
  };
}

function errorsOf(body: Json): Json[] {
  const nodes = typeof body.node_errors === "object" && body.node_errors !== null ? Object.values(body.node_errors) : [];
  return nodes.flatMap((node: unknown) => {
    const list = typeof node === "object" && node !== null && "errors" in node ? node.errors : [];
    return Array.isArray(list) ? list.filter((entry): entry is Json => typeof entry === "object" && entry !== null) : [];
  });
}

function isMissingModel(error: Json): boolean {
  const info = typeof error.extra_info === "object" && error.extra_info !== null ? (error.extra_info as Json) : {};
  return error.type === "value_not_in_list" && isModelFile(info.received_value);
}

function validationCode(type: string | undefined, message: string, details: Json[]): ErrorCode {
  if (type === "missing_node_type" || (type === "invalid_prompt" && /does not exist/i.test(message))) return "missing_node";
  return details.length > 0 && details.every(isMissingModel) ? "missing_model" : "validation";
}

/** The contract's error for a 400 to POST /prompt; the body goes along as it came. */
export function validationError(body: Json): JobError {
  const error = typeof body.error === "object" && body.error !== null ? (body.error as Json) : {};
  const type = text(error.type);
  const message = text(error.message) ?? text(body.error) ?? "ComfyUI refused the prompt.";
  return { code: validationCode(type, message, errorsOf(body)), message, exception_type: type, traceback: [], comfy: withoutSeatTag(body) as Json };
}

/** True when a refusal says that an input file is not there: it was believed to be, so it is worth putting it there once more. */
export function blamesInputs(body: Json, names: readonly string[]): boolean {
  if (names.length === 0) return false;
  return errorsOf(body).some((error) => {
    const said = JSON.stringify([error.details, error.extra_info]);
    return (error.type === "custom_validation_failed" || error.type === "value_not_in_list") && names.some((name) => said.includes(name));
  });
}
