// The sandbox against recordings of a real ComfyUI 0.3.64: the same requests, the same answers, the same messages in the same order.

import { readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { type Sandbox, startSandbox } from "../../gpu-adapter/sandbox/sandbox.ts";
import { FileNames, type Told, normal, streams, withoutSteps } from "./sandbox-compare.ts";
import { type Exchange, type Frame, type RecordedEvent, Replay, type Replayed, recording } from "./sandbox-replay.ts";

const running: { sandbox: Sandbox; dir: string }[] = [];

async function freshSandbox(): Promise<{ url: string; dir: string }> {
  const dir = await mkdtemp(join(tmpdir(), "sandbox-"));
  const sandbox = await startSandbox({ port: 0, dir, stepMs: 0 });
  running.push({ sandbox, dir });
  return { url: sandbox.url, dir };
}

afterEach(async () => {
  for (const { sandbox, dir } of running.splice(0)) {
    await sandbox.close();
    await rm(dir, { recursive: true, force: true });
  }
});

/** The recorder had been busy before: refused posts bring our counter to where the recording starts. */
async function advanceCounter(url: string, events: readonly RecordedEvent[]): Promise<void> {
  const first = events.find((event) => typeof (event.response_json as { number?: unknown } | undefined)?.number === "number");
  const start = (first?.response_json as { number?: number } | undefined)?.number ?? 0;
  const refusedBefore = events.indexOf(first ?? events[0]!) < 0 ? 0 : events.slice(0, events.indexOf(first!)).filter((event) => event.method === "POST" && event.path?.endsWith("/prompt") && !isUnread(event)).length;
  for (let i = 0; i < start - refusedBefore; i++) await fetch(`${url}/prompt`, { method: "POST", body: "{}" });
}

/** A body that is no JSON never reaches the counter. */
function isUnread(event: RecordedEvent): boolean {
  return event.request_body === "not json";
}

/** Jobs are the seat's to serve; a page of the history holds what ran before the recording began. */
const isServedElsewhere = (event: RecordedEvent): boolean => /^\/api\/(?:jobs|history\?max_items=\d)/.test(event.path ?? "");

/** The recorder wrote down all three requests of run-cached as the last one was: the first two still said "rec/edge". */
function asSent(name: string, events: RecordedEvent[]): RecordedEvent[] {
  const third = events.findIndex((event) => event.text?.startsWith("third run") === true);
  if (name !== "run-cached") return events;
  return events.map((event, at) => (at < third && event.method === "POST" ? { ...event, request_body: JSON.parse(JSON.stringify(event.request_body).replace("rec/changed", "rec/edge")) as unknown } : event));
}

async function replay(name: string): Promise<Replayed> {
  const { url } = await freshSandbox();
  const events = asSent(name, recording(name));
  await advanceCounter(url, events);
  return new Replay(url).play(events, (event) => !isServedElsewhere(event));
}

function expectSameAnswer({ recorded, status, headers, body, note }: Exchange, files: { theirs: FileNames; ours: FileNames }): void {
  const label = `${note}: ${recorded.method} ${recorded.path}`;
  expect(status, label).toBe(recorded.status);
  expect(headers.get("content-type"), label).toBe(recorded.response_headers?.["content-type"] ?? null);
  if (recorded.response_json !== undefined && typeof recorded.response_json === "object") {
    expect(normal(JSON.parse(body.toString()), files.ours), label).toEqual(normal(recorded.response_json, files.theirs));
  } else if (recorded.response_text !== undefined) expect(body.toString(), label).toBe(recorded.response_text);
  else if (headers.get("content-type") === "image/png") expect(body.subarray(0, 25).toString("latin1"), label).toBe(Buffer.from(recorded.response_head_hex ?? "", "hex").subarray(0, 25).toString("latin1"));
}

function expectSameAnswers({ exchanges }: Replayed): void {
  const files = { theirs: new FileNames(), ours: new FileNames() };
  expect(exchanges.length).toBeGreaterThan(0);
  for (const exchange of exchanges) expectSameAnswer(exchange, files);
}

function expectSameFrames({ recorded, received }: Replayed, collapse: boolean): void {
  for (const [socket, frames] of recorded) {
    const theirs = streams(frames);
    const ours = streams(received.get(socket) ?? []);
    const view = collapse ? withoutSteps : <T>(all: T): T => all;
    expect(view(ours.run), `run messages of socket ${socket}`).toEqual(view(theirs.run));
    // With prompts posted while others start, the lengths told in between depend on who was quicker; how often, and the last, do not.
    const lengths = collapse ? (all: Told[]): unknown[] => [all.length, all.at(-1)] : (all: Told[]): unknown[] => all;
    expect(lengths(ours.status), `status messages of socket ${socket}`).toEqual(lengths(theirs.status));
  }
}

describe("a run, told message by message", () => {
  test.each(["run-success", "run-cached", "run-legacy-preview", "partial-execution"])("%s: same answers, same messages in the same order", async (name) => {
    const result = await replay(name);
    expectSameAnswers(result);
    expectSameFrames(result, false);
  });

  test.each(["run-interrupt", "queue-delete"])("%s: the same, however many steps fell in between", async (name) => {
    const result = await replay(name);
    expectSameAnswers(result);
    expectSameFrames(result, true);
  });

  test("run-error: a raising node and one out of memory end as recorded, blocked outputs are not the sandbox's", async () => {
    const { url } = await freshSandbox();
    const events = recording("run-error");
    const end = events.findIndex((event) => event.text === "blocked with message");
    await advanceCounter(url, events);
    const result = await new Replay(url).play(events.slice(0, end), (event) => !isServedElsewhere(event));
    expectSameAnswers(result);
    expectSameFrames(result, false);
  });

  test("reconnect: a socket that comes back hears which node runs, and a run without a client is told to all", async () => {
    const { url } = await freshSandbox();
    const events = recording("reconnect");
    const takeover = events.findIndex((event) => event.text?.startsWith("a third socket") === true);
    const noClient = events.findIndex((event) => event.text?.startsWith("a prompt without client_id") === true);
    await advanceCounter(url, events);
    const first = await new Replay(url).play(events.slice(0, takeover));
    expectSameFrames({ ...first, recorded: new Map([...first.recorded].filter(([socket]) => socket !== "observer")) }, true);
    const opening = events.filter((event) => event.socket === "observer").slice(0, 4);
    const second = await new Replay(url).play([...opening, ...events.slice(noClient)].filter((event) => (event.socket ?? "observer") === "observer"), (event) => event.method === "POST");
    expectSameFrames(second, false);
  });

  test("ws-handshake: status first, feature flags only to a first JSON message, /api/ws too", async () => {
    const { url } = await freshSandbox();
    const events = recording("ws-handshake");
    const result = await new Replay(url).play(events);
    expectSameAnswers(result);
    for (const socket of ["none", "second", "api"]) {
      expect(result.received.get(socket)?.map(typeOf)).toEqual(result.recorded.get(socket)?.map(typeOf));
    }
  });
});

describe("POST /prompt refuses as recorded", () => {
  test("validation-errors: type, message, details and extra_info of every refusal", async () => {
    const { url, dir } = await freshSandbox();
    const checkpoints = join(dir, "models", "checkpoints");
    await rm(join(checkpoints, "sandbox-painter.safetensors"));
    await mkdir(join(checkpoints, "sub"));
    for (const name of ["sd15-fake.safetensors", "sub/sdxl-fake.safetensors"]) await writeFile(join(checkpoints, name), "");
    const events = recording("validation-errors");
    const result = await new Replay(url).play(events);
    const files = { theirs: new FileNames(), ours: new FileNames() };
    expect(result.exchanges.length).toBe(events.filter((event) => event.dir === "http").length - 1); // all but the recorder's own validating node
    for (const exchange of result.exchanges) {
      const { recorded, body } = exchange;
      if (recorded.status !== 200) expectSameAnswer(exchange, files);
      else expect(normal({ ...JSON.parse(body.toString()), number: 0 }, files.ours)).toEqual(normal({ ...(recorded.response_json as object), number: 0 }, files.theirs));
    }
    expectSameFrames(result, false);
  });

  test("dependency-cycle: refused without naming a node", async () => {
    expectSameAnswers(await replay("dependency-cycle"));
  });
});

describe("the other routes", () => {
  test("http-upload-view: uploads, masks, every refusal, ranges, validators, previews and channels", async () => {
    const { url, dir } = await freshSandbox();
    await writeFile(join(dir, "input", "example.png"), Buffer.from("89504e470d0a1a0a0000000d49484452000003000000030008020000001ce397", "hex"));
    const events = recording("http-upload-view").filter((event) => event.path?.includes("object_info") !== true && event.path !== "/internal/files/output");
    const { exchanges } = await new Replay(url).play(events);
    for (const { recorded, status, headers, body, note } of exchanges) {
      const label = `${note}: ${recorded.method} ${recorded.path}`;
      expect(status, label).toBe(recorded.status);
      for (const name of ["content-type", "accept-ranges", "content-disposition", "content-range"]) expect(withoutTotal(headers.get(name)), `${label}: ${name}`).toBe(withoutTotal(recorded.response_headers?.[name] ?? null));
      if (recorded.response_json !== undefined && recorded.path !== "/internal/files/input") expect(JSON.parse(body.toString()), label).toEqual(recorded.response_json);
      if (recorded.path === "/internal/files/input") expect((JSON.parse(body.toString()) as string[]).sort()).toEqual([...(recorded.response_json as string[])].sort());
      if (recorded.response_headers?.["etag"] !== undefined) expect(headers.get("etag"), label).toMatch(/^"[0-9a-f]+-[0-9a-f]+"$/);
      if (headers.get("content-type") === "image/png" && recorded.status === 200 && recorded.method === "GET" && note !== "example.png") {
        expect(body.subarray(0, 26).toString("hex"), label).toBe((recorded.response_head_hex ?? "").slice(0, 52));
      }
    }
    expect(exchanges.length).toBeGreaterThan(60);
  });

  const SAME = new Set([
    "/api", "/api/features", "/api/prompt", "/api/queue", "/api/models", "/api/models/unet", "/api/models/nonsense", "/api/experiment/models/unet", "/api/experiment/models/nonsense",
    "/api/experiment/models/preview/checkpoints/0/sd15-fake.safetensors", "/api/view_metadata/checkpoints?filename=none.safetensors", "/api/view_metadata/checkpoints?filename=x.ckpt",
    "/api/view_metadata/checkpoints", "/api/workflow_templates", "/api/object_info/EmptyImage", "/api/object_info/NoSuch", "/api/internal/logs", "/no/such/path", "/api/no/such", "/object_info/EmptyImage",
    "/queue", "/ws", "/api/free", "/internal/logs/subscribe", "/api/interrupt", "/api/queue/", "/templates/nothing.json",
  ]);

  test("http-misc: answers that do not depend on what is installed are the same", async () => {
    const { url } = await freshSandbox();
    const { exchanges } = await new Replay(url).play(recording("http-misc"), (event, note) => SAME.has(event.path ?? "") && !/Origin|cross origin|free, bad JSON/.test(note));
    expect(exchanges.length).toBeGreaterThan(30);
    expectSameAnswers({ exchanges, recorded: new Map(), received: new Map() });
  });

  test("object_info: classes the real server has too take the same inputs and give the same outputs", async () => {
    const { url } = await freshSandbox();
    const ours = (await (await fetch(`${url}/object_info`)).json()) as Record<string, Record<string, unknown>>;
    const real = JSON.parse(readFileSync(new URL("../recordings/object_info.json", import.meta.url), "utf8")) as Record<string, Record<string, unknown>>;
    const common = Object.keys(ours).filter((name) => name in real);
    expect(common.sort()).toEqual(["CLIPTextEncode", "CheckpointLoaderSimple", "EmptyImage", "EmptyLatentImage", "ImageBlend", "ImageCrop", "ImageInvert", "ImageScale", "ImageScaleBy", "KSampler", "LoadImage", "PreviewImage", "SaveImage", "VAEDecode"]);
    for (const name of common) expect(face(ours[name]!), name).toEqual(face(real[name]!));
  });
});

/** What connects and checks a node: everything but its words and its lists of files. */
function face(info: Record<string, unknown>): unknown {
  const input = JSON.parse(JSON.stringify(info["input"], (key, value: unknown) => (key === "tooltip" ? undefined : key === "image" || key === "ckpt_name" ? (Array.isArray(value) && Array.isArray(value[0]) ? ["list of files"] : value) : value))) as Record<string, Record<string, unknown[]>>;
  for (const group of Object.values(input)) for (const [key, spec] of Object.entries(group)) if (Array.isArray(spec) && spec.length === 2 && Object.keys(spec[1] as object).length === 0) group[key] = [spec[0]];
  return { input, input_order: info["input_order"], output: info["output"], output_is_list: info["output_is_list"], output_name: info["output_name"], output_node: info["output_node"], name: info["name"] };
}

/** The pictures are compressed by another encoder: a range's bytes are the same, the file's length is not. */
function withoutTotal(header: string | null): string | null {
  return header?.startsWith("bytes ") === true ? header.replace(/\/\d+$/, "") : header;
}

function typeOf(frame: Frame): string | undefined {
  return frame.json?.type;
}
