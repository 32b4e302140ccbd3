import { env } from "cloudflare:workers";
import { runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { openDirectory } from "../../../durable-objects/directory.ts";
import { basic, call, OPERATOR, post } from "./edge.ts";

type Made = { created: boolean; instructor: { username: string; password: string }; seats: { seat: string; password: string }[] };
const create = async (body: object): Promise<{ status: number; made: Made }> => {
  const answer = await post("/ops/v1/workshops", body, OPERATOR);
  return { status: answer.status, made: (await answer.json()) as Made };
};
const opens = async (workshop: string, seat: string, password: string): Promise<boolean> => (await call(`/${workshop}/${seat}/prompt`, { headers: basic(seat, password) })).status === 200;
const put = (pool: string, body: object): Promise<Response> => call(`/ops/v1/workshops/pools/pools/${pool}`, { method: "PUT", headers: OPERATOR, body: JSON.stringify(body) });

const mint = async (body: object): Promise<{ token: string; version: number }> => (await post("/ops/v1/workshops/tokens/pools/gpu/token", body, OPERATOR)).json() as Promise<{ token: string; version: number }>;
const next = async (token: string): Promise<number> => (await post("/runner/v1/tokens/pools/gpu/next", {}, { authorization: `Bearer ${token}` })).status;

describe("the operator's commands", () => {
  it("a workshop is created with its seats, each behind its own password", async () => {
    const { status, made } = await create({ workshop: "film", title: "Film 🎬 für alle", seats: 3 });
    expect([status, made.created, made.instructor.username]).toEqual([201, true, "instructor"]);
    expect(made.seats.map(({ seat }) => seat)).toEqual(["user001", "user002", "user003"]);
    const all = [made.instructor.password, ...made.seats.map(({ password }) => password)];
    expect(new Set(all).size).toBe(4);
    for (const password of all) expect(password).toMatch(/^[a-z2-7]{26}$/);
    for (const { seat, password } of made.seats) expect(await opens("film", seat, password)).toBe(true);
    expect(await opens("film", "user001", made.seats[1]!.password)).toBe(false);
  });

  it("creating it again finds the same passwords, and adds the seats that are asked for now", async () => {
    const { made: before } = await create({ workshop: "again", seats: 2 });
    const { status, made: after } = await create({ workshop: "again", seats: 4, pools: [{ id: "gpu", provider: "pull", max_in_flight: 1 }] });
    expect([status, after.created]).toEqual([200, false]);
    expect(after.instructor).toEqual(before.instructor);
    expect(after.seats.slice(0, 2)).toEqual(before.seats);
    expect(after.seats).toHaveLength(4);
    const { made: fewer } = await create({ workshop: "again", seats: 1 });
    expect(fewer.seats).toEqual(before.seats.slice(0, 1));
    expect(await opens("again", "user004", after.seats[3]!.password)).toBe(true);
  });

  it("seats are added by number or by name, and listed with their passwords", async () => {
    await create({ workshop: "grow", seats: 2, seat_prefix: "seat" });
    const numbered = await post("/ops/v1/workshops/grow/seats", { count: 2, prefix: "seat" }, OPERATOR);
    expect(await numbered.json()).toMatchObject({ added: ["seat003", "seat004"] });
    const named = await post("/ops/v1/workshops/grow/seats", { names: ["ada", "seat001"] }, OPERATOR);
    const { added, seats } = (await named.json()) as { added: string[]; seats: { seat: string; password: string }[] };
    expect(added).toEqual(["ada"]);
    expect(await opens("grow", "ada", seats[0]!.password)).toBe(true);
    const listed = (await (await call("/ops/v1/workshops/grow/seats", { headers: OPERATOR })).json()) as { seats: { seat: string; role: string; password: string }[] };
    expect(listed.seats.map(({ seat, role }) => `${seat} ${role}`).sort()).toEqual(["ada participant", "instructor instructor", "seat001 participant", "seat002 participant", "seat003 participant", "seat004 participant"]);
    for (const { seat, password } of listed.seats) expect(await opens("grow", seat, password)).toBe(true);
  });

  it("a reset password is new, opens the seat and stays the same when the workshop is started again", async () => {
    const { made } = await create({ workshop: "reset", seats: 1 });
    const answer = await post("/ops/v1/workshops/reset/seats/user001/password", {}, OPERATOR);
    const { password } = (await answer.json()) as { password: string };
    expect(password).not.toBe(made.seats[0]!.password);
    expect([await opens("reset", "user001", password), await opens("reset", "user001", made.seats[0]!.password)]).toEqual([true, false]);
    expect((await create({ workshop: "reset", seats: 1 })).made.seats).toEqual([{ seat: "user001", password }]);
  });

  it("the object keeps no password, only salted hashes of it", async () => {
    const { made } = await create({ workshop: "hashed", seats: 2 });
    const rows = await runInDurableObject(env.WORKSHOP.getByName("hashed"), (_object, state) => state.storage.sql.exec("SELECT * FROM seats").toArray());
    expect(rows).toHaveLength(3);
    for (const { password } of [...made.seats, made.instructor]) expect(JSON.stringify(rows)).not.toContain(password);
    expect(new Set(rows.map((row) => row.salt)).size).toBe(3);
  });

  it("a renewed pool token ends the one before", async () => {
    await create({ workshop: "tokens", seats: 1, pools: [{ id: "gpu", provider: "pull", max_in_flight: 1 }] });
    const first = await mint({});
    expect(await mint({})).toEqual(first);
    expect(await next(first.token)).toBe(400);
    const second = await mint({ renew: true });
    expect(second.version).toBe(first.version + 1);
    expect([await next(first.token), await next(second.token)]).toEqual([401, 400]);
  });

  it("pools can be put and changed", async () => {
    await create({ workshop: "pools", seats: 1 });
    expect((await put("h200-spot", { provider: "pull", max_in_flight: 2, rate: 970_000 })).status).toBe(200);
    expect((await put("h200-spot", { provider: "pull", max_in_flight: 4 })).status).toBe(200);
    expect((await put("h200-spot", { provider: "abacus", max_in_flight: 1 })).status).toBe(400);
    expect((await put("H 200", { provider: "pull", max_in_flight: 1 })).status).toBe(400);
  });

  it("health counts what is there", async () => {
    await create({ workshop: "healthy", seats: 2 });
    const answer = (await (await call("/ops/v1/workshops/healthy/health", { headers: OPERATOR })).json()) as { health: object; catalogs: number };
    expect(answer).toMatchObject({ catalogs: 0, health: { workshop: "healthy", seats: 3, jobs: { waiting: 0, live: 0, ended: 0 }, runners: [] } });
  });

  it.each([
    [{ workshop: "ops" }, /workshop/],
    [{ workshop: "Capital" }, /workshop/],
    [{ workshop: "ok", seats: 501 }, /seats/],
    [{ workshop: "ok", seats: 1.5 }, /seats/],
    [{ workshop: "ok", seat_prefix: "9" }, /seat_prefix/],
    [{ workshop: "ok", pools: [{ id: "x", provider: "none", max_in_flight: 1 }] }, /pools\.0\.provider/],
    [{}, /workshop/],
  ])("%j is refused, and the answer names the field", async (body, message) => {
    const answer = await post("/ops/v1/workshops", body, OPERATOR);
    expect([answer.status, await answer.json()]).toMatchObject([400, { error: { reason: "bad_request", message: expect.stringMatching(message) } }]);
  });

  it("commands for a workshop that nobody created are refused", async () => {
    for (const [method, path] of [["GET", "health"], ["GET", "seats"], ["POST", "seats"], ["POST", "pools/gpu/token"], ["POST", "seats/user001/password"]] as const) {
      const answer = await call(`/ops/v1/workshops/unmade/${path}`, { method, headers: OPERATOR, ...(method === "POST" ? { body: path === "seats" ? '{"count":1}' : "{}" } : {}) });
      expect([path, answer.status]).toEqual([path, 404]);
    }
  });

  it("answers with passwords are never kept by a cache", async () => {
    const answer = await post("/ops/v1/workshops", { workshop: "cached", seats: 1 }, OPERATOR);
    expect(answer.headers.get("cache-control")).toBe("no-store");
    await answer.body?.cancel();
  });
});

describe("the directory [CF30]", () => {
  const directory = openDirectory(env.DIRECTORY);

  it("lists workshops by name and title, any text", async () => {
    await directory.enter("one", "Ünïcode 🎥 \"quotes\"\nand lines", 5);
    expect(await directory.find("one")).toEqual({ id: "one", title: "Ünïcode 🎥 \"quotes\"\nand lines", created: 5, tokens: {} });
    expect((await directory.list()).map(({ id }) => id)).toContain("one");
    const listed = (await (await call("/ops/v1/workshops", { headers: OPERATOR })).json()) as { workshops: { workshop: string }[] };
    expect(listed.workshops.map(({ workshop }) => workshop)).toContain("one");
  });

  it("entering again keeps the beginning and the tokens", async () => {
    await directory.enter("two", "Two", 5);
    expect(await directory.renewToken("two", "gpu")).toBe(2);
    expect(await directory.enter("two", "Two, renamed", 9)).toEqual({ id: "two", title: "Two, renamed", created: 5, tokens: { gpu: 2 } });
  });

  it("[CF30] concurrent changes all arrive", async () => {
    await Promise.all(Array.from({ length: 8 }, (_, index) => directory.enter(`many-${index}`, "Many", index)));
    expect((await directory.list()).filter(({ id }) => id.startsWith("many-"))).toHaveLength(8);
    const versions = await Promise.all(Array.from({ length: 5 }, () => directory.renewToken("many-0", "gpu")));
    expect(versions.sort()).toEqual([2, 3, 4, 5, 6]);
  });

  it("a name that every object inherits is no workshop", async () => {
    for (const name of ["constructor", "toString", "__proto__"]) expect(await directory.find(name)).toBeNull();
    expect(await directory.renewToken("constructor", "gpu")).toBeNull();
    expect(await directory.renewToken("two", "constructor")).toBe(2);
  });
});
