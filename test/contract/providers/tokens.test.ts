// What leaks give: a provider key, a dispatch, an attempt's token, an upload address open nothing beyond one attempt and nothing after its end ([G9], [Q53]).
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { hmacHex, canonicalJson, signDispatch } from "../../../gpu-adapter/canonical.ts";
import type { Dispatch } from "../../../gpu-adapter/contract.ts";
import { signAttempt, signFile } from "../../../r2/signed.ts";
import { ROOT } from "../../../scripts/stack.ts";
import { colourGraph, sleepGraph } from "../../e2e/support/seat-client.ts";
import { Verda } from "../../simulators/verda/verda.ts";
import { type GpuRoom, openGpuRoom, pictureOf, runsOf, until } from "./support/gpu-room.ts";

const SECRET = /^SESSION_SECRET\s*=\s*"?([^"\n]+)"?/m.exec(readFileSync(join(ROOT, ".dev.vars"), "utf8"))?.[1] ?? "";
const RUNNER = { id: "someone-else", version: "0", mode: "http" };

let room: GpuRoom<Verda>;
let verda: Verda;
beforeAll(async () => {
  verda = new Verda();
  await verda.open();
  room = await openGpuRoom(verda, verda.vars);
});
afterAll(async () => {
  await room?.end();
});
afterEach(async () => {
  verda.host.fair();
  verda.host.calls.length = 0;
  await room.clear();
});

let colour = 1;
const graph = (): Record<string, unknown> => colourGraph(colour++, "tokens");

/** The dispatch of a job as the provider saw it: what a leak at the provider would give. */
async function leaked(job: string): Promise<Dispatch> {
  let found: Dispatch | undefined;
  await until("the hand-over", () => {
    found = verda.host.calls.map(({ body }) => body as Dispatch).find((body) => body?.job_id === job);
    return found !== undefined;
  });
  return found!;
}

async function ask(dispatch: Dispatch, path: string, body: unknown, token = dispatch.callback.token): Promise<number> {
  const answer = await fetch(`${dispatch.callback.base_url}${path}`, { method: "POST", headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" }, body: JSON.stringify(body) });
  await answer.text();
  return answer.status;
}

const claimPath = ({ job_id, attempt }: Pick<Dispatch, "job_id" | "attempt">): string => `/jobs/${job_id}/attempts/${attempt}/claim`;

describe("a leaked provider key", () => {
  test("[G9] a dispatch of one's own making is refused by every machine: nothing runs, nobody is called", async () => {
    const called: string[] = [];
    const evil = createServer((request, response) => {
      called.push(request.url ?? "");
      response.end("{}");
    });
    await new Promise<void>((resolve) => evil.listen(0, "127.0.0.1", resolve));
    const address = evil.address();
    const origin = `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`;
    const fleet = await room.pool("h200", { min: 1 });
    await until("a machine", () => fleet.up.length === 1);
    const forged = { v: 1, workshop: "demo", pool: "h200", job_id: crypto.randomUUID(), attempt: 1, dispatch_id: "forged", callback: { base_url: `${origin}/runner/v1/demo`, token: "x".repeat(30) }, claim_before: Date.now() + 60_000, detach: false };
    const guessed = { ...forged, sig: await hmacHex("guess", canonicalJson(forged)) };
    expect((await fetch(`${verda.endpoint("h200")}/v1/jobs`, { method: "POST", headers: { Authorization: `Bearer ${verda.inferenceKey}`, Prefer: "respond-async", "X-Inference-Id": "forged" }, body: JSON.stringify(guessed) })).status).toBe(202);
    await until("its answer", () => fleet.messages.get("forged")?.answer !== null);
    expect(fleet.messages.get("forged")?.answer).toMatchObject({ status: 401, body: { error: expect.stringMatching(/signature does not hold/) as string } });
    expect(called).toEqual([]);
    evil.close();
  });

  test("[G9] a machine whose image does not allow this platform refuses a dispatch that is well signed", async () => {
    const fleet = await room.pool("h200", { allowOrigins: ["https://another.example"] });
    const right = await room.pool("right");
    const client = room.client(1);
    const job = await client.submit(graph());
    await pictureOf(client, job);
    expect([runsOf([fleet], job), runsOf([right], job)]).toEqual([0, 1]);
    expect([...fleet.messages.values()][0]?.answer).toMatchObject({ status: 403 });
  });
});

describe("a leaked dispatch", () => {
  test("[G9] opens its own attempt and no other door", async () => {
    await room.pool("h200", { coldMs: 4_000 });
    const [one, two] = [room.client(1), room.client(2)];
    const job = await one.submit(graph());
    const dispatch = await leaked(job);
    const other = await two.submit(graph());
    expect(await ask(dispatch, claimPath({ job_id: other, attempt: 1 }), { runner: RUNNER })).toBe(403);
    expect(await ask(dispatch, claimPath({ job_id: job, attempt: 2 }), { runner: RUNNER })).toBe(403);
    expect(await ask(dispatch, "/pools/h200/next", { runner: RUNNER, wait_ms: 0 })).toBe(401);
    expect(await ask(dispatch, "/pools/h200/catalog", {})).toBe(403);
    expect(await ask({ ...dispatch, callback: { ...dispatch.callback, base_url: dispatch.callback.base_url.replace(/demo$/, "other") } }, claimPath(dispatch), { runner: RUNNER })).toBe(403);
    const base = dispatch.callback.base_url.replace(/\/runner.*/, "");
    for (const path of ["/demo/user001/history", "/demo/user001/queue", "/ops/v1/workshops"]) {
      expect((await fetch(`${base}${path}`, { headers: { Authorization: `Bearer ${dispatch.callback.token}` } })).status, path).toBe(401);
    }
    await pictureOf(one, job);
    await pictureOf(two, other);
  });

  test("[Q53] is worth nothing once its attempt has ended: claim, events, uploads, result", async () => {
    const fleet = await room.pool("h200");
    const client = room.client(1);
    const job = await client.submit(graph());
    const dispatch = await leaked(job);
    const before = await pictureOf(client, job);
    const path = `/jobs/${job}/attempts/1`;
    const result = { lease_id: "l_guess", status: "succeeded", files: [], comfy_outputs: {}, comfy_messages: [], comfy_meta: {}, timings: {}, runner: RUNNER };
    expect(await ask(dispatch, `${path}/claim`, { runner: RUNNER })).toBe(409);
    expect(await ask(dispatch, `${path}/events`, { lease_id: "l_guess", events: [] })).toBe(409);
    expect(await ask(dispatch, `${path}/uploads`, { lease_id: "l_guess", files: [{ type: "output", subfolder: "", filename: "x.png", node_id: "1", key: "images", content_type: "image/png", size: 1, sha256: "0".repeat(64) }] })).toBe(409);
    expect(await ask(dispatch, `${path}/result`, result)).toBe(409);
    expect(await pictureOf(client, job)).toEqual(before);
    // Handed to a machine again, as whoever holds the provider's key could: it asks, is told, and runs nothing.
    fleet.put("replayed", dispatch);
    await until("its answer", () => fleet.messages.get("replayed")?.answer !== null);
    expect(fleet.messages.get("replayed")?.answer).toMatchObject({ status: 200, body: { outcome: "skipped", reason: expect.stringMatching(/^finished/) as string } });
    expect(runsOf([fleet], job)).toBe(1);
  });

  test("[G8] is bound word by word: another callback, attempt or deadline breaks the signature", async () => {
    const fleet = await room.pool("h200", { min: 1 });
    const client = room.client(1);
    const job = await client.submit(graph());
    const dispatch = await leaked(job);
    await pictureOf(client, job);
    const changes: Partial<Dispatch>[] = [{ callback: { ...dispatch.callback, base_url: "http://127.0.0.1:9/runner/v1/demo" } }, { attempt: 2 }, { claim_before: dispatch.claim_before + 3_600_000 }, { workshop: "other" }, { detach: true }];
    for (const [n, change] of changes.entries()) {
      fleet.put(`changed-${n}`, { ...dispatch, ...change });
      await until("its answer", () => fleet.messages.get(`changed-${n}`)?.answer !== null);
      expect(fleet.messages.get(`changed-${n}`)?.answer?.status, JSON.stringify(change)).toBe(401);
    }
    expect(dispatch.sig).toBe(await signDispatch(dispatch, await room.room.dispatchKey("h200")));
  });
});

describe("tokens of our own making", () => {
  test("[G9] an attempt's token ends; a changed one is none; another workshop's opens nothing", async () => {
    await room.pool("h200", { coldMs: 4_000 });
    const client = room.client(1);
    const job = await client.submit(graph());
    const dispatch = await leaked(job);
    const claims = { workshop: "demo", job, attempt: 1 };
    expect(await ask(dispatch, claimPath(dispatch), { runner: RUNNER }, signAttempt(SECRET, { ...claims, exp: Date.now() - 1 }))).toBe(401);
    expect(await ask(dispatch, claimPath(dispatch), { runner: RUNNER }, signAttempt("another-secret-another-secret-000", { ...claims, exp: Date.now() + 60_000 }))).toBe(401);
    expect(await ask(dispatch, claimPath(dispatch), { runner: RUNNER }, `${dispatch.callback.token.slice(0, -3)}AAA`)).toBe(401);
    expect(await ask(dispatch, claimPath(dispatch), { runner: RUNNER }, signAttempt(SECRET, { ...claims, workshop: "other", exp: Date.now() + 60_000 }))).toBe(403);
    await pictureOf(client, job);
  });

  test("[G21] an upload address takes its one file once, gives nothing out, and ends", async () => {
    await room.pool("h200");
    const client = room.client(1);
    const job = await client.submit(graph());
    await pictureOf(client, job);
    const put = room.weather.passed.find(({ method, path }) => method === "PUT" && path.includes("/files/"));
    const url = `${room.stage.origin}${put?.path ?? ""}`;
    expect((await fetch(url, { method: "PUT", body: "other bytes" })).status).toBeGreaterThanOrEqual(400);
    expect((await fetch(url)).status).toBe(403);
    const key = `o/demo/${job}/1/l_x/0-x.png`;
    const ended = signFile(SECRET, { op: "put", key, size: 5, exp: Date.now() - 1 });
    expect((await fetch(`${room.stage.origin}/runner/v1/demo/files/${ended}`, { method: "PUT", body: "12345" })).status).toBe(401);
    const forged = signFile("another-secret-another-secret-000", { op: "get", key, exp: Date.now() + 60_000 });
    expect((await fetch(`${room.stage.origin}/runner/v1/demo/files/${forged}`)).status).toBe(401);
  });

  test("[G13] a catalog under an attempt's token is the one its runner announced, or none", async () => {
    await room.pool("newcomer");
    const client = room.client(1);
    const job = await client.submit(sleepGraph(3, colour++));
    const dispatch = await leaked(job);
    await until("the catalog", () => room.weather.count(/\/pools\/newcomer\/catalog$/, 200) > 0);
    const rest = { object_info: { Evil: {} }, extensions: [], web_files: [], i18n: {}, workflow_templates: {}, embeddings: [], models: {}, system_stats: {}, features: {} };
    const digest = Buffer.from(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(canonicalJson(rest)))).toString("hex");
    expect(await ask(dispatch, "/pools/newcomer/catalog", { digest, ...rest })).toBe(403);
    await pictureOf(client, job);
  });
});

describe("clocks", () => {
  test.each([["half a minute ahead", 30_000], ["ten minutes behind", -600_000]])("[G9] a machine %s works", async (_, clockMs) => {
    const fleet = await room.pool("h200", { clockMs });
    const client = room.client(1);
    const job = await client.submit(graph());
    await pictureOf(client, job);
    expect(runsOf([fleet], job)).toBe(1);
  });

  test("[G9] a machine ten minutes ahead takes every dispatch for too old: the next pool runs it, and the journal says why", async () => {
    const fleet = await room.pool("ahead", { clockMs: 600_000 });
    const right = await room.pool("right");
    const client = room.client(1);
    const job = await client.submit(graph());
    await pictureOf(client, job);
    expect([...fleet.messages.values()][0]?.answer).toMatchObject({ status: 410 });
    expect([runsOf([fleet], job), runsOf([right], job)]).toEqual([0, 1]);
  });
});
