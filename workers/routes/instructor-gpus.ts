// The instructor's API about the GPUs: how the chain stands and why, warm and cool, self-tests, which template runs where. Mounted below
// /{workshop}/dashboard/api/v1. Invariant: every route asks for the role first; who acted is the signed-in seat and never a word of the body [Q69].
import { type Context, Hono } from "hono";
import { z } from "zod";
import type { Answer } from "../../durable-objects/contract.ts";
import type { GpuRpc } from "../../durable-objects/gpu-contract.ts";
import { templateVerdicts } from "../../frontend-shim/comfy-api/template-check.ts";
import type { EdgeEnv } from "../app.ts";
import type { Action } from "../auth/may.ts";
import { json, refuse } from "../errors.ts";
import { log } from "../log.ts";
import { openWorkshop } from "../workshop.ts";
import { lines, warmWish } from "./gpu-wishes.ts";
import { parse } from "./ops-request.ts";
import { asInstructor } from "./workshop.ts";

type Request = Context<EdgeEnv>;

export const instructorGpus = new Hono<EdgeEnv>();
const BASE = "/:workshop/dashboard/api/v1";

/** The chain in order, each pool with its state and reasons, and the money. `?ask=1`: the providers are asked first. */
instructorGpus.get(`${BASE}/gpus`, (c) => answered(c, "dashboard.read", (asked) => asked.gpus(c.req.query("ask") === "1"), ({ view }) => view));
instructorGpus.get(`${BASE}/gpus/log`, (c) => answered(c, "dashboard.read", (asked) => asked.poolNotes(lines(c, 50), c.req.query("pool") ?? null), ({ notes }) => ({ notes })));
instructorGpus.get(`${BASE}/templates`, (c) =>
  asInstructor(c, "dashboard.read", async (workshop) => json({ templates: await templateVerdicts(c.env.FILES, await openWorkshop(c.env, workshop).catalogs()) })),
);

instructorGpus.post(`${BASE}/pools/:name/warm`, (c) =>
  asInstructor(c, "dashboard.steer", async (workshop, by) => {
    const wish = await parse(c, warmWish);
    if (wish instanceof Response) return wish;
    const answer = await door(c, workshop).warmPool(poolOf(c), wish.replicas, Date.now() + wish.minutes * 60_000, by);
    log("instructed", { workshop, by, act: "warm", outcome: answer.ok ? "done" : answer.reason });
    return answer.ok ? json({ says: answer.says }) : refuse(answer, "ops");
  }),
);
instructorGpus.post(`${BASE}/pools/:name/cool`, (c) =>
  asInstructor(c, "dashboard.steer", async (workshop, by) => {
    const body = await parse(c, z.strictObject({}));
    if (body instanceof Response) return body;
    const answer = await door(c, workshop).coolPool(poolOf(c), by);
    log("instructed", { workshop, by, act: "cool", outcome: answer.ok ? "done" : answer.reason });
    return answer.ok ? json({ says: answer.says }) : refuse(answer, "ops");
  }),
);

/** Begins a self-test, or answers the one under way. */
instructorGpus.post(`${BASE}/pools/:name/test`, (c) => answered(c, "dashboard.steer", (asked) => asked.testPool(poolOf(c)), ({ test }) => test));
instructorGpus.get(`${BASE}/pools/:name/test`, (c) => answered(c, "dashboard.read", (asked) => asked.poolTest(poolOf(c)), ({ test }) => test));

async function answered<T extends object>(c: Request, action: Action, ask: (door: GpuRpc) => Promise<Answer<T>>, show: (answer: T) => object): Promise<Response> {
  return await asInstructor(c, action, async (workshop) => {
    const answer = await ask(door(c, workshop));
    return answer.ok ? json(show(answer)) : refuse(answer, "ops");
  });
}

function door(c: Request, workshop: string): GpuRpc {
  return openWorkshop(c.env, workshop) as unknown as GpuRpc;
}

function poolOf(c: Request): string {
  return c.req.param("name") ?? "";
}
