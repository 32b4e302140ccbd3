// ComfyUI's public HTTP protocol, as much of it as a runner needs. Answers are parsed here; whoever calls sees plain values or a ComfyError.
import { z } from "zod";
import type { FileName } from "../contract.ts";
import { parseJson, stringifyJson } from "../json.ts";
import { sleep } from "./log.ts";

/** ComfyUI answered with something else than success, or not at all (`status` 0). */
export class ComfyError extends Error {
  readonly status: number;
  readonly body: string;
  constructor(message: string, status: number, body: string, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
    this.body = body;
  }
}

const json = z.record(z.string(), z.unknown());
const historyEntry = z.object({
  outputs: z.record(z.string(), z.unknown()).default({}),
  status: z.object({ status_str: z.string(), completed: z.boolean(), messages: z.array(z.tuple([z.string(), json])).default([]) }).nullish(),
  meta: json.default({}),
});
export type HistoryEntry = z.infer<typeof historyEntry>;
const queueAnswer = z.object({ queue_running: z.array(z.array(z.unknown())), queue_pending: z.array(z.array(z.unknown())) });
const device = z.object({ name: z.string().default(""), vram_total: z.number().default(0), vram_free: z.number().default(0) });
const systemStats = z.object({ system: z.looseObject({ comfyui_version: z.string().optional() }), devices: z.array(device).default([]) });
export type SystemStats = z.infer<typeof systemStats>;
const uploaded = z.object({ name: z.string() });

export type PromptBody = { prompt: object; prompt_id: string; client_id: string; extra_data: object; partial_execution_targets?: string[] };
/** Accepted, or ComfyUI's refusal. */
export type PromptAnswer = { accepted: true } | { accepted: false; body: Record<string, unknown> };

/** A call that ComfyUI answers from memory has this long (ms); a busy Python interpreter can hold it for seconds. */
const QUICK_MS = 20_000;
/** Node definitions list model folders, on a network disk that takes minutes the first time (ms). */
const SLOW_MS = 300_000;

export class Comfy {
  readonly base: string;

  /** `base` without a trailing slash, e.g. `http://127.0.0.1:8188`. */
  constructor(base: string) {
    this.base = base.replace(/\/+$/, "");
  }

  socketUrl(clientId: string): string {
    return `${this.base.replace(/^http/, "ws")}/ws?clientId=${encodeURIComponent(clientId)}`;
  }

  /** Any GET; throws ComfyError when the answer is not 2xx. */
  async get(path: string, timeoutMs = QUICK_MS): Promise<Response> {
    return this.#call(path, { signal: AbortSignal.timeout(timeoutMs) });
  }

  /** Text of a GET; throws ComfyError when the answer is not 2xx. */
  async text(path: string, timeoutMs = SLOW_MS): Promise<string> {
    return await (await this.get(path, timeoutMs)).text();
  }

  /** JSON of a GET, or `fallback` when this ComfyUI has no such route. */
  async json(path: string, fallback?: unknown, timeoutMs = SLOW_MS): Promise<unknown> {
    try {
      return parseJson(await (await this.get(path, timeoutMs)).text());
    } catch (error) {
      if (fallback !== undefined && error instanceof ComfyError && error.status >= 400) return fallback;
      throw error;
    }
  }

  async systemStats(timeoutMs = QUICK_MS): Promise<SystemStats> {
    return systemStats.parse(await this.json("/system_stats", undefined, timeoutMs));
  }

  async prompt(body: PromptBody): Promise<PromptAnswer> {
    const answer = await this.#raw("/prompt", { method: "POST", headers: { "Content-Type": "application/json" }, body: stringifyJson(body), signal: AbortSignal.timeout(120_000) });
    const text = await answer.text();
    if (answer.ok) return { accepted: true };
    const parsed = json.safeParse(safeJson(text));
    if (answer.status === 400 && parsed.success) return { accepted: false, body: parsed.data };
    throw new ComfyError(`ComfyUI answered ${answer.status} to POST /prompt`, answer.status, text.slice(0, 2_000));
  }

  /** null while it waits or runs, or when ComfyUI does not know it. */
  async history(promptId: string): Promise<HistoryEntry | null> {
    const all = json.parse(await this.json(`/history/${encodeURIComponent(promptId)}`));
    const entry = all[promptId];
    return entry === undefined ? null : historyEntry.parse(entry);
  }

  /** Where ComfyUI has this prompt now. */
  async place(promptId: string): Promise<"running" | "pending" | "none"> {
    const queue = queueAnswer.parse(await this.json("/queue", undefined, QUICK_MS));
    const has = (items: unknown[][]): boolean => items.some((item) => item[1] === promptId);
    return has(queue.queue_running) ? "running" : has(queue.queue_pending) ? "pending" : "none";
  }

  /** Ids of all prompts that wait or run and have `mark` somewhere in their graph. */
  async marked(mark: string): Promise<string[]> {
    const { queue_running, queue_pending } = queueAnswer.parse(await this.json("/queue", undefined, QUICK_MS));
    return [...queue_pending, ...queue_running].flatMap(([, id, graph]) => (typeof id === "string" && stringifyJson(graph).includes(mark) ? [id] : []));
  }

  /** Stops this prompt and no other: out of ComfyUI's queue if it waits, interrupted if it runs. */
  async stop(promptId: string): Promise<void> {
    const post = (path: string, body: object): Promise<Response> => this.#call(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal: AbortSignal.timeout(QUICK_MS) });
    await (await post("/queue", { delete: [promptId] })).arrayBuffer();
    await (await post("/interrupt", { prompt_id: promptId })).arrayBuffer();
  }

  /** Makes ComfyUI know nothing of this prompt id: stopped wherever it is, and out of its history. Waits for a running one to end, at most 10 s. */
  async forget(promptId: string): Promise<void> {
    for (let tries = 0; (await this.place(promptId)) !== "none" && tries < 40; tries++) {
      if (tries % 8 === 0) await this.stop(promptId);
      await sleep(250);
    }
    await (await this.#call("/history", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ delete: [promptId] }), signal: AbortSignal.timeout(QUICK_MS) })).arrayBuffer();
  }

  /** Empties the cache of node outputs. ComfyUI unloads its models with it, asked or not (main.py: `flags.get("unload_models", free_memory)`). */
  async free(unloadModels: boolean): Promise<void> {
    const body = JSON.stringify({ unload_models: unloadModels, free_memory: true });
    await (await this.#call("/free", { method: "POST", headers: { "Content-Type": "application/json" }, body, signal: AbortSignal.timeout(QUICK_MS) })).arrayBuffer();
  }

  /** Puts one file into ComfyUI's input folder under exactly this name; throws when it was stored under another. */
  async uploadInput(name: string, content: Blob, subfolder = ""): Promise<void> {
    const form = new FormData();
    form.append("image", content, name);
    form.append("type", "input");
    if (subfolder !== "") form.append("subfolder", subfolder);
    form.append("overwrite", "true");
    const answer = await this.#call("/upload/image", { method: "POST", body: form, signal: AbortSignal.timeout(SLOW_MS) });
    const stored = uploaded.parse(await answer.json()).name;
    if (stored !== name) throw new ComfyError(`ComfyUI stored the input "${name}" as "${stored}"`, 200, "");
  }

  /** The bytes of a file ComfyUI wrote. */
  async view(file: FileName, method: "GET" | "HEAD", signal: AbortSignal): Promise<Response> {
    const query = new URLSearchParams({ filename: file.filename, subfolder: file.subfolder, type: file.type });
    return this.#call(`/view?${query}`, { method, signal, headers: { "Accept-Encoding": "identity" } });
  }

  /** When a file was last written (ms on ComfyUI's clock, at the earliest it can have been), or null when it is not there or ComfyUI does not say. */
  async writtenAt(file: FileName, signal: AbortSignal): Promise<number | null> {
    const answer = await this.view(file, "HEAD", signal).catch(() => null);
    if (answer === null) return null;
    const seconds = Date.parse(answer.headers.get("Last-Modified") ?? "");
    // aiohttp's ETag is the time in ns and the size, both in hex; the date alone has whole seconds.
    const nanoseconds = /^"([0-9a-f]{13,17})-[0-9a-f]+"$/.exec(answer.headers.get("ETag") ?? "")?.[1];
    const exact = nanoseconds === undefined ? Number.NaN : Number(BigInt(`0x${nanoseconds}`) / 1_000_000n);
    return Math.floor(exact / 1000) * 1000 === seconds ? exact : Number.isNaN(seconds) ? null : seconds;
  }

  async #raw(path: string, init: RequestInit): Promise<Response> {
    try {
      return await fetch(this.base + path, init);
    } catch (error) {
      throw new ComfyError(`ComfyUI at ${this.base} does not answer`, 0, "", { cause: error });
    }
  }

  async #call(path: string, init: RequestInit): Promise<Response> {
    const answer = await this.#raw(path, init);
    if (answer.ok) return answer;
    const body = await answer.text().catch(() => "");
    throw new ComfyError(`ComfyUI answered ${answer.status} to ${init.method ?? "GET"} ${path.split("?")[0]}`, answer.status, body.slice(0, 2_000));
  }
}

function safeJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
