import { describe, expect, test } from "vitest";
import type { Dispatch } from "../../../gpu-adapter/contract.ts";
import { signDispatch } from "../../../gpu-adapter/canonical.ts";
import { checkDispatch, CLOCK_SKEW_MS } from "../../../gpu-adapter/runner/dispatch-check.ts";
import { eventFrame, readFrame } from "../../../gpu-adapter/runner/frames.ts";
import { parseMessage } from "../../../gpu-adapter/runner/comfy-socket.ts";
import { logger } from "../../../gpu-adapter/runner/log.ts";
import { readOptions } from "../../../gpu-adapter/runner/options.ts";
import { restartReason } from "../../../gpu-adapter/runner/supervisor.ts";
import { overdue } from "../../../gpu-adapter/runner/watch.ts";
import { recording } from "./recordings.ts";

describe("the command line", () => {
  const PULL = ["pull", "--platform", "https://edge.example/runner/v1/demo/", "--pool", "home"];

  test("pull: platform, pool, ComfyUI; the token from the environment wins over the flag", () => {
    const options = readOptions([...PULL, "--token", "from-flag"], { COMFYUME_TOKEN: "from-env" });
    expect(options).toMatchObject({ mode: "pull", platform: "https://edge.example/runner/v1/demo", pool: "home", token: "from-env", comfy: "http://127.0.0.1:8188", comfyCmd: null, folders: {} });
    expect(readOptions([...PULL, "--token", "from-flag"], {}).token).toBe("from-flag");
  });

  test("everything can come from the environment", () => {
    const env = { COMFYUME_MODE: "pull", COMFYUME_PLATFORM: "http://h/runner/v1/w", COMFYUME_POOL: "p", COMFYUME_TOKEN: "t", COMFYUME_COMFY: "http://gpu:8188/", COMFYUME_OUTPUT_DIR: "/c/output", COMFYUME_RESTART_AFTER: "50", COMFYUME_REQUIRE_NODES: "A, B" };
    expect(readOptions([], env)).toMatchObject({ mode: "pull", pool: "p", comfy: "http://gpu:8188", folders: { output: "/c/output" }, restartAfter: 50, requiredNodes: ["A", "B"] });
  });

  test("each fault is one sentence with the way out", () => {
    expect(() => readOptions([], {})).toThrow(/usage: node runner\.mjs pull/);
    expect(() => readOptions(["push"], {})).toThrow(/usage/);
    expect(() => readOptions(PULL, {})).toThrow(/COMFYUME_TOKEN/);
    expect(() => readOptions(["pull", "--platform", "edge.example"], { COMFYUME_TOKEN: "t" })).toThrow(/--platform wants an http\(s\) address, not "edge\.example"/);
    expect(() => readOptions([...PULL, "--restart-after", "many"], { COMFYUME_TOKEN: "t" })).toThrow(/whole number/);
    expect(() => readOptions([...PULL, "--hang-after", "0"], { COMFYUME_TOKEN: "t" })).toThrow(/from 1 to/);
    expect(readOptions(PULL, { COMFYUME_TOKEN: "t" }).hangAfter).toBe(60);
    expect(readOptions(PULL, { COMFYUME_TOKEN: "t", COMFYUME_HANG_AFTER: "300" }).hangAfter).toBe(300);
    expect(() => readOptions([...PULL, "--nonsense"], { COMFYUME_TOKEN: "t" })).toThrow(/nonsense/);
  });

  test("[G9] http modes do not start without a signature key and an origin to call back", () => {
    expect(() => readOptions(["http"], {})).toThrow(/COMFYUME_DISPATCH_KEY/);
    expect(() => readOptions(["http-once"], { COMFYUME_DISPATCH_KEY: "k" })).toThrow(/--allow-origin/);
    expect(readOptions(["http", "--allow-origin", "https://edge.example/path"], { COMFYUME_DISPATCH_KEY: "k" })).toMatchObject({ port: 8189, allowedOrigins: ["https://edge.example"] });
  });
});

describe("behind a provider's shim", () => {
  test("[G2] runpod and modal listen on this machine only, and need the same key and origin", () => {
    const env = { COMFYUME_DISPATCH_KEY: "k", COMFYUME_ALLOW_ORIGINS: "https://edge.example", COMFYUME_PROVIDER_REF: "pod-7" };
    for (const mode of ["runpod", "modal"]) expect(readOptions([mode], env)).toMatchObject({ mode, host: "127.0.0.1", about: { provider_ref: "pod-7" } });
    expect(readOptions(["http"], env).host).toBe("0.0.0.0");
    expect(() => readOptions(["modal"], {})).toThrow(/COMFYUME_DISPATCH_KEY/);
  });
});

describe("a dispatch at the door", () => {
  const gate = { key: "shared-key", allowedOrigins: ["https://edge.example"] };
  const now = 1_000_000_000;
  const unsigned: Omit<Dispatch, "sig"> = { v: 1, workshop: "w", pool: "p", job_id: "j", attempt: 1, dispatch_id: "d", callback: { base_url: "https://edge.example/runner/v1/w", token: "t".repeat(24) }, claim_before: now + 1000, detach: false };
  const signed = async (given: object = unsigned, key = gate.key): Promise<object> => ({ ...given, sig: await signDispatch(given, key) });

  test("[G9] signed, in time, and for a platform this runner serves: taken", async () => {
    expect(await checkDispatch(await signed(), gate, now)).toMatchObject({ ok: true, dispatch: { job_id: "j" } });
  });

  test("[G9] another key, a changed field, no signature: refused", async () => {
    expect(await checkDispatch(await signed(unsigned, "other"), gate, now)).toMatchObject({ ok: false, status: 401 });
    expect(await checkDispatch({ ...(await signed()), attempt: 2 }, gate, now)).toMatchObject({ ok: false, status: 401 });
    expect(await checkDispatch({ ...unsigned, sig: "" }, gate, now)).toMatchObject({ ok: false, status: 401 });
  });

  test("[G9] a callback to anywhere else is refused, well signed or not", async () => {
    const elsewhere = { ...unsigned, callback: { ...unsigned.callback, base_url: "https://edge.example.evil/runner/v1/w" } };
    expect(await checkDispatch(await signed(elsewhere), gate, now)).toMatchObject({ ok: false, status: 403 });
  });

  test("[G9] an old dispatch is refused; two clocks may differ by a minute", async () => {
    const at = unsigned.claim_before + CLOCK_SKEW_MS;
    expect(await checkDispatch(await signed(), gate, at)).toMatchObject({ ok: true });
    expect(await checkDispatch(await signed(), gate, at + 1)).toMatchObject({ ok: false, status: 410 });
  });

  test("what is no dispatch is 400 with the field's name", async () => {
    for (const body of [null, [], "x", {}, { ...unsigned, attempt: 0, sig: "x" }]) expect(await checkDispatch(body, gate, now)).toMatchObject({ ok: false, status: 400 });
  });
});

describe("ComfyUI's frames", () => {
  const frames = ["run-success", "run-legacy-preview", "run-text-and-expand"].flatMap((name) => recording(name).flatMap(({ binary }) => (binary === undefined ? [] : [Buffer.from(binary.header_hex, "hex")])));

  test("[G15] recorded text frames pass as they are; previews without metadata name no prompt", () => {
    const kinds = frames.filter((frame) => frame.readUInt32BE(0) !== 4).map((frame) => [frame.readUInt32BE(0), readFrame(frame)]);
    expect(kinds.length).toBeGreaterThan(2);
    for (const [type, read] of kinds) expect(read).toEqual({ kind: type === 1 ? "preview" : "other", promptId: null });
  });

  test("[G15] a preview with metadata names its prompt; a cut one is no frame", () => {
    const metadata = Buffer.from(JSON.stringify({ node_id: "2", prompt_id: "job", image_type: "image/jpeg" }));
    const head = Buffer.alloc(8);
    head.writeUInt32BE(4);
    head.writeUInt32BE(metadata.length, 4);
    const frame = Buffer.concat([head, metadata, Buffer.from([0xff, 0xd8])]);
    expect(readFrame(frame)).toEqual({ kind: "preview", promptId: "job" });
    expect(readFrame(frame.subarray(0, 20))).toBeNull();
    expect(readFrame(Buffer.alloc(3))).toBeNull();
  });

  test("[G16] a PNG is a node's own picture, not one of many previews", () => {
    const metadata = Buffer.from(JSON.stringify({ prompt_id: "job", image_type: "image/png" }));
    const withMetadata = Buffer.alloc(8);
    withMetadata.writeUInt32BE(4);
    withMetadata.writeUInt32BE(metadata.length, 4);
    expect(readFrame(Buffer.concat([withMetadata, metadata, Buffer.from([0x89])]))).toEqual({ kind: "picture", promptId: "job" });
    expect(readFrame(Uint8Array.from([0, 0, 0, 1, 0, 0, 0, 2, 0x89]))).toEqual({ kind: "picture", promptId: null });
  });

  test("[G15] five bytes in front, the frame behind them verbatim", () => {
    const frame = Uint8Array.from([0, 0, 0, 1, 0, 0, 0, 2, 9, 9]);
    expect([...eventFrame(258, frame)]).toEqual([1, 0, 0, 1, 2, ...frame]);
    expect([...eventFrame(7, new Uint8Array(Buffer.concat([Buffer.alloc(3), frame])).subarray(3))]).toEqual([1, 0, 0, 0, 7, ...frame]);
  });

  test("messages that are none are dropped, odd data is kept", () => {
    for (const text of ["", "x", "[]", "null", '{"data":{}}', '{"type":5}']) expect(parseMessage(text)).toBeNull();
    expect(parseMessage('{"type":"t"}')).toEqual({ type: "t", data: {} });
    expect(parseMessage('{"type":"t","data":[1]}')).toEqual({ type: "t", data: { value: [1] } });
  });
});

describe("limits of a run", () => {
  const limits = { start_s: 10, exec_s: 100, idle_event_s: 30 };

  test("[Q57] must start in time; then be heard from, then end in time", () => {
    const at = { now: 0, postedAt: 0, startedAt: null, activeAt: 0 };
    expect(overdue(limits, { ...at, now: 10_000 })).toBeNull();
    expect(overdue(limits, { ...at, now: 10_001 })).toBe("start");
    expect(overdue(limits, { ...at, startedAt: 5_000, activeAt: 5_000, now: 35_000 })).toBeNull();
    expect(overdue(limits, { ...at, startedAt: 5_000, activeAt: 5_000, now: 35_001 })).toBe("idle");
    expect(overdue(limits, { ...at, startedAt: 5_000, activeAt: 105_000, now: 105_001 })).toBe("exec");
  });
});

describe("when ComfyUI is started anew", () => {
  const fine = { oom: false, crashed: false, stuck: false };

  test("[G19] after a crash, a hang, repeated out-of-memory or N jobs, and not otherwise", () => {
    const rule = { afterJobs: 10, afterOoms: 2 };
    expect(restartReason({ jobs: 9, ooms: 1 }, fine, rule)).toBeNull();
    expect(restartReason({ jobs: 1, ooms: 0 }, { ...fine, crashed: true }, rule)).toBe("crashed");
    expect(restartReason({ jobs: 1, ooms: 0 }, { ...fine, stuck: true }, rule)).toBe("stuck");
    expect(restartReason({ jobs: 2, ooms: 2 }, { ...fine, oom: true }, rule)).toBe("out_of_memory");
    expect(restartReason({ jobs: 10, ooms: 0 }, fine, rule)).toBe("jobs");
    expect(restartReason({ jobs: 1000, ooms: 0 }, fine, { ...rule, afterJobs: 0 })).toBeNull();
  });
});

describe("log lines", () => {
  test("one JSON object per line, whatever is in it", () => {
    const lines: string[] = [];
    logger({ runner: "r" }, (line) => lines.push(line))("event", { text: 'a\n"b"', number: 1, nothing: undefined });
    expect(lines).toHaveLength(1);
    expect(lines[0]?.trimEnd().split("\n")).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? "")).toMatchObject({ event: "event", runner: "r", text: 'a\n"b"', number: 1 });
  });
});
