import { beforeAll, describe, expect, it } from "vitest";
import { OPERATOR, basic, call, gist, HOST, post, signIn, workshop, type Workshop } from "./edge.ts";

let shop: Workshop;
let password = "";
beforeAll(async () => {
  shop = await workshop("login-shop");
  password = shop.passwords[0]!;
});

const form = (fields: Record<string, string>, headers: Record<string, string> = {}): Promise<Response> =>
  call("/login-shop/login", { method: "POST", headers: { "content-type": "application/x-www-form-urlencoded", ...headers }, body: new URLSearchParams(fields).toString() });

const from = (ip: string): Record<string, string> => ({ "cf-connecting-ip": ip });
const open = async (header: string, path = "/login-shop/user001/prompt"): Promise<number> => (await call(path, { headers: { cookie: header } })).status;

describe("signing in", () => {
  it("the page names the seat that was asked for and keeps where it was going, escaped", async () => {
    const answer = await call(`/login-shop/login?seat=user001&next=${encodeURIComponent('/login-shop/user001/"><script>')}`);
    const page = await answer.text();
    expect(answer.status).toBe(200);
    expect(page).toContain('name="seat" value="user001"');
    expect(page).toContain("&quot;&gt;&lt;script&gt;");
    expect(page).not.toContain("<script");
    expect(answer.headers.get("content-security-policy")).toContain("default-src 'none'");
    expect([answer.headers.get("x-frame-options"), answer.headers.get("referrer-policy")]).toEqual(["SAMEORIGIN", "same-origin"]);
  });

  it("a right password leads to the seat with a cookie for its path alone", async () => {
    const answer = await form({ seat: "user001", password });
    expect(await gist(answer)).toBe("303 /login-shop/user001/");
    const cookies = answer.headers.getSetCookie();
    expect(cookies).toHaveLength(1);
    expect(cookies[0]).toMatch(/^cm_user001=[\w.-]+; Path=\/login-shop\/user001\/; Max-Age=604800; HttpOnly; SameSite=Lax; Secure$/);
  });

  it("the seat's name may come with a capital, as phones write it", async () => {
    expect(await gist(await form({ seat: " User001 ", password }))).toBe("303 /login-shop/user001/");
  });

  it("the instructor is led to the dashboard, with a cookie for it and one for the own seat", async () => {
    const answer = await form({ seat: "instructor", password: shop.instructor });
    expect(await gist(answer)).toBe("303 /login-shop/dashboard/");
    expect((await signIn("login-shop", "instructor", shop.instructor)).paths).toEqual(["/login-shop/instructor/", "/login-shop/dashboard/"]);
  });

  it.each([
    ["/login-shop/user001/?template=x", "/login-shop/user001/?template=x"],
    ["https://evil.example/", "/login-shop/user001/"],
    ["//evil.example/", "/login-shop/user001/"],
    ["/login-shop/user002/", "/login-shop/user001/"],
    ["/login-shop/dashboard/", "/login-shop/user001/"],
  ])("sent on to %s, it leads to %s", async (next, location) => {
    expect(await gist(await form({ seat: "user001", password, next }))).toBe(`303 ${location}`);
  });

  it.each([
    ["a wrong password", { seat: "user002", password: "x".repeat(26) }],
    ["another seat's password", { seat: "user002", password: "of user001" }],
    ["no password", { seat: "user002" }],
    ["a seat that is none", { seat: "user099", password: "x" }],
    ["a seat that cannot be", { seat: "../x", password: "x" }],
    ["nothing", {}],
  ])("%s is refused alike, in words, without a cookie", async (_, fields: Record<string, string>) => {
    if (fields.password === "of user001") fields.password = password;
    const answer = await form(fields);
    expect([answer.status, answer.headers.getSetCookie()]).toEqual([401, []]);
    expect(answer.headers.get("www-authenticate")).toBeNull();
    expect(await answer.text()).toContain("Seat and password do not fit together");
  });

  it("a program signs in with JSON and is answered in JSON", async () => {
    const answer = await post("/login-shop/login", { seat: "user001", password });
    expect(await answer.json()).toEqual({ ok: true, workshop: "login-shop", seat: "user001", role: "participant", next: "/login-shop/user001/" });
    const refused = await post("/login-shop/login", { seat: "user001", password: "wrong" });
    expect([refused.status, await refused.json()]).toMatchObject([401, { error: { reason: "wrong_password" } }]);
  });

  it.each([
    ["no JSON", "{", "application/json"],
    ["a body without end", `seat=user001&password=${"x".repeat(9000)}`, "application/x-www-form-urlencoded"],
  ])("%s is a bad request", async (_, body, type) => {
    expect((await call("/login-shop/login", { method: "POST", headers: { "content-type": type }, body })).status).toBe(400);
  });

  it("a body without an announced length is read no further than the form may be long", async () => {
    let sent = 0;
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        sent += 1024;
        if (sent > 10_000_000) controller.close();
        else controller.enqueue(new Uint8Array(1024).fill(97));
      },
    });
    expect((await call("/login-shop/login", { method: "POST", headers: { "content-type": "application/x-www-form-urlencoded" }, body: endless })).status).toBe(400);
    expect(sent).toBeLessThan(1_000_000);
  });

  it("[CF27] a form on another site cannot sign anybody in", async () => {
    const answer = await form({ seat: "user001", password }, { origin: "https://evil.example" });
    expect([answer.status, answer.headers.getSetCookie()]).toEqual([403, []]);
    expect((await form({ seat: "user001", password }, { origin: HOST })).status).toBe(303);
  });

  it("after ten wrong passwords an address waits, even for the right one; another address does not", async () => {
    for (let guess = 0; guess < 10; guess++) expect((await form({ seat: "user002", password: `guess ${guess}` }, from("192.0.2.7"))).status).toBe(401);
    const answer = await form({ seat: "user002", password: shop.passwords[1]! }, from("192.0.2.7"));
    expect(answer.status).toBe(429);
    expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
    expect((await call("/login-shop/user002/prompt", { headers: { ...basic("user002", shop.passwords[1]!), ...from("192.0.2.7") } })).status).toBe(429);
    expect((await form({ seat: "user002", password: shop.passwords[1]! }, from("192.0.2.8"))).status).toBe(303);
  });

  it("signing out clears the cookies on the paths they were set for", async () => {
    const answer = await call("/login-shop/logout", { method: "POST", headers: { "content-type": "application/x-www-form-urlencoded" }, body: "seat=instructor" });
    expect(await gist(answer)).toBe("303 /login-shop/");
    expect(answer.headers.getSetCookie()).toEqual(["/login-shop/instructor/", "/login-shop/dashboard/"].map((path) => `cm_instructor=; Path=${path}; Max-Age=0; HttpOnly; SameSite=Lax; Secure`));
    expect((await call("/login-shop/logout", { method: "POST", body: "seat=" })).status).toBe(400);
  });
});

describe("sessions", () => {
  it("[seeds 42] no answer before a sign-in carries a cookie, whatever is asked and however it ends", async () => {
    const paths = ["/", "/login-shop/", "/login-shop/login", "/login-shop/user001/", "/login-shop/user001/api/settings", "/login-shop/dashboard/", "/health", "/health/ping", "/favicon.ico", "/nowhere", "/ops/v1/workshops", "/runner/v1/login-shop/pools/gpu/next"];
    for (const path of paths) {
      for (const headers of [{}, { accept: "text/html", "sec-fetch-mode": "navigate" }, { cookie: "cm_user001=forged.forged" }, basic("user001", "wrong"), basic("user001", password)] as Record<string, string>[]) {
        const answer = await call(path, { headers: { ...headers, "cf-connecting-ip": path } });
        expect([path, answer.headers.getSetCookie()]).toEqual([path, []]);
        await answer.body?.cancel();
      }
    }
  });

  it("a session opens its seat; a changed one, one of another name and one of another workshop do not", async () => {
    const { cookie } = await signIn("login-shop", "user001", password);
    expect(await open(cookie)).toBe(200);
    expect(await open(`other=1; ${cookie}; cm_user002=x`)).toBe(200);
    expect(await open(cookie.slice(0, -2))).toBe(401);
    expect(await open(cookie, "/login-shop/user002/prompt")).toBe(403);
    expect(await open(cookie.replace("cm_user001", "cm_user002"), "/login-shop/user002/prompt")).toBe(403);
    await workshop("other-shop");
    expect(await open(cookie, "/other-shop/user001/prompt")).toBe(403);
  });

  it("a new password ends the sessions of that seat, and of no other", async () => {
    const [one, two] = await Promise.all([signIn("login-shop", "user001", password), signIn("login-shop", "user002", shop.passwords[1]!)]);
    const reset = await post("/ops/v1/workshops/login-shop/seats/user001/password", {}, OPERATOR);
    const renewed = ((await reset.json()) as { password: string }).password;
    expect(renewed).not.toBe(password);
    expect((await call("/login-shop/user001/prompt", { headers: { cookie: one.cookie } })).status).toBe(401);
    expect((await call("/login-shop/user002/prompt", { headers: { cookie: two.cookie } })).status).toBe(200);
    expect((await call("/login-shop/user001/prompt", { headers: basic("user001", password) })).status).toBe(401);
    expect((await call("/login-shop/user001/prompt", { headers: basic("user001", renewed) })).status).toBe(200);
  });
});
