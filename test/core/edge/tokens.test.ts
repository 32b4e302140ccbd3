import { describe, expect, it } from "vitest";
import { type FileClaims, fileUrl, signAttempt, signFile, verifyAttempt, verifyFile } from "../../../r2/signed.ts";
import { seal, unseal } from "../../../r2/seal.ts";
import { bearer, isOperator, readPoolToken, signPoolToken } from "../../../workers/auth/tokens.ts";
import { newSession, readCookies, SESSION_MS, setCookies, signSession, verifySession } from "../../../workers/auth/session.ts";

const SECRET = "a-secret-of-at-least-thirty-two-characters";
const NOW = 1_800_000_000_000;
const claims: FileClaims = { op: "put", key: "o/demo/j/1/l/0-x.png", size: 12, sha256: "0".repeat(64), content_type: "image/png", exp: NOW + 1000 };
const request = (headers: Record<string, string>): Request => new Request("https://host/", { headers });

function flipped(token: string): string[] {
  return [...token].flatMap((character, index) => (index % 7 === 0 && character !== "." ? [token.slice(0, index) + (character === "A" ? "B" : "A") + token.slice(index + 1)] : []));
}

describe("signed file tokens", () => {
  it("[G21] a token gives back exactly what was signed, until its end", () => {
    const token = signFile(SECRET, claims);
    expect(verifyFile(SECRET, token, NOW)).toEqual({ ok: true, claims });
    expect(verifyFile(SECRET, token, NOW + 1000)).toEqual({ ok: false, reason: "expired" });
    expect(token).toMatch(/^[\w-]+\.[\w-]+$/);
    expect(fileUrl("https://h/runner/v1/demo", token)).toBe(`https://h/runner/v1/demo/files/${token}`);
  });

  it("no character of a token can be changed", () => {
    const forged = flipped(signFile(SECRET, claims)).map((token) => verifyFile(SECRET, token, NOW));
    expect(forged.length).toBeGreaterThan(20);
    for (const verdict of forged) expect(verdict).toEqual({ ok: false, reason: "forged" });
  });

  it.each(["", ".", "a", "a.b", "a.b.c", "..", "%00.%00"])("%j is no token", (token) => {
    expect(verifyFile(SECRET, token, NOW)).toEqual({ ok: false, reason: "forged" });
  });

  it("[G9] a token made for one purpose opens no other door", () => {
    const attempt = signAttempt(SECRET, { workshop: "demo", job: "j", attempt: 1, exp: NOW + 1000 });
    expect(verifyAttempt(SECRET, attempt, NOW).ok).toBe(true);
    expect(verifyAttempt(SECRET, attempt.slice(4), NOW).ok).toBe(false);
    expect(verifyFile(SECRET, attempt.slice(4), NOW).ok).toBe(false);
    expect(readPoolToken(SECRET, `cmp_${attempt.slice(4)}`)).toBeNull();
    expect(unseal(SECRET, "session-v1", seal(SECRET, "pool-v1", {}))).toBeUndefined();
    expect(verifyAttempt(`${SECRET}!`, attempt, NOW).ok).toBe(false);
  });

  it("a sealed value of the wrong shape is refused even though the seal is right", () => {
    expect(verifyFile(SECRET, seal(SECRET, "file-v1", { ...claims, op: "delete" }), NOW)).toEqual({ ok: false, reason: "forged" });
    expect(readPoolToken(SECRET, `cmp_${seal(SECRET, "pool-v1", { workshop: "demo", pool: "local" })}`)).toBeNull();
  });
});

describe("machines' bearer tokens", () => {
  it("a pool's token names workshop, pool and number", () => {
    const token = signPoolToken(SECRET, { workshop: "demo", pool: "local", version: 2 });
    expect(token).toMatch(/^cmp_/);
    expect(readPoolToken(SECRET, token)).toEqual({ workshop: "demo", pool: "local", version: 2 });
  });

  it.each([
    [{ authorization: "Bearer abc" }, "abc"],
    [{ authorization: "bearer   abc" }, "abc"],
    [{ authorization: "Basic abc" }, null],
    [{ authorization: "Bearer" }, null],
    [{ authorization: "Bearer a b" }, null],
    [{}, null],
  ])("%j carries the bearer token %j", (headers, token) => {
    expect(bearer(request(headers as Record<string, string>))).toBe(token);
  });

  it("the operator's token is the whole token", () => {
    expect(isOperator(request({ authorization: "Bearer operator-token" }), "operator-token")).toBe(true);
    for (const given of ["operator-toke", "operator-tokenX", "x"]) expect(isOperator(request({ authorization: `Bearer ${given}` }), "operator-token")).toBe(false);
    expect(isOperator(request({}), "operator-token")).toBe(false);
  });
});

describe("sessions", () => {
  const session = newSession({ workshop: "demo", seat: "user001", role: "participant", version: 3 }, NOW);

  it("a session holds for seven days and not a moment longer", () => {
    const value = signSession(SECRET, session);
    expect(verifySession(SECRET, value, NOW)).toEqual(session);
    expect(verifySession(SECRET, value, NOW + SESSION_MS - 1)).toEqual(session);
    expect(verifySession(SECRET, value, NOW + SESSION_MS)).toBeNull();
  });

  it("a changed session is none", () => {
    for (const value of flipped(signSession(SECRET, session))) expect(verifySession(SECRET, value, NOW)).toBeNull();
  });

  it("[CF26] the cookie is scoped to the seat's own path, HttpOnly and SameSite, Secure over https", () => {
    expect(setCookies(session, "v", true)).toEqual(["cm_user001=v; Path=/demo/user001/; Max-Age=604800; HttpOnly; SameSite=Lax; Secure"]);
    expect(setCookies(session, "v", false)[0]).not.toContain("Secure");
    expect(setCookies(session, "", true)[0]).toContain("Max-Age=0");
  });

  it("the instructor's sign-in opens the seat and the dashboard, each by its own cookie", () => {
    const paths = setCookies({ ...session, seat: "instructor", role: "instructor" }, "v", true).map((cookie) => /Path=([^;]+)/.exec(cookie)?.[1]);
    expect(paths).toEqual(["/demo/instructor/", "/demo/dashboard/"]);
  });

  it("cookies of ours are found among others, the first of a name wins", () => {
    const found = readCookies("a=1; cm_user001=x.y; cm_user002=z=; cm_user001=later; _cm_q=1");
    expect([...found]).toEqual([["user001", "x.y"], ["user002", "z="]]);
    expect(readCookies(null).size).toBe(0);
  });
});
