// docs/instructor-api.md held against the product: its examples are run, in order, and its tables are compared with what there is.
import { beforeAll, describe, expect, it } from "vitest";
import doc from "../../docs/instructor-api.md?raw";
import { PARAMETERS } from "../../durable-objects/param-names.ts";
import { instructor } from "../../workers/routes/instructor.ts";
import { openRoom, type Room } from "./steering.ts";

type Example = { method: string; path: string; body: object | undefined; status: number; answer: unknown };

/** Blocks of ```http: a request line, perhaps a body, the status, the answer. */
const examples: Example[] = [...doc.matchAll(/```http\n(\w+) (\S+)\n([\s\S]*?)^(\d{3})\n([\s\S]*?)\n```/gm)].map(([, method = "", path = "", body = "", status = "", answer = ""]) => ({
  method, path, body: body.trim() === "" ? (method === "GET" ? undefined : {}) : (JSON.parse(body) as object), status: Number(status), answer: JSON.parse(answer) as unknown,
}));

/** The answer as the page shows it: numbers are numbers, a text that ends in … begins so, one with … in the middle also ends so. */
function likeness(shown: unknown): unknown {
  if (typeof shown === "number") return expect.any(Number);
  if (typeof shown === "string" && shown.includes("…")) return expect.stringMatching(new RegExp(`^${shown.split("…").map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("[\\s\\S]*")}$`));
  if (Array.isArray(shown)) return shown.map(likeness);
  if (typeof shown === "object" && shown !== null) return Object.fromEntries(Object.entries(shown).map(([name, value]) => [name, likeness(value)]));
  return shown;
}

let room: Room;
const names: Record<string, string> = {};

beforeAll(async () => {
  room = await openRoom("film");
  names.running = await room.submit("instructor");
  await room.next("runner-0");
  await room.submit("user001");
  names.job = await room.submit("user001");
  await room.submit("user002");
});

describe("docs/instructor-api.md", () => {
  it("has examples", () => {
    expect(examples.length).toBeGreaterThanOrEqual(12);
    expect(doc.match(/```http/g)).toHaveLength(examples.length);
  });

  it.each(examples.map((example, n) => [n + 1, example.method, example.path, example] as const))("example %i: %s %s", async (_, method, path, { body, status, answer }) => {
    const found = await room.ask<{ undo?: { id: string } | null }>(method, path.replaceAll(/\{(\w+)\}/g, (_whole, name: string) => names[name] ?? ""), body);
    if (found.body.undo) names.undo = found.body.undo.id;
    expect(found).toEqual({ status, body: likeness(answer) });
  });

  it("lists every route there is, and no other", () => {
    const written = [...doc.matchAll(/^\| `([A-Z]+) (\/\S*?)` \|/gm)].map(([, method, path]) => `${method} ${path?.replaceAll(/\{\w+\}/g, ":name")}`);
    const routed = instructor.routes.filter(({ path }) => !path.endsWith("*")).map(({ method, path }) => `${method} ${path.slice("/:workshop/dashboard/api/v1".length)}`);
    expect(written.sort()).toEqual([...new Set(routed)].sort());
  });

  it("lists every parameter with its unit and meaning", () => {
    const written = [...doc.matchAll(/^\| `(\w+)` \| ([^|]+) \| ([^|]+) \|$/gm)].map(([, name, unit, says]) => [name, unit, says]);
    expect(written).toEqual(Object.entries(PARAMETERS).map(([name, { unit, says }]) => [name, unit, says]));
  });
});
