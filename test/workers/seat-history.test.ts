// Histories and queues beyond what one call between the Worker and the object may carry: they arrive whole, in order, with every prompt as it was sent.
import { describe, expect, it } from "vitest";
import type { Submit } from "../../durable-objects/contract.ts";
import { openWorkshop } from "./seat-harness.ts";
import type { Seat } from "./seat-harness.ts";
import { takeJob } from "./seat-runner.ts";

const SEED = "18446744073709551615";
/** Just below what still fits a row. */
const WIDE = 1_000_000;

async function seatOf(): Promise<Seat> {
  return (await openWorkshop("ada")).seats[0]!;
}

const promptText = (n: number, pad: number): string => `{"2":{"class_type":"SaveImage","inputs":{"n":${n},"seed":${SEED},"pad":"${"w".repeat(pad)}"}}}`;

/** As `POST /prompt` submits it: in the row, or in the bucket. */
async function submit(seat: Seat, n: number, pad: number, changes: Partial<Submit> = {}): Promise<string> {
  const job = crypto.randomUUID();
  const texts = { prompt_json: promptText(n, pad), extra_data_json: `{"client_id": "tab", "note": ${n}}` };
  const answer = await seat.context.rpc.submit({
    seat: "ada", job, minted: true, body_hash: "", bytes: pad, client_id: null, front: false, background: false, outputs_to_execute: ["2"], partial: false, inputs: [],
    model_signature: "m", timing_signature: "t", output_kind: "image", requires: { nodes: [], models: [] }, workflow_id: n % 2 === 0 ? "even" : "odd", ...texts, ...changes,
  });
  if (!answer.ok) throw new Error(answer.message);
  return job;
}

async function submitStored(seat: Seat, n: number): Promise<string> {
  const key = `p/${seat.context.workshop}/${crypto.randomUUID()}.json`;
  await seat.context.files.put(key, `{"prompt":${promptText(n, 1_500_000)},"extra_data":{"client_id": "tab", "note": ${n}},"run_prompt":null}`);
  return await submit(seat, n, 0, { prompt_json: "", extra_data_json: "", prompt_key: key });
}

async function finish(seat: Seat): Promise<void> {
  await (await takeJob(seat.context.rpc)).end();
}

type Item = [number, string, { 2: { inputs: { n: number; pad: string } } }, { client_id: string; note: number; create_time: number }, string[]];

async function asked(seat: Seat, path: string): Promise<{ text: string; etag: string }> {
  const answer = await seat.get("GET", path);
  expect(answer.status).toBe(200);
  return { text: await answer.text(), etag: answer.headers.get("etag") ?? "" };
}

function expectItem([, id, prompt, extra, outputs]: Item, job: string, n: number, pad: number): void {
  expect([id, prompt[2].inputs.n, prompt[2].inputs.pad.length, extra.client_id, extra.note, outputs]).toEqual([job, n, pad, "tab", n, ["2"]]);
  expect(extra.create_time).toBeGreaterThan(1_700_000_000_000);
}

describe("a history of more than 32 MiB", () => {
  it("arrives whole and oldest first; pages and the last few are cut from it as ever; the validator holds", async () => {
    const seat = await seatOf();
    const jobs: string[] = [];
    for (let n = 0; n < 40; n++) {
      jobs.push(await submit(seat, n, WIDE));
      await finish(seat);
    }
    const whole = await asked(seat, "/history");
    expect(whole.text.length).toBeGreaterThan(40 * WIDE);
    const entries = Object.entries(JSON.parse(whole.text) as Record<string, { prompt: Item; status: { status_str: string } }>);
    expect(entries.map(([job]) => job)).toEqual(jobs);
    for (const [n, [job, entry]] of entries.entries()) {
      expectItem(entry.prompt, job, n, WIDE);
      expect(entry.status.status_str).toBe("success");
    }
    expect((await seat.get("GET", "/history", { headers: { "if-none-match": whole.etag } })).status).toBe(304);
    const keys = async (query: string): Promise<string[]> => Object.keys(JSON.parse((await asked(seat, `/history?${query}`)).text) as object);
    expect(await keys("max_items=12")).toEqual(jobs.slice(-12));
    expect(await keys("max_items=0")).toEqual([]);
    expect(await keys("max_items=7&offset=9")).toEqual(jobs.slice(9, 16));
    expect(await keys("offset=35")).toEqual(jobs.slice(35));
    expect(await keys("offset=40")).toEqual([]);
    expect(await keys("max_items=1000")).toEqual(jobs);
  });

  it("shows prompts that stand in the bucket among the others, with every digit of a seed, and one by one", async () => {
    const seat = await seatOf();
    const jobs = [await submit(seat, 0, 10), await submitStored(seat, 1), await submit(seat, 2, 10), await submitStored(seat, 3)];
    const queue = await asked(seat, "/queue");
    expect(queue.text.split(SEED)).toHaveLength(5);
    const waiting = (JSON.parse(queue.text) as { queue_pending: Item[] }).queue_pending;
    for (const [n, item] of waiting.entries()) expectItem(item, jobs[n]!, n, n % 2 === 0 ? 10 : 1_500_000);
    for (const _ of jobs) await finish(seat);
    const history = await asked(seat, "/history");
    expect(history.text.split(SEED)).toHaveLength(5);
    const entries = JSON.parse(history.text) as Record<string, { prompt: Item }>;
    expect(Object.keys(entries)).toEqual(jobs);
    for (const [n, job] of jobs.entries()) expectItem(entries[job]!.prompt, job, n, n % 2 === 0 ? 10 : 1_500_000);
    const one = await asked(seat, `/history/${jobs[1]}`);
    expect(one.text).toContain(SEED);
    expectItem((JSON.parse(one.text) as Record<string, { prompt: Item }>)[jobs[1]!]!.prompt, jobs[1]!, 1, 1_500_000);
    const detail = JSON.parse((await asked(seat, `/api/jobs/${jobs[3]}`)).text) as { workflow: { prompt: Item[2] } };
    expect(detail.workflow.prompt[2].inputs.pad).toHaveLength(1_500_000);
  });
});

describe("a queue of more than one page", () => {
  it("arrives whole: what runs, then what waits in its own order, the front one first", async () => {
    const seat = await seatOf();
    const running = await submit(seat, 0, WIDE);
    const job = await takeJob(seat.context.rpc);
    await job.start();
    const jobs: string[] = [];
    for (let n = 1; n < 18; n++) jobs.push(await submit(seat, n, WIDE));
    const front = await submit(seat, 18, WIDE, { front: true });
    const { queue_running, queue_pending } = JSON.parse((await asked(seat, "/queue")).text) as { queue_running: Item[]; queue_pending: Item[] };
    expect(queue_running.map(([, id]) => id)).toEqual([running]);
    expect(queue_pending.map(([, id]) => id)).toEqual([front, ...jobs]);
    for (const [n, item] of queue_pending.slice(1).entries()) expectItem(item, jobs[n]!, n + 1, WIDE);
  });

  it("an empty one, one that only runs and one that only waits keep their form", async () => {
    const seat = await seatOf();
    const shape = async (): Promise<number[]> => {
      const { queue_running, queue_pending, ...rest } = JSON.parse((await asked(seat, "/queue")).text) as { queue_running: unknown[]; queue_pending: unknown[] };
      expect(rest).toEqual({});
      return [queue_running.length, queue_pending.length];
    };
    expect(await shape()).toEqual([0, 0]);
    await submit(seat, 1, 10);
    expect(await shape()).toEqual([0, 1]);
    const job = await takeJob(seat.context.rpc);
    await job.start();
    expect(await shape()).toEqual([1, 0]);
    await job.end();
    expect(await shape()).toEqual([0, 0]);
  });
});

describe("a listing of jobs in several calls", () => {
  it("names each job once, in order, and counts them all", async () => {
    const seat = await seatOf();
    const jobs: string[] = [];
    for (let n = 0; n < 620; n++) {
      jobs.push(await submit(seat, n, 10));
      await finish(seat);
    }
    jobs.push(await submit(seat, 620, 10));
    const listed = async (query: string): Promise<{ ids: string[]; pagination: unknown }> => {
      const page = JSON.parse((await asked(seat, `/api/jobs?${query}`)).text) as { jobs: { id: string }[]; pagination: unknown };
      return { ids: page.jobs.map(({ id }) => id), pagination: page.pagination };
    };
    const newest = jobs.toReversed();
    expect(await listed("")).toEqual({ ids: newest, pagination: { offset: 0, limit: null, total: 621, has_more: false } });
    expect(await listed("limit=550&offset=50")).toEqual({ ids: newest.slice(50, 600), pagination: { offset: 50, limit: 550, total: 621, has_more: true } });
    expect(await listed("status=completed&sort_order=asc&offset=615")).toEqual({ ids: jobs.slice(615, 620), pagination: { offset: 615, limit: null, total: 620, has_more: false } });
    expect(await listed("workflow_id=odd&status=completed,pending&limit=3")).toEqual({ ids: [619, 617, 615].map((n) => jobs[n]), pagination: { offset: 0, limit: 3, total: 310, has_more: true } });
    expect((await listed("sort_by=execution_duration")).ids.toSorted()).toEqual(jobs.toSorted());
    expect(await listed("status=failed")).toEqual({ ids: [], pagination: { offset: 0, limit: null, total: 0, has_more: false } });
  });
});
