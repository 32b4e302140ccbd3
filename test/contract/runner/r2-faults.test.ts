// The real runner against a store that is slow, full, forgetful or ahead of its time: the file is there once, the run never fails for it [G21], [G28].
import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { colourGraph } from "../../e2e/support/seat-client.ts";
import type { Fault, R2 } from "../../simulators/r2/r2.ts";
import { fileOf, HandRunner, put } from "./support/hand-runner.ts";
import { largeFile, MIB, outputFolder, sha256Of, textGraph, writtenLater } from "./support/large-file.ts";
import type { RunnerProcess } from "./support/runner-process.ts";
import { openStoreRoom, type StoreRoom } from "./support/store-room.ts";

let box: StoreRoom;
let r2: R2;
let runner: RunnerProcess;
beforeAll(async () => {
  box = await openStoreRoom("the R2 simulator");
  if (box.r2 === null) throw new Error("this room has the simulator");
  r2 = box.r2;
  runner = box.start();
  await runner.ready();
});
afterAll(async () => {
  await box?.end();
});
afterEach(() => {
  box.weather.clear();
  r2.clear();
});

let colour = 0x101010;
const picture = (): Record<string, unknown> => colourGraph((colour += 0x010203), "faulty");

async function succeeds(seat: number, graph: Record<string, unknown>): Promise<Record<string, { images?: { filename: string; subfolder: string; type: string }[] }>> {
  const client = box.room.client(seat);
  const entry = await client.ended(await client.submit(graph), 200);
  expect(entry.status.status_str, JSON.stringify(entry.status)).toBe("success");
  return entry.outputs;
}

type Case = { name: string; faults: Omit<Fault, "path">[]; conditions?: R2["conditions"]; /** what the store answered, in order */ answers: (number | "lost")[]; /** how often the runner asked for targets */ asked: number };
const CASES: Case[] = [
  { name: "503 twice, then well: the same address again", faults: [{ times: 2, what: 503 }], answers: [503, 503, 200], asked: 1 },
  { name: "429 twice, then well: the same address again", faults: [{ times: 2, what: 429 }], answers: [429, 429, 200], asked: 1 },
  { name: "503 for longer than one address is tried: fresh targets", faults: [{ times: 3, what: 503 }], answers: [503, 503, 503, 200], asked: 2 },
  { name: "stored, the answer lost: 412 means it is there", faults: [{ times: 1, what: "lose" }], answers: ["lost", 412], asked: 1 },
  { name: "stored, the answer lost, by a store that ignores the condition: written twice, the same", faults: [{ times: 1, what: "lose" }], conditions: "ignored", answers: ["lost", 200], asked: 1 },
  { name: "the address has ended by the store's clock: fresh targets", faults: [{ times: 1, what: "late" }], answers: [403, 200], asked: 2 },
  { name: "a slow line", faults: [{ times: 1, what: "slow" }], answers: [200], asked: 1 },
];

describe("one picture", () => {
  test.each(CASES)("$name", async ({ faults, conditions, answers, asked }) => {
    for (const fault of faults) r2.fault({ ...fault, path: /./ });
    r2.conditions = conditions ?? "honoured";
    const outputs = await succeeds(1, picture());
    expect(r2.served.map(({ status }) => status)).toEqual(answers);
    expect(box.weather.count(/\/uploads$/)).toBe(asked);
    expect(box.weather.count(/\/uploads\/commit$/, 200)).toBe(1);
    expect(new Set(r2.served.map(({ key }) => key)).size).toBe(asked);
    const [file] = outputs["2"]?.images ?? [];
    if (file === undefined) throw new Error("no picture came");
    expect((await box.room.client(1).picture(file)).status).toBe(200);
    if (faults[0]?.what === "late") await runner.logged("upload_retry", ({ error }) => error === "The storage refused the file with 403 ExpiredRequest.");
  });
});

describe("a film in parts", () => {
  test("a part that fails, one whose answer is lost and a slow one: sent again, and whole", async () => {
    let sha256 = "";
    const bytes = 130 * MIB + 321;
    writtenLater(box.room, "rough.mp4", (path) => {
      sha256 = largeFile(path, bytes);
    });
    r2.fault({ path: /partNumber=1&/, times: 1, what: 503 });
    r2.fault({ path: /partNumber=2&/, times: 1, what: "lose" });
    r2.fault({ path: /partNumber=3&/, times: 1, what: "slow" });
    await succeeds(2, textGraph("rough.mp4"));
    expect(r2.served.map(({ part, status }) => [part, status])).toEqual([[1, 503], [1, 200], [2, "lost"], [2, 200], [3, 200]]);
    expect(await sha256Of(await box.room.client(2).picture({ filename: "rough.mp4", subfolder: "", type: "output" }))).toBe(sha256);
    rmSync(join(outputFolder(box.room), "rough.mp4"));
  }, 240_000);
});

describe("a store that ignores If-None-Match", () => {
  test("[G34] an old address can write the very same bytes again and nothing else", async () => {
    expect(await runner.stop()).toBe(0);
    r2.conditions = "ignored";
    const bytes = Buffer.from("what the seat was promised");
    const file = fileOf(bytes);
    const hand = await HandRunner.take(box, 3);
    const { url, headers, n } = await hand.target(file);
    expect((await put(url, headers, bytes)).status).toBe(200);
    expect((await hand.commit([{ ...file, n }])).status).toBe(200);
    await hand.finish();
    expect((await put(url, headers, bytes)).status).toBe(200);
    expect(await put(url, headers, Buffer.from("what a thief would rather "))).toMatchObject({ status: 400, code: "BadDigest" });
    expect(await (await box.room.client(3).picture({ filename: file.filename, subfolder: "", type: "output" })).text()).toBe(bytes.toString());
  });
});
