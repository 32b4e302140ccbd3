// The same files through each way of storing them [G21]: the real runner, the real Worker, many files of one job, a film in parts.
import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { watchIsolate } from "./support/isolate-memory.ts";
import { largeFile, MIB, outputFolder, sha256Of, textGraph, writtenLater } from "./support/large-file.ts";
import type { RunnerProcess } from "./support/runner-process.ts";
import { openStoreRoom, type StoreKind, type StoreRoom } from "./support/store-room.ts";

/** 26 pictures, and an animation, a GIF, a sound and a text. */
const thirtyFiles: Record<string, unknown> = {
  "1": { class_type: "EmptyImage", inputs: { width: 64, height: 64, batch_size: 26, color: 0x2a6f97 } },
  "2": { class_type: "SaveImage", inputs: { images: ["1", 0], filename_prefix: "thirty" } },
  "3": { class_type: "SandboxFiles", inputs: { filename_prefix: "thirty-more", note: "one of thirty", seed: 7 } },
};
/** What Cloudflare gives an isolate (developers.cloudflare.com/workers/platform/limits): less than half of the film. */
const ISOLATE_BYTES = 128 * MIB;
const KINDS: StoreKind[] = ["the platform's own addresses", "the R2 simulator", "wrangler's local S3 endpoint"];

describe.each(KINDS)("[G21] %s", (kind) => {
  let box: StoreRoom;
  let runner: RunnerProcess;
  beforeAll(async () => {
    box = await openStoreRoom(kind);
    runner = box.start();
    await runner.ready();
  });
  afterAll(async () => {
    await box?.end();
  });

  test("thirty files of one job are stored at the first try, named, and served with their types", async () => {
    const client = box.room.client(1);
    const entry = await client.ended(await client.submit(thirtyFiles));
    expect(entry.status.status_str, JSON.stringify(entry.status)).toBe("success");
    const outputs = Object.values(entry.outputs as Record<string, Record<string, unknown>>).flatMap((output) => Object.values(output).flat()) as { filename: string; subfolder: string; type: string }[];
    const files = new Map(outputs.filter((file) => typeof file === "object").map((file) => [file.filename, file]));
    expect(files.size).toBe(30);
    const types = new Set<string>();
    for (const file of files.values()) {
      const answer = await client.picture(file);
      expect(answer.status).toBe(200);
      types.add(answer.headers.get("Content-Type") ?? "");
      expect((await answer.arrayBuffer()).byteLength).toBeGreaterThan(10);
    }
    expect([...types].sort()).toEqual(["audio/wav", "image/gif", "image/png", "image/webp", "text/plain; charset=utf-8"]);
    expect(runner.count("upload_retry")).toBe(0);
    expect(box.weather.count(/\/files\//)).toBe(kind === KINDS[0] ? 30 : 0);
    if (box.r2 === null) return;
    expect(box.r2.served).toHaveLength(30);
    for (const { status, signed } of box.r2.served) expect([status, signed]).toEqual([200, ["content-length", "content-type", "host", "if-none-match", "x-amz-checksum-sha256"]]);
  });

  test("a film of 300 MB goes up in parts, comes back whole, and the Worker stays within what an isolate has", async () => {
    const bytes = 300 * MIB + 12_345;
    let sha256 = "";
    writtenLater(box.room, "film.mp4", (path) => {
      sha256 = largeFile(path, bytes);
    });
    box.weather.clear();
    box.r2?.clear();
    const client = box.room.client(2);
    const memory = await watchIsolate(box.room);
    const entry = await client.ended(await client.submit(textGraph("film.mp4")), 200);
    const { before, most, samples } = memory.stop();
    expect(entry.status.status_str, JSON.stringify(entry.status)).toBe("success");
    const answer = await client.picture({ filename: "film.mp4", subfolder: "", type: "output" });
    expect([answer.headers.get("Content-Length"), answer.headers.get("Content-Type")]).toEqual([String(bytes), "video/mp4"]);
    expect(await sha256Of(answer)).toBe(sha256);
    expect(samples).toBeGreaterThan(10);
    expect(most, `isolate: ${before} bytes before, ${most} at most`).toBeLessThan(ISOLATE_BYTES);
    if (box.r2 !== null) expect(box.r2.served.map(({ part, status, signed }) => [part, status, signed.join()])).toEqual([1, 2, 3, 4, 5].map((part) => [part, 200, "content-length,host"]));
    rmSync(join(outputFolder(box.room), "film.mp4"));
  }, 240_000);
});
