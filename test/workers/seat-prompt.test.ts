// POST /prompt through a seat: what is accepted, what is refused in which words, and how it shows in queue, history and jobs.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { MAX_PROMPT_BYTES } from "../../frontend-shim/comfy-api/prompt.ts";
import { contentName } from "../../frontend-shim/comfy-api/validation/index.ts";
import { openSeatOf, openWorkshop, reportCatalog } from "./seat-harness.ts";
import type { Seat } from "./seat-harness.ts";
import objectInfoText from "../recordings/object_info.json?raw";

const objectInfo = JSON.parse(objectInfoText) as Record<string, unknown>;

async function readySeat(): Promise<Seat> {
  const seat = await openSeatOf();
  await reportCatalog(seat.context, { object_info: objectInfo, models: { checkpoints: ["sd15-fake.safetensors"] } }, objectInfoText);
  return seat;
}

function graph(color = 0): Record<string, unknown> {
  return {
    "1": { class_type: "EmptyImage", inputs: { width: 64, height: 64, batch_size: 1, color } },
    "2": { class_type: "SaveImage", inputs: { images: ["1", 0], filename_prefix: "x" } },
  };
}

async function post(seat: Seat, body: unknown, headers: Record<string, string> = {}): Promise<{ status: number; headers: Headers; body: Record<string, never> & { error: { type: string; message: string; extra_info: Record<string, unknown> }; prompt_id: string; number: number; node_errors: object } }> {
  const answer = await seat.get("POST", "/api/prompt", { body: typeof body === "string" ? body : JSON.stringify(body), headers });
  return { status: answer.status, headers: answer.headers, body: await answer.json() };
}

describe("POST /prompt", () => {
  let seat: Seat;
  beforeAll(async () => {
    seat = await readySeat();
  });

  it("queues a good prompt once and shows it in /prompt, /queue and /jobs", async () => {
    const mine = await readySeat();
    const job = crypto.randomUUID();
    const answer = await post(mine, { prompt: graph(), prompt_id: job, client_id: "tab", extra_data: { extra_pnginfo: { workflow: { id: "w-1" } } } });
    expect(answer).toMatchObject({ status: 200, body: { prompt_id: job, node_errors: {} } });
    expect(await (await mine.get("GET", "/prompt")).json()).toEqual({ exec_info: { queue_remaining: 1 } });
    const queue = (await (await mine.get("GET", "/queue")).json()) as { queue_pending: unknown[][]; queue_running: unknown[] };
    expect(queue.queue_running).toEqual([]);
    expect(queue.queue_pending).toEqual([[answer.body.number, job, graph(), expect.objectContaining({ client_id: "tab", create_time: expect.any(Number) as number }), ["2"]]]);
    const jobs = (await (await mine.get("GET", "/api/jobs?status=pending,in_progress&limit=200")).json()) as { jobs: unknown[]; pagination: unknown };
    expect(jobs.jobs).toEqual([{ id: job, status: "pending", priority: answer.body.number, create_time: expect.any(Number) as number, outputs_count: 0, previewable_outputs_count: 0, workflow_id: "w-1", comfyume: expect.objectContaining({ lane: "normal" }) as object }]);
    expect(jobs.pagination).toEqual({ offset: 0, limit: 200, total: 1, has_more: false });
    const detail = (await (await mine.get("GET", `/api/jobs/${job}`)).json()) as { workflow: { prompt: unknown } };
    expect(detail.workflow.prompt).toEqual(graph());
  });

  it("answers 304 while nothing changed, and the new list once it did", async () => {
    const mine = await readySeat();
    for (const path of ["/queue", "/history?max_items=64", "/api/jobs?status=pending"]) {
      const first = await mine.get("GET", path);
      const etag = first.headers.get("etag") ?? "";
      expect((await mine.get("GET", path, { headers: { "if-none-match": etag } })).status).toBe(304);
      expect((await mine.get("GET", path, { headers: { "if-none-match": `W/${etag}` } })).status).toBe(304);
    }
    const etag = (await mine.get("GET", "/queue")).headers.get("etag") ?? "";
    await post(mine, { prompt: graph() });
    expect((await mine.get("GET", "/queue", { headers: { "if-none-match": etag } })).status).toBe(200);
  });

  it("keeps a seed of 64 bits to the last digit", async () => {
    const mine = await readySeat();
    const seed = "18446744073709551615";
    const body = `{"prompt":{"1":{"class_type":"EmptyImage","inputs":{"width":64,"height":64,"batch_size":1,"color":0}},"2":{"class_type":"EdgeSteps","inputs":{"image":["1",0],"steps":2,"delay":0.1,"previews":false,"seed":${seed}}},"3":{"class_type":"SaveImage","inputs":{"images":["2",0],"filename_prefix":"x"}}}}`;
    expect((await post(mine, body)).status).toBe(200);
    expect(await (await mine.get("GET", "/queue")).text()).toContain(seed);
  });

  it("[Q14] the same key with the same body is the first answer again; with another body 409", async () => {
    const mine = await readySeat();
    const first = await post(mine, { prompt: graph(1) }, { "idempotency-key": "k" });
    const again = await post(mine, { prompt: graph(1) }, { "idempotency-key": "k" });
    expect(again.body).toEqual(first.body);
    expect(await post(mine, { prompt: graph(2) }, { "idempotency-key": "k" })).toMatchObject({ status: 409, body: { error: { type: "idempotency_conflict" }, node_errors: {} } });
    expect(await (await mine.get("GET", "/prompt")).json()).toEqual({ exec_info: { queue_remaining: 1 } });
  });

  it("another seat's prompt id is refused and tells nothing of that job", async () => {
    const { seats } = await openWorkshop("ada", "bob");
    const [ada, bob] = seats as [Seat, Seat];
    await reportCatalog(ada.context, { object_info: objectInfo }, objectInfoText);
    const job = crypto.randomUUID();
    expect((await post(ada, { prompt: graph(), prompt_id: job })).status).toBe(200);
    expect(await post(bob, { prompt: graph(3), prompt_id: job })).toMatchObject({ status: 409, body: { error: { type: "id_taken" } } });
    expect((await bob.get("GET", `/api/jobs/${job}`)).status).toBe(404);
    expect(await (await bob.get("POST", `/api/jobs/${job}/cancel`)).json()).toEqual({ cancelled: false });
    await bob.get("POST", "/queue", { body: JSON.stringify({ clear: true, delete: [job] }) });
    await bob.get("POST", "/interrupt", { body: JSON.stringify({ prompt_id: job }) });
    expect(await (await ada.get("GET", "/prompt")).json()).toEqual({ exec_info: { queue_remaining: 1 } });
    expect(await (await bob.get("GET", "/queue")).json()).toEqual({ queue_running: [], queue_pending: [] });
  });

  it("[Q13] 10 MiB exactly are accepted, one byte more is 413 with a sentence, with and without Content-Length", async () => {
    const mine = await readySeat();
    const frame = (size: number) => {
      const text = JSON.stringify({ prompt: graph(), extra_data: { pad: "" } });
      return text.replace('"pad":""', () => `"pad":"${"x".repeat(size - text.length)}"`);
    };
    expect(frame(MAX_PROMPT_BYTES)).toHaveLength(10_485_760);
    const accepted = await post(mine, frame(MAX_PROMPT_BYTES));
    expect(accepted.status).toBe(200);
    const over = frame(MAX_PROMPT_BYTES + 1);
    const chunked = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(new TextEncoder().encode(over));
        controller.close();
      },
    });
    for (const body of [over, chunked]) {
      const answer = await mine.get("POST", "/prompt", { body });
      expect(answer.status).toBe(413);
      expect(await answer.json()).toMatchObject({ error: { type: "payload_too_large", message: expect.stringContaining("10 MiB") as string, extra_info: { limit: MAX_PROMPT_BYTES } }, node_errors: {} });
    }
    // What does not fit a row stands in the bucket, and is whole again wherever it is shown.
    const detail = (await (await mine.get("GET", `/api/jobs/${accepted.body.prompt_id}`)).json()) as { workflow: { prompt: unknown; extra_data: { pad: string } } };
    expect(detail.workflow.prompt).toEqual(graph());
    expect(detail.workflow.extra_data.pad.length).toBeGreaterThan(10_000_000);
    const queue = (await (await mine.get("GET", "/queue")).json()) as { queue_pending: [number, string, unknown, { pad: string; create_time: number }][] };
    expect(queue.queue_pending[0]?.[2]).toEqual(graph());
    expect(queue.queue_pending[0]?.[3]).toMatchObject({ create_time: expect.any(Number) as number });
    expect(queue.queue_pending[0]?.[3].pad).toHaveLength(detail.workflow.extra_data.pad.length);
  });

  it("a refused large prompt leaves nothing in the bucket", async () => {
    const mine = await readySeat();
    const job = crypto.randomUUID();
    const large = (pad: string) => ({ prompt: graph(), prompt_id: job, extra_data: { pad: pad.repeat(1_200_000) } });
    expect((await post(mine, large("a"))).status).toBe(200);
    expect((await post(mine, large("b"))).status).toBe(409);
    expect((await post(mine, large("a"))).status).toBe(200);
    await mine.settle();
    expect((await env.FILES.list({ prefix: `p/${mine.context.workshop}/` })).objects).toHaveLength(1);
  });

  it.each([["not json", '{"prompt":'], ["no object", "7"], ["broken UTF-8", new Uint8Array([0x7b, 0xff, 0x7d])], ["nothing", ""]])("a body that is %s is a JSON 400 with a sentence", async (_name, body) => {
    const answer = await seat.get("POST", "/prompt", { body });
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ error: { type: expect.stringMatching(/^(?:invalid_prompt|no_prompt)$/) as string, message: expect.stringMatching(/\w+ \w+/) as string }, node_errors: {} });
  });

  it("a model no GPU has is refused before any queueing", async () => {
    const prompt = { "1": { class_type: "CheckpointLoaderSimple", inputs: { ckpt_name: "sd15-fak.safetensors" } }, "2": { class_type: "VAEDecode", inputs: { samples: ["3", 0], vae: ["1", 2] } }, "3": { class_type: "EmptyLatentImage", inputs: { width: 64, height: 64, batch_size: 1 } }, "4": { class_type: "SaveImage", inputs: { images: ["2", 0], filename_prefix: "x" } } };
    const answer = await post(seat, { prompt });
    expect(answer.status).toBe(400);
    expect(JSON.stringify(answer.body.node_errors)).toContain("value_not_in_list");
  });

  it("before any GPU has reported: 503 that says so, and an empty catalogue", async () => {
    const fresh = await openSeatOf();
    expect(await post(fresh, { prompt: graph() })).toMatchObject({ status: 503, body: { error: { type: "no_catalog", message: expect.stringContaining("No GPU has told us its nodes yet") as string }, node_errors: {} } });
    expect(await (await fresh.get("GET", "/object_info")).json()).toEqual({});
  });

  it("a graph's files reach the runner's list under content names, the seat's view keeps its own", async () => {
    const mine = await readySeat();
    const form = new FormData();
    form.set("image", new File(["bytes of a picture"], "photo ä.png"));
    form.set("subfolder", "trip");
    await mine.get("POST", "/upload/image", { body: form });
    const prompt = { "1": { class_type: "LoadImage", inputs: { image: "trip/photo ä.png" } }, "2": { class_type: "SaveImage", inputs: { images: ["1", 0], filename_prefix: "x" } } };
    const sent: unknown[] = [];
    const spying = { ...mine.context, rpc: new Proxy(mine.context.rpc, { get: (rpc, method) => (method === "submit" ? (submit: unknown) => (sent.push(submit), rpc.submit(submit as never)) : Reflect.get(rpc, method)) }) };
    const { serveSeat } = await import("../../frontend-shim/comfy-api/index.ts");
    const answer = await serveSeat(new Request("http://seat.test/", { method: "POST", body: JSON.stringify({ prompt }) }), "/prompt", spying);
    expect(answer?.status).toBe(200);
    const stored = await mine.context.rpc.resolveFile("ada", { type: "input", subfolder: "trip", filename: "photo ä.png" });
    if (stored === null) throw new Error("not stored");
    const name = contentName("photo ä.png", stored.sha256);
    expect(sent).toMatchObject([{ inputs: [{ name, key: stored.key, sha256: stored.sha256, size: 18 }], prompt_json: JSON.stringify(prompt), run_prompt_json: JSON.stringify(prompt).replace("trip/photo ä.png", name) }]);
  });

  it("a file that is not the seat's is refused as a missing one", async () => {
    const { seats } = await openWorkshop("ada", "bob");
    const [ada, bob] = seats as [Seat, Seat];
    await reportCatalog(ada.context, { object_info: objectInfo }, objectInfoText);
    const form = new FormData();
    form.set("image", new File(["x"], "mine.png"));
    await ada.get("POST", "/upload/image", { body: form });
    const prompt = { "1": { class_type: "LoadImage", inputs: { image: "mine.png" } }, "2": { class_type: "SaveImage", inputs: { images: ["1", 0], filename_prefix: "x" } } };
    expect((await post(ada, { prompt })).status).toBe(200);
    const refused = await post(bob, { prompt });
    expect(refused.status).toBe(400);
    expect(JSON.stringify(refused.body.node_errors)).toContain("Invalid image file: mine.png");
  });
});

describe("queue, interrupt and jobs", () => {
  it("POST /queue takes waiting prompts out, by id and all", async () => {
    const seat = await readySeat();
    const ids = [await post(seat, { prompt: graph(1) }), await post(seat, { prompt: graph(2) }), await post(seat, { prompt: graph(3) })].map((answer) => answer.body.prompt_id);
    expect(new Set(ids).size).toBe(3);
    await seat.get("POST", "/queue", { body: JSON.stringify({ delete: [ids[1], "unknown", 7] }) });
    expect(await (await seat.get("GET", "/prompt")).json()).toEqual({ exec_info: { queue_remaining: 2 } });
    expect(await (await seat.get("POST", "/api/jobs/cancel", { body: JSON.stringify({ job_ids: [ids[0], crypto.randomUUID()] }) })).json()).toEqual({ cancelled: true });
    expect((await seat.get("POST", "/queue", { body: JSON.stringify({ clear: true }) })).status).toBe(200);
    expect(await (await seat.get("GET", "/queue")).json()).toEqual({ queue_running: [], queue_pending: [] });
    expect(await (await seat.get("GET", "/history")).json()).toEqual({});
  });

  it("a float for max_items crashes as ComfyUI does, a negative offset is none", async () => {
    const seat = await readySeat();
    expect((await seat.get("GET", "/history?max_items=1.5")).status).toBe(500);
    expect((await seat.get("GET", "/history?max_items=x")).status).toBe(500);
    expect((await seat.get("GET", "/history?max_items=5&offset=-1")).status).toBe(200);
    expect(await (await seat.get("GET", `/history/${crypto.randomUUID()}`)).json()).toEqual({});
  });
});
