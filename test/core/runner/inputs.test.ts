// Inputs on their way to ComfyUI: plain names at the top of its input folder, 3-D models in the folder its loaders list.
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Comfy } from "../../../gpu-adapter/runner/comfy.ts";
import { type InputFile, InputFailure, Inputs } from "../../../gpu-adapter/runner/inputs.ts";

const MODEL = Buffer.from("a model of a cat");
const folder = mkdtempSync(join(tmpdir(), "runner-inputs-"));
const uploads: { name: string; subfolder: string; text: string }[] = [];
let base = "";

async function takeUpload(body: Buffer, type: string): Promise<string> {
  const form = await new Response(new Uint8Array(body), { headers: { "content-type": type } }).formData();
  const [image, subfolder] = [form.get("image") as File, form.get("subfolder")];
  uploads.push({ name: image.name, subfolder: typeof subfolder === "string" ? subfolder : "", text: await image.text() });
  return JSON.stringify({ name: image.name, subfolder, type: "input" });
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await bodyOf(request);
  response.end(request.url === "/stored" ? MODEL : await takeUpload(body, request.headers["content-type"] ?? ""));
}

/** Stands for the store behind the signed address and for a ComfyUI that takes uploads. */
const server = createServer((request, response) => void answer(request, response));

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(async () => {
  await new Promise((resolve) => server.close(resolve));
  rmSync(folder, { recursive: true });
});

function input(name: string): InputFile {
  return { name, url: `${base}/stored`, sha256: createHash("sha256").update(MODEL).digest("hex"), size: MODEL.byteLength };
}

function inputs(inputDir: string | null): Inputs {
  return new Inputs(new Comfy(base), inputDir, join(folder, "work"), () => undefined);
}

describe("inputs", () => {
  test("[G18] a 3-D model is written where ComfyUI's loaders list models, a plain file beside it, and neither is fetched twice", async () => {
    const dir = join(folder, "input");
    const placed = inputs(dir);
    const files = [input("3d/cat-0123456789abcdef.glb"), input("cat-0123456789abcdef.png")];
    await placed.place(files, AbortSignal.timeout(20_000));
    for (const file of files) expect(readFileSync(join(dir, file.name))).toEqual(MODEL);
    expect(await placed.missing(files)).toEqual([]);
  });

  test("[G18] over HTTP the model goes into the same folder", async () => {
    await inputs(null).place([input("3d/dog-0123456789abcdef.glb")], AbortSignal.timeout(20_000));
    expect(uploads).toEqual([{ name: "dog-0123456789abcdef.glb", subfolder: "3d", text: MODEL.toString() }]);
  });

  test.each(["../out.png", "sub/in.png", "3d/../out.glb", "3d/", "3d/a/b.glb", ""])("a name that is a path is refused: %j", async (name) => {
    await expect(inputs(join(folder, "refused")).place([input(name)], AbortSignal.timeout(20_000))).rejects.toThrow(InputFailure);
  });
});
