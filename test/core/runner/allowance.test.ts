// How much one job may store [G12], and that a file that is too large is not read to its end to find out.
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { Allowance, BeyondAllowance } from "../../../gpu-adapter/runner/allowance.ts";
import { Comfy } from "../../../gpu-adapter/runner/comfy.ts";
import { type Content, readContent, TooLarge } from "../../../gpu-adapter/runner/content.ts";
import { ComfyFolders } from "../../../gpu-adapter/runner/disk.ts";
import { JobFailure, storeError } from "../../../gpu-adapter/runner/job-failure.ts";

describe("[G12] an allowance", () => {
  test("lets exactly so many files and bytes pass", () => {
    const allowance = new Allowance({ max_files: 2, max_total_bytes: 10 });
    expect(allowance.left("1")).toBe(10);
    allowance.take("1", 6);
    allowance.take("1", 4);
    expect(() => allowance.left("2")).toThrow(/more than 2 files/);
    expect(() => allowance.take("2", 0)).toThrow(BeyondAllowance);
    const small = new Allowance({ max_files: 9, max_total_bytes: 10 });
    small.take("1", 6);
    expect(() => small.take("7", 5)).toThrow(/larger than 0 MB together/);
    small.take("7", 4);
  });

  test("what is beyond it is the graph's own failure, at the node; any other trouble with storing is not", () => {
    expect(storeError(new Allowance({ max_files: 1, max_total_bytes: 3 * 1024 ** 3 }).tooLarge("12"))).toMatchObject({ code: "node_error", node_id: "12", exception_type: "OutputLimit", message: expect.stringMatching(/3 GB/) as string });
    expect(storeError(new JobFailure({ code: "oom", message: "x", traceback: [] }))).toMatchObject({ code: "upload_failed" });
  });
});

describe("[G12] a file over HTTP", () => {
  let server: Server | null = null;
  const spoolDir = mkdtempSync(join(tmpdir(), "comfyume-allowance-"));
  afterEach(() => {
    server?.closeAllConnections();
    server?.close();
    rmSync(spoolDir, { recursive: true, force: true });
  });

  async function read(serve: RequestListener, maxBytes: number): Promise<Content | null> {
    server = createServer(serve);
    await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    const comfy = new Comfy(`http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`);
    return await readContent({ type: "output", subfolder: "", filename: "film.mp4" }, { comfy, folders: new ComfyFolders({}), spoolDir, seatTag: "", maxBytes, signal: AbortSignal.timeout(10_000) });
  }

  test("is refused by its announced length, without its bytes", async () => {
    // Only the head is ever sent: whoever waited for a body would wait in vain.
    const announce: RequestListener = (_request, response) => void response.writeHead(200, { "Content-Length": String(30 * 1024 ** 3) }).flushHeaders();
    await expect(read(announce, 20 * 1024 ** 3)).rejects.toThrow(TooLarge);
  });

  test("without a length it is cut off where it goes beyond, and nothing of it stays on the disk", async () => {
    const endless: RequestListener = (_request, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(64 * 1024)));
      };
      response.on("drain", more);
      more();
    };
    await expect(read(endless, 1024 * 1024)).rejects.toThrow(TooLarge);
    expect(readdirSync(spoolDir)).toEqual([]);
  });

  test("of just the size that is left is read", async () => {
    const content = await read((_request, response) => void response.end(Buffer.alloc(1024, 7)), 1024);
    expect(content?.size).toBe(1024);
    await content?.dispose();
  });
});
