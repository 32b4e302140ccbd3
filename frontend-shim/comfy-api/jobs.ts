// `/api/jobs` of ComfyUI 0.38, which frontends after 1.37 read instead of queue and history. The object sorts, counts and cuts; jobs-view.ts has the words.
import { parseJson } from "./validation/index.ts";
import type { Json, JsonObject } from "./validation/index.ts";
import { isObject, stringifyJson } from "./catalog/json.ts";
import type { CancelAnswer, JobRow, JobState } from "../../durable-objects/contract.ts";
import { MAX_BODY_BYTES, readBytes, seatRouter, segment } from "./context.ts";
import { json, jsonText, tooLarge, validated } from "./answers.ts";
import { jobDetail, jobOf, jobsPage, parseCancelJobs, parseJobsQuery } from "./jobs-view.ts";
import type { JobRecord, JobStatus } from "./jobs-view.ts";
import { storedTexts } from "./prompt-texts.ts";
import { ifNoneMatch } from "./queue.ts";

export const jobRoutes = seatRouter();

/** Declared with /api in ComfyUI, so there they also answer doubled, and never bare. */
function jobPaths(path: string): string[] {
  return [`/api${path}`, `/api/api${path}`];
}

const STATES: { readonly [status in JobStatus]: JobState[] } = {
  pending: ["waiting", "dispatched"],
  in_progress: ["running", "stopping"],
  completed: ["succeeded"],
  failed: ["failed"],
  cancelled: ["cancelled"],
};
const STATUS: { readonly [state in JobState]: JobRecord["status"] } = {
  waiting: "waiting", dispatched: "waiting", running: "running", stopping: "running", succeeded: "success", failed: "error", cancelled: "interrupted",
};

jobRoutes.on("GET", jobPaths("/jobs"), async (c) => {
  const parsed = parseJobsQuery(new URL(c.req.url).searchParams);
  if (!parsed.ok) return json(parsed.body, parsed.status);
  const { statuses, workflow_id, sort_by, sort_order, limit, offset } = parsed.query;
  const states = [...statuses].flatMap((status) => STATES[status]);
  // An empty id filters nothing, as in ComfyUI.
  const query = { states, workflow_id: workflow_id || null, sort_by, descending: sort_order === "desc", limit, offset };
  const first = await c.env.seat.rpc.jobs(c.env.seat.seat, query, ifNoneMatch(c));
  if (first.rows === null) return validated(null, first.etag);
  const jobs = first.rows.map((row) => jobOf(recordOf(row)));
  // A listing without a limit comes in several calls; each row is cut down to what the list shows as it comes.
  while (jobs.length < (limit ?? Number.MAX_SAFE_INTEGER) && offset + jobs.length < first.total) {
    const { rows } = await c.env.seat.rpc.jobs(c.env.seat.seat, { ...query, offset: offset + jobs.length, limit: limit === null ? null : limit - jobs.length }, null);
    if (rows === null || rows.length === 0) break;
    jobs.push(...rows.map((row) => jobOf(recordOf(row))));
  }
  return validated(stringifyJson(jobsPage(jobs, parsed.query, first.total)), first.etag);
});

jobRoutes.on("GET", jobPaths("/jobs/:job"), async (c) => {
  const detail = await c.env.seat.rpc.jobDetail(c.env.seat.seat, segment(c, "job"));
  if (detail === null) return json({ error: "Job not found" }, 404);
  const texts = await storedTexts(c.env.seat, detail);
  const status = detail.status_json === null ? null : parseJson(detail.status_json);
  return jsonText(stringifyJson(jobDetail({ ...recordOf(detail), execution_status: isObject(status) ? status : null, prompt: parseJson(texts.prompt), extra_data: parseJson(texts.extra_data) })));
});

jobRoutes.on("POST", jobPaths("/jobs/cancel"), async (c) => {
  const bytes = await readBytes(c.req.raw, MAX_BODY_BYTES);
  if (bytes === null) return tooLarge();
  const parsed = parseCancelJobs(parsedBody(bytes));
  if (!parsed.ok) return json(parsed.body, parsed.status);
  const answers = parsed.ids.length === 0 ? [] : await c.env.seat.rpc.cancel(c.env.seat.seat, [...parsed.ids]);
  return json({ cancelled: answers.some(isCancelled) });
});

jobRoutes.on("POST", jobPaths("/jobs/:job/cancel"), async (c) => {
  const answers = await c.env.seat.rpc.cancel(c.env.seat.seat, [segment(c, "job")]);
  return json({ cancelled: answers.some(isCancelled) });
});

function isCancelled(answer: CancelAnswer): boolean {
  return answer === "removed_waiting" || answer === "stopping";
}

function parsedBody(bytes: Uint8Array): Json | undefined {
  try {
    return parseJson(new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(bytes));
  } catch {
    return undefined;
  }
}

function recordOf(row: JobRow): JobRecord {
  return {
    id: row.job, number: row.number, status: STATUS[row.state], create_time: row.created, start: row.started, end: row.ended,
    outputs: objectOf(row.outputs_json), error: row.error_json === null ? null : errorOf(parseJson(row.error_json)), workflow_id: row.workflow_id,
    queue: row.queue_json === undefined ? null : objectOf(row.queue_json),
  };
}

/** The data of an `execution_error`, also when it is kept as the whole message `[name, data]`. */
function errorOf(value: Json): JsonObject | null {
  const data = Array.isArray(value) ? (value as readonly Json[])[1] : value;
  return isObject(data) ? data : null;
}

function objectOf(text: string): JsonObject {
  const value = parseJson(text);
  return isObject(value) ? value : {};
}
