import { describe, expect, test } from "vitest";
import { errorCode } from "../../../gpu-adapter/contract.ts";
import { ERRORS, retryClass, seatSentence } from "../../../gpu-adapter/errors.ts";
import { conclude, type EndFacts, executionMs, failure } from "../../../gpu-adapter/runner/conclude.ts";
import { blamesInputs, isOutOfMemory, validationError } from "../../../gpu-adapter/runner/verdict.ts";
import { after, historyOf, recording } from "./recordings.ts";

const errors = recording("run-error");
const refusals = recording("validation-errors");
const facts = (given: Partial<EndFacts>): EndFacts => ({ messages: [], stopped: null, error: null, unstored: false, gone: null, ...given });
const recorded = (note: string): Pick<EndFacts, "messages" | "statusText"> => {
  const { status } = historyOf(after(errors, note));
  return { messages: status.messages, statusText: status.status_str };
};
const interrupted = historyOf(recording("run-interrupt")).status.messages;
const refusal = (note: string): Record<string, unknown> => after(refusals, note).find((event) => event.method === "POST")?.response_json as Record<string, unknown>;

describe("how a run ended, by what ComfyUI said", () => {
  test("a node that raised: node_error, with node, type, exception and traceback", () => {
    const { status, error } = conclude(facts(recorded("raise")));
    expect(status).toBe("failed");
    expect(error).toMatchObject({ code: "node_error", node_id: "2", node_type: "EdgeRaise", exception_type: "ValueError", message: "deliberate failure" });
    expect(error?.traceback.length).toBeGreaterThan(2);
  });

  test("out of memory is known by the exception's type", () => {
    expect(conclude(facts(recorded("out of memory"))).error?.code).toBe("oom");
    expect(isOutOfMemory("torch.cuda.OutOfMemoryError", "")).toBe(true);
    expect(isOutOfMemory("RuntimeError", "CUDA error: out of memory")).toBe(true);
    expect(isOutOfMemory("ValueError", "CUDA out of memory is what this text says")).toBe(false);
  });

  test("a blocked output raises an error and the run succeeds all the same", () => {
    expect(conclude(facts(recorded("blocked with message")))).toEqual({ status: "succeeded", error: null });
    expect(conclude(facts(recorded("blocked silently")))).toEqual({ status: "succeeded", error: null });
  });

  test("[G29] interrupted because the seat cancelled: cancelled, without an error", () => {
    expect(conclude(facts({ messages: interrupted, statusText: "error", stopped: "cancel" }))).toEqual({ status: "cancelled", error: null });
  });

  test("interrupted by somebody at the machine: cancelled, and it says so", () => {
    expect(conclude(facts({ messages: interrupted, statusText: "error" }))).toMatchObject({ status: "cancelled", error: { code: "cancelled" } });
  });

  test("[G31] interrupted because the machine goes: container_lost, to be run again elsewhere", () => {
    expect(conclude(facts({ messages: interrupted, statusText: "error", stopped: "drain" }))).toMatchObject({ status: "failed", error: { code: "container_lost" } });
  });

  test("[G31] a machine that goes before its job began hands it back too", () => {
    expect(conclude(facts({ messages: null, stopped: "drain", error: failure("cancelled", "") }))).toMatchObject({ status: "failed", error: { code: "container_lost" } });
  });

  test("a limit that was passed keeps its code, unless the run had ended by then", () => {
    const error = failure("exec_timeout", "too long");
    expect(conclude(facts({ messages: interrupted, statusText: "error", stopped: "timeout", error }))).toEqual({ status: "failed", error });
    expect(conclude(facts({ ...recorded("blocked silently"), stopped: "timeout", error }))).toEqual({ status: "succeeded", error: null });
  });

  test("[Q10] a file that is not stored: never succeeded, whatever ComfyUI says", () => {
    const success = recorded("blocked silently");
    expect(conclude(facts({ ...success, unstored: true, error: failure("upload_failed", "x") }))).toMatchObject({ status: "failed", error: { code: "upload_failed" } });
    expect(conclude(facts({ ...success, unstored: true, stopped: "drain" }))).toMatchObject({ status: "failed", error: { code: "container_lost" } });
    expect(conclude(facts({ ...success, unstored: true, stopped: "cancel" })).status).toBe("cancelled");
    expect(conclude(facts({ ...success, unstored: true })).status).toBe("failed");
  });

  test("ComfyUI lost the run: comfy_crash, unless its end had been heard", () => {
    expect(conclude(facts({ messages: [["execution_start", {}]], gone: "ComfyUI's process ended during the run." }))).toMatchObject({ status: "failed", error: { code: "comfy_crash", message: "ComfyUI's process ended during the run." } });
    expect(conclude(facts({ messages: [["execution_start", {}], ["execution_success", {}]], gone: "gone" })).status).toBe("succeeded");
  });

  test("execution time is ComfyUI's own, from its stamps", () => {
    expect(executionMs([["execution_start", { timestamp: 1000 }], ["execution_success", { timestamp: 1750 }]])).toBe(750);
    expect(executionMs([["execution_start", { timestamp: 1000 }]])).toBeNull();
  });
});

describe("prompts that ComfyUI refuses", () => {
  test("validation: ComfyUI's own body goes along", () => {
    const body = refusal("required input missing");
    expect(validationError(body)).toMatchObject({ code: "validation", exception_type: "prompt_outputs_failed_validation", comfy: body });
  });

  test("a class this machine lacks is missing_node, in the old and the new words", () => {
    expect(validationError(refusal("unknown class_type")).code).toBe("missing_node");
    expect(validationError({ error: { type: "missing_node_type", message: "Node 'X' not found." }, node_errors: {} }).code).toBe("missing_node");
    expect(validationError(refusal("node without class_type")).code).toBe("validation");
  });

  test("a model this machine lacks is missing_model; any other fault beside it is the graph's", () => {
    const body = refusal("checkpoint not in list") as { node_errors: Record<string, { errors: object[] }> };
    expect(validationError(body).code).toBe("missing_model");
    expect(validationError(refusal("value not in list (short list)")).code).toBe("validation");
    const [node] = Object.values(structuredClone(body.node_errors));
    const mixed = { ...body, node_errors: { "1": { errors: [...(node?.errors ?? []), { type: "required_input_missing" }] } } };
    expect(validationError(mixed).code).toBe("validation");
  });

  test("the seat tag does not show in what is passed on", () => {
    expect(validationError({ error: { type: "x", extra_info: { inputs: { comfyume_seat: "t", a: 1 } } } }).comfy).toEqual({ error: { type: "x", extra_info: { inputs: { a: 1 } } } });
  });

  test("[G18] a refusal that names an input file is worth bringing the file again", () => {
    const body = refusal("LoadImage of a file that is not there (custom validation)");
    expect(blamesInputs(body, ["missing.png"])).toBe(JSON.stringify(body).includes("missing.png"));
    expect(blamesInputs(body, ["other-0123456789abcdef.png"])).toBe(false);
    expect(blamesInputs(body, [])).toBe(false);
  });

  test("odd bodies are a refusal without detail, not a crash", () => {
    for (const body of [{}, { error: "text" }, { error: { type: 5 }, node_errors: [null, 3, { errors: "x" }] }]) expect(validationError(body).code).toBe("validation");
  });
});

describe("the error taxonomy", () => {
  test("every code of the contract has one class and one decision about the seat's sentence", () => {
    expect(Object.keys(ERRORS).sort()).toEqual([...errorCode.options].sort());
  });

  test("[Q54] classes as the retry table has them", () => {
    const expected = {
      user: ["validation", "node_error", "input_missing"], limit: ["exec_timeout"], oom: ["oom"], crash: ["comfy_crash"], lost: ["container_lost"], never_started: ["claim_timeout", "start_timeout"],
      missing: ["missing_node", "missing_model"], capacity: ["provider_capacity", "provider_rate_limited"], config: ["provider_auth", "provider_config", "provider_funds"], unknown: ["provider_unknown"],
      upload: ["upload_failed"], internal: ["internal"], input: ["input_fetch"], cancelled: ["cancelled"],
    };
    for (const [name, codes] of Object.entries(expected)) for (const code of codes) expect(retryClass(errorCode.parse(code)), code).toBe(name);
    expect(Object.values(expected).flat().sort()).toEqual([...errorCode.options].sort());
  });

  test("faults of the provider's account are for the instructor, not for a seat", () => {
    for (const code of ["provider_auth", "provider_config", "provider_funds"] as const) {
      expect(seatSentence(code, "401")).toBeNull();
      expect(ERRORS[code].alarm).toBe(true);
    }
    expect(seatSentence("node_error", "bad size")).toContain("(bad size)");
  });
});
