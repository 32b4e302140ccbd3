// What people are told of a pool: the self-test's verdict.
import { describe, expect, test } from "vitest";
import { isBroken, type TestFacts, verdictOf } from "../../../durable-objects/gpu/verdict.ts";
import { ERRORS } from "../../../gpu-adapter/errors.ts";

const begun: TestFacts = { pool: "h200", provider: "verda", secret: "GPU_VERDA", state: "waiting", begun: 1000, handed: null, claimed: null, started: null, ended: null, runner: null, files: 0, last: null, restsUntil: null, draining: false };

describe("the self-test's verdict", () => {
  test("works: the whole way, with the machine and the times", () => {
    const facts: TestFacts = { ...begun, state: "succeeded", handed: 1500, claimed: 61_500, started: 62_000, ended: 64_000, files: 1, runner: { gpu_name: "H200", comfyui_version: "0.38.1", cold_start_ms: 50_000 } };
    const { verdict, says, advice, stages } = verdictOf(facts, 70_000);
    expect([verdict, advice]).toEqual(["works", null]);
    expect(says).toBe("h200 works: a picture went the whole way in 63.0 s. A machine came after 60.0 s (a cold start; the machine itself needed 50.0 s), the run with its upload took 2.0 s. It ran on H200, ComfyUI 0.38.1.");
    expect(stages).toEqual([{ name: "handed over", done: true, after_ms: 500 }, { name: "claimed", done: true, after_ms: 60_500 }, { name: "started", done: true, after_ms: 61_000 }, { name: "stored", done: true, after_ms: 63_000 }]);
    expect(verdictOf({ ...facts, handed: 31_500 }, 70_000).says, "a machine that was up already").not.toContain("cold start");
    expect(verdictOf({ ...facts, files: 0 }, 70_000)).toMatchObject({ verdict: "broken", says: "h200: the run ended, but no picture arrived." });
  });

  test("pending: where it stands", () => {
    const at = (change: Partial<TestFacts>): string => verdictOf({ ...begun, ...change }, 11_000).says;
    expect(at({})).toBe("h200: the test waits for a slot of this pool, since 10 s.");
    expect(at({ draining: true })).toBe("h200 takes no new jobs (draining), so the test waits.");
    expect(at({ restsUntil: 16_500, last: { code: "provider_capacity", message: "Verda answered 503" } })).toBe("h200: Verda answered 503; the next try is in 6 s.");
    expect(at({ state: "dispatched", handed: 2000 })).toBe("h200: verda has the job; no machine has come for it in 9 s. A cold start takes minutes.");
    expect(at({ state: "dispatched", handed: 2000, claimed: 5000 })).toBe("h200: a machine has taken the job, since 6 s.");
    expect(at({ state: "running", handed: 2000, claimed: 5000, started: 9000 })).toBe("h200: the picture is being made, since 2 s.");
  });

  test("broken: at once for what waiting does not heal, with the secret's name in the advice", () => {
    const broken = verdictOf({ ...begun, last: { code: "provider_auth", message: "Verda answered 401" } }, 2000);
    expect(broken).toMatchObject({ verdict: "broken", says: "h200 does not work: Verda answered 401." });
    expect(broken.advice).toContain("npx wrangler secret put GPU_VERDA");
    expect(verdictOf({ ...begun, last: { code: "provider_capacity", message: "none" } }, 2000).verdict).toBe("pending");
    expect(verdictOf({ ...begun, state: "failed", last: { code: "oom", message: "out of memory" } }, 2000)).toMatchObject({ verdict: "broken" });
    expect(verdictOf({ ...begun, state: "cancelled" }, 2000).says).toBe("h200 does not work: the test was cancelled.");
  });

  test("every code that can end a try has an advice", () => {
    for (const code of Object.keys(ERRORS)) {
      const { advice } = verdictOf({ ...begun, state: "failed", last: { code, message: "x" } }, 2000);
      expect(advice, code).toMatch(/\S.*[.?]$/s);
    }
    expect(Object.keys(ERRORS).filter(isBroken)).toEqual(["provider_config", "provider_auth", "provider_funds"].filter((code) => code in ERRORS).sort((a, b) => Object.keys(ERRORS).indexOf(a) - Object.keys(ERRORS).indexOf(b)));
  });
});
