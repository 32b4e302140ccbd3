// The instructor's API below /{workshop}/dashboard/api/v1/: acts, their undo, jobs and their stories, audit, the live overview. Reference: docs/instructor-api.md.
// Invariant: every route asks for the role first; who acted is the signed-in seat and never a word of the body [Q69].
import { type Context, Hono } from "hono";
import type { z } from "zod";
import type { Instruction, InstructorRpc } from "../../durable-objects/instructor-contract.ts";
import type { EdgeEnv } from "../app.ts";
import { json, opsError, refuse } from "../errors.ts";
import { log } from "../log.ts";
import { openWorkshop } from "../workshop.ts";
import { auditSearch, bodies, jobSearch } from "./instructor-bodies.ts";
import { instructorGpus } from "./instructor-gpus.ts";
import { parse, wrong } from "./ops-request.ts";
import { socketRequest } from "./seat.ts";
import { asInstructor } from "./workshop.ts";

export const instructor = new Hono<EdgeEnv>();
const BASE = "/:workshop/dashboard/api/v1";
type Request = Context<EdgeEnv>;

function door(c: Request, workshop: string): InstructorRpc {
  return openWorkshop(c.env, workshop) as unknown as InstructorRpc;
}

/** A route that acts. `name` is the job, seat, pool or notice of its path. */
function act<S extends z.ZodType>(method: "POST" | "PUT" | "PATCH" | "DELETE", path: string, schema: S, make: (body: z.infer<S>, name: string) => Instruction): void {
  instructor.on(method, `${BASE}${path}`, (c: Request) =>
    asInstructor(c, "dashboard.steer", async (workshop, by) => {
      const body = await parse(c, schema);
      if (body instanceof Response) return body;
      const instruction = make(body, c.req.param("name") ?? "");
      const answer = await door(c, workshop).instruct(by, instruction);
      log("instructed", { workshop, by, act: instruction.do, outcome: answer.ok ? "done" : answer.reason });
      return answer.ok ? json(answer.done) : refuse(answer, "ops");
    }),
  );
}

act("PUT", "/switch", bodies.switch, ({ to }) => ({ do: "switch", to }));
act("PUT", "/mode", bodies.mode, ({ mode }) => ({ do: "mode", mode }));
act("PATCH", "/params", bodies.params, (params) => ({ do: "params", params }));
act("PUT", "/slots", bodies.slots, ({ slots }) => ({ do: "slots", slots }));
act("PUT", "/demo", bodies.on, ({ on }) => ({ do: "demo", on }));
act("PUT", "/budget", bodies.budget, ({ budget }) => ({ do: "budget", budget }));
act("POST", "/round", bodies.none, () => ({ do: "round" }));
act("POST", "/clear", bodies.clear, (body) => ({ do: "clear", seat: null, ...body }));

act("POST", "/jobs/:name/cancel", bodies.none, (_, job) => ({ do: "cancel", job }));
act("POST", "/jobs/:name/evict", bodies.none, (_, job) => ({ do: "evict", job }));
act("POST", "/jobs/:name/bump", bodies.bump, ({ for_s }, job) => ({ do: "bump", job, for_ms: for_s === null ? null : for_s * 1000 }));
act("POST", "/jobs/:name/unbump", bodies.none, (_, job) => ({ do: "unbump", job }));
act("POST", "/jobs/:name/move", bodies.move, ({ before }, job) => ({ do: "move", job, before }));
act("PUT", "/jobs/:name/class", bodies.class, (body, job) => ({ do: "class", job, class: body.class }));
act("PUT", "/jobs/:name/priority", bodies.priority, ({ priority }, job) => ({ do: "priority", job, priority }));

act("PUT", "/seats/:name/paused", bodies.paused, ({ paused }, seat) => ({ do: "seat_paused", seat, paused }));
act("PUT", "/seats/:name/weight", bodies.weight, ({ weight }, seat) => ({ do: "seat_weight", seat, weight }));
act("PUT", "/seats/:name/group", bodies.group, ({ group }, seat) => ({ do: "seat_group", seat, group }));
act("PUT", "/seats/:name/budget", bodies.budget, ({ budget }, seat) => ({ do: "seat_budget", seat, budget }));
act("POST", "/seats/:name/clear", bodies.clear, (body, seat) => ({ do: "clear", seat, ...body }));

act("PUT", "/pools/:name/draining", bodies.draining, ({ draining }, pool) => ({ do: "pool_draining", pool, draining }));
act("PUT", "/pools/:name/groups", bodies.groups, ({ groups }, pool) => ({ do: "pool_groups", pool, groups }));

act("POST", "/notices", bodies.announce, ({ text, level, seat, for_s }) => ({ do: "announce", text, level, seat, for_ms: for_s * 1000 }));
act("DELETE", "/notices/:name", bodies.none, (_, notice) => ({ do: "withdraw", notice: Number(notice) || 0 }));

instructor.post(`${BASE}/undo/:name`, (c) =>
  asInstructor(c, "dashboard.steer", async (workshop, by) => {
    const answer = await door(c, workshop).undo(by, c.req.param("name"));
    log("undone", { workshop, by, outcome: answer.ok ? "done" : answer.reason });
    return answer.ok ? json(answer.done) : refuse(answer, "ops");
  }),
);

instructor.get(`${BASE}/state`, (c) =>
  asInstructor(c, "dashboard.read", async (workshop) => {
    const answer = await door(c, workshop).overview();
    return answer.ok ? json({ revision: answer.revision, at: answer.at, overview: answer.overview }) : refuse(answer, "ops");
  }),
);

instructor.get(`${BASE}/jobs`, (c) =>
  asInstructor(c, "dashboard.read", async (workshop) => {
    const query = jobSearch.safeParse(c.req.query());
    if (!query.success) return badQuery(query.error);
    const { state, q, ...rest } = query.data;
    const answer = await door(c, workshop).searchJobs({ ...rest, states: state, text: q });
    return answer.ok ? json(answer.page) : refuse(answer, "ops");
  }),
);

instructor.get(`${BASE}/jobs/:name`, (c) =>
  asInstructor(c, "dashboard.read", async (workshop) => {
    const answer = await door(c, workshop).jobStory(c.req.param("name"));
    return answer.ok ? json(answer.story) : refuse(answer, "ops");
  }),
);

instructor.get(`${BASE}/audit`, (c) =>
  asInstructor(c, "dashboard.read", async (workshop) => {
    const query = auditSearch.safeParse(c.req.query());
    if (!query.success) return badQuery(query.error);
    const answer = await door(c, workshop).audit(query.data);
    return answer.ok ? json({ rows: answer.rows, next: answer.next }) : refuse(answer, "ops");
  }),
);

/** The live overview [CF14]. `since`: the revision a page that comes back has seen. */
instructor.get(`${BASE}/socket`, (c) =>
  asInstructor(c, "dashboard.read", async (workshop) => {
    if (c.req.header("upgrade")?.toLowerCase() !== "websocket") return opsError(400, "bad_request", "This address takes a WebSocket. Nothing was opened. Ask for an upgrade, or read GET /state.");
    const since = /^\d{1,15}$/.exec(c.req.query("since") ?? "")?.[0];
    return await openWorkshop(c.env, workshop).fetch(socketRequest(c.req.raw, { kind: "dashboard", ...(since === undefined ? {} : { since }) }));
  }),
);

instructor.route("/", instructorGpus);

instructor.all(`${BASE}/*`, (c) => asInstructor(c, "dashboard.read", async () => opsError(404, "not_found", "There is no such route in the instructor's API. Nothing was changed. docs/instructor-api.md lists the routes.")));

function badQuery(error: z.ZodError): Response {
  return opsError(400, "bad_request", `${wrong(error, "The query")} Nothing was listed, nothing was changed. Correct the query and ask again; docs/instructor-api.md says what it takes.`);
}
