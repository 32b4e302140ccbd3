// Route x role: every door of the edge, knocked at by everybody [seeds 48]. What is not in the table is answered as the last lines say.
import { listDurableObjectIds } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { signAttempt, signFile } from "../../../r2/signed.ts";
import { credentialOf } from "../../../workers/auth/passwords.ts";
import { signPoolToken } from "../../../workers/auth/tokens.ts";
import { socketRequest } from "../../../workers/routes/seat.ts";
import { openWorkshop } from "../../../workers/workshop.ts";
import { OPERATOR, basic, call, gist, post, signIn, workshop, type Workshop } from "./edge.ts";

const JOB = "11111111-2222-4333-8444-555555555555";
const ATTEMPT = `/runner/v1/doors/jobs/${JOB}/attempts/1`;
const who = ["anonymous", "own seat", "other seat", "instructor", "runner", "attempt", "operator"] as const;
type Who = (typeof who)[number];
let shop: Workshop;
let headers: Record<Who, Record<string, string>>;

beforeAll(async () => {
  shop = await workshop("doors");
  const [own, other, instructor] = await Promise.all([signIn("doors", "user001", shop.passwords[0]!), signIn("doors", "user002", shop.passwords[1]!), signIn("doors", "instructor", shop.instructor)]);
  const attempt = signAttempt(env.SESSION_SECRET, { workshop: "doors", job: JOB, attempt: 1, exp: Date.now() + 60_000 });
  headers = {
    anonymous: {},
    "own seat": { cookie: own.cookie },
    "other seat": { cookie: other.cookie },
    instructor: { cookie: instructor.cookie },
    runner: { authorization: `Bearer ${shop.poolToken}` },
    attempt: { authorization: `Bearer ${attempt}` },
    operator: OPERATOR,
  };
});

// The columns are the callers in the order above.
type Row = [method: string, path: string, statuses: number[]];
const ALL = (status: number): number[] => who.map(() => status);
const SEAT = (status: number): number[] => [401, status, 403, 403, 401, 401, 401];
const DASHBOARD = (status: number): number[] => [401, 403, 403, status, 401, 401, 401];
const POOL = (status: number): number[] => [401, 401, 401, 401, status, 401, 401];
/** A pool's runner may report what it has; an attempt's token only what its claim announced. */
const REPORT = (status: number): number[] => [401, 401, 401, 401, status, 403, 401];
const RUN = (status: number): number[] => [401, 401, 401, 401, 401, status, 401];
const OPS = (status: number): number[] => [401, 401, 401, 401, 401, 401, status];
const rows: Row[] = [
  ["GET", "/", ALL(200)],
  ["GET", "/health", ALL(200)],
  ["GET", "/health/ping", ALL(200)],
  ["GET", "/robots.txt", ALL(200)],
  ["GET", "/user.css", ALL(200)],
  ["GET", "/doors/", ALL(200)],
  ["GET", "/doors", ALL(308)],
  ["GET", "/doors/login", ALL(200)],
  ["POST", "/doors/logout?seat=user001", ALL(303)],
  ["GET", "/doors/user001", ALL(308)],
  ["GET", "/doors/user001/prompt", SEAT(200)],
  ["GET", "/doors/user001/api/queue", SEAT(200)],
  ["GET", "/doors/user001/history", SEAT(200)],
  ["GET", "/doors/user001/api/settings", SEAT(200)],
  ["GET", "/doors/user001/api/system_stats", SEAT(200)],
  ["GET", "/doors/user001/api/userdata?dir=workflows", SEAT(200)],
  ["GET", "/doors/user001/api/userdata/workflows%2Fnone.json", SEAT(404)],
  ["GET", "/doors/user001/view?filename=none.png", SEAT(404)],
  ["GET", "/doors/user001/ws", SEAT(400)],
  ["GET", "/doors/user001/user.css", SEAT(200)],
  ["POST", "/doors/user001/api/interrupt", SEAT(200)],
  ["POST", "/doors/user001/api/settings", SEAT(200)],
  ["GET", "/doors/dashboard", ALL(308)],
  ["GET", "/doors/dashboard/", DASHBOARD(200)],
  ["GET", "/doors/dashboard/api/state", DASHBOARD(200)],
  ["GET", "/doors/dashboard/api/seats/user001/jobs", DASHBOARD(200)],
  ["GET", "/doors/dashboard/api/seats/..%2Fx/jobs", DASHBOARD(404)],
  ["POST", "/runner/v1/doors/pools/gpu/next", POOL(400)],
  ["GET", "/runner/v1/doors/pools/gpu/next", POOL(400)],
  ["POST", "/runner/v1/doors/pools/gpu/catalog", REPORT(400)],
  ["PUT", "/runner/v1/doors/pools/gpu/catalog/0123456789abcdef/web/x.js", REPORT(404)],
  ["POST", "/runner/v1/doors/pools/other/next", [401, 401, 401, 401, 403, 401, 401]],
  ["POST", "/runner/v1/elsewhere/pools/gpu/next", [401, 401, 401, 401, 403, 401, 401]],
  ["POST", `${ATTEMPT}/claim`, RUN(400)],
  ["POST", `${ATTEMPT}/events`, RUN(400)],
  ["GET", `${ATTEMPT}/events`, RUN(400)],
  ["POST", `${ATTEMPT}/uploads`, RUN(400)],
  ["POST", `${ATTEMPT}/uploads/commit`, RUN(400)],
  ["POST", `${ATTEMPT}/result`, RUN(400)],
  ["POST", `/runner/v1/doors/jobs/${JOB}/attempts/2/result`, RUN(403)],
  ["POST", `/runner/v1/elsewhere/jobs/${JOB}/attempts/1/result`, RUN(403)],
  ["GET", "/runner/v1/doors/files/forged.token", ALL(401)],
  ["PUT", "/runner/v1/doors/files/forged.token", ALL(401)],
  ["GET", "/runner/v1/doors/nothing", ALL(404)],
  ["GET", "/ops/v1/workshops", OPS(200)],
  ["POST", "/ops/v1/workshops", OPS(400)],
  ["GET", "/ops/v1/workshops/doors/health", OPS(200)],
  ["GET", "/ops/v1/workshops/doors/seats", OPS(200)],
  ["POST", "/ops/v1/workshops/doors/seats", OPS(400)],
  ["POST", "/ops/v1/workshops/doors/seats/nobody/password", OPS(404)],
  ["PUT", "/ops/v1/workshops/doors/pools/gpu", OPS(400)],
  ["POST", "/ops/v1/workshops/doors/pools/gpu/token", OPS(200)],
  ["GET", "/ops/v1/nothing", OPS(404)],
  ["DELETE", "/ops/v1/workshops", OPS(404)],
  ["GET", "/doors/nobody-here/prompt", [401, 403, 403, 403, 401, 401, 401]],
  ["GET", "/doors/api/prompt", ALL(404)],
  ["GET", "/Doors/user001/prompt", ALL(404)],
  ["GET", "/..%2fdoors/user001/prompt", ALL(404)],
  ["GET", "/doors%2Fuser001/prompt", ALL(404)],
  ["GET", "/a/b/c/d", ALL(401)],
];

describe("[CF12] every door and everybody at it", () => {
  it.each(rows)("%s %s", async (method, path, statuses) => {
    const found: Record<string, number> = {};
    for (const caller of who) {
      const answer = await call(path, { method, headers: headers[caller], ...(method === "GET" ? {} : { body: path.endsWith("/settings") ? "{}" : path.endsWith("/token") ? "" : path.endsWith("/interrupt") ? "" : "[]" }) });
      found[caller] = answer.status;
      await answer.body?.cancel();
    }
    expect(found).toEqual(Object.fromEntries(who.map((caller, index) => [caller, statuses[index]])));
  });

  it("the dashboard is for the role, not for the name", async () => {
    const { passwords } = await workshop("doors-2", 1);
    await openWorkshop(env, "doors-2").putSeats([credentialOf("instructor", "participant", passwords[0]!)]);
    const demoted = basic("instructor", passwords[0]!);
    expect((await call("/doors-2/instructor/prompt", { headers: demoted })).status).toBe(200);
    for (const path of ["/doors-2/dashboard/", "/doors-2/dashboard/api/state"]) expect((await call(path, { headers: demoted })).status).toBe(403);
  });

  it("the dashboard runs its one script and nothing else", async () => {
    const answer = await call("/doors/dashboard/", { headers: headers.instructor });
    const scripts = [...(await answer.text()).matchAll(/<script[^>]*nonce="([^"]+)"/g)].map(([, nonce]) => nonce);
    expect(scripts).toHaveLength(1);
    expect(answer.headers.get("content-security-policy")).toContain(`script-src 'nonce-${scripts[0]}'; connect-src 'self'`);
    const state = await (await call("/doors/dashboard/api/state", { headers: headers.instructor })).json();
    expect(state).toMatchObject({ title: "Workshop doors", health: { workshop: "doors", jobs: { waiting: 0, live: 0 }, runners: [] }, seats: [{ seat: "instructor" }, { seat: "user001" }, { seat: "user002" }] });
  });

  it("no refusal at the seat's door is an internal error or carries a body of somebody's", async () => {
    for (const caller of ["anonymous", "other seat"] as const) {
      const answer = await call("/doors/user001/api/history", { headers: headers[caller] });
      expect(await answer.json()).toMatchObject({ error: { type: caller === "anonymous" ? "unauthorized" : "wrong_seat" }, node_errors: {} });
    }
  });
});

describe("who is asked to sign in, and how", () => {
  const page = { "sec-fetch-mode": "navigate", "sec-fetch-site": "none", accept: "text/html" };

  it.each([
    ["/doors/user001/", "/doors/login?seat=user001&next=%2Fdoors%2Fuser001%2F"],
    ["/doors/user001/?template=a%26b", "/doors/login?seat=user001&next=%2Fdoors%2Fuser001%2F%3Ftemplate%3Da%2526b"],
    ["/doors/dashboard/", "/doors/login?seat=instructor&next=%2Fdoors%2Fdashboard%2F"],
  ])("a browser opening %s is led to the login page and back", async (path, location) => {
    expect(await gist(await call(path, { headers: page }))).toBe(`302 ${location}`);
    expect(await gist(await call(path, { headers: { accept: "text/html,*/*" } }))).toBe(`302 ${location}`);
  });

  it("a program is told how to sign in", async () => {
    const answer = await call("/doors/user001/prompt");
    expect([answer.status, answer.headers.get("www-authenticate")]).toEqual([401, 'Basic realm="ComfyUMe doors", charset="UTF-8"']);
    expect(await answer.json()).toMatchObject({ error: { type: "unauthorized" }, node_errors: {} });
  });

  it("[seeds 43] a page that lives on after its session is told in words and never by 401, or it would reload for ever", async () => {
    for (const path of ["/doors/user001/api/settings", "/doors/user001/api/queue", "/doors/user001/api/prompt"]) {
      const answer = await call(path, { headers: { "sec-fetch-site": "same-origin", "sec-fetch-mode": "cors", accept: "*/*" } });
      expect([answer.status, answer.headers.get("www-authenticate")]).toEqual([403, null]);
      expect(await answer.json()).toMatchObject({ error: { type: "session_ended" } });
    }
  });

  it("HTTP Basic opens the seat of its user name, and says wrong seat at another", async () => {
    expect((await call("/doors/user001/prompt", { headers: basic("user001", shop.passwords[0]!) })).status).toBe(200);
    expect((await call("/doors/user001/prompt", { headers: basic("user002", shop.passwords[1]!) })).status).toBe(403);
    expect((await call("/doors/user001/prompt", { headers: basic("user001", shop.passwords[1]!) })).status).toBe(401);
    expect((await call("/doors/dashboard/", { headers: basic("instructor", shop.instructor) })).status).toBe(200);
    for (const header of ["Basic", "Basic !!!", `Basic ${btoa("no colon")}`, "Basic ////"]) expect((await call("/doors/user001/prompt", { headers: { authorization: header } })).status).toBe(401);
  });

  it.each([
    ["/user001/", "302 /demo/user001/"],
    ["/user001", "302 /demo/user001/"],
    ["/doors", "308 /doors/"],
    ["/doors/user001?a=b", "308 /doors/user001/?a=b"],
  ])("%s leads to %s", async (path, leads) => {
    expect(await gist(await call(path))).toBe(leads);
  });

  it("an address that leads nowhere says so, and wakes no workshop's object", async () => {
    const before = (await listDurableObjectIds(env.WORKSHOP)).length;
    for (const path of ["/login/", "/No-Such/", "/none/login"]) {
      const answer = await call(path);
      expect([answer.status, await answer.text()]).toEqual([404, expect.stringContaining("Nothing here")]);
    }
    expect((await post("/none-2/login", { seat: "user001", password: "x" })).status).toBe(401);
    expect((await call("/none-3/user001/prompt", { headers: basic("user001", "x") })).status).toBe(401);
    expect((await call("/none-4/user001/prompt")).status).toBe(401);
    expect((await call("/none-5/user001/prompt", { headers: { cookie: "cm_user001=forged.forged" } })).status).toBe(401);
    expect(await listDurableObjectIds(env.WORKSHOP)).toHaveLength(before);
  });
});

describe("[CF27] sockets", () => {
  const upgrade = { upgrade: "websocket" };

  it("a seat's socket opens with its session, on both addresses, and speaks first", async () => {
    for (const path of ["/doors/user001/ws?clientId=abc%20%25", "/doors/user001/api/ws"]) {
      const answer = await call(path, { headers: { ...upgrade, ...headers["own seat"], origin: "https://shop.example" } });
      expect(answer.status).toBe(101);
      const first = new Promise<string>((resolve) => answer.webSocket?.addEventListener("message", ({ data }) => resolve(String(data))));
      answer.webSocket?.accept();
      const message = JSON.parse(await first) as { type: string; data: { sid: string } };
      expect(message.type).toBe("status");
      expect(message.data.sid).toEqual(path.includes("abc") ? "abc %" : expect.stringMatching(/^[0-9a-f]{32}$/));
      answer.webSocket?.close(1000);
    }
  });

  it.each([
    ["another site's page", { origin: "https://evil.example" }, 403],
    ["an opaque origin", { origin: "null" }, 403],
  ])("%s cannot open it, though the browser sends the cookie along", async (_, extra, status) => {
    expect((await call("/doors/user001/ws", { headers: { ...upgrade, ...headers["own seat"], ...extra } })).status).toBe(status);
  });

  it("nobody opens it without the seat's session", async () => {
    expect((await call("/doors/user001/ws", { headers: upgrade })).status).toBe(401);
    expect((await call("/doors/user001/ws", { headers: { ...upgrade, ...headers["other seat"] } })).status).toBe(403);
    expect((await call("/doors/user001/ws", { headers: { ...upgrade, ...headers.runner } })).status).toBe(401);
  });

  it("headers that only the edge may write are dropped when they come from outside", async () => {
    const forged = { "x-cm-socket": "runner", "x-cm-seat": "user002", "x-cm-pool": "gpu" };
    const answer = await call("/doors/user001/ws?clientId=mine", { headers: { ...upgrade, ...headers["own seat"], ...forged } });
    expect(answer.status).toBe(101);
    const first = new Promise<string>((resolve) => answer.webSocket?.addEventListener("message", ({ data }) => resolve(String(data))));
    answer.webSocket?.accept();
    expect(JSON.parse(await first)).toMatchObject({ type: "status", data: { sid: "mine" } });
    answer.webSocket?.close(1000);
    const health = (await (await call("/ops/v1/workshops/doors/health", { headers: OPERATOR })).json()) as { health: { runners: unknown[] } };
    expect(health.health.runners).toEqual([]);
  });

  it("the object sees who it is and the handshake, and nothing else a client wrote", () => {
    const from = new Request("https://shop.example/doors/user001/ws?clientId=x", { headers: { ...upgrade, cookie: "cm_user001=secret", authorization: "Basic secret", "x-cm-pool": "gpu", "x-forwarded-for": "192.0.2.1", "sec-websocket-protocol": "p" } });
    expect(Object.fromEntries(socketRequest(from, { kind: "seat", seat: "user001", client: "a b" }).headers)).toEqual({ upgrade: "websocket", "sec-websocket-protocol": "p", "x-cm-socket": "seat", "x-cm-seat": "user001", "x-cm-client": "a%20b" });
  });

  it("a runner's socket opens with the pool's token", async () => {
    const answer = await call("/runner/v1/doors/pools/gpu/next", { headers: { ...upgrade, ...headers.runner } });
    expect(answer.status).toBe(101);
    answer.webSocket?.accept();
    answer.webSocket?.close(1000);
    for (const caller of ["anonymous", "own seat", "instructor", "operator"] as const) expect((await call("/runner/v1/doors/pools/gpu/next", { headers: { ...upgrade, ...headers[caller] } })).status).toBe(401);
  });
});

const next = (token: string): Promise<Response> => call("/runner/v1/doors/pools/gpu/next", { method: "POST", headers: { authorization: `Bearer ${token}` }, body: "{}" });
const claim = (exp: number): Promise<Response> => call(`${ATTEMPT}/claim`, { method: "POST", headers: { authorization: `Bearer ${signAttempt(env.SESSION_SECRET, { workshop: "doors", job: JOB, attempt: 1, exp })}` }, body: "{}" });

const token = (claims: Partial<Parameters<typeof signFile>[1]>): string => signFile(env.SESSION_SECRET, { op: "put", key: "t/doors", size: 3, exp: Date.now() + 60_000, ...claims });
const at = (signed: string, method: string, body?: string): Promise<Response> => call(`/runner/v1/doors/files/${signed}`, { method, ...(body === undefined ? {} : { body }) });

describe("tokens of machines", () => {
  it("[G9] a token for another pool, another workshop or by another secret opens nothing", async () => {
    expect((await next(signPoolToken(env.SESSION_SECRET, { workshop: "doors", pool: "other", version: 1 }))).status).toBe(403);
    expect((await next(signPoolToken(env.SESSION_SECRET, { workshop: "other", pool: "gpu", version: 1 }))).status).toBe(403);
    expect((await next(signPoolToken("another secret", { workshop: "doors", pool: "gpu", version: 1 }))).status).toBe(401);
    expect((await next(signPoolToken(env.SESSION_SECRET, { workshop: "doors", pool: "gpu", version: 2 }))).status).toBe(401);
    expect((await next(signPoolToken(env.SESSION_SECRET, { workshop: "doors", pool: "gpu", version: 1 }))).status).toBe(400);
  });

  it("[G9] an attempt's token ends", async () => {
    expect((await claim(Date.now() - 1)).status).toBe(401);
    expect((await claim(Date.now() + 60_000)).status).toBe(400);
  });

  it("[G21] a file address does what it was made for, until it ends", async () => {
    expect((await at(token({}), "GET")).status).toBe(403);
    expect((await at(token({ op: "get" }), "GET")).status).toBe(404);
    expect((await at(token({ exp: Date.now() - 1 }), "PUT", "abc")).status).toBe(401);
    expect((await at(token({}), "PUT", "abcd")).status).toBe(400);
    expect((await at(token({ sha256: "0".repeat(64) }), "PUT", "abc")).status).toBe(422);
    expect((await at(token({}), "PUT", "abc")).status).toBe(200);
    expect((await at(token({}), "PUT", "xyz")).status).toBe(412);
    const read = await at(token({ op: "get" }), "GET");
    expect([read.status, await read.text()]).toEqual([200, "abc"]);
    expect((await at(token({ op: "get" }), "HEAD")).headers.get("content-length")).toBe("3");
    expect((await call(`/runner/v1/doors/files/${token({ op: "get" })}`, { headers: { range: "bytes=1-" } })).status).toBe(206);
    const { size: _size, ...unbounded } = { op: "put" as const, key: "t/doors", size: 0, exp: Date.now() + 60_000 };
    expect((await at(signFile(env.SESSION_SECRET, unbounded), "PUT", "abc")).status).toBe(403);
  });
});
