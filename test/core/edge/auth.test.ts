import { describe, expect, it } from "vitest";
import { Guesses, guessKey, MAX_FAILURES, WINDOW_MS } from "../../../workers/auth/guesses.ts";
import { type Action, may, type Principal } from "../../../workers/auth/may.ts";
import { safeNext } from "../../../workers/auth/next.ts";
import { crossSite } from "../../../workers/auth/origins.ts";
import { credentialOf, derivePassword, passwordMatches } from "../../../workers/auth/passwords.ts";
import { BoundedMap } from "../../../workers/bounded.ts";
import { isSeatName, isWorkshopName, rawPath, splitPath } from "../../../workers/names.ts";

const SECRET = "a-secret-of-at-least-thirty-two-characters";

const ask = (method: string, headers: Record<string, string>): boolean => crossSite(new Request("https://shop.example:8443/demo/user001/api/prompt", { method, headers }));

describe("who may do what", () => {
  const table: Record<Principal, Action[]> = {
    anonymous: ["site.read"],
    participant: ["site.read", "seat.use"],
    instructor: ["site.read", "seat.use", "dashboard.read"],
    runner: ["site.read", "pool.serve"],
    attempt: ["site.read", "attempt.serve"],
    operator: ["site.read", "ops.command"],
  };
  const actions: Action[] = ["site.read", "seat.use", "dashboard.read", "pool.serve", "attempt.serve", "ops.command"];

  it.each(Object.entries(table))("%s may do exactly what its line says", (who, allowed) => {
    expect(actions.filter((action) => may(who as Principal, action))).toEqual(allowed);
  });
});

describe("passwords", () => {
  it("the same secret, workshop, seat and version give the same 26 characters; any other gives others", () => {
    const password = derivePassword(SECRET, "demo", "user001", 1);
    expect(password).toMatch(/^[a-z2-7]{26}$/);
    expect(derivePassword(SECRET, "demo", "user001", 1)).toBe(password);
    const others = [derivePassword(`${SECRET}x`, "demo", "user001", 1), derivePassword(SECRET, "demo2", "user001", 1), derivePassword(SECRET, "demo", "user002", 1), derivePassword(SECRET, "demo", "user001", 2)];
    expect(new Set([password, ...others]).size).toBe(5);
  });

  it("only the salted hash is kept, and it fits its own password alone", () => {
    const password = derivePassword(SECRET, "demo", "user001", 1);
    const [one, two] = [credentialOf("user001", "participant", password), credentialOf("user001", "participant", password)];
    expect(JSON.stringify(one)).not.toContain(password);
    expect(one.salt).not.toBe(two.salt);
    expect(one.hash).not.toBe(two.hash);
    expect(passwordMatches(one, password)).toBe(true);
    for (const wrong of ["", password.slice(1), `${password}x`, password.toUpperCase()]) expect(passwordMatches(one, wrong)).toBe(false);
  });
});

describe("guessing", () => {
  it("after ten failures an address waits out the minute, and only that address", () => {
    const guesses = new Guesses();
    const key = guessKey("demo", "user001", new Request("https://h/", { headers: { "cf-connecting-ip": "192.0.2.1" } }));
    const other = guessKey("demo", "user001", new Request("https://h/", { headers: { "cf-connecting-ip": "192.0.2.2" } }));
    for (let failure = 1; failure <= MAX_FAILURES; failure++) {
      expect(guesses.wait(key, 1000)).toBe(0);
      guesses.failed(key, 1000);
    }
    expect(guesses.wait(key, 1000)).toBe(WINDOW_MS / 1000);
    expect(guesses.wait(key, 1000 + WINDOW_MS - 1)).toBe(1);
    expect(guesses.wait(key, 1000 + WINDOW_MS)).toBe(0);
    expect(guesses.wait(other, 1000)).toBe(0);
  });

  it("a right password forgets the failures before it", () => {
    const guesses = new Guesses();
    for (let failure = 0; failure < MAX_FAILURES; failure++) guesses.failed("k", 0);
    guesses.succeeded("k");
    expect(guesses.wait("k", 0)).toBe(0);
  });

  it("what an isolate remembers is bounded, the oldest goes first", () => {
    const map = new BoundedMap<number>(3);
    for (let n = 0; n < 10; n++) map.set(`k${n}`, n, 100);
    expect(map.size).toBe(3);
    expect([map.get("k6", 0), map.get("k7", 0), map.get("k9", 0), map.get("k9", 100)]).toEqual([undefined, 7, 9, undefined]);
  });
});

describe("cross-site requests", () => {
  it.each([
    ["POST", { origin: "https://shop.example:8443" }, false],
    ["POST", {}, false],
    ["POST", { origin: "https://evil.example" }, true],
    ["POST", { origin: "https://shop.example" }, true],
    ["POST", { origin: "null" }, true],
    ["POST", { origin: "nonsense" }, true],
    ["DELETE", { origin: "https://evil.example" }, true],
    ["POST", { "sec-fetch-site": "cross-site" }, true],
    ["POST", { "sec-fetch-site": "same-origin" }, false],
    ["POST", { "sec-fetch-site": "none" }, false],
    ["GET", { origin: "https://evil.example" }, false],
    ["GET", { upgrade: "websocket", origin: "https://evil.example" }, true],
    ["GET", { upgrade: "websocket", origin: "https://shop.example:8443" }, false],
    ["GET", { upgrade: "websocket" }, false],
  ])("[CF27] %s with %j is foreign: %s", (method, headers, foreign) => {
    expect(ask(method, headers as Record<string, string>)).toBe(foreign);
  });
});

describe("names and raw paths", () => {
  it.each(["demo", "a", "film-2026", "constructor", "user001"])("%s can name a workshop", (name) => expect(isWorkshopName(name)).toBe(true));
  it.each(["", "Demo", "1a", "a_b", "runner", "ops", "health", "assets", "api", "a".repeat(41), "a%2fb", "..", "demo\n"])("%j cannot name a workshop", (name) => expect(isWorkshopName(name)).toBe(false));
  it.each(["user001", "instructor", "ada_l", "a-b"])("%s can name a seat", (name) => expect(isSeatName(name)).toBe(true));
  it.each(["", "login", "logout", "dashboard", "api", "ws", "User1", "a.b", "%61da"])("%j cannot name a seat", (name) => expect(isSeatName(name)).toBe(false));

  it.each([
    ["https://h/demo/user001/api/userdata/workflows%2Fa.json?x=1", "demo", "user001", "/api/userdata/workflows%2Fa.json"],
    ["https://h/demo/user001/api/userdata/workflows%252Fa.json", "demo", "user001", "/api/userdata/workflows%252Fa.json"],
    ["https://h/demo/user001/a%20b/%E7%8C%AB//c", "demo", "user001", "/a%20b/%E7%8C%AB//c"],
    ["https://h/demo/user001/", "demo", "user001", "/"],
    ["https://h/demo/user001", "demo", "user001", ""],
    ["https://h/demo%2Fuser001/", "demo%2Fuser001", "", ""],
    ["https://h", "", "", ""],
    ["https://h?x=/a/b/", "", "", ""],
    ["https://h/demo/user001/..%2fuser002/", "demo", "user001", "/..%2fuser002/"],
    ["https://h/demo/user001/%2e%2e/user002/", "demo", "user002", "/"],
    ["https://h/demo/user001\\..\\user002/x", "demo", "user002", "/x"],
  ])("[seeds 52] %s is split before anything is decoded", (url, first, second, rest) => {
    expect(splitPath(rawPath(url))).toEqual({ first, second, rest });
  });
});

describe("where a sign-in leads", () => {
  const prefixes = ["/demo/user001/"];

  it.each([
    ["/demo/user001/", "/demo/user001/"],
    ["/demo/user001/?a=b", "/demo/user001/?a=b"],
    ["/demo/user001/x#y", "/demo/user001/x"],
    [undefined, null],
    ["", null],
    ["/", null],
    ["//evil.example/demo/user001/", null],
    ["https://evil.example/demo/user001/", null],
    ["/\\evil.example/demo/user001/", null],
    ["/demo/user001/../user002/", null],
    ["/demo/user001/..\\..\\x", null],
    ["/demo/user002/", null],
    ["/demo/user0011/", null],
    ["/demo/user001/\n", null],
    ["javascript:alert(1)", null],
  ])("after %j it leads to %j", (next, path) => {
    expect(safeNext(next, prefixes)).toBe(path);
  });
});
