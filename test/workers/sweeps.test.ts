// What the alarm deletes from the bucket, and above all what it does not: an object with a name stays.
import { env } from "cloudflare:workers";
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { describe, expect, it, vi } from "vitest";
import { Sweeper } from "../../durable-objects/sweeper.ts";
import { discard, dueGarbage } from "../../durable-objects/garbage.ts";
import { objectSql } from "../../durable-objects/sql.ts";
import type { InputRef, Submit, WorkshopRpc } from "../../durable-objects/contract.ts";
import { openWorkshop } from "./seat-harness.ts";
import type { Seat } from "./seat-harness.ts";
import { takeJob } from "./seat-runner.ts";

type Shop = { workshop: string; rpc: WorkshopRpc; ada: Seat };

async function shopOf(): Promise<Shop> {
  const { workshop, rpc, seats } = await openWorkshop("ada");
  return { workshop, rpc, ada: seats[0]! };
}

async function submit({ rpc }: Shop, wish: Partial<Submit> = {}): Promise<string> {
  const job = crypto.randomUUID();
  const answer = await rpc.submit({
    seat: "ada", job, minted: true, body_hash: "", bytes: 100, client_id: null, front: false, background: false, prompt_json: '{"2":{"class_type":"SaveImage","inputs":{}}}', extra_data_json: "{}",
    outputs_to_execute: ["2"], partial: false, inputs: [], model_signature: "m", timing_signature: "t", output_kind: "image", requires: { nodes: [], models: [] }, workflow_id: null, ...wish,
  });
  if (!answer.ok) throw new Error(answer.message);
  return job;
}

async function upload({ ada }: Shop, content: string): Promise<string> {
  const form = new FormData();
  form.set("image", new File([content], "a.png"));
  form.set("overwrite", "true");
  expect((await ada.get("POST", "/upload/image", { body: form })).status).toBe(200);
  return (await ada.context.rpc.resolveFile("ada", { type: "input", subfolder: "", filename: "a.png" }))!.key;
}

const exists = async (key: string): Promise<boolean> => (await env.FILES.head(key)) !== null;

/** Lets a week go by for the sweeper: everything noted is due, then the alarm rings until nothing due is left. */
async function sweep({ workshop }: Shop, rows: string[] = []): Promise<void> {
  const stub = env.WORKSHOP.getByName(workshop);
  await runInDurableObject(stub, (_object, state) => ["UPDATE garbage SET due = 0", ...rows].forEach((row) => void state.storage.sql.exec(row)));
  expect(await runDurableObjectAlarm(stub)).toBe(true);
  await vi.waitFor(async () => expect(await runInDurableObject(stub, (_object, state) => dueGarbage(objectSql(state.storage), Date.now(), 1))).toEqual([]), { timeout: 20_000 });
}

describe("what is swept", () => {
  it("a replaced input goes, its successor stays", async () => {
    const shop = await shopOf();
    const [old, now] = [await upload(shop, "old"), await upload(shop, "new")];
    expect(await exists(old)).toBe(true);
    await sweep(shop);
    expect([await exists(old), await exists(now)]).toEqual([false, true]);
  });

  it("a replaced input that a job waits or runs with stays until that job is over", async () => {
    const shop = await shopOf();
    const old = await upload(shop, "old");
    const input: InputRef = { name: "a-0.png", key: old, sha256: "0".repeat(64), size: 3 };
    await submit(shop, { inputs: [input] });
    await upload(shop, "new");
    await sweep(shop);
    expect(await exists(old)).toBe(true);
    const job = await takeJob(shop.rpc);
    await sweep(shop);
    expect(await exists(old)).toBe(true);
    await job.end();
    await sweep(shop);
    expect(await exists(old)).toBe(false);
  });

  it("temp files live as long as their history entry; outputs outlive it", async () => {
    const shop = await shopOf();
    const [kept, gone] = [await submit(shop), await submit(shop)];
    const files = new Map<string, { temp: string; output: string }>();
    for (let n = 0; n < 2; n++) {
      const job = await takeJob(shop.rpc);
      files.set(job.ref.job, { temp: await job.store({ filename: "ComfyUI_temp_00001_.png", type: "temp" }), output: await job.store({ filename: "ComfyUI_00001_.png" }) });
      await job.end();
    }
    await shop.ada.get("POST", "/history", { body: JSON.stringify({ delete: [gone] }) });
    expect(await (await shop.ada.get("GET", "/internal/files/temp")).json()).toHaveLength(1);
    await sweep(shop);
    expect([await exists(files.get(gone)!.temp), await exists(files.get(gone)!.output)]).toEqual([false, true]);
    expect([await exists(files.get(kept)!.temp), await exists(files.get(kept)!.output)]).toEqual([true, true]);
    await shop.ada.get("POST", "/history", { body: JSON.stringify({ clear: true }) });
    await sweep(shop);
    expect([await exists(files.get(kept)!.temp), await exists(files.get(kept)!.output)]).toEqual([false, true]);
    expect(await (await shop.ada.get("GET", "/internal/files/output")).json()).toHaveLength(2);
  });

  it("what an attempt stored and never committed goes once its job is over; what it committed stays", async () => {
    const shop = await shopOf();
    await submit(shop);
    const job = await takeJob(shop.rpc);
    const [orphan, committed] = [await job.store({ filename: "lost_00001_.png" }, false), await job.store({ filename: "ComfyUI_00001_.png" })];
    await job.end();
    await sweep(shop);
    expect([await exists(orphan), await exists(committed)]).toEqual([false, true]);
  });

  it("a job whose every file was committed costs no listing", async () => {
    const shop = await shopOf();
    await submit(shop);
    const job = await takeJob(shop.rpc);
    await job.store({ filename: "ComfyUI_00001_.png" });
    await job.end();
    const notes = await runInDurableObject(env.WORKSHOP.getByName(shop.workshop), (_object, state) => dueGarbage(objectSql(state.storage), Number.MAX_SAFE_INTEGER, 10));
    expect(notes).toEqual([]);
  });

  it("a large prompt stays while its entry is shown, the runner's copy of it only while the job lives", async () => {
    const shop = await shopOf();
    const key = `p/${shop.workshop}/${crypto.randomUUID()}.json`;
    await env.FILES.put(key, '{"prompt":{"2":{"class_type":"SaveImage","inputs":{}}},"extra_data":{},"run_prompt":null}');
    const id = await submit(shop, { prompt_json: "", extra_data_json: "", prompt_key: key });
    const job = await takeJob(shop.rpc);
    const copy = `p/${shop.workshop}/${id}.1.run.json`;
    expect(await exists(copy)).toBe(true);
    await job.end();
    await sweep(shop);
    expect([await exists(key), await exists(copy)]).toEqual([true, false]);
    expect(((await (await shop.ada.get("GET", `/history/${id}`)).json()) as Record<string, { prompt: unknown[] }>)[id]!.prompt[2]).toEqual({ 2: { class_type: "SaveImage", inputs: {} } });
    await shop.ada.get("POST", "/history", { body: JSON.stringify({ clear: true }) });
    await sweep(shop);
    expect(await exists(key)).toBe(false);
  });

  it("a large prompt that was cancelled before it ran goes too", async () => {
    const shop = await shopOf();
    const key = `p/${shop.workshop}/${crypto.randomUUID()}.json`;
    await env.FILES.put(key, '{"prompt":{},"extra_data":{}}');
    const id = await submit(shop, { prompt_json: "", extra_data_json: "", prompt_key: key });
    await shop.ada.get("POST", "/queue", { body: JSON.stringify({ delete: [id] }) });
    await sweep(shop);
    expect(await exists(key)).toBe(false);
  });

  it("an upload in parts is given up after 7 days without a part, not before", async () => {
    const shop = await shopOf();
    const opened = (await (await shop.ada.get("POST", "/api/comfyume/uploads", { body: JSON.stringify({ name: "film.mp4", size: 8 * 1024 ** 2 + 1 }) })).json()) as { upload_id: string };
    const part = (): Promise<Response> => shop.ada.get("PUT", `/api/comfyume/uploads/${opened.upload_id}/parts/2`, { body: "x", headers: { "content-length": "1" } });
    expect((await part()).status).toBe(200);
    await sweep(shop);
    expect((await part()).status).toBe(200);
    await sweep(shop, ["UPDATE uploads SET touched = 0"]);
    expect((await part()).status).toBe(404);
    const rest = await runInDurableObject(env.WORKSHOP.getByName(shop.workshop), (_object, state) => state.storage.sql.exec("SELECT (SELECT count(*) FROM uploads) + (SELECT count(*) FROM upload_parts) + (SELECT count(*) FROM garbage) AS n").one());
    expect(rest).toEqual({ n: 0 });
  });

  it("a dropped upload leaves no part behind", async () => {
    const shop = await shopOf();
    const opened = (await (await shop.ada.get("POST", "/api/comfyume/uploads", { body: JSON.stringify({ name: "film.mp4", size: 1 }) })).json()) as { upload_id: string };
    const stored = (await shop.rpc.findUpload("ada", opened.upload_id))!;
    await shop.ada.get("DELETE", `/api/comfyume/uploads/${opened.upload_id}`);
    await sweep(shop);
    await expect(env.FILES.resumeMultipartUpload(stored.key, stored.r2_upload).uploadPart(1, "x")).rejects.toThrow(/10024/);
  });

  it("a hundred and more go in batches, a failing store is asked again later, and doing it twice does no harm", async () => {
    const { workshop } = await shopOf();
    const keys = Array.from({ length: 120 }, (_, n) => `in/${workshop}/ada/${n}`);
    await Promise.all(keys.map((key) => env.FILES.put(key, "x")));
    await runInDurableObject(env.WORKSHOP.getByName(workshop), async (_object, state) => {
      const sql = objectSql(state.storage);
      let now = Date.now();
      let down = true;
      const complaints: string[] = [];
      const deleted: number[] = [];
      const bucket = new Proxy(env.FILES, { get: (target, name) => (name === "delete" ? async (batch: string[]) => (down ? Promise.reject(new Error("store down")) : (deleted.push(batch.length), await target.delete(batch))) : Reflect.get(target, name)) });
      const sweeper = new Sweeper({ sql, bucket, now: () => now, rearm: () => undefined, complain: (event) => complaints.push(event) });
      discard(sql, keys, now);
      await sweeper.run();
      expect(sweeper.wake()).toBeGreaterThan(now + 60 * 60 * 1000);
      now += 2 * 60 * 60 * 1000;
      await sweeper.run();
      expect([complaints, deleted]).toEqual([["sweep_delayed"], []]);
      down = false;
      now += 60_000;
      for (let batch = 0; batch < 4; batch++) await sweeper.run();
      expect([deleted, sweeper.wake()]).toEqual([[40, 40, 40], null]);
      discard(sql, keys.slice(0, 3), now - 5 * 3600_000);
      await sweeper.run();
      expect([deleted.at(-1), sweeper.wake()]).toEqual([3, null]);
    });
    expect((await env.FILES.list({ prefix: `in/${workshop}/` })).objects).toEqual([]);
  });
});
