// One job's way through the runners' door over plain HTTP: asked for, run, uploaded, committed, ended, seen by its seat and by nobody else.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import type { Submit } from "../../../durable-objects/contract.ts";
import { canonicalJson, sha256Hex } from "../../../gpu-adapter/canonical.ts";
import { type CatalogReport, MULTIPART_FROM_BYTES, nextAnswer, type RunResult, uploadAnswer, type UploadFile, type Work } from "../../../gpu-adapter/contract.ts";
import { parseJson, stringifyJson } from "../../../gpu-adapter/json.ts";
import { openWorkshop } from "../../../workers/workshop.ts";
import { basic, call, HOST, OPERATOR, post, sha256, workshop, type Workshop } from "./edge.ts";

let shop: Workshop;
const PIXELS = new TextEncoder().encode("not really a picture, but bytes are bytes");
const runner = { id: "runner-1", version: "1", mode: "pull" as const, gpu_name: "Test GPU", comfyui_version: "0.3.64" };

beforeAll(async () => {
  shop = await workshop("flow");
});

const asRunner = (): Record<string, string> => ({ authorization: `Bearer ${shop.poolToken}` });
const base = (work: Work): string => `/runner/v1/flow/jobs/${work.dispatch.job_id}/attempts/${work.dispatch.attempt}`;
const asAttempt = (work: Work): Record<string, string> => ({ authorization: `Bearer ${work.dispatch.callback.token}` });

async function submit(seat: string): Promise<string> {
  const job = crypto.randomUUID();
  const prompt_json = JSON.stringify({ 1: { class_type: "SaveImage", inputs: {} } });
  const wish: Submit = {
    seat, job, minted: true, body_hash: "0".repeat(64), bytes: prompt_json.length, client_id: null, front: false, background: false, prompt_json, extra_data_json: "{}",
    outputs_to_execute: ["1"], partial: false, inputs: [], model_signature: "m", timing_signature: "t", output_kind: "image", requires: { nodes: [], models: [] }, workflow_id: null,
  };
  const answer = await openWorkshop(env, "flow").submit(wish);
  if (!answer.ok) throw new Error(answer.message);
  return job;
}

/** Submits a job for a seat and takes it as the pool's runner. */
async function take(seat: string): Promise<Work> {
  const job = await submit(seat);
  const answer = nextAnswer.parse(await (await post("/runner/v1/flow/pools/gpu/next", { runner, wait_ms: 5000 }, asRunner())).json());
  if (answer.work?.dispatch.job_id !== job) throw new Error("another job was handed out");
  return answer.work;
}

async function fileOf(bytes: Uint8Array, changes: Partial<UploadFile> = {}): Promise<UploadFile> {
  return { type: "output", subfolder: "", filename: "ComfyUI_00001_.png", node_id: "1", key: "images", content_type: "image/png", size: bytes.byteLength, sha256: await sha256(bytes), ...changes };
}

async function upload(work: Work, file: UploadFile, bytes: Uint8Array): Promise<{ n: number }> {
  const { targets } = uploadAnswer.parse(await (await post(`${base(work)}/uploads`, { lease_id: work.claim.lease_id, files: [file] }, asAttempt(work))).json());
  const target = targets[0]!;
  if (target.kind !== "put") throw new Error("a small file goes up in one piece");
  expect(target.url.startsWith(`${HOST}/runner/v1/flow/files/`)).toBe(true);
  expect((await call(target.url, { method: "PUT", headers: target.headers, body: bytes })).status).toBe(200);
  return { n: target.n };
}

function resultOf(work: Work, changes: Partial<RunResult> = {}): RunResult {
  return { lease_id: work.claim.lease_id, status: "succeeded", files: [], comfy_outputs: {}, comfy_messages: [], comfy_meta: {}, timings: {}, runner, ...changes };
}

async function settle(work: Work): Promise<void> {
  const answer = await post(`${base(work)}/result`, resultOf(work), asAttempt(work));
  expect([answer.status, await answer.json()]).toEqual([200, { status: "accepted" }]);
}

describe("a job over HTTP", () => {
  it("[G5] is handed out, uploaded, committed and ended, and only its seat can see the picture", async () => {
    const work = await take("user001");
    expect(work.dispatch.callback.base_url).toBe(`${HOST}/runner/v1/flow`);
    const started = await post(`${base(work)}/events`, { lease_id: work.claim.lease_id, events: [{ seq: 1, ts: 1, type: "started" }] }, asAttempt(work));
    expect(await started.json()).toMatchObject({ ack: 1, cancel: false });

    const file = await fileOf(PIXELS);
    const { n } = await upload(work, file, PIXELS);
    const committed = await post(`${base(work)}/uploads/commit`, { lease_id: work.claim.lease_id, files: [{ ...file, n }] }, asAttempt(work));
    const [named] = ((await committed.json()) as { files: { file_id: string; filename: string }[] }).files;
    expect(named?.filename).toBe("ComfyUI_00001_.png");
    const again = await post(`${base(work)}/uploads/commit`, { lease_id: work.claim.lease_id, files: [{ ...file, n }] }, asAttempt(work));
    expect(await again.json()).toMatchObject({ files: [{ file_id: named?.file_id, filename: "ComfyUI_00001_.png" }] });

    const images = [{ filename: file.filename, subfolder: "", type: "output" }];
    const ended = resultOf(work, { files: [{ type: "output", subfolder: "", filename: file.filename, file_id: named!.file_id }], comfy_outputs: { 1: { images } } });
    expect(await (await post(`${base(work)}/result`, ended, asAttempt(work))).json()).toEqual({ status: "accepted" });
    expect(await (await post(`${base(work)}/result`, ended, asAttempt(work))).json()).toEqual({ status: "already" });

    const view = await call("/flow/user001/view?filename=ComfyUI_00001_.png", { headers: basic("user001", shop.passwords[0]!) });
    expect([view.status, view.headers.get("content-type"), view.headers.get("content-disposition")]).toEqual([200, "image/png", 'filename="ComfyUI_00001_.png"']);
    expect(new Uint8Array(await view.arrayBuffer())).toEqual(PIXELS);
    expect((await call("/flow/user002/view?filename=ComfyUI_00001_.png", { headers: basic("user002", shop.passwords[1]!) })).status).toBe(404);
  });

  it("[G12] [Q57] a runner's limits end before the queue's own deadlines, by 20 s or a quarter of a short one", async () => {
    const limitsOf = async (): Promise<object> => {
      const work = await take("user001");
      await settle(work);
      return work.claim.job!.limits;
    };
    expect(await limitsOf()).toMatchObject({ start_s: 160, exec_s: 880, idle_event_s: 280 });
    const settings = { provider: "pull", max_in_flight: 2, lease_ms: 60_000, claim_ms: 60_000 };
    const put = async (more: object): Promise<number> => (await call("/ops/v1/workshops/flow/pools/gpu", { method: "PUT", headers: { "content-type": "application/json", ...OPERATOR }, body: JSON.stringify({ ...settings, ...more }) })).status;
    expect(await put({ start_ms: 40_000, exec_ms: 10_000, silence_ms: 100_000 })).toBe(200);
    expect(await limitsOf()).toMatchObject({ start_s: 30, exec_s: 7.5, idle_event_s: 80 });
    expect(await put({ start_ms: 180_000, exec_ms: 900_000, silence_ms: 300_000 })).toBe(200);
  });

  it("[G28] a repeated PUT is 412 and the commit then holds", async () => {
    const work = await take("user001");
    const file = await fileOf(PIXELS);
    const { targets } = uploadAnswer.parse(await (await post(`${base(work)}/uploads`, { lease_id: work.claim.lease_id, files: [file] }, asAttempt(work))).json());
    const target = targets[0]!;
    if (target.kind !== "put") throw new Error("a small file goes up in one piece");
    const put = (): Promise<Response> => call(target.url, { method: "PUT", body: PIXELS });
    expect([(await put()).status, (await put()).status]).toEqual([200, 412]);
    expect((await post(`${base(work)}/uploads/commit`, { lease_id: work.claim.lease_id, files: [{ ...file, n: target.n }] }, asAttempt(work))).status).toBe(200);
    await settle(work);
  });

  it("[G21] what the store does not hold as announced cannot be committed, and the run goes on", async () => {
    const work = await take("user001");
    const file = await fileOf(PIXELS);
    const commit = (changes: object): Promise<Response> => post(`${base(work)}/uploads/commit`, { lease_id: work.claim.lease_id, files: [{ ...file, n: 0, ...changes }] }, asAttempt(work));
    expect((await commit({})).status).toBe(422);
    const { n } = await upload(work, file, PIXELS);
    expect((await commit({ n, size: file.size + 1 })).status).toBe(422);
    expect((await commit({ n, sha256: "f".repeat(64) })).status).toBe(422);
    expect((await commit({ n, filename: "another.png" })).status).toBe(422);
    expect((await commit({ n: -1 })).status).toBe(400);
    expect((await commit({ n })).status).toBe(200);
    await settle(work);
  });

  it("[G21] a large file gets part addresses, is put together at the commit and read once to check it", async () => {
    const work = await take("user001");
    const large = await fileOf(PIXELS, { filename: "film.mp4", content_type: "video/mp4", size: MULTIPART_FROM_BYTES + 1 });
    const { targets } = uploadAnswer.parse(await (await post(`${base(work)}/uploads`, { lease_id: work.claim.lease_id, files: [large] }, asAttempt(work))).json());
    const target = targets[0]!;
    if (target.kind !== "multipart") throw new Error("a large file goes up in parts");
    expect(target.urls).toHaveLength(2);
    expect((await call(target.urls[0]!, { method: "PUT", body: PIXELS })).status).toBe(400);
    const bytes = new Uint8Array(MULTIPART_FROM_BYTES + 1);
    for (let at = 0; at < bytes.byteLength; at += 4096) bytes[at] = at / 4096;
    const parts: { part: number; etag: string }[] = [];
    for (const [index, url] of target.urls.entries()) {
      const answer = await call(url, { method: "PUT", body: bytes.slice(index * target.part_bytes, (index + 1) * target.part_bytes) });
      expect(answer.status).toBe(200);
      parts.push({ part: index + 1, etag: answer.headers.get("etag") ?? "" });
    }
    const file = { ...large, n: target.n, upload_id: target.upload_id, parts };
    const wrong = await post(`${base(work)}/uploads/commit`, { lease_id: work.claim.lease_id, files: [{ ...file, sha256: "0".repeat(64) }] }, asAttempt(work));
    expect(wrong.status).toBe(422);
    const right = { ...file, sha256: await sha256(bytes) };
    const committed = await post(`${base(work)}/uploads/commit`, { lease_id: work.claim.lease_id, files: [right] }, asAttempt(work));
    expect(await committed.json()).toMatchObject({ files: [{ filename: "film.mp4" }] });
    await settle(work);
    const tail = await call("/flow/user001/view?filename=film.mp4", { headers: { ...basic("user001", shop.passwords[0]!), range: "bytes=-1" } });
    expect([tail.status, tail.headers.get("content-range")]).toEqual([206, `bytes ${MULTIPART_FROM_BYTES}-${MULTIPART_FROM_BYTES}/${MULTIPART_FROM_BYTES + 1}`]);
    await tail.body?.cancel();
  });

  it("[Q53] whoever holds no lease, or an old one, changes nothing", async () => {
    const work = await take("user001");
    const file = await fileOf(PIXELS);
    for (const lease_id of ["l_somebody-else", "../../x", "x".repeat(150)]) {
      expect((await post(`${base(work)}/events`, { lease_id, events: [] }, asAttempt(work))).status).toBe(409);
      expect((await post(`${base(work)}/uploads`, { lease_id, files: [file] }, asAttempt(work))).status).toBe(409);
      expect((await post(`${base(work)}/uploads/commit`, { lease_id, files: [{ ...file, n: 0 }] }, asAttempt(work))).status).toBeGreaterThanOrEqual(409);
      expect((await post(`${base(work)}/result`, resultOf(work, { lease_id }), asAttempt(work))).status).toBe(409);
    }
    await settle(work);
  });

  it("[G10] a second runner's claim is refused in the contract's words, the same runner's is answered the same", async () => {
    const work = await take("user001");
    const again = await post(`${base(work)}/claim`, { runner }, asAttempt(work));
    expect(await again.json()).toMatchObject({ lease_id: work.claim.lease_id });
    const second = await post(`${base(work)}/claim`, { runner: { ...runner, id: "runner-2" } }, asAttempt(work));
    expect([second.status, await second.json()]).toMatchObject([409, { reason: "duplicate", message: expect.any(String) }]);
    await settle(work);
  });

  it("an empty queue is answered without work, and the runner asks again", async () => {
    const answer = await post("/runner/v1/flow/pools/gpu/next", { runner, wait_ms: 0 }, asRunner());
    expect(await answer.json()).toEqual({ want_catalog: false });
  });

  it.each([
    ["no JSON", "{", /no JSON/],
    ["a field missing", "{}", /runner/],
    ["a wrong type", JSON.stringify({ runner: { ...runner, mode: "magic" } }), /runner\.mode/],
  ])("%s is a bad request that names the field and not the value", async (_, body, message) => {
    const answer = await call("/runner/v1/flow/pools/gpu/next", { method: "POST", headers: asRunner(), body });
    expect([answer.status, await answer.json()]).toMatchObject([400, { reason: "bad_request", message: expect.stringMatching(message) }]);
  });

  it("a preview that is no base64 is a bad request", async () => {
    const work = await take("user001");
    const answer = await post(`${base(work)}/events`, { lease_id: work.claim.lease_id, events: [], preview: { seq: 1, frame_base64: "***" } }, asAttempt(work));
    expect(answer.status).toBe(400);
    await settle(work);
  });
});

describe("[G13] catalogs", () => {
  const script = new TextEncoder().encode("app.registerExtension({})");

  async function report(): Promise<CatalogReport> {
    const rest: Omit<CatalogReport, "digest"> = {
      object_info: { SaveImage: { input: {} } }, extensions: ["/extensions/pack/a b.js"], i18n: {}, workflow_templates: {}, embeddings: [], models: {}, features: {},
      web_files: [{ path: "pack/a b.js", size: script.byteLength, sha256: await sha256(script), content_type: "text/javascript" }],
      system_stats: { system: { comfyui_version: "0.3.64" } },
    };
    return { digest: await sha256Hex(canonicalJson(rest)), ...rest };
  }

  it("a report is kept once under its digest; its web files are asked for until they are there", async () => {
    const sent = await report();
    const first = await post("/runner/v1/flow/pools/gpu/catalog", sent, asRunner());
    expect(await first.json()).toEqual({ want_files: ["pack/a b.js"] });
    expect(await (await env.FILES.get(`catalog/${sent.digest}.json`))?.json()).toEqual(sent);
    expect((await openWorkshop(env, "flow").catalogs()).map(({ pool, digest }) => [pool, digest])).toEqual([["gpu", sent.digest]]);

    const put = (path: string, body: Uint8Array): Promise<Response> => call(`/runner/v1/flow/pools/gpu/catalog/${sent.digest}/web/${path}`, { method: "PUT", headers: asRunner(), body });
    expect((await put("pack/a%20b.js", new TextEncoder().encode("something else, or as long ..."))).status).toBe(422);
    expect((await put("pack/unknown.js", script)).status).toBe(404);
    for (const path of ["pack/..%2f..%2fx", "..%2fx", "pack//x", "%ff"]) expect((await put(path, script)).status).toBe(400);
    expect((await put("pack/a%20b.js", script)).status).toBe(200);
    expect((await put("pack/a%20b.js", script)).status).toBe(200);
    expect(await (await post("/runner/v1/flow/pools/gpu/catalog", sent, asRunner())).json()).toEqual({ want_files: [] });
  });

  it("an integer of 64 bits in a report is the same integer in the store", async () => {
    const { digest: _digest, ...rest } = await report();
    const changed = { ...rest, object_info: { KSampler: { max: 18_446_744_073_709_551_615n } } };
    const digest = await sha256Hex(canonicalJson(changed));
    const answer = await call("/runner/v1/flow/pools/gpu/catalog", { method: "POST", headers: asRunner(), body: stringifyJson({ digest, ...changed }) });
    expect(answer.status).toBe(200);
    expect(await (await env.FILES.get(`catalog/${digest}.json`))?.text()).toContain('"max":18446744073709551615}');
  });

  it("numbers reach a seat's page as ComfyUI wrote them: 8.0 is not 8", async () => {
    const { digest: _digest, ...rest } = await report();
    const written = '{"KSampler": {"input": {"required": {"cfg": ["FLOAT", {"default": 8.0, "min": 0.0, "step": 0.10}], "seed": ["INT", {"max": 18446744073709551615}]}}}}';
    const digest = await sha256Hex(canonicalJson({ ...rest, object_info: parseJson(written) }));
    const body = `{"digest": "${digest}", ${JSON.stringify(rest).slice(1, -1).replace(JSON.stringify(rest.object_info), () => written)}}`;
    expect((await call("/runner/v1/flow/pools/gpu/catalog", { method: "POST", headers: asRunner(), body })).status).toBe(200);
    expect(await (await env.FILES.get(`catalog/${digest}.json`))?.text()).toContain(written);
    await expect.poll(async () => await (await call("/flow/user001/object_info", { headers: basic("user001", shop.passwords[0]!) })).text(), { timeout: 5000 }).toContain('"default": 8.0, "min": 0.0, "step": 0.10');
  });

  it("[G13] a report under a digest that is not its own is refused, so nobody can prepare another's catalog", async () => {
    const sent = await report();
    const forged = [{ ...sent, embeddings: ["mine"] }, { ...sent, digest: "f".repeat(64) }, { ...sent, digest: "../../../../../../etc" }, { ...sent, digest: sent.digest.toUpperCase() }];
    for (const wrong of forged) expect((await post("/runner/v1/flow/pools/gpu/catalog", wrong, asRunner())).status).toBe(422);
    expect(await env.FILES.head(`catalog/${"f".repeat(64)}.json`)).toBeNull();
  });
});
