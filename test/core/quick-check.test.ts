// The quick predicate against the schema it is made of: a yes means "accepted, unchanged"; ordinary frames get a yes.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { runnerFrame } from "../../gpu-adapter/contract.ts";
import { quickCheck } from "../../gpu-adapter/quick-check.ts";

const isFrame = quickCheck(runnerFrame);
const runner = { id: "r1", version: "1.0.0", mode: "pull", gpu_name: "H200", vram_mb: 141_000 };
const file = { type: "output", subfolder: "", filename: "a_00001_.png", file_id: "f_1" };
const result = { lease_id: "l_1", status: "succeeded", files: [file], comfy_outputs: { "9": { images: [file] } }, comfy_messages: [["execution_success", { prompt_id: "p" }]], comfy_meta: {}, timings: { exec_ms: 12 }, runner };

/** What runners send all day. */
const ORDINARY: object[] = [
  { type: "next" },
  { type: "hello", runner, catalog_digest: "d".repeat(64) },
  { type: "event", lease_id: "l_1", event: { type: "comfy", seq: 3, ts: 1_700_000_000_000, message: { type: "progress", data: { value: 1, max: 20 } } } },
  { type: "event", lease_id: "l_1", event: { type: "comfy", seq: 4, ts: 1, message: { type: "executed", data: { node: "9" } }, files: [file] } },
  { type: "event", lease_id: "l_1", event: { type: "heartbeat", seq: 5, ts: 1, gpu: { util: 0.5 } } },
  { type: "result", job_id: "j", attempt: 1, result, next: true },
];
/** Valid, but the schema changes them: a text is cut, a default filled in, a key dropped. */
const CHANGED: object[] = [
  { type: "event", lease_id: "l_1", event: { type: "log", seq: 1, ts: 1, line: "x".repeat(20_000) } },
  { type: "result", job_id: "j", attempt: 1, result: { ...result, timings: undefined, error: { code: "oom", message: "m" } }, next: false },
  { type: "next", extra: 1 },
];

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** The same with one member somewhere inside replaced, removed or added. */
function changed(value: Json, steps: number[], act: number, filler: Json): Json {
  if (typeof value !== "object" || value === null) return filler;
  const keys = Object.keys(value);
  const key = keys[(steps[0] ?? 0) % Math.max(1, keys.length)];
  const copy = structuredClone(value) as Record<string, Json> & Json[];
  if (act === 2) copy["added" as never] = filler as never;
  else if (key === undefined) return filler;
  else if (steps.length > 1) copy[key as never] = changed(copy[key as never] as Json, steps.slice(1), act, filler) as never;
  else if (act === 0) copy[key as never] = filler as never;
  // A list in JSON has no holes.
  else if (Array.isArray(copy)) copy.splice(Number(key), 1);
  else delete copy[key as never];
  return copy;
}

describe("quick check", () => {
  test("says yes to what runners send all day", () => {
    for (const frame of ORDINARY) expect(isFrame(frame), JSON.stringify(frame)).toBe(true);
  });

  test("leaves to the schema what the schema would change", () => {
    for (const frame of CHANGED) expect(isFrame(JSON.parse(JSON.stringify(frame)))).toBe(false);
  });

  test("a yes means that the schema accepts the value and returns it unchanged", () => {
    let yes = 0;
    fc.assert(
      fc.property(fc.constantFrom(...ORDINARY, ...CHANGED), fc.array(fc.nat(12), { minLength: 1, maxLength: 4 }), fc.nat(2), fc.jsonValue({ maxDepth: 2 }), (frame, steps, act, filler) => {
        const value = changed(JSON.parse(JSON.stringify(frame)) as Json, steps, act, filler as Json);
        if (!isFrame(value)) return;
        yes += 1;
        expect(runnerFrame.parse(value)).toEqual(value);
      }),
      { numRuns: 20_000 },
    );
    expect(yes).toBeGreaterThan(100);
  });

  test("what it cannot judge is a no", () => {
    for (const schema of [z.url(), z.string().regex(/a/), z.string().transform((text) => text), z.string().refine(() => true), z.number().positive(), z.object({}).catchall(z.string()), z.coerce.number()]) {
      expect(quickCheck(schema)("a")).toBe(false);
      expect(quickCheck(schema)(1)).toBe(false);
      expect(quickCheck(schema)({})).toBe(false);
    }
  });
});
