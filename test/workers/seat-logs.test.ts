// The log panel: what is pushed is what `GET /internal/logs/raw` answers, to who asked for it, and to nobody else.
import { env } from "cloudflare:workers";
import { evictDurableObject } from "cloudflare:test";
import { describe, expect, it, vi } from "vitest";
import { SOCKET_HEADERS, type WorkshopRpc } from "../../durable-objects/contract.ts";
import { openWorkshop } from "./seat-harness.ts";
import type { Seat } from "./seat-harness.ts";
import { takeJob } from "./seat-runner.ts";

type Line = { t: string; m: string };
type Page = { logs: { entries: Line[]; size: unknown }[]; lines(): Line[]; close(): void };

async function openPage(workshop: string, seat: string, client: string): Promise<Page> {
  const answer = await env.WORKSHOP.getByName(workshop).fetch("https://workshop/socket", { headers: { upgrade: "websocket", [SOCKET_HEADERS.kind]: "seat", [SOCKET_HEADERS.seat]: seat, [SOCKET_HEADERS.client]: client } });
  const socket = answer.webSocket!;
  const logs: Page["logs"] = [];
  socket.addEventListener("message", ({ data }) => {
    const { type, data: content } = typeof data === "string" ? (JSON.parse(data) as { type: string; data: Page["logs"][number] }) : { type: "", data: undefined };
    if (type === "logs" && content) logs.push(content);
  });
  socket.accept();
  return { logs, lines: () => logs.flatMap(({ entries }) => entries), close: () => socket.close() };
}

async function subscribe(seat: Seat, clientId: string, enabled: boolean): Promise<void> {
  expect((await seat.get("PATCH", "/internal/logs/subscribe", { body: JSON.stringify({ clientId, enabled }) })).status).toBe(200);
}

async function submit(rpc: WorkshopRpc, seat: string): Promise<string> {
  const job = crypto.randomUUID();
  const answer = await rpc.submit({
    seat, job, minted: true, body_hash: "", bytes: 10, client_id: null, front: false, background: false, prompt_json: "{}", extra_data_json: "{}", outputs_to_execute: [], partial: false, inputs: [],
    model_signature: "m", timing_signature: "t", output_kind: "image", requires: { nodes: [], models: [] }, workflow_id: null,
  });
  if (!answer.ok) throw new Error(answer.message);
  return job;
}

/** One job from accepted to ended, with `said` lines of its runner. */
async function runJob(rpc: WorkshopRpc, seat: string, said: string[]): Promise<string> {
  const job = await submit(rpc, seat);
  const run = await takeJob(rpc);
  await run.start();
  for (const line of said) await run.log(line);
  await run.end();
  return job;
}

const raw = async (seat: Seat): Promise<Line[]> => ((await (await seat.get("GET", "/internal/logs/raw")).json()) as { entries: Line[] }).entries;

describe("the log panel", () => {
  it("hears the lines of its own seat's jobs as they come, the same that the log then answers", async () => {
    const { workshop, rpc, seats: [ada, bob] } = await openWorkshop("ada", "bob");
    const [mine, other, silent] = await Promise.all([openPage(workshop, "ada", "tab"), openPage(workshop, "bob", "tab"), openPage(workshop, "ada", "else")]);
    await subscribe(ada!, "tab", true);
    await subscribe(bob!, "tab", true);
    const job = await runJob(rpc, "ada", ["loading a model", "step 1", "step 2"]);
    await vi.waitFor(() => expect(mine.lines()).toHaveLength(6), { timeout: 5000 });
    expect(mine.lines().map(({ m }) => m)).toEqual([`${job} accepted\n`, `${job} started\n`, "loading a model\n", "step 1\n", "step 2\n", `${job} succeeded\n`]);
    expect(mine.lines()).toEqual(await raw(ada!));
    expect(mine.logs[0]?.size).toEqual({ cols: 120, rows: 40 });
    expect(await (await ada!.get("GET", "/internal/logs")).json()).toBe((await raw(ada!)).map(({ t, m }) => `${t} - ${m}`).join(""));
    expect([other.logs, silent.logs]).toEqual([[], []]);
  });

  it("is told in few messages however much a run says", async () => {
    const { workshop, rpc, seats: [ada] } = await openWorkshop("ada");
    const page = await openPage(workshop, "ada", "tab");
    await subscribe(ada!, "tab", true);
    const began = Date.now();
    await runJob(rpc, "ada", Array.from({ length: 100 }, (_, n) => `step ${n}`));
    await vi.waitFor(() => expect(page.lines()).toHaveLength(103), { timeout: 10_000 });
    expect(page.logs.length).toBeLessThanOrEqual(Math.ceil((Date.now() - began) / 250));
  });

  it("hears nothing more once switched off, and nothing before it was switched on", async () => {
    const { workshop, rpc, seats: [ada] } = await openWorkshop("ada");
    const [on, off] = [await openPage(workshop, "ada", "on"), await openPage(workshop, "ada", "off")];
    await runJob(rpc, "ada", ["early"]);
    await subscribe(ada!, "on", true);
    await subscribe(ada!, "off", true);
    await subscribe(ada!, "off", false);
    await runJob(rpc, "ada", ["late"]);
    await vi.waitFor(() => expect(on.lines().map(({ m }) => m)).toContain("late\n"), { timeout: 5000 });
    expect(on.lines().map(({ m }) => m)).not.toContain("early\n");
    expect(off.logs).toEqual([]);
  });

  it("goes on after the page reconnects and after the object slept; may be switched on before the socket is there", async () => {
    const { workshop, rpc, seats: [ada] } = await openWorkshop("ada");
    await subscribe(ada!, "tab", true);
    const first = await openPage(workshop, "ada", "tab");
    await runJob(rpc, "ada", ["one"]);
    await vi.waitFor(() => expect(first.lines().map(({ m }) => m)).toContain("one\n"), { timeout: 5000 });
    first.close();
    const second = await openPage(workshop, "ada", "tab");
    await runJob(rpc, "ada", ["two"]);
    await vi.waitFor(() => expect(second.lines().map(({ m }) => m)).toContain("two\n"), { timeout: 5000 });
    await evictDurableObject(env.WORKSHOP.getByName(workshop));
    await runJob(rpc, "ada", ["three"]);
    await vi.waitFor(() => expect(second.lines().map(({ m }) => m)).toContain("three\n"), { timeout: 5000 });
  });

  it("what is no subscription crashes as ComfyUI does", async () => {
    const { seats: [ada] } = await openWorkshop("ada");
    for (const body of ["{}", '{"clientId":"x"}', "nothing", "[]"]) expect((await ada!.get("PATCH", "/internal/logs/subscribe", { body })).status).toBe(500);
  });
});
