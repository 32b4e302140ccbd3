// A seat's queue and history as the `/jobs` of ComfyUI 0.38, which every frontend after 1.37 reads. Pure: records in, answers out.
// Invariant: each job has `id`, `status` and a numeric `create_time`; the page throws the whole list away for one that has not.
import { isObject } from "./catalog/json.ts";
import type { Json, JsonObject } from "./catalog/types.ts";
import { detailedOutputs, summariseOutputs } from "./jobs-preview.ts";
import { PythonError, repr, toInt } from "./validation/python.ts";

/** A job as its seat knows it. Times in ms since 1970; `start`, `end` as far as it got. */
export type JobRecord = {
  readonly id: string;
  /** ComfyUI's `number`: lower runs first, negative for front. */
  readonly number: number;
  readonly status: "waiting" | "running" | "success" | "error" | "interrupted";
  readonly create_time: number;
  readonly start?: number | null;
  readonly end?: number | null;
  /** Node id to ui output, as in history. */
  readonly outputs?: JsonObject;
  /** The `execution_error` message of a failed run. */
  readonly error?: JsonObject | null;
  readonly workflow_id?: string | null;
  /** Of a live job: its place in the shared line and its times, beside what ComfyUI has. */
  readonly queue?: JsonObject | null;
  /** For the detail only: history's `status`, the graph, and `extra_data`. */
  readonly execution_status?: JsonObject | null;
  readonly prompt?: Json;
  readonly extra_data?: Json;
};

export const JOB_STATUSES = ["pending", "in_progress", "completed", "failed", "cancelled"] as const;
export type JobStatus = (typeof JOB_STATUSES)[number];

const STATUS_OF: { readonly [status in JobRecord["status"]]: JobStatus } = {
  waiting: "pending",
  running: "in_progress",
  success: "completed",
  error: "failed",
  interrupted: "cancelled",
};

function isLive(record: JobRecord): boolean {
  return record.status === "waiting" || record.status === "running";
}

function withoutNulls(members: { readonly [key: string]: Json | undefined }): JsonObject {
  return Object.fromEntries(Object.entries(members).filter((entry): entry is [string, Json] => entry[1] !== undefined && entry[1] !== null));
}

/** One job of the list; members that are not known are left out, as ComfyUI does. */
export function jobOf(record: JobRecord): JsonObject {
  const live = isLive(record);
  const summary = summariseOutputs(live ? {} : (record.outputs ?? {}));
  return withoutNulls({
    id: record.id,
    status: STATUS_OF[record.status],
    priority: record.number,
    create_time: record.create_time,
    execution_start_time: live ? undefined : record.start,
    execution_end_time: live ? undefined : record.end,
    execution_error: record.status === "error" ? record.error : undefined,
    outputs_count: summary.count,
    previewable_outputs_count: summary.previewable,
    preview_output: summary.preview,
    workflow_id: record.workflow_id,
    comfyume: live ? record.queue : undefined,
  });
}

/** `GET /jobs/{id}`: the job, its graph, and, once it ended, its outputs and status. */
export function jobDetail(record: JobRecord): JsonObject {
  const workflow = { prompt: record.prompt ?? {}, extra_data: record.extra_data ?? {} };
  if (isLive(record)) return { ...jobOf(record), workflow };
  return { ...jobOf(record), outputs: detailedOutputs(record.outputs ?? {}), execution_status: record.execution_status ?? null, workflow };
}

export type JobsQuery = {
  readonly statuses: ReadonlySet<JobStatus>;
  readonly workflow_id: string | null;
  readonly sort_by: "created_at" | "execution_duration";
  readonly sort_order: "asc" | "desc";
  /** null: all. */
  readonly limit: number | null;
  readonly offset: number;
};

export type Refused = { readonly ok: false; readonly status: 400; readonly body: { readonly error: string; readonly invalid_ids?: readonly string[] } };

const refused = (error: string): Refused => ({ ok: false, status: 400, body: { error } });

function isJobStatus(name: string): name is JobStatus {
  return (JOB_STATUSES as readonly string[]).includes(name);
}

function integer(text: string): number | undefined {
  try {
    return Number(toInt(text));
  } catch (error) {
    if (error instanceof PythonError) return undefined;
    throw error;
  }
}

/** Reads the query of `GET /jobs`; unknown parameters are ignored. Checks and texts in ComfyUI's order. */
export function parseJobsQuery(query: { get(name: string): string | null }): { readonly ok: true; readonly query: JobsQuery } | Refused {
  const asked = query.get("status") ?? "";
  const names = asked.split(",").map((name) => name.trim().toLowerCase()).filter((name) => name !== "");
  const wrong = names.filter((name) => !isJobStatus(name));
  if (wrong.length > 0) return refused(`Invalid status value(s): ${wrong.join(", ")}. Valid values: ${JOB_STATUSES.join(", ")}`);
  const sortBy = (query.get("sort_by") ?? "created_at").toLowerCase();
  if (sortBy !== "created_at" && sortBy !== "execution_duration") return refused("sort_by must be 'created_at' or 'execution_duration'");
  const sortOrder = (query.get("sort_order") ?? "desc").toLowerCase();
  if (sortOrder !== "asc" && sortOrder !== "desc") return refused("sort_order must be 'asc' or 'desc'");
  const limitText = query.get("limit");
  const limit = limitText === null ? null : integer(limitText);
  if (limit === undefined) return refused("limit must be an integer");
  if (limit !== null && limit <= 0) return refused("limit must be a positive integer");
  const offset = integer(query.get("offset") ?? "0");
  if (offset === undefined) return refused("offset must be an integer");
  const statuses: ReadonlySet<JobStatus> = new Set(asked === "" ? JOB_STATUSES : names.filter(isJobStatus));
  return { ok: true, query: { statuses, workflow_id: query.get("workflow_id"), sort_by: sortBy, sort_order: sortOrder, limit, offset: Math.max(0, offset) } };
}

function sortKey(record: JobRecord, by: JobsQuery["sort_by"]): number {
  if (by === "created_at") return record.create_time;
  return !isLive(record) && record.start && record.end ? record.end - record.start : 0;
}

/** ComfyUI lists running jobs, then waiting ones, then history; what sorts equal stays in that order. */
function inComfyOrder(records: readonly JobRecord[]): JobRecord[] {
  const of = (...statuses: JobRecord["status"][]): JobRecord[] => records.filter((record) => statuses.includes(record.status));
  return [...of("running"), ...of("waiting"), ...of("success", "error", "interrupted")];
}

export type JobsPage = {
  readonly jobs: readonly JsonObject[];
  readonly pagination: { readonly offset: number; readonly limit: number | null; readonly total: number; readonly has_more: boolean };
};

/** `GET /jobs`: filtered, sorted, cut to a page. Only the jobs of the page are translated, so long histories stay cheap. */
export function listJobs(records: readonly JobRecord[], query: JobsQuery): JobsPage {
  const { statuses, workflow_id: workflow, limit, offset } = query;
  const matching = inComfyOrder(records).filter((record) => statuses.has(STATUS_OF[record.status]) && (!workflow || record.workflow_id === workflow));
  const direction = query.sort_order === "asc" ? 1 : -1;
  matching.sort((a, b) => direction * (sortKey(a, query.sort_by) - sortKey(b, query.sort_by)));
  const page = matching.slice(offset, limit === null ? undefined : offset + limit);
  return jobsPage(page.map(jobOf), query, matching.length);
}

/** The answer for jobs that were filtered, sorted and cut elsewhere (in SQL); `total` counts all that match. */
export function jobsPage(jobs: readonly JsonObject[], { limit, offset }: Pick<JobsQuery, "limit" | "offset">, total: number): JobsPage {
  return { jobs, pagination: { offset, limit, total, has_more: offset + jobs.length < total } };
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** The body of `POST /jobs/cancel`; `undefined` stands for a body that is not JSON. */
export function parseCancelJobs(body: Json | undefined): { readonly ok: true; readonly ids: readonly string[] } | Refused {
  if (body === undefined) return refused("Request body must be valid JSON");
  const ids = isObject(body) ? body["job_ids"] : undefined;
  if (!Array.isArray(ids)) return refused("job_ids must be a list");
  const list = ids as readonly Json[];
  const wrong = list.filter((id) => typeof id !== "string" || !UUID.test(id)).map((id) => (typeof id === "string" ? id : repr(id)));
  if (wrong.length > 0) return { ok: false, status: 400, body: { error: "job_ids contains invalid id(s)", invalid_ids: wrong } };
  return { ok: true, ids: list as readonly string[] };
}
