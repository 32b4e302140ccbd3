// Uploads straight to R2, as the edge hands them out: which addresses, and what an operator is told when the settings are half made.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { MULTIPART_FROM_BYTES, nextAnswer, uploadAnswer, type UploadFile, type UploadTarget, type Work } from "../../../gpu-adapter/contract.ts";
import { app } from "../../../workers/app.ts";
import { openWorkshop } from "../../../workers/workshop.ts";
import { HOST, OPERATOR, post, sha256, workshop, type Workshop } from "./edge.ts";

const R2 = { R2_ACCESS_KEY_ID: "key-id", R2_SECRET_ACCESS_KEY: "key-secret", R2_ENDPOINT: "https://abc.eu.r2.cloudflarestorage.com", R2_BUCKET: "comfyume-files" };
const BYTES = new TextEncoder().encode("bytes that never pass this Worker");
const runner = { id: "runner-1", version: "1", mode: "pull" as const };

let shop: Workshop;
let work: Work;
beforeAll(async () => {
  shop = await workshop("presigned");
  const prompt_json = JSON.stringify({ 1: { class_type: "SaveImage", inputs: {} } });
  await openWorkshop(env, "presigned").submit({ seat: "user001", job: crypto.randomUUID(), minted: true, body_hash: "0".repeat(64), bytes: prompt_json.length, client_id: null, front: false, background: false, prompt_json, extra_data_json: "{}", outputs_to_execute: ["1"], partial: false, inputs: [], model_signature: "m", timing_signature: "t", output_kind: "image", requires: { nodes: [], models: [] }, workflow_id: null });
  const answer = nextAnswer.parse(await (await post("/runner/v1/presigned/pools/gpu/next", { runner, wait_ms: 5000 }, { authorization: `Bearer ${shop.poolToken}` })).json());
  if (answer.work === undefined) throw new Error("no job was handed out");
  work = answer.work;
});

/** A call of the attempt to a Worker that has these settings. */
function ask(settings: object, path: string, body: object): Promise<Response> {
  const url = `${HOST}/runner/v1/presigned/jobs/${work.dispatch.job_id}/attempts/${work.dispatch.attempt}/${path}`;
  const request = new Request(url, { method: "POST", headers: { authorization: `Bearer ${work.dispatch.callback.token}`, "content-type": "application/json" }, body: JSON.stringify({ lease_id: work.claim.lease_id, ...body }) });
  return app.fetch(request, { ...env, ...settings } as Env);
}

async function fileOf(changes: Partial<UploadFile> = {}): Promise<UploadFile> {
  return { type: "output", subfolder: "", filename: "ComfyUI_00001_.png", node_id: "1", key: "images", content_type: "image/png", size: BYTES.byteLength, sha256: await sha256(BYTES), ...changes };
}

async function targets(settings: object, files: UploadFile[]): Promise<UploadTarget[]> {
  const answer = await ask(settings, "uploads", { files });
  expect(answer.status).toBe(200);
  return uploadAnswer.parse(await answer.json()).targets;
}

describe("[G21] where bytes go", () => {
  it("without the settings to the platform, with them to the bucket, under the same kind of key", async () => {
    const [platform] = await targets({}, [await fileOf()]);
    const [target] = await targets(R2, [await fileOf()]);
    if (platform?.kind !== "put" || target?.kind !== "put") throw new Error("a small file goes up in one piece");
    expect(platform.url.startsWith(`${HOST}/runner/v1/presigned/files/`)).toBe(true);
    const { job_id, attempt } = work.dispatch;
    expect(target.url.split("?")[0]).toBe(`${R2.R2_ENDPOINT}/comfyume-files/o/presigned/${job_id}/${attempt}/${work.claim.lease_id}/${target.n}-ComfyUI_00001_.png`);
    expect(target.headers).toMatchObject({ "content-type": "image/png", "content-length": String(BYTES.byteLength), "if-none-match": "*" });
    expect(JSON.stringify(target)).not.toContain(R2.R2_SECRET_ACCESS_KEY);
  });

  it("a large file gets one address per part of an upload that the binding began, and can complete", async () => {
    const [target] = await targets(R2, [await fileOf({ filename: "film.mp4", content_type: "video/mp4", size: MULTIPART_FROM_BYTES + 1 })]);
    if (target?.kind !== "multipart") throw new Error("a large file goes up in parts");
    expect(target.urls.map((url) => new URL(url).searchParams.get("partNumber"))).toEqual(["1", "2"]);
    for (const url of target.urls) expect(new URL(url).searchParams.get("uploadId")).toBe(target.upload_id);
    const key = new URL(target.urls[0]!).pathname.replace("/comfyume-files/", "");
    const upload = env.FILES.resumeMultipartUpload(key, target.upload_id);
    const object = await upload.complete([await upload.uploadPart(1, BYTES)]);
    expect([object.size, object.httpMetadata?.contentType]).toEqual([BYTES.byteLength, "video/mp4"]);
  });

  it("what is not in the bucket of the binding is not committed, and the answer says which setting may be wrong", async () => {
    const answer = await ask(R2, "uploads/commit", { files: [{ ...(await fileOf()), n: 77 }] });
    expect([answer.status, await answer.json()]).toMatchObject([422, { message: expect.stringContaining("R2_BUCKET (comfyume-files)") }]);
  });
});

describe("settings that are half made", () => {
  it.each(Object.keys(R2))("without %s no address is handed out, of neither kind, and the runner is told to ask again", async (name) => {
    const answer = await ask({ ...R2, [name]: undefined }, "uploads", { files: [await fileOf()] });
    const text = await answer.text();
    expect([answer.status, text]).toEqual([503, expect.stringContaining(`${name} is missing`)]);
    expect(text).not.toContain(R2.R2_SECRET_ACCESS_KEY);
  });

  it.each([
    ["none", {}, { to: "platform" }],
    ["all", R2, { to: "r2" }],
    ["half", { R2_ACCESS_KEY_ID: "key-id" }, { to: "nowhere", fault: expect.stringContaining("R2_SECRET_ACCESS_KEY") }],
  ])("the operator's health says so before a job does: %s", async (_, settings, uploads) => {
    const answer = await app.fetch(new Request(`${HOST}/ops/v1/workshops/presigned/health`, { headers: OPERATOR }), { ...env, ...settings } as Env);
    expect(await answer.json()).toMatchObject({ uploads });
  });
});
