// POST /prompt and everything about the line: queue, history, interrupt, free.

import { randomUUID } from "node:crypto";
import { complaints } from "../graph/complaints.ts";
import { PythonError, str, toFloat, toInt, truthy } from "../graph/python.ts";
import { type NodeErrors, validatePrompt } from "../graph/validate.ts";
import { type Call, type Reply, type Route, empty, json, jsonBody } from "../http.ts";
import { type Json, type JsonObject, type Writable, isObject, toNumber } from "../json.ts";
import type { Server } from "../server.ts";

function writableErrors(nodeErrors: ReadonlyMap<string, NodeErrors>): Map<string, Writable> {
  return new Map([...nodeErrors].map(([id, { errors, dependent_outputs, class_type }]) => [id, { errors, dependent_outputs, class_type }]));
}

/** A prompt as a map: an empty list counts as an empty prompt; anything else that is no object is beyond answering (500, as in ComfyUI). */
function promptOf(value: Json): JsonObject {
  if (isObject(value)) return value;
  if (Array.isArray(value) && value.length === 0) return new Map();
  throw new PythonError("TypeError", "a prompt must be an object of nodes");
}

function targetsOf(value: Json | undefined): string[] | undefined {
  return Array.isArray(value) ? value.map((target) => str(target)) : undefined;
}

/** extra_data as sent, plus when it came and for whom. */
function extraDataOf(body: JsonObject): JsonObject {
  const sent = body.get("extra_data");
  const extra: JsonObject = new Map(isObject(sent) ? sent : []);
  extra.set("create_time", Date.now());
  const clientId = body.get("client_id");
  if (clientId !== undefined) extra.set("client_id", clientId);
  return extra;
}

async function submit(server: Server, call: Call): Promise<Reply> {
  const body = await jsonBody(call);
  const sent = isObject(body) ? body : new Map<string, Json>();
  const given = sent.get("number");
  const number = given === undefined ? server.queue.nextNumber(truthy(sent.get("front"))) : toFloat(given);
  const raw = sent.get("prompt");
  if (raw === undefined) return json({ error: complaints.noPrompt(), node_errors: {} }, 400);
  const prompt = promptOf(raw);
  const id = sent.get("prompt_id");
  const promptId = id === undefined || id === null ? randomUUID() : str(id);
  const verdict = await validatePrompt(prompt, targetsOf(sent.get("partial_execution_targets")), server.folders);
  const nodeErrors = writableErrors(verdict.nodeErrors);
  if (!verdict.ok) {
    server.log.write(`invalid prompt: ${verdict.error.message} ${verdict.error.details}`);
    return json({ error: verdict.error, node_errors: nodeErrors }, 400);
  }
  server.queue.put({ number, promptId, prompt, extraData: extraDataOf(sent), outputs: verdict.outputs });
  return json({ prompt_id: promptId, number, node_errors: nodeErrors });
}

async function changeQueue(server: Server, call: Call): Promise<Reply> {
  const body = await jsonBody(call);
  if (!isObject(body)) return empty();
  if (truthy(body.get("clear"))) server.queue.clear();
  const ids = body.get("delete");
  if (Array.isArray(ids)) for (const id of ids) server.queue.remove(str(id));
  return empty();
}

/** Python's int() on a query parameter; what is no number throws, which becomes 500. */
function integerParam(call: Call, name: string): number | undefined {
  const value = call.url.searchParams.get(name);
  return value === null ? undefined : toNumber(toInt(value));
}

async function changeHistory(server: Server, call: Call): Promise<Reply> {
  const body = await jsonBody(call);
  if (!isObject(body)) return empty();
  if (truthy(body.get("clear"))) server.queue.forget("all");
  const ids = body.get("delete");
  if (Array.isArray(ids)) server.queue.forget(ids);
  return empty();
}

async function interrupt(server: Server, call: Call): Promise<Reply> {
  const body = await jsonBody(call).catch((error: unknown) => {
    if (error instanceof SyntaxError) return new Map<string, Json>(); // no body, or no JSON: stop whatever runs
    throw error;
  });
  if (!isObject(body)) throw new PythonError("AttributeError", "the body must be an object");
  const id = body.get("prompt_id");
  server.queue.interrupt(truthy(id) && id !== undefined ? str(id) : undefined);
  return empty();
}

async function free(server: Server, call: Call): Promise<Reply> {
  const body = await jsonBody(call);
  if (isObject(body) && truthy(body.get("free_memory"))) server.queue.free();
  return empty();
}

export function promptRoutes(server: Server): Route[] {
  const { queue } = server;
  return [
    { method: "GET", path: "/prompt", at: "both", handle: () => json({ exec_info: { queue_remaining: queue.remaining } }) },
    { method: "POST", path: "/prompt", at: "both", handle: (call) => submit(server, call) },
    { method: "GET", path: "/queue", at: "both", handle: () => json(queue.list()) },
    { method: "POST", path: "/queue", at: "both", handle: (call) => changeQueue(server, call) },
    { method: "GET", path: "/history", at: "both", handle: (call) => json(queue.history(integerParam(call, "max_items"), integerParam(call, "offset") ?? -1)) },
    { method: "GET", path: "/history/*", at: "both", handle: (call) => json(queue.historyOf(call.params[0] ?? "")) },
    { method: "POST", path: "/history", at: "both", handle: (call) => changeHistory(server, call) },
    { method: "POST", path: "/interrupt", at: "both", handle: (call) => interrupt(server, call) },
    { method: "POST", path: "/free", at: "both", handle: (call) => free(server, call) },
  ];
}
