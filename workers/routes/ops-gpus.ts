// The operator's commands about a workshop's GPUs: how the chain stands and why, warm and cool, self-tests, the providers' own switches and logs, money.
// Mounted below /ops/v1/workshops/{workshop}, behind the operator's token.
import { Hono } from "hono";
import { z } from "zod";
import type { GpuRpc } from "../../durable-objects/gpu-contract.ts";
import { templateVerdicts } from "../../frontend-shim/comfy-api/template-check.ts";
import type { EdgeEnv } from "../app.ts";
import { json, refuse } from "../errors.ts";
import { log } from "../log.ts";
import { openWorkshop } from "../workshop.ts";
import { lines, warmWish } from "./gpu-wishes.ts";
import { inPool } from "./ops-pools.ts";
import { inWorkshop, type OpsRequest, parse } from "./ops-request.ts";

const BY = "operator";

export const opsGpus = new Hono<EdgeEnv>();

/** The chain in order, each pool with its state and reasons, and the money. `?ask=1`: the providers are asked first. */
opsGpus.get("/gpus", (c) =>
  inWorkshop(c, async (workshop) => {
    const answer = await door(c, workshop).gpus(c.req.query("ask") === "1");
    return answer.ok ? json(answer.view) : refuse(answer, "ops");
  }),
);

/** What happened to the pools and why, newest first. */
opsGpus.get("/gpus/log", (c) =>
  inWorkshop(c, async (workshop) => {
    const answer = await door(c, workshop).poolNotes(lines(c, 50), c.req.query("pool") ?? null);
    return answer.ok ? json({ notes: answer.notes }) : refuse(answer, "ops");
  }),
);

/** The shipped templates: which pool can run each, and what is missing. */
opsGpus.get("/templates", (c) => inWorkshop(c, async (workshop) => json({ templates: await templateVerdicts(c.env.FILES, await openWorkshop(c.env, workshop).catalogs()) })));

opsGpus.put("/slots", (c) =>
  inWorkshop(c, async (workshop) => {
    const body = await parse(c, z.object({ slots: z.int().min(0).max(1000) }));
    if (body instanceof Response) return body;
    const answer = await door(c, workshop).setSlots(body.slots, BY);
    if (!answer.ok) return refuse(answer, "ops");
    log("ops_slots", { workshop, slots: body.slots });
    return json({ workshop, slots: body.slots });
  }),
);

/** Budget in EUR; null takes it away. Running jobs finish whatever it says [Q16]. */
opsGpus.put("/budget", (c) =>
  inWorkshop(c, async (workshop) => {
    const body = await parse(c, z.object({ eur: z.number().min(0).max(1_000_000).nullable() }));
    if (body instanceof Response) return body;
    const answer = await door(c, workshop).setBudget(body.eur === null ? null : Math.round(body.eur * 1_000_000), BY);
    if (!answer.ok) return refuse(answer, "ops");
    log("ops_budget", { workshop, eur: body.eur });
    return await money(c, workshop);
  }),
);
opsGpus.get("/budget", (c) => inWorkshop(c, (workshop) => money(c, workshop)));

opsGpus.delete("/pools/:pool", (c) =>
  inPool(c, async (workshop, pool) => {
    const answer = await door(c, workshop).removePool(pool, BY);
    if (!answer.ok) return refuse(answer, "ops");
    log("ops_remove_pool", { workshop, pool });
    return json({ workshop, pool, removed: true });
  }),
);

opsGpus.post("/pools/:pool/warm", (c) =>
  inPool(c, async (workshop, pool) => {
    const body = await parse(c, warmWish);
    if (body instanceof Response) return body;
    const answer = await door(c, workshop).warmPool(pool, body.replicas, Date.now() + body.minutes * 60_000, BY);
    if (!answer.ok) return refuse(answer, "ops");
    log("ops_warm", { workshop, pool, ...body });
    return json({ workshop, pool, says: answer.says });
  }),
);

opsGpus.post("/pools/:pool/cool", (c) =>
  inPool(c, async (workshop, pool) => {
    const answer = await door(c, workshop).coolPool(pool, BY);
    if (!answer.ok) return refuse(answer, "ops");
    log("ops_cool", { workshop, pool });
    return json({ workshop, pool, says: answer.says });
  }),
);

opsGpus.post("/pools/:pool/control", (c) =>
  inPool(c, async (workshop, pool) => {
    const body = await parse(c, z.object({ action: z.enum(["pause", "resume", "restart", "purge"]) }));
    if (body instanceof Response) return body;
    const answer = await door(c, workshop).controlPool(pool, body.action);
    if (!answer.ok) return refuse(answer, "ops");
    log("ops_control_pool", { workshop, pool, action: body.action });
    return json({ workshop, pool, says: answer.says });
  }),
);

opsGpus.get("/pools/:pool/logs", (c) =>
  inPool(c, async (workshop, pool) => {
    const answer = await door(c, workshop).poolLogs(pool, lines(c, 100));
    return answer.ok ? json({ lines: answer.lines }) : refuse(answer, "ops");
  }),
);

/** Begins a self-test, or answers the one under way. */
opsGpus.post("/pools/:pool/test", (c) =>
  inPool(c, async (workshop, pool) => {
    const answer = await door(c, workshop).testPool(pool);
    if (!answer.ok) return refuse(answer, "ops");
    log("ops_test_pool", { workshop, pool, job: answer.test.job });
    return json(answer.test);
  }),
);
opsGpus.get("/pools/:pool/test", (c) =>
  inPool(c, async (workshop, pool) => {
    const answer = await door(c, workshop).poolTest(pool);
    return answer.ok ? json(answer.test) : refuse(answer, "ops");
  }),
);

async function money(c: OpsRequest, workshop: string): Promise<Response> {
  const answer = await door(c, workshop).gpus(false);
  return answer.ok ? json(answer.view.money) : refuse(answer, "ops");
}

function door(c: OpsRequest, workshop: string): GpuRpc {
  return openWorkshop(c.env, workshop) as unknown as GpuRpc;
}
