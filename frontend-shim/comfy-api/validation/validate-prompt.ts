// The body of POST /prompt, from whatever a client sent to a verdict. Invariant: the same answers as the ComfyUI whose catalog this
// is (0.3.64 or 0.38), decided before anything is queued or paid for.
import { z } from "zod";
import { isObject, own } from "../catalog/json.ts";
import { isModelInput, nodeShape } from "../catalog/node-shapes.ts";
import type { Catalog, Json, JsonObject } from "../catalog/types.ts";
import { promptError } from "./errors.ts";
import { validateGraph } from "./graph.ts";
import { PythonError, toBool, toFloat } from "./python.ts";
import type { ComfyError, NodeErrors, PromptCrashed, PromptRefusalReason, PromptRefused, PromptVerdict, ValidationContext, Vocabulary } from "./types.ts";

/** What ComfyUI answers, with status 500, to a body it trips over: not JSON, or `prompt: null` [R validation-errors]. */
export const SERVER_ERROR_TEXT = "500 Internal Server Error\n\nServer got itself in trouble";

const bodySchema = z.looseObject({
  number: z.union([z.number(), z.bigint(), z.string(), z.boolean()], "must be a number").optional(),
  extra_data: z.custom<JsonObject>(isObject, "must be an object").optional(),
  partial_execution_targets: z.array(z.unknown(), "must be a list of node ids").nullish(),
});

/** `str(uuid.UUID(value)) == value`: the canonical lower-case form with hyphens. */
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

function refuse(error: ComfyError, nodeErrors: NodeErrors = {}, reason: PromptRefusalReason = "invalid_prompt"): PromptRefused {
  return { ok: false, status: 400, reason, body: { error, node_errors: nodeErrors } };
}

const crashed: PromptCrashed = { ok: false, status: 500, reason: "invalid_prompt", text: SERVER_ERROR_TEXT };

/** 0.3.x speaks the old vocabulary, everything since the new one. */
export function vocabularyOf(comfyuiVersion: string): Vocabulary {
  return /^v?0\.[0-3](?:\.|$)/.test(comfyuiVersion) ? "0.3.64" : "0.38";
}

function promptIdError(vocabulary: Vocabulary): ComfyError {
  if (vocabulary === "0.38") {
    return promptError("invalid_prompt_id", "prompt_id must be a valid UUID", "prompt_id must be a UUID string in canonical lowercase hyphenated form; omit it to let the server generate one");
  }
  return promptError("invalid_prompt", "This server takes a prompt_id only if it is a UUID.", "prompt_id must be a UUID in lower case with hyphens; leave it out and the server makes one. Nothing was queued.");
}

/** [Q14]: `front: true`, or a `number` ≤ 0 where ComfyUI would sort it before everything else. Undefined: no number at all. */
function isFront(body: JsonObject): boolean | undefined {
  const number = body["number"];
  if (number === undefined) return toBool(body["front"] ?? false);
  try {
    return toFloat(number) <= 0;
  } catch (error) {
    if (error instanceof PythonError) return undefined;
    throw error;
  }
}

function bodyError(body: JsonObject): ComfyError | undefined {
  const parsed = bodySchema.safeParse(body);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const member = issue?.path.join(".") ?? "body";
    return promptError("invalid_prompt", "The request cannot be read as a prompt.", `${member} ${issue?.message ?? "has the wrong form"}. Nothing was queued.`);
  }
  if (isFront(body) === undefined) return promptError("invalid_prompt", "The request cannot be read as a prompt.", "number must be a number. Nothing was queued.");
  return undefined;
}

function reasonOfError(catalog: Catalog, classType: string, error: ComfyError): PromptRefusalReason {
  if (error.type === "custom_validation_failed") return "input_missing";
  if (error.type !== "value_not_in_list") return "invalid_prompt";
  const input = nodeShape(catalog, classType)?.inputs.find((candidate) => candidate.name === error.extra_info["input_name"]);
  if (input?.file !== undefined) return "input_missing";
  return input !== undefined && isModelInput(catalog, input, error.extra_info["received_value"] ?? null) ? "unknown_model" : "invalid_prompt";
}

/** One word for the room's log: the gravest of what was found, malformed graphs before missing models before missing files. */
function reasonOf(catalog: Catalog, nodeErrors: NodeErrors): PromptRefusalReason {
  const reasons = new Set(Object.values(nodeErrors).flatMap((node) => node.errors.map((error) => reasonOfError(catalog, node.class_type, error))));
  if (reasons.has("invalid_prompt") || reasons.size === 0) return "invalid_prompt";
  return reasons.has("unknown_model") ? "unknown_model" : "input_missing";
}

function workflowId(extraData: JsonObject): string | null {
  const pnginfo = extraData["extra_pnginfo"];
  const workflow = isObject(pnginfo) ? pnginfo["workflow"] : undefined;
  const id = isObject(workflow) ? workflow["id"] : undefined;
  return typeof id === "string" ? id : null;
}

/**
 * Judges the parsed body of POST /prompt (read it with `parseJson`, so that long seeds survive). Never throws; a body that is not
 * JSON is the caller's to answer with status 500 and SERVER_ERROR_TEXT.
 */
export function validatePrompt(body: unknown, context: ValidationContext): PromptVerdict {
  const vocabulary = context.vocabulary ?? vocabularyOf(context.catalog.versions.comfyui);
  const request = isObject(body) ? body : {};
  const prompt = own(request, "prompt");
  if (prompt === undefined) return refuse(promptError("no_prompt", "No prompt provided", "No prompt provided"));
  if (prompt === null) return crashed;
  const malformed = bodyError(request);
  if (malformed !== undefined) return refuse(malformed);
  const promptId = request["prompt_id"] ?? undefined;
  if (promptId !== undefined && (typeof promptId !== "string" || !UUID.test(promptId))) return refuse(promptIdError(vocabulary));
  const graph = Array.isArray(prompt) && prompt.length === 0 ? {} : prompt;
  if (!isObject(graph)) return refuse(promptError("invalid_prompt", "The prompt is not a graph.", "prompt must be an object of nodes by id, as saved with “Export (API)”. Nothing was queued."));
  const targets = (request["partial_execution_targets"] ?? undefined) as readonly Json[] | undefined;
  const verdict = validateGraph(graph, context, vocabulary, targets);
  if (!verdict.ok) return refuse(verdict.error, verdict.nodeErrors, verdict.unknown === true ? "unknown_node" : reasonOf(context.catalog, verdict.nodeErrors));
  const clientId = request["client_id"];
  const sentExtra = (request["extra_data"] ?? {}) as JsonObject;
  const extraData = clientId === undefined ? sentExtra : { ...sentExtra, client_id: clientId };
  return {
    ok: true,
    prompt: verdict.prompt,
    outputsToExecute: verdict.outputs,
    nodeErrors: verdict.nodeErrors,
    ...(typeof promptId === "string" ? { promptId } : {}),
    ...(typeof clientId === "string" && clientId !== "" ? { clientId } : {}),
    extraData,
    front: isFront(request) === true,
    partial: targets !== undefined,
    workflowId: workflowId(extraData),
  };
}
