// What providers' answers mean: one table for hand-overs and control planes alike, whatever shape the answer has.
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { call, envelopeOf, faultOf, member, refusalOfRunner, retryAfterMs, splitEndpoint } from "../../../gpu-adapter/providers/http.ts";
import { priceOf, replicasOf, stateOf } from "../../../gpu-adapter/providers/verda-facts.ts";
import { settingsFault, poolSettings } from "../../../gpu-adapter/pool-settings.ts";

const NOW = Date.parse("2026-03-01T10:00:00Z");
const answering = (status: number, body = "", headers: Record<string, string> = {}) => call((async () => new Response(body === "" ? null : body, { status, headers })) as typeof fetch, { method: "GET", url: "https://x.example/" });

describe("a call", () => {
  test("no answer, a broken body and a late one are outcomes, not exceptions", async () => {
    expect(await call((async () => { throw new TypeError("refused"); }) as typeof fetch, { method: "GET", url: "https://x.example/" })).toEqual({ kind: "none", message: "no connection (refused)" });
    const never = ((_url: string, init: RequestInit) => new Promise((_, reject) => init.signal?.addEventListener("abort", () => reject(init.signal?.reason as Error)))) as unknown as typeof fetch;
    expect(await call(never, { method: "GET", url: "https://x.example/", timeoutMs: 30 })).toEqual({ kind: "none", message: "no answer within 0.03 s" });
    const half = (async () => new Response(new ReadableStream({ start: (out) => { out.enqueue(new Uint8Array([123])); out.error(new Error("cut")); } }))) as typeof fetch;
    expect(await call(half, { method: "GET", url: "https://x.example/" })).toMatchObject({ kind: "none" });
    expect(await answering(200, "<html>")).toMatchObject({ kind: "success", json: undefined, text: "<html>" });
  });

  test("a redirect is an answer of its own and is not followed", async () => {
    let init: RequestInit | undefined;
    await call((async (_url: string, given: RequestInit) => { init = given; return new Response(null, { status: 303, headers: { location: "https://elsewhere.example/" } }); }) as unknown as typeof fetch, { method: "GET", url: "https://x.example/" });
    expect(init?.redirect).toBe("manual");
  });
});

describe("[G] 6.9 what an answer means", () => {
  const meaning = async (status: number, body = "", headers: Record<string, string> = {}): Promise<string> => {
    const fault = faultOf("Verda", await answering(status, body, headers), NOW);
    return fault.outcome === "unknown" ? "unknown" : fault.code;
  };

  test.each([
    [429, "", "provider_rate_limited"], [402, "", "provider_funds"], [401, "", "provider_auth"], [403, "", "provider_auth"], [503, "", "provider_capacity"], [409, "", "provider_capacity"],
    [400, "no_capacity", "provider_capacity"], [500, '{"message":"Sold out in FIN-01"}', "provider_capacity"], [400, "{}", "provider_config"], [404, "", "provider_config"], [422, "", "provider_config"],
    [408, "", "unknown"], [500, "", "unknown"], [502, "", "unknown"], [504, "", "unknown"],
  ])("%i %s is %s", async (status, body, code) => expect(await meaning(status, body)).toBe(code));

  test("no answer at all is unknown: the hand-over may have happened", () => expect(faultOf("Verda", { kind: "none", message: "no answer within 10 s" }, NOW)).toEqual({ outcome: "unknown", message: "Verda: no answer within 10 s" }));

  test("Retry-After in seconds or as a date, never negative, nonsense ignored", async () => {
    const after = async (value: string): Promise<number | null> => {
      const answer = await answering(429, "", { "retry-after": value });
      return answer.kind === "none" ? null : retryAfterMs(answer, NOW);
    };
    expect(await Promise.all(["30", "1.5", "-3", "Sun, 01 Mar 2026 10:00:42 GMT", "Sun, 01 Mar 2026 09:00:00 GMT", "soon"].map(after))).toEqual([30_000, 1500, 0, 42_000, 0, null]);
  });

  test("the provider's own words stand in the message, in one line and not endlessly", async () => {
    expect(faultOf("Verda", await answering(400, '{"detail":"bad\\n  image"}'), NOW).message).toBe("Verda answered 400: bad image");
    expect(faultOf("Verda", await answering(400, "x".repeat(9000)), NOW).message.length).toBeLessThan(240);
  });

  test("whatever comes back, something is made of it", async () => {
    await fc.assert(fc.asyncProperty(fc.integer({ min: 200, max: 599 }).filter((status) => ![204, 205, 304].includes(status)), fc.oneof(fc.string(), fc.jsonValue().map((value) => JSON.stringify(value))), async (status, body) => {
      const called = await answering(status, body);
      expect(["rejected", "unknown"]).toContain(faultOf("X", called, NOW).outcome);
      if (called.kind !== "none") {
        envelopeOf(called.json);
        stateOf(called.json);
        replicasOf(called.json);
        priceOf(called.json, "H200", true);
        member(called.json, "__proto__");
      }
    }));
  });
});

describe("words of our own runner", () => {
  test.each([[409, "provider_capacity"], [503, "provider_capacity"], [400, "provider_config"], [401, "provider_config"], [403, "provider_config"], [410, "claim_timeout"]])("%i is %s", (status, code) =>
    expect(refusalOfRunner(status, { error: "busy", message: "Busy." })).toEqual({ status: "failed", code, message: "The runner did not take the job: Busy." }),
  );
  test("another body or another status is nobody's word", () => expect([refusalOfRunner(503, "<html>"), refusalOfRunner(503, {}), refusalOfRunner(500, { error: "x" })]).toEqual([null, null, null]));
});

describe("Verda's facts, read leniently", () => {
  test("replicas by state, in either shape", () => {
    const list = [{ status: "Running" }, { status: "initializing" }, { status: "running" }, { state: "?" }, null];
    const read = { byState: { running: 2, initializing: 1, unknown: 2 }, up: 2 };
    expect([replicasOf({ list }), replicasOf(list), replicasOf("nothing")]).toEqual([read, read, { byState: {}, up: 0 }]);
  });
  test("prices: by model or name, numbers that are texts, spot or not, dearer than dear never rounded down", () => {
    const list = [{ model: "H100", serverless_price: "2.5" }, { name: "h200", serverless_price: 3.2900001, serverless_spot_price: "1.15", currency: "eur" }];
    expect(priceOf(list, "H200", false)).toMatchObject({ microPerHour: 3_290_001, currency: "EUR" });
    expect(priceOf(list, "H200", true)).toMatchObject({ microPerHour: 1_150_000 });
    expect([priceOf(list, "B300", false), priceOf([{ model: "B300", serverless_price: "soon" }], "B300", false), priceOf({}, "H200", false)]).toEqual([null, null, null]);
  });
  test("an endpoint and its last segment", () => expect(splitEndpoint("https://containers.example/my-name/")).toEqual(["https://containers.example", "my-name"]));
});

describe("a pool's settings", () => {
  test("a pool that hands over needs an address, and away from home a key and https", () => {
    const fault = (pool: Parameters<typeof settingsFault>[0]): string | null => settingsFault(pool);
    expect(fault({ provider: "pull" })).toBeNull();
    expect(fault({ provider: "verda", secret: "GPU_X" })).toMatch(/needs an endpoint/);
    expect(fault({ provider: "verda", endpoint: "https://a.example/x" })).toMatch(/needs a secret/);
    expect(fault({ provider: "verda", endpoint: "http://a.example/x", secret: "GPU_X" })).toMatch(/must be https/);
    expect(fault({ provider: "verda", endpoint: "http://127.0.0.1:9/x", secret: "GPU_X" })).toBeNull();
    expect(fault({ provider: "local", endpoint: "http://gpu.lan:8189" })).toBeNull();
  });
  test("only secrets made for GPUs can be named", () => {
    expect(["GPU_VERDA", "SESSION_SECRET", "OPERATOR_TOKEN", "gpu_x", "GPU_", "GPU_X; x"].map((name) => poolSettings.secret.safeParse(name).success)).toEqual([true, false, false, false, false, false]);
  });
  test("a session ends after it begins", () => expect([poolSettings.sessions.safeParse([{ from: 2, to: 1, replicas: 1 }]).success, poolSettings.sessions.safeParse([{ from: 1, to: 2, replicas: 1 }]).success]).toEqual([false, true]));
});
