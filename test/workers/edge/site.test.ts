import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { app } from "../../../workers/app.ts";
import { serveFrontend } from "../../../workers/routes/frontend.ts";
import { listen } from "../listener.ts";
import { call, OPERATOR, post, workshop } from "./edge.ts";

const page = { "sec-fetch-mode": "navigate", accept: "text/html" };

describe("what anybody sees", () => {
  beforeAll(async () => {
    await workshop(env.DEFAULT_WORKSHOP, 3);
  });

  it("the start page says what this is and leads to the workshop", async () => {
    const answer = await call("/");
    const text = await answer.text();
    expect(text).toContain(`href="/${env.DEFAULT_WORKSHOP}/"`);
    expect(answer.headers.get("content-security-policy")).toMatch(/default-src 'none'.*frame-ancestors 'self'/);
    expect(text).not.toContain("<script");
  });

  it("[seeds P2] the workshop's page shows the seats there are, and not the instructor's", async () => {
    const text = await (await call(`/${env.DEFAULT_WORKSHOP}/`)).text();
    expect([...text.matchAll(/href="\/demo\/(user\d+)\/"/g)].map(([, seat]) => seat)).toEqual(["user001", "user002", "user003"]);
    expect(text).not.toContain("/demo/instructor/");
  });

  it("[seeds 51] health tells states and counts, and nothing of machines or people", async () => {
    const answer = await call("/health");
    expect(answer.status).toBe(200);
    const view = (await answer.json()) as { status: string; parts: { name: string; state: string }[] };
    expect([view.status, view.parts.map(({ name, state }) => `${name} ${state}`)]).toEqual(["degraded", ["queue ok", "runners missing", "files ok"]]);
    const text = await (await call("/health", { headers: page })).text();
    expect(text).toContain("no GPU is connected");
    expect(text).toContain("Working, with gaps");
    expect(await (await call("/health/ping")).text()).toBe("ok");
  });

  it("[G30] a GPU that is still starting is not counted as there", async () => {
    const { token } = (await (await post(`/ops/v1/workshops/${env.DEFAULT_WORKSHOP}/pools/gpu/token`, {}, OPERATOR)).json()) as { token: string };
    const says = async (): Promise<unknown> => ((await (await call("/health")).json()) as { parts: { name: string; state: string; says: string }[] }).parts.find(({ name }) => name === "runners");
    const dial = async (id: string): Promise<(stage: string) => Promise<void>> => {
      const listener = await listen(`/runner/v1/${env.DEFAULT_WORKSHOP}/pools/gpu/next`, { authorization: `Bearer ${token}` });
      return async (stage) => {
        listener.forget();
        listener.say({ type: "hello", runner: { id, version: "1", mode: "pull" }, stage, missing: [] });
        await listener.until(({ type }) => type === "welcome");
      };
    };
    const [one, two] = [await dial("cold-1"), await dial("cold-2")];
    await one("process");
    await two("comfyui");
    expect(await says()).toMatchObject({ state: "missing", says: "2 connected, none ready yet; prompts wait until one is" });
    await one("ready");
    expect(await says()).toMatchObject({ state: "idle", says: "2 connected, 0 busy, 1 starting" });
  });

  it("[CF24] the site asks to be left out of search engines", async () => {
    expect(await (await call("/robots.txt")).text()).toContain("Disallow: /");
  });
});

describe("a server that is not set up", () => {
  it.each([
    [{ SESSION_SECRET: "" }, "SESSION_SECRET"],
    [{ SESSION_SECRET: "x".repeat(31) }, "SESSION_SECRET"],
    [{ SESSION_SECRET: undefined }, "SESSION_SECRET"],
    [{ OPERATOR_TOKEN: "x".repeat(23) }, "OPERATOR_TOKEN"],
  ])("with %j it serves nothing but one sentence that says what to do", async (change, name) => {
    for (const path of ["/", "/demo/user001/", "/ops/v1/workshops", "/health/ping"]) {
      const answer = await app.fetch(new Request(`https://shop.example${path}`), { ...env, ...change } as unknown as Env);
      expect([answer.status, await answer.text()]).toEqual([500, expect.stringContaining(`wrangler secret put ${name}`)]);
    }
  });
});

describe("the frontend's files", () => {
  // The assets binding is the platform's; here a few files stand in for the thousand of the real build.
  const FILES: Record<string, string> = {
    [`/${env.FRONTEND}/index.html`]: "text/html; charset=utf-8",
    [`/${env.FRONTEND}/assets/index-B2rHQ9Sn.js`]: "text/javascript",
    [`/${env.FRONTEND}/assets/sorted-custom-node-map.json`]: "application/json",
    [`/${env.FRONTEND}/assets/images/comfy-icon-192.png`]: "image/png",
    "/9.9.9/secret.txt": "text/plain",
  };
  const seen: Request[] = [];
  const assets = {
    fetch(input: Request): Promise<Response> {
      seen.push(input);
      const type = FILES[new URL(input.url).pathname];
      if (type === undefined) return Promise.resolve(new Response("not found", { status: 404 }));
      if (input.headers.get("if-none-match") === '"tag"') return Promise.resolve(new Response(null, { status: 304, headers: { etag: '"tag"' } }));
      return Promise.resolve(new Response("content", { headers: { "content-type": type, etag: '"tag"', "cache-control": "public, max-age=0, must-revalidate" } }));
    },
  } as unknown as Fetcher;
  const get = (path: string, headers: Record<string, string> = {}, method = "GET"): Promise<Response> => serveFrontend(new Request(`https://shop.example/demo/user001${path}`, { method, headers }), { ...env, ASSETS: assets }, path);

  it("the seat's root is the page, with the headers of a page and no policy of ours in it", async () => {
    for (const path of ["/", "/index.html"]) {
      const answer = await get(path);
      expect(Object.fromEntries(answer.headers)).toMatchObject({ "content-type": "text/html; charset=utf-8", "cache-control": "private, no-cache", etag: '"tag"', "x-frame-options": "SAMEORIGIN", "referrer-policy": "same-origin" });
      expect(answer.headers.get("content-security-policy")).toBeNull();
      await answer.body?.cancel();
    }
  });

  it.each([
    ["/assets/index-B2rHQ9Sn.js", "private, max-age=31536000, immutable"],
    ["/assets/sorted-custom-node-map.json", "private, no-cache"],
    ["/assets/images/comfy-icon-192.png", "private, no-cache"],
  ])("%s may be kept: %s", async (path, policy) => {
    const answer = await get(path);
    expect([answer.status, answer.headers.get("cache-control")]).toEqual([200, policy]);
    await answer.body?.cancel();
    const known = await get(path, { "if-none-match": '"tag"' });
    expect([known.status, known.body]).toEqual([304, null]);
  });

  it("a file that is not there is an empty 404 that nobody keeps", async () => {
    const answer = await get("/assets/none-AAAAAAA1.js");
    expect([answer.status, await answer.text(), answer.headers.get("cache-control")]).toEqual([404, "", null]);
  });

  it.each(["/..%2f9.9.9/secret.txt", "/..%5c9.9.9/secret.txt", "/%2e%2e%2F9.9.9/secret.txt", "/x%00"])("%s is no way out of the pinned version", async (path) => {
    seen.length = 0;
    expect((await get(path)).status).toBe(404);
    expect(seen).toEqual([]);
  });

  it("[CF20] neither cookies nor passwords travel to the assets", async () => {
    seen.length = 0;
    await get("/", { cookie: "cm_user001=secret", authorization: "Basic secret", "comfy-user": "x" });
    expect([...seen[0]!.headers].map(([name]) => name).filter((name) => ["cookie", "authorization", "comfy-user"].includes(name))).toEqual([]);
  });

  it("only reading is possible", async () => {
    const answer = await get("/", {}, "POST");
    expect([answer.status, answer.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
  });

  it("an empty stylesheet stands in for the one nobody wrote", async () => {
    const answer = await get("/user.css");
    expect([answer.status, answer.headers.get("content-type"), await answer.text()]).toEqual([200, "text/css; charset=utf-8", ""]);
  });
});
