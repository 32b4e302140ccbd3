// Route x role for the instructor's API: every route, knocked at by everybody. A refusal comes before the body is looked at and changes nothing.
import { beforeAll, describe, expect, it } from "vitest";
import { signPoolToken } from "../../workers/auth/tokens.ts";
import { env } from "cloudflare:workers";
import { basic, call, OPERATOR, signIn } from "./edge/edge.ts";
import { openRoom, type Room } from "./steering.ts";

let room: Room;
let headers: Record<"anonymous" | "participant" | "runner" | "operator" | "instructor by cookie" | "instructor by Basic", Record<string, string>>;
const JOB = "11111111-2222-4333-8444-555555555555";

beforeAll(async () => {
  room = await openRoom("gates");
  const [own, instructor] = await Promise.all([signIn("gates", "user001", room.shop.passwords[0]!), signIn("gates", "instructor", room.shop.instructor)]);
  headers = {
    anonymous: {},
    participant: { cookie: own.cookie },
    runner: { authorization: `Bearer ${signPoolToken(env.SESSION_SECRET, { workshop: "gates", pool: "gpu", version: 1 })}` },
    operator: OPERATOR,
    "instructor by cookie": { cookie: instructor.cookie },
    "instructor by Basic": basic("instructor", room.shop.instructor),
  };
  expect(instructor.paths).toContain("/gates/dashboard/");
});

/** What the instructor gets for this body, on a workshop without jobs. */
const routes: [method: string, path: string, body: object | null, status: number][] = [
  ["GET", "/state", null, 200],
  ["GET", "/jobs", null, 200],
  ["GET", "/jobs?state=waiting,running&seat=user001&q=u&limit=5", null, 200],
  ["GET", "/jobs?state=finished", null, 400],
  ["GET", "/jobs?limit=0", null, 400],
  ["GET", "/jobs?before=-3", null, 400],
  ["GET", `/jobs/${JOB}`, null, 404],
  ["GET", "/audit", null, 200],
  ["GET", "/audit?limit=many", null, 400],
  ["GET", "/socket", null, 400],
  ["PUT", "/switch", { to: "open" }, 200],
  ["PUT", "/switch", { to: "ajar" }, 400],
  ["PUT", "/switch", {}, 400],
  ["PUT", "/mode", { mode: "fair" }, 200],
  ["PUT", "/mode", { mode: "unfair" }, 400],
  ["PATCH", "/params", { seat_max: 32 }, 200],
  ["PATCH", "/params", {}, 400],
  ["PATCH", "/params", { seat_max: 1.5 }, 400],
  ["PUT", "/slots", { slots: 2 }, 200],
  ["PUT", "/slots", { slots: -1 }, 400],
  ["PUT", "/demo", { on: false }, 200],
  ["PUT", "/budget", { budget: null }, 200],
  ["PUT", "/budget", { budget: "a lot" }, 400],
  ["POST", "/round", {}, 200],
  ["POST", "/clear", {}, 400],
  ["POST", "/clear", { confirm: "gates" }, 200],
  ["POST", `/jobs/${JOB}/cancel`, {}, 404],
  ["POST", `/jobs/${JOB}/evict`, {}, 404],
  ["POST", `/jobs/${JOB}/bump`, {}, 404],
  ["POST", `/jobs/${JOB}/bump`, { for_s: 0 }, 400],
  ["POST", `/jobs/${JOB}/unbump`, {}, 404],
  ["POST", `/jobs/${JOB}/move`, { before: null }, 404],
  ["POST", `/jobs/${JOB}/move`, {}, 400],
  ["PUT", `/jobs/${JOB}/class`, { class: 1 }, 404],
  ["PUT", `/jobs/${JOB}/priority`, { priority: 3 }, 404],
  ["PUT", `/jobs/${JOB}/priority`, { priority: 16 }, 400],
  ["PUT", "/seats/user001/paused", { paused: false }, 200],
  ["PUT", "/seats/user001/paused", { paused: "yes" }, 400],
  ["PUT", "/seats/user009/paused", { paused: true }, 404],
  ["PUT", "/seats/user001/weight", { weight: 100 }, 200],
  ["PUT", "/seats/user001/group", { group: null }, 200],
  ["PUT", "/seats/user001/group", { group: "Not A Name" }, 400],
  ["PUT", "/seats/user001/budget", { budget: null }, 200],
  ["POST", "/seats/user001/clear", { confirm: "user001" }, 200],
  ["POST", "/seats/..%2Fuser001/clear", { confirm: "../user001" }, 404],
  ["PUT", "/pools/gpu/draining", { draining: false }, 200],
  ["PUT", "/pools/gpu/groups", { groups: null }, 200],
  ["PUT", "/pools/gpu/groups", { groups: [] }, 400],
  ["POST", "/notices", { text: "Hello" }, 200],
  ["POST", "/notices", { text: "" }, 400],
  ["DELETE", "/notices/999", {}, 404],
  ["DELETE", "/notices/first", {}, 404],
  ["GET", "/gpus", null, 200],
  ["GET", "/gpus/log", null, 200],
  ["GET", "/templates", null, 200],
  ["POST", "/pools/gpu/warm", {}, 400],
  ["POST", "/pools/gpu/warm", { replicas: 0 }, 400],
  ["POST", "/pools/none/warm", { replicas: 1 }, 404],
  ["POST", "/pools/gpu/cool", {}, 400],
  ["POST", "/pools/none/test", {}, 404],
  ["GET", "/pools/gpu/test", null, 404],
  ["POST", "/undo/u_none", {}, 404],
  ["PUT", "/switch", { to: "open", and: "more" }, 400],
  ["GET", "/nothing", null, 404],
  ["DELETE", "/state", {}, 404],
];

const knock = async (who: keyof typeof headers, method: string, path: string, body: object | null): Promise<Response> =>
  await call(`/gates/dashboard/api/v1${path}`, { method, headers: { "content-type": "application/json", ...headers[who] }, ...(body === null ? {} : { body: JSON.stringify(body) }) });

describe("[CF12] the instructor's API and everybody at it", () => {
  it.each(routes)("%s %s %j", async (method, path, body, status) => {
    const found: Record<string, number> = {};
    for (const who of Object.keys(headers) as (keyof typeof headers)[]) {
      const answer = await knock(who, method, path, body);
      found[who] = answer.status;
      const told = (await answer.json()) as { error?: { reason?: string; message?: string } };
      if (answer.status < 400) continue;
      expect(Object.keys(told), who).toEqual(["error"]);
      expect(told.error, who).toMatchObject({ reason: expect.stringMatching(/^[a-z_]+$/), message: expect.stringMatching(/^\S.*[.)]$/s) });
      if (answer.status === 401 || answer.status === 403) expect(told.error?.reason).toBe(answer.status === 401 ? "unauthorized" : "wrong_seat");
      // A body or a query that is not as the page says: what that means, and what to do.
      if (answer.status === 400 && !path.startsWith("/pools/")) expect(told.error?.message).toMatch(/\bNothing was \w+[.,].* (Correct|To do it|Ask|Name)\b/);
    }
    expect(found).toEqual({ anonymous: 401, participant: 403, runner: 401, operator: 401, "instructor by cookie": status, "instructor by Basic": status });
  });

  it("[CF27] a page of another site cannot steer with the instructor's cookie", async () => {
    const answer = await call("/gates/dashboard/api/v1/switch", { method: "PUT", headers: { ...headers["instructor by cookie"], "content-type": "application/json", origin: "https://elsewhere.example" }, body: '{"to":"closed"}' });
    expect([answer.status, await answer.json()]).toMatchObject([403, { error: { reason: "cross_site" } }]);
    expect((await room.overview()).workshop.switch).toBe("open");
  });

  it("a body that is no JSON, or too much of it, is refused in words", async () => {
    const send = async (body: string): Promise<[number, unknown]> => {
      const answer = await call("/gates/dashboard/api/v1/mode", { method: "PUT", headers: headers["instructor by Basic"], body });
      return [answer.status, await answer.json()];
    };
    expect(await send("{")).toEqual([400, { error: { reason: "bad_request", message: "The body is no JSON. Nothing was changed. Correct it and send it again." } }]);
    expect(await send(`{"mode":"${"x".repeat(300 * 1024)}"}`)).toEqual([413, { error: { reason: "payload_too_large", message: expect.stringMatching(/Nothing was changed\. Send/) } }]);
  });

  it("the name in the audit is the signed-in seat, whatever a body says", async () => {
    await room.act("PUT", "/mode", { mode: "fifo" });
    expect((await room.refusal("PUT", "/mode", { mode: "fair", by: "somebody" })).status).toBe(400);
    expect((await room.audit("?what=mode"))[0]).toMatchObject({ by: "instructor", value: "fifo" });
  });

  it("another workshop's instructor is nobody here", async () => {
    const other = await openRoom("gates-two");
    expect((await call("/gates/dashboard/api/v1/state", { headers: basic("instructor", other.shop.instructor) })).status).toBe(401);
    const { cookie } = await signIn("gates-two", "instructor", other.shop.instructor);
    expect((await call("/gates/dashboard/api/v1/state", { headers: { cookie } })).status).toBe(403);
  });
});
