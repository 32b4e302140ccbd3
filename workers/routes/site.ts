// What anybody may see without signing in: the start page, coarse health, and the few files the frontend asks for outside its seat.
import { type Context, Hono } from "hono";
import { type HealthView, healthPage, landingPage } from "../../frontend-shim/join/pages.ts";
import type { Health } from "../../durable-objects/contract.ts";
import type { EdgeEnv } from "../app.ts";
import { json } from "../errors.ts";
import { logError } from "../log.ts";
import { exists, openWorkshop } from "../workshop.ts";
import { serveFrontend } from "./frontend.ts";
import { wantsDocument } from "./seat.ts";

export const site = new Hono<EdgeEnv>();

site.get("/", (c) => landingPage(c.env.DEFAULT_WORKSHOP));
site.get("/health/ping", (c) => c.text("ok", 200, { "cache-control": "no-store" }));
site.get("/health", async (c) => {
  const view = await healthView(c.env);
  return wantsDocument(c.req.raw) ? healthPage(view) : json(view, view.status === "down" ? 503 : 200);
});
site.get("/robots.txt", (c) => c.text("User-agent: *\nDisallow: /\n"));
// A tab's icon is asked for at the site's root by browsers, and the frontend's progress icons by the frontend itself.
site.get("/favicon.ico", (c) => serveFrontend(c.req.raw, c.env, "/assets/favicon.ico"));
site.get("/assets/favicon.ico", shared);
site.get("/assets/images/favicon_progress_16x16/:frame", shared);
site.get("/user.css", shared);

function shared(c: Context<EdgeEnv>): Promise<Response> {
  return serveFrontend(c.req.raw, c.env, c.req.path);
}

/** Coarse and without secrets [seeds 51]: states and counts, no names of machines, endpoints or people. */
async function healthView(env: Env): Promise<HealthView> {
  const [queue, files] = await Promise.all([probe("queue", () => queueParts(env)), probe("files", () => filesPart(env))]);
  const parts = [...queue, ...files];
  const status = parts.some(({ state }) => state === "down") ? "down" : parts.some(({ state }) => state === "missing") ? "degraded" : "ok";
  return { status, parts };
}

type Parts = HealthView["parts"];

async function probe(name: string, ask: () => Promise<Parts>): Promise<Parts> {
  try {
    return await ask();
  } catch (error) {
    logError("health_probe_failed", error, { part: name });
    return [{ name, state: "down", says: "does not answer; it is asked again with every look at this page" }];
  }
}

async function queueParts(env: Env): Promise<Parts> {
  if (!(await exists(env, env.DEFAULT_WORKSHOP, Date.now()))) return [{ name: "queue", state: "missing", says: "no workshop has been created yet" }];
  const answer = await openWorkshop(env, env.DEFAULT_WORKSHOP).health();
  if (!answer.ok) return [{ name: "queue", state: "missing", says: "no workshop has been created yet" }];
  const { jobs, runners, switches } = answer.health;
  return [
    { name: "queue", state: "ok", says: `${switches}; ${jobs.waiting} waiting, ${jobs.live} under way` },
    runnersPart(runners),
  ];
}

function runnersPart(runners: Health["runners"]): Parts[number] {
  if (runners.length === 0) return { name: "runners", state: "missing", says: "no GPU is connected; prompts wait until one is" };
  // An object of the release before says nothing of stages: its runners dial in when they are ready.
  const starting = runners.filter(({ stage = "ready" }) => stage !== "ready").length;
  if (starting === runners.length) return { name: "runners", state: "missing", says: `${starting} connected, none ready yet; prompts wait until one is` };
  const busy = runners.filter((runner) => runner.busy).length;
  return { name: "runners", state: busy === 0 ? "idle" : "ok", says: `${runners.length} connected, ${busy} busy${starting === 0 ? "" : `, ${starting} starting`}` };
}

async function filesPart(env: Env): Promise<Parts> {
  await env.FILES.head("health");
  return [{ name: "files", state: "ok", says: "the store answers" }];
}
