// POST /prompt: from a body to a place in the queue, or to the sentence that says why not. Invariants: nothing is queued before it was validated; every
// refusal is JSON in ComfyUI's own shape, because older pages read any answer as JSON; a refused prompt leaves nothing behind.
import { describeJob, parseJson, stringifyJson, validatePrompt } from "./validation/index.ts";
import type { JsonObject, PromptAccepted } from "./validation/index.ts";
import { isObject } from "./catalog/json.ts";
import { promptKey } from "../../r2/keys.ts";
import type { Refusal, Submit } from "../../durable-objects/contract.ts";
import { both, readBytes, seatRouter } from "./context.ts";
import type { SeatContext } from "./context.ts";
import { json, promptError } from "./answers.ts";
import { currentCatalog } from "./catalog-source.ts";
import type { SeatCatalog } from "./catalog-source.ts";
import { mintJobId } from "./job-id.ts";
import { lookUpFiles, withContentNames } from "./prompt-files.ts";
import type { PromptFiles } from "./prompt-files.ts";

/** Bytes of a prompt's body [Q13]: 10 MiB exactly are accepted. */
export const MAX_PROMPT_BYTES = 10 * 1024 * 1024;
/** Bytes of all texts together above which they go to the bucket instead of a row [CF8]. */
const MAX_ROW_BYTES = 1024 * 1024;

export const promptRoutes = seatRouter();

promptRoutes.on("POST", both("/prompt"), async (c) => {
  const seat = c.env.seat;
  const bytes = await readBytes(c.req.raw, MAX_PROMPT_BYTES);
  if (bytes === null) return promptError(413, "payload_too_large", `The prompt is larger than ${MAX_PROMPT_BYTES} bytes (10 MiB). Nothing was queued: take embedded data out of the workflow and upload it as files.`, "", { limit: MAX_PROMPT_BYTES });
  const body = parseBody(bytes);
  if (body === undefined) return promptError(400, "invalid_prompt", "The request body is not JSON. Nothing was queued: send the graph as saved with “Export (API)” under the key prompt.");
  const catalog = await currentCatalog(seat);
  if (catalog === null) return noCatalog();
  const checked = catalog.merged.checked;
  const files = await lookUpFiles(seat, isObject(body) ? body["prompt"] : undefined, checked);
  const verdict = validatePrompt(body, { catalog: checked, seatFiles: files, vocabulary: catalog.vocabulary });
  if (verdict.ok) return await submit(seat, verdict, { catalog, files, bytes, idempotencyKey: c.req.header("idempotency-key") });
  if (verdict.status === 400) return json(verdict.body, 400);
  return promptError(400, "invalid_prompt", "The prompt cannot be read: prompt must be an object of nodes by id. Nothing was queued.");
});

type Sent = { catalog: SeatCatalog; files: PromptFiles; bytes: Uint8Array<ArrayBuffer>; idempotencyKey: string | undefined };

async function submit(seat: SeatContext, accepted: PromptAccepted, sent: Sent): Promise<Response> {
  const { request, stored } = await asSubmit(seat, accepted, sent);
  const answer = await seat.rpc.submit(request);
  if (stored !== null && (!answer.ok || answer.repeated)) seat.waitUntil(seat.files.delete(stored));
  if (!answer.ok) return refused(answer);
  return json({ prompt_id: answer.job, number: answer.number, node_errors: accepted.nodeErrors });
}

async function asSubmit(seat: SeatContext, accepted: PromptAccepted, sent: Sent): Promise<{ request: Submit; stored: string | null }> {
  const checked = sent.catalog.merged.checked;
  const description = describeJob(accepted.prompt, checked, accepted.outputsToExecute);
  const run = withContentNames(accepted.prompt, checked, accepted.outputsToExecute, sent.files);
  const texts = { prompt: stringifyJson(accepted.prompt), extra_data: stringifyJson(accepted.extraData), run_prompt: run.prompt === accepted.prompt ? undefined : stringifyJson(run.prompt) };
  const large = texts.prompt.length + texts.extra_data.length + (texts.run_prompt?.length ?? 0) > MAX_ROW_BYTES / 3 && byteLength(texts) > MAX_ROW_BYTES;
  const stored = large ? await storeTexts(seat, texts) : null;
  const request: Submit = {
    seat: seat.seat,
    job: accepted.promptId ?? mintJobId(Date.now()),
    minted: accepted.promptId === undefined,
    ...(sent.idempotencyKey === undefined ? {} : { idempotency_key: sent.idempotencyKey.slice(0, 200) }),
    // Only a caller's own id or key can come twice; for an id made here there is nothing to compare.
    body_hash: accepted.promptId === undefined && sent.idempotencyKey === undefined ? "" : await sha256(sent.bytes),
    bytes: sent.bytes.byteLength,
    client_id: accepted.clientId ?? null,
    front: accepted.front,
    background: wantsBackground(accepted.extraData),
    ...(stored === null ? { prompt_json: texts.prompt, extra_data_json: texts.extra_data } : { prompt_json: "", extra_data_json: "", prompt_key: stored }),
    ...(stored === null && texts.run_prompt !== undefined ? { run_prompt_json: texts.run_prompt } : {}),
    outputs_to_execute: [...accepted.outputsToExecute],
    partial: accepted.partial,
    inputs: run.inputs,
    model_signature: description.modelSignature,
    timing_signature: description.timingSignature,
    output_kind: description.outputKind,
    requires: { nodes: [...description.requires.nodes], models: [...description.requires.models] },
    workflow_id: accepted.workflowId,
  };
  return { request, stored };
}

type Texts = { prompt: string; extra_data: string; run_prompt: string | undefined };

/** Under a key of its own: a repeat or a stolen id must not write over an accepted prompt. */
async function storeTexts(seat: SeatContext, texts: Texts): Promise<string> {
  const key = promptKey(seat.workshop, crypto.randomUUID());
  const body = `{"prompt":${texts.prompt},"extra_data":${texts.extra_data},"run_prompt":${texts.run_prompt ?? "null"}}`;
  await seat.files.put(key, body, { httpMetadata: { contentType: "application/json" } });
  return key;
}

/** [Q23]: chosen by whoever submits; `extra_data` is the one place every client can write to. */
function wantsBackground(extraData: JsonObject): boolean {
  const ours = extraData["comfyume"];
  return isObject(ours) && ours["background"] === true;
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false });

/** Undefined when the bytes are no JSON. */
function parseBody(bytes: Uint8Array): unknown {
  try {
    return parseJson(utf8.decode(bytes));
  } catch {
    return undefined;
  }
}

export function noCatalog(): Response {
  return promptError(503, "no_catalog", "No GPU has told us its nodes yet, so no prompt can be checked. Nothing was queued: wait until the first GPU of this workshop has started, then press Run again.", "", {}, { "retry-after": "10" });
}

/** A refusal of the queue as HTTP [Q13]; what it is about stands in `extra_info`. */
function refused(refusal: Refusal): Response {
  const { reason, message, retry_after_s: retryAfter, limit, current, details } = refusal;
  const extra = { ...details, ...(limit === undefined ? {} : { limit }), ...(current === undefined ? {} : { current }) };
  return promptError(statusOf(refusal), reason, message, "", extra, retryAfter === undefined ? {} : { "retry-after": String(Math.ceil(retryAfter)) });
}

function statusOf({ reason }: Refusal): number {
  if (reason === "seat_queue_full" || reason === "queue_full") return 429;
  if (reason === "budget_exhausted") return 402;
  if (reason === "payload_too_large") return 413;
  if (reason === "forbidden") return 403;
  if (reason === "no_such_workshop" || reason === "no_such_seat" || reason === "not_found") return 404;
  return reason === "idempotency_conflict" || reason === "id_taken" || reason === "not_admitting" || reason === "illegal_transition" ? 409 : 400;
}

function byteLength(texts: Texts): number {
  const encoder = new TextEncoder();
  return encoder.encode(texts.prompt).byteLength + encoder.encode(texts.extra_data).byteLength + encoder.encode(texts.run_prompt ?? "").byteLength;
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return [...new Uint8Array(await crypto.subtle.digest("SHA-256", bytes))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
