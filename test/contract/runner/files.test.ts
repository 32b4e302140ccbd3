// Files of unusual kinds: large ones in parts, names in plain strings, names that are somebody else's, files that are gone.
import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { colourGraph } from "../../e2e/support/seat-client.ts";
import { type BoxRoom, openBoxRoom } from "./support/box-room.ts";
import { largeFile, MIB, outputFolder, sha256Of, textGraph, writtenLater } from "./support/large-file.ts";
import type { RunnerProcess } from "./support/runner-process.ts";

let box: BoxRoom;
let runner: RunnerProcess;
beforeAll(async () => {
  // 130 MiB through every process of a two-core machine may take longer than the short lease of other rooms: a second attempt would find the node cached.
  box = await openBoxRoom({ leaseMs: 30_000 });
  runner = box.start();
  await runner.ready();
});
afterAll(async () => {
  await box?.end();
});
afterEach(() => box.weather.clear());

async function succeeds(n: number, graph: Record<string, unknown>): Promise<Record<string, unknown>> {
  const client = box.room.client(n);
  const entry = await client.ended(await client.submit(graph));
  expect(entry.status.status_str, JSON.stringify(entry.status)).toBe("success");
  return entry.outputs;
}

const puts = (): number => box.weather.passed.filter(({ method, status }) => method === "PUT" && status === 200).length;

describe("large files", () => {
  test("[G21] over 100 MiB go up in parts, and come back whole", async () => {
    const bytes = 130 * MIB + 12_345;
    let sha256 = "";
    writtenLater(box.room, "film.mp4", (path) => {
      sha256 = largeFile(path, bytes);
    });
    await succeeds(1, textGraph("film.mp4"));
    expect(puts()).toBeGreaterThanOrEqual(2);
    const client = box.room.client(1);
    const [name] = (await client.json<string[]>("/internal/files/output")).filter((file) => file.startsWith("film"));
    const answer = await client.picture({ filename: name ?? "", subfolder: "", type: "output" });
    expect([answer.status, Number(answer.headers.get("Content-Length"))]).toEqual([200, bytes]);
    expect(await sha256Of(answer)).toBe(sha256);
    expect(readdirSync(box.workDir).includes("spool") ? readdirSync(join(box.workDir, "spool")) : []).toEqual([]);
    rmSync(join(outputFolder(box.room), "film.mp4"));
  });
});

describe("names in plain strings", () => {
  test("[G20] a string that names a file of this run brings the file", async () => {
    writtenLater(box.room, "report.txt", (path) => writeFileSync(path, "written during the run"));
    await succeeds(2, textGraph("report.txt"));
    expect(puts()).toBe(1);
    const client = box.room.client(2);
    expect((await client.json<string[]>("/internal/files/output")).filter((file) => file.startsWith("report"))).toHaveLength(1);
  });

  test("[G20] a string that names a file of another seat brings nothing", async () => {
    const victim = box.room.client(3);
    const job = await victim.submit(colourGraph(0x13579b, "private"));
    expect((await victim.ended(job)).status.status_str).toBe("success");
    const [secret] = readdirSync(outputFolder(box.room)).filter((name) => name.startsWith("private_"));
    expect(secret).toBeDefined();
    box.weather.clear();
    const thief = box.room.client(4);
    for (const text of [secret ?? "", `./${secret ?? ""}`, `../output/${secret ?? ""}`]) {
      const entry = await thief.ended(await thief.submit(textGraph(text)));
      expect(entry.status.status_str).toBe("success");
    }
    expect(puts()).toBe(0);
    expect(await thief.json<string[]>("/internal/files/output")).toEqual([]);
  });

  test("[G20] a string that names nothing is a text", async () => {
    const client = box.room.client(5);
    const entry = await client.ended(await client.submit(textGraph("nothing.png")));
    expect(entry.outputs["1"]).toEqual({ text: ["nothing.png"] });
    expect(puts()).toBe(0);
  });
});

describe("files that are gone", () => {
  test("[G17] a file that ComfyUI does not have is not named, and the run does not fail for it", async () => {
    const client = box.room.client(6);
    const entry = await client.ended(await client.submit({ "1": { class_type: "SandboxNameFile", inputs: { filename: "nowhere.png", subfolder: "", type: "output", seed: 1 } } }));
    expect(entry.status.status_str, JSON.stringify(entry.status)).toBe("success");
    expect(entry.outputs["1"]?.images ?? []).toEqual([]);
    await runner.logged("file_gone");
  });
});
