// The runner contract, version 1: every message between the platform and a runner, whichever provider carries it (docs/spec/runner.md, [G5]..[G29]).
// Both sides parse with these schemas; unknown fields are ignored, missing ones are errors, so old runners meet new platforms and the reverse.
import { z } from "zod";

/** Raised when a field changes meaning; new optional fields do not raise it. */
export const CONTRACT_VERSION = 1;

/** Text of an exception, a log line or a traceback entry is cut to this many characters before it travels. */
export const MAX_TEXT = 10_000;
/** Preview frames above this many bytes are dropped by the runner [G16]. */
export const MAX_PREVIEW_BYTES = 512 * 1024;
/** The same for a PNG frame, which is a node's own picture (SaveImageWebsocket); an object takes messages of 32 MiB. */
export const MAX_PICTURE_BYTES = 24 * 1024 * 1024;
/** Files above this many bytes go up in parts [G21]. */
export const MULTIPART_FROM_BYTES = 100 * 1024 * 1024;

const id = z.string().min(1).max(200);
const text = z.string().transform((value) => value.slice(0, MAX_TEXT));
const json = z.record(z.string(), z.unknown());

/** Error codes of an attempt; the retry class of each is decided once, in the queue's retry table ([Q54], [G] 6.9). */
export const errorCode = z.enum([
  "validation", "missing_node", "missing_model", "input_fetch", "input_missing", "node_error", "oom", "exec_timeout", "claim_timeout", "start_timeout",
  "upload_failed", "comfy_crash", "container_lost", "provider_capacity", "provider_rate_limited", "provider_auth", "provider_config", "provider_funds",
  "provider_unknown", "cancelled", "internal",
]);
export type ErrorCode = z.infer<typeof errorCode>;

export const storageType = z.enum(["output", "temp", "input"]);
export type StorageType = z.infer<typeof storageType>;

/** Where a file stands on one side, in ComfyUI's own three words. */
export const fileName = z.object({ type: storageType, subfolder: z.string().max(500), filename: z.string().min(1).max(300) });
export type FileName = z.infer<typeof fileName>;

// ---- dispatch [G8], [G9] -------------------------------------------------------------------------------------------------
export const dispatch = z.object({
  v: z.literal(CONTRACT_VERSION),
  workshop: id,
  pool: id,
  job_id: id,
  attempt: z.int().min(1),
  /** Unique per hand-over; also Verda's X-Inference-Id. */
  dispatch_id: id,
  callback: z.object({ base_url: z.url(), token: z.string().min(20) }),
  /** ms since the epoch; a later claim is refused. */
  claim_before: z.int(),
  /** Answer 202 at once instead of holding the request (provider `local` only). */
  detach: z.boolean(),
  /** Lower-case hex HMAC-SHA-256 over the canonical JSON of the rest, key shared with the image. */
  sig: z.string(),
});
export type Dispatch = z.infer<typeof dispatch>;

// ---- claim [G10], job document [G12] --------------------------------------------------------------------------------------
export const runnerInfo = z.object({
  /** Random per process. */
  id,
  version: z.string().max(50),
  mode: z.enum(["pull", "http", "http-once", "runpod", "modal"]),
  provider_ref: z.string().max(300).optional(),
  image_digest: z.string().max(200).optional(),
  comfyui_version: z.string().max(50).optional(),
  gpu_name: z.string().max(200).optional(),
  vram_mb: z.int().min(0).optional(),
  cold_start_ms: z.int().min(0).optional(),
});
export type RunnerInfo = z.infer<typeof runnerInfo>;

export const claimRequest = z.object({ dispatch_id: id.optional(), runner: runnerInfo, catalog_digest: z.string().max(100).optional() });
export type ClaimRequest = z.infer<typeof claimRequest>;

export const inputFile = z.object({
  /** The content name the graph refers to: `<stem>-<16 hex of sha256><.ext>` [G18]. */
  name: z.string().min(1).max(300),
  url: z.url(),
  sha256: z.string().length(64),
  size: z.int().min(0),
});

export const jobDocument = z.object({
  /** JSON text of the graph in API format, input names already content names. A text, because seeds go to 2^64 − 1 and a parsed number does not. */
  prompt_json: z.string(),
  /** The job's id, a UUID, passed to ComfyUI unchanged so that frames can go verbatim. */
  prompt_id: id,
  /** JSON text of ComfyUI's `extra_data`. */
  extra_data_json: z.string(),
  /** The outputs that passed validation; ComfyUI is asked for exactly these when it differs from all. */
  outputs_to_execute: z.array(z.string()),
  partial: z.boolean(),
  /** Undeclared literal for every output node so that no seat is answered with another seat's file [G19]. */
  seat_tag: z.string().max(100),
  inputs: z.array(inputFile),
  limits: z.object({ input_fetch_s: z.number(), start_s: z.number(), exec_s: z.number(), idle_event_s: z.number(), upload_s: z.number(), max_files: z.int(), max_total_bytes: z.int() }),
  preview: z.object({ enabled: z.boolean(), max_fps: z.number() }),
  trace_id: z.string(),
});
export type JobDocument = z.infer<typeof jobDocument>;

export const claimAnswer = z.object({
  lease_id: id,
  lease_ttl_s: z.number(),
  heartbeat_s: z.number(),
  want_catalog: z.boolean(),
  /** Absent when the document is over 1 MiB: then it is fetched once from `job_url`. */
  job: jobDocument.optional(),
  job_url: z.url().optional(),
});
export type ClaimAnswer = z.infer<typeof claimAnswer>;

/** Body of a 409 or 410 to a claim, event, upload or result. */
export const refusal = z.object({ reason: z.enum(["duplicate", "superseded", "finished", "quarantined", "gone", "stale", "conflict"]), message: z.string() });
export type RunnerRefusal = z.infer<typeof refusal>;

// ---- events [G14]..[G17] ---------------------------------------------------------------------------------------------------
/** One produced file, as ComfyUI named it, and the id the platform gave it at commit. */
export const producedFile = fileName.extend({ file_id: id });
export type ProducedFile = z.infer<typeof producedFile>;

const eventBase = { seq: z.int().min(1), ts: z.int() };
export const runnerEvent = z.discriminatedUnion("type", [
  z.object({ ...eventBase, type: z.literal("stage"), stage: z.enum(["gpu_starting", "inputs", "loading", "executing", "uploading"]) }),
  z.object({ ...eventBase, type: z.literal("started") }),
  /** ComfyUI's own JSON message, verbatim; `files` names the committed files that an `executed` output refers to [G23]. */
  z.object({ ...eventBase, type: z.literal("comfy"), message: z.object({ type: z.string(), data: json }), files: z.array(producedFile).optional() }),
  z.object({ ...eventBase, type: z.literal("log"), line: text }),
  z.object({ ...eventBase, type: z.literal("heartbeat"), gpu: z.object({ vram_used_mb: z.int().optional(), util: z.number().optional() }).optional() }),
]);
export type RunnerEvent = z.infer<typeof runnerEvent>;

/** First byte of a binary event frame; then uint32 big-endian seq; then ComfyUI's binary frame verbatim [G15]. */
export const BINARY_EVENT_VERSION = 1;
export const BINARY_EVENT_HEADER_BYTES = 5;

/** HTTP transport: a batch of events, previews as base64 of ComfyUI's binary frame. */
export const eventBatch = z.object({ lease_id: id, events: z.array(runnerEvent).max(500), preview: z.object({ seq: z.int(), frame_base64: z.string() }).optional() });
export const eventBatchAnswer = z.object({ ack: z.int(), cancel: z.boolean(), lease_ttl_s: z.number() });

// ---- uploads [G21], [G22] ----------------------------------------------------------------------------------------------------
export const uploadFile = fileName.extend({ node_id: z.string().max(200), key: z.string().max(100), content_type: z.string().max(200), size: z.int().min(0), sha256: z.string().length(64) });
export type UploadFile = z.infer<typeof uploadFile>;
export const uploadRequest = z.object({ lease_id: id, files: z.array(uploadFile).min(1).max(100) });
export const uploadTarget = z.discriminatedUnion("kind", [
  /** `headers` are sent exactly as they stand, they may be signed; a `content-length` among them is the body's own. */
  z.object({ kind: z.literal("put"), n: z.int(), url: z.url(), headers: z.record(z.string(), z.string()) }),
  /** Part URLs in order; every part but the last has `part_bytes`. The ETag header of each answer goes into the commit. */
  z.object({ kind: z.literal("multipart"), n: z.int(), upload_id: z.string(), part_bytes: z.int(), urls: z.array(z.url()) }),
]);
export type UploadTarget = z.infer<typeof uploadTarget>;
/** One target per file, in the order of the request; `n` names the file in the commit. */
export const uploadAnswer = z.object({ targets: z.array(uploadTarget) });
export const commitRequest = z.object({
  lease_id: id,
  files: z.array(uploadFile.extend({ n: z.int(), upload_id: z.string().optional(), parts: z.array(z.object({ part: z.int(), etag: z.string() })).optional() })).min(1).max(100),
});
export type CommitRequest = z.infer<typeof commitRequest>;
/** Final names, in the order of the request. */
export const commitAnswer = z.object({ files: z.array(fileName.extend({ file_id: id })) });

// ---- result [G24], [G25] -----------------------------------------------------------------------------------------------------
export const jobError = z.object({
  code: errorCode,
  message: text,
  node_id: z.string().optional(),
  node_type: z.string().optional(),
  exception_type: z.string().optional(),
  traceback: z.array(text).default([]),
  /** ComfyUI's `{error, node_errors}` body when its own validation refused the prompt. */
  comfy: json.optional(),
});
export type JobError = z.infer<typeof jobError>;

/** `load_ms`: the part of `exec_ms` in which nodes did nothing but load model files, a lower bound; `cold_ms`: start of the runner to ready, on its first job only. */
export const timings = z.object({ cold_ms: z.int(), input_ms: z.int(), load_ms: z.int(), exec_ms: z.int(), upload_ms: z.int(), gpu_ms: z.int() }).partial();

export const result = z.object({
  lease_id: id,
  status: z.enum(["succeeded", "failed", "cancelled", "skipped"]),
  /** Every file of this attempt that `comfy_outputs` names, by local name. */
  files: z.array(producedFile),
  /** ComfyUI's history entry: outputs, messages and meta, with local names. */
  comfy_outputs: json,
  comfy_messages: z.array(z.tuple([z.string(), json])),
  comfy_meta: json,
  error: jobError.optional(),
  timings: timings.default({}),
  runner: runnerInfo,
  /** Lower-case hex HMAC-SHA-256 of `lease_id|status|job|attempt` keyed by the dispatch token. */
  hmac: z.string().optional(),
});
export type RunResult = z.infer<typeof result>;
export const resultAnswer = z.object({ status: z.enum(["accepted", "already"]) });

/** What `POST /v1/jobs` of a runner answers when it held the request to the end: the provider stores it, and the poller may submit `result` when the runner's own POST never came and its `hmac` holds [G25]. */
export const heldAnswer = z.object({
  v: z.literal(CONTRACT_VERSION),
  job_id: id,
  attempt: z.int().min(1),
  dispatch_id: id,
  outcome: z.enum(["succeeded", "failed", "cancelled", "skipped"]),
  /** Absent when nothing ran: `reason` says why. */
  result: result.optional(),
  reason: text.optional(),
});
export type HeldAnswer = z.infer<typeof heldAnswer>;

/** How far a runner has come from its start to "give me work", each stage a signal that was seen [G30]. `process` again when ComfyUI went away. */
export const runnerStage = z.enum(["process", "comfyui", "inventory", "ready"]);
export type RunnerStage = z.infer<typeof runnerStage>;

/** `GET /health` of a runner [G30]; with 503 unless `ok` or `busy`. */
export const runnerHealth = z.object({
  status: z.enum(["starting", "ok", "busy", "draining"]),
  stage: runnerStage,
  missing: z.array(z.string()),
  uptime_s: z.number(),
  jobs_done: z.int(),
  catalog_digest: z.string().optional(),
  runner: runnerInfo,
});
export type RunnerHealth = z.infer<typeof runnerHealth>;

// ---- pull mode [G] 6.12 ---------------------------------------------------------------------------------------------------------
/** What a pulling runner gets: the dispatch, already claimed for it. */
export const work = z.object({ dispatch, claim: claimAnswer });
export type Work = z.infer<typeof work>;
export const nextRequest = z.object({ runner: runnerInfo, catalog_digest: z.string().max(100).optional(), wait_ms: z.int().min(0).max(25_000).default(20_000) });
/** Answer of the long poll: work, or nothing (ask again); `want_catalog` asks for POST catalog first. */
export const nextAnswer = z.object({ work: work.optional(), want_catalog: z.boolean() });

/** Frames a pulling runner sends on its pool socket (`GET /pools/{pool}/next` with upgrade). Binary frames are previews, as on the events socket. */
export const runnerFrame = z.discriminatedUnion("type", [
  /**
   * First frame of a connection; `lease_id` when a job goes on from before the cut. Said again when `stage` or `missing` (required and not there, in words)
   * changed; without a stage the runner is an older one, which dials in when it is ready.
   */
  z.object({ type: z.literal("hello"), runner: runnerInfo, catalog_digest: z.string().max(100).optional(), lease_id: id.optional(), stage: runnerStage.optional(), missing: z.array(z.string().max(200)).max(20).optional() }),
  /** "Give me a job"; stays in force until `work` comes. */
  z.object({ type: z.literal("next") }),
  z.object({ type: z.literal("event"), lease_id: id, event: runnerEvent }),
  /** The result; with `next` the runner asks for more in the same breath, one round trip for both. */
  z.object({ type: z.literal("result"), job_id: id, attempt: z.int(), result, next: z.boolean() }),
]);
export type RunnerFrame = z.infer<typeof runnerFrame>;

/** Frames the platform sends down, on the pool socket and on an attempt's events socket alike. */
export const platformFrame = z.discriminatedUnion("type", [
  z.object({ type: z.literal("welcome"), want_catalog: z.boolean() }),
  z.object({ type: z.literal("work"), work }),
  /** Everything up to `seq` of this lease is stored or sent. */
  z.object({ type: z.literal("ack"), lease_id: id, seq: z.int() }),
  z.object({ type: z.literal("cancel"), lease_id: id }),
  z.object({ type: z.literal("lease"), lease_id: id, lease_ttl_s: z.number() }),
  /** The lease is no longer the current one: stop, throw the work away. */
  z.object({ type: z.literal("stale"), lease_id: id, reason: z.string() }),
  z.object({ type: z.literal("result_ack"), job_id: id, attempt: z.int(), status: z.enum(["accepted", "already", "stale", "conflict"]) }),
]);
export type PlatformFrame = z.infer<typeof platformFrame>;

// ---- catalog [G13] -----------------------------------------------------------------------------------------------------------------
/** What one ComfyUI has. `object_info` is its answer, verbatim; `digest` is the sha256 (hex) of the canonical JSON of the rest. */
export const catalogReport = z.object({
  digest: z.string().min(16).max(100),
  object_info: z.record(z.string(), json),
  extensions: z.array(z.string()),
  /** Web files of custom nodes that `extensions` needs, by path below /extensions/; uploaded one by one when missing. */
  web_files: z.array(z.object({ path: z.string().max(500), size: z.int(), sha256: z.string().length(64), content_type: z.string() })).default([]),
  i18n: json.default({}),
  workflow_templates: json.default({}),
  embeddings: z.array(z.string()),
  models: z.record(z.string(), z.array(z.string())),
  system_stats: json,
  features: json.default({}),
});
export type CatalogReport = z.infer<typeof catalogReport>;
/** Paths of `web_files` the platform does not have yet. */
export const catalogAnswer = z.object({ want_files: z.array(z.string()) });
