// The `/jobs` of ComfyUI 0.38, held against the answers in the recordings.
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Json, JsonObject } from "../../frontend-shim/comfy-api/catalog/index.ts";
import { jobDetail, type JobRecord, listJobs, parseCancelJobs, parseJobsQuery } from "../../frontend-shim/comfy-api/jobs-view.ts";
import { summariseOutputs } from "../../frontend-shim/comfy-api/jobs-preview.ts";

const folder = new URL("../recordings/", import.meta.url);

type Entry = { prompt: [number, string, Json, JsonObject, Json]; outputs: JsonObject; status: { status_str: string; messages: [string, JsonObject][] } };
type Event = { dir: string; method?: string; path?: string; status?: number; response_json?: JsonObject; request_body?: Json };

function recordOf(id: string, entry: Entry, createTime: number): JobRecord {
  const [number, , prompt, extraData] = entry.prompt;
  const time = (name: RegExp): number | null => (entry.status.messages.find(([message]) => name.test(message))?.[1]["timestamp"] as number | undefined) ?? null;
  const error = entry.status.messages.find(([message]) => message === "execution_error")?.[1] ?? null;
  const interrupted = entry.status.messages.some(([message]) => message === "execution_interrupted");
  const workflow = (extraData["extra_pnginfo"] as { workflow?: { id?: string } } | undefined)?.workflow?.id ?? null;
  return {
    id, number, prompt, extra_data: extraData, workflow_id: workflow, outputs: entry.outputs, error, create_time: createTime,
    status: entry.status.status_str === "success" ? "success" : interrupted ? "interrupted" : "error",
    start: time(/^execution_start$/), end: time(/^execution_(?:success|error|interrupted)$/), execution_status: entry.status as unknown as JsonObject,
  };
}

/** Ended jobs whose detail and history entry were both recorded. */
function recordedPairs(): { file: string; id: string; entry: Entry; detail: JsonObject }[] {
  const pairs = [];
  for (const file of readdirSync(folder).filter((name) => name.endsWith(".json"))) {
    const { events = [] } = JSON.parse(readFileSync(new URL(file, folder), "utf8")) as { events?: Event[] };
    const http = events.filter((event) => event.dir === "http" && event.method === "GET" && event.status === 200);
    for (const event of http) {
      const id = /^\/api\/jobs\/([0-9a-f-]{36})$/.exec(event.path ?? "")?.[1];
      const entry = http.map((other) => other.response_json?.[id ?? ""]).find((found) => found !== undefined);
      if (id !== undefined && entry !== undefined && event.response_json?.["execution_status"] !== undefined) {
        pairs.push({ file, id, entry: entry as unknown as Entry, detail: event.response_json });
      }
    }
  }
  return pairs;
}

const job = (id: string, more: Partial<JobRecord> = {}): JobRecord => ({ id, number: 1, status: "success", create_time: 1000, ...more });
const ask = (text: string): ReturnType<typeof parseJobsQuery> => parseJobsQuery(new URLSearchParams(text));
function list(records: readonly JobRecord[], text: string): ReturnType<typeof listJobs> {
  const parsed = ask(text);
  if (!parsed.ok) throw new Error(parsed.body.error);
  return listJobs(records, parsed.query);
}
const error = (text: string): string | undefined => {
  const parsed = ask(text);
  return parsed.ok ? undefined : parsed.body.error;
};
const ids = (records: readonly JobRecord[], text: string): unknown[] => list(records, text).jobs.map((entry) => entry["id"]);

describe("a job's detail", () => {
  const pairs = recordedPairs();
  test("there are recorded ones: succeeded, failed, interrupted", () => {
    expect(new Set(pairs.map((pair) => pair.detail["status"]))).toEqual(new Set(["completed", "failed", "cancelled"]));
  });
  test.each(pairs)("$file: $id reads as recorded", ({ id, entry, detail }) => {
    expect(jobDetail(recordOf(id, entry, detail["create_time"] as number))).toEqual(detail);
  });
  test("a waiting or running one has its graph and no outputs", () => {
    const detail = jobDetail(job("a", { status: "running", start: 5, prompt: { 1: {} }, extra_data: {} }));
    expect(detail).toEqual({ id: "a", status: "in_progress", priority: 1, create_time: 1000, outputs_count: 0, previewable_outputs_count: 0, workflow: { prompt: { 1: {} }, extra_data: {} } });
  });
});

describe("the list", () => {
  const records = [
    job("old", { create_time: 1, start: 10, end: 20 }),
    job("bad", { create_time: 2, status: "error", start: 10, end: 99, error: { exception_type: "ValueError" } }),
    job("stopped", { create_time: 3, status: "interrupted", start: 10, end: 15 }),
    job("waiting", { create_time: 4, status: "waiting" }),
    job("running", { create_time: 4, status: "running", workflow_id: "w" }),
  ];
  test("is newest first, and running before waiting where times are equal", () => {
    expect(ids(records, "")).toEqual(["running", "waiting", "stopped", "bad", "old"]);
    expect(ids(records, "sort_order=asc")).toEqual(["old", "bad", "stopped", "running", "waiting"]);
  });
  test("is filtered by status and workflow", () => {
    expect(ids(records, "status=in_progress,pending&limit=200&offset=0")).toEqual(["running", "waiting"]);
    expect(ids(records, "status=%20Failed%20,cancelled")).toEqual(["stopped", "bad"]);
    expect(ids(records, "workflow_id=w")).toEqual(["running"]);
    expect(ids(records, "status=,")).toEqual([]);
  });
  test("is sorted by duration on request", () => {
    expect(ids(records, "sort_by=execution_duration&status=completed,failed,cancelled")).toEqual(["bad", "old", "stopped"]);
  });
  test("comes in pages, and a negative offset is the beginning", () => {
    const page = list(records, "limit=2&offset=2");
    expect(page.jobs.map((entry) => entry["id"])).toEqual(["stopped", "bad"]);
    expect(page.pagination).toEqual({ offset: 2, limit: 2, total: 5, has_more: true });
    expect(list(records, "offset=-3").pagination).toEqual({ offset: 0, limit: null, total: 5, has_more: false });
  });
  test("says what is wrong with a query in ComfyUI's words", () => {
    expect(error("status=bad,worse,failed")).toBe("Invalid status value(s): bad, worse. Valid values: pending, in_progress, completed, failed, cancelled");
    expect(error("limit=0")).toBe("limit must be a positive integer");
    expect(error("limit=x")).toBe("limit must be an integer");
    expect(error("limit=")).toBe("limit must be an integer");
    expect(error("offset=1.5")).toBe("offset must be an integer");
    expect(error("sort_by=x")).toBe("sort_by must be 'created_at' or 'execution_duration'");
    expect(error("sort_order=x")).toBe("sort_order must be 'asc' or 'desc'");
    expect(error("limit=5&offset=1&clientId=abc&sort_order=DESC")).toBeUndefined();
  });
  test("an error belongs to failed jobs only, and unknown members are left out", () => {
    const [bad] = list(records, "status=failed").jobs;
    expect(bad).toEqual({ id: "bad", status: "failed", priority: 1, create_time: 2, execution_start_time: 10, execution_end_time: 99, execution_error: { exception_type: "ValueError" }, outputs_count: 0, previewable_outputs_count: 0 });
  });
});

describe("the preview", () => {
  const saved = { filename: "a.png", subfolder: "", type: "output" };
  const temp = { filename: "t.png", subfolder: "", type: "temp" };
  test("is a saved picture before an unsaved one, a text file or a text, whatever came first", () => {
    const outputs = { 1: { text: ["hello"] }, 2: { files: [{ filename: "n.txt", subfolder: "", type: "output" }] }, 3: { images: [temp] }, 4: { images: [saved], animated: [false] } };
    expect(summariseOutputs(outputs)).toEqual({ count: 3, previewable: 3, preview: { ...saved, nodeId: "4", mediaType: "images" } });
    expect(summariseOutputs({ 1: outputs[1], 2: outputs[2], 3: outputs[3] }).preview).toEqual({ ...temp, nodeId: "3", mediaType: "images" });
    expect(summariseOutputs({ 1: outputs[1], 2: outputs[2] }).preview).toMatchObject({ filename: "n.txt", mediaType: "files" });
    expect(summariseOutputs({ 1: outputs[1] })).toEqual({ count: 0, previewable: 0, preview: { content: "hello", nodeId: "1", mediaType: "text" } });
  });
  test("a long text is cut at 1024 characters and says so", () => {
    expect(summariseOutputs({ 1: { text: ["x".repeat(2000)] } }).preview).toEqual({ content: "x".repeat(1024), truncated: true, nodeId: "1", mediaType: "text" });
  });
  test("files of unknown keys count, and are shown when their format or ending says how", () => {
    const latent = { filename: "a.latent", subfolder: "", type: "output" };
    const film = { filename: "a.mp4", subfolder: "", type: "output", format: "video/h264-mp4" };
    expect(summariseOutputs({ 1: { latents: [latent] } })).toEqual({ count: 1, previewable: 0, preview: undefined });
    expect(summariseOutputs({ 1: { gifs: [film] } })).toEqual({ count: 1, previewable: 1, preview: { ...film, nodeId: "1", mediaType: "gifs" } });
  });
  test("a bare name of a 3-D model is a file", () => {
    expect(summariseOutputs({ 1: { result: ["mesh/a.GLB", null, "words"] } })).toEqual({ count: 1, previewable: 1, preview: { filename: "mesh/a.GLB", type: "output", subfolder: "", mediaType: "3d", nodeId: "1" } });
    expect(jobDetail(job("a", { outputs: { 1: { result: ["a.glb", null, "words"], animated: [true] } } }))["outputs"]).toEqual({ 1: { result: [{ filename: "a.glb", type: "output", subfolder: "", mediaType: "3d" }, "words"], animated: [true] } });
  });
});

describe("cancelling several", () => {
  test("takes a list of UUIDs and nothing else", () => {
    const id = "72037753-6862-4de1-8d89-a35413ca3a26";
    expect(parseCancelJobs({ job_ids: [id] })).toEqual({ ok: true, ids: [id] });
    expect(parseCancelJobs({ job_ids: [] })).toEqual({ ok: true, ids: [] });
    expect(parseCancelJobs(undefined)).toMatchObject({ body: { error: "Request body must be valid JSON" } });
    expect(parseCancelJobs({})).toMatchObject({ body: { error: "job_ids must be a list" } });
    expect(parseCancelJobs({ job_ids: [id, "x", { a: null }, id.toUpperCase()] })).toMatchObject({ body: { error: "job_ids contains invalid id(s)", invalid_ids: ["x", "{'a': None}", id.toUpperCase()] } });
  });
});
