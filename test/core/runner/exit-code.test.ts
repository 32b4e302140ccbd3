// What `http-once` leaves behind [G3]: one row per way a dispatch can end.
import { describe, expect, test } from "vitest";
import { type ErrorCode, errorCode, type HeldAnswer, type RunResult } from "../../../gpu-adapter/contract.ts";
import { exitCodeOf } from "../../../gpu-adapter/runner/exit-code.ts";

const runner = { id: "r", version: "1", mode: "http-once" as const };
const skipped = (reason: string): HeldAnswer => ({ v: 1, job_id: "j", attempt: 1, dispatch_id: "d", outcome: "skipped", reason });
function ended(status: "succeeded" | "failed" | "cancelled", code?: ErrorCode): HeldAnswer {
  const result: RunResult = { lease_id: "l", status, files: [], comfy_outputs: {}, comfy_messages: [], comfy_meta: {}, timings: {}, runner, ...(code === undefined ? {} : { error: { code, message: "", traceback: [] } }) };
  return { v: 1, job_id: "j", attempt: 1, dispatch_id: "d", outcome: status, result };
}

describe("[G3] the exit code of one job", () => {
  test.each(["accepted", "already"] as const)("a result that the platform %s is 0 unless the machine failed it", (delivery) => {
    expect(exitCodeOf({ held: ended("succeeded"), delivery })).toBe(0);
    expect(exitCodeOf({ held: ended("cancelled"), delivery })).toBe(0);
    const faults = errorCode.options.filter((code) => exitCodeOf({ held: ended("failed", code), delivery }) === 1);
    expect(faults).toEqual(["input_fetch", "claim_timeout", "start_timeout", "upload_failed", "comfy_crash", "container_lost", "provider_capacity", "provider_rate_limited", "provider_auth", "provider_config", "provider_funds", "provider_unknown", "internal"]);
  });

  test.each(["refused", "undelivered", "dropped"] as const)("a result that was %s is 1, however good", (delivery) => {
    expect(exitCodeOf({ held: ended("succeeded"), delivery })).toBe(1);
  });

  test("work that was somebody else's is 0; a claim that failed for our own sake is 1", () => {
    for (const reason of ["duplicate: x", "superseded: x", "finished: x", "gone: x"]) expect(exitCodeOf({ held: skipped(reason), delivery: null }), reason).toBe(0);
    for (const reason of ["quarantined: x", "401: no", "403: no", "The platform did not answer the claim in time."]) expect(exitCodeOf({ held: skipped(reason), delivery: null }), reason).toBe(1);
  });
});
