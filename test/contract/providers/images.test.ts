// The thin Python of the images, as it is, between a provider's SDK (as much of it as is used, run in one process) and the real runner [G2]; and the script
// that brings models, against a server that breaks off.
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { signDispatch } from "../../../gpu-adapter/canonical.ts";
import { buildRunner } from "../../../scripts/build-runner.ts";
import { ROOT } from "../../../scripts/stack.ts";
import { colourGraph } from "../../e2e/support/seat-client.ts";
import { Replica } from "../../simulators/fleet/replica.ts";
import { Verda } from "../../simulators/verda/verda.ts";
import { LEASE_MS, openGpuRoom, pictureOf } from "./support/gpu-room.ts";

const IMAGES = join(ROOT, "gpu-adapter/images");
const children: ChildProcess[] = [];
afterAll(() => {
  for (const child of children) child.kill("SIGKILL");
});

function python(args: string[], env: Record<string, string>, folders: string[]): ChildProcess {
  const child = spawn("python3", ["-B", ...args], { env: { PATH: process.env.PATH ?? "", PYTHONPATH: folders.join(":"), ...env }, stdio: ["pipe", "pipe", "inherit"] });
  children.push(child);
  return child;
}

/** Lines of a child's standard output, one by one. */
async function* lines(child: ChildProcess): AsyncGenerator<string> {
  let rest = "";
  for await (const chunk of child.stdout!) {
    const parts = (rest + (chunk as Buffer).toString()).split("\n");
    rest = parts.pop() ?? "";
    yield* parts;
  }
}

test("[G2] each file of the images' Python is under 80 lines", () => {
  for (const name of ["forward.py", "runpod_handler.py", "modal_app.py"]) expect(readFileSync(join(IMAGES, name), "utf8").split("\n").length, name).toBeLessThan(81);
});

describe("RunPod's handler", () => {
  let machine: Replica;
  const key = "k".repeat(64);
  beforeAll(async () => {
    await buildRunner({ quiet: true });
    machine = new Replica({ dispatchKey: key, allowOrigins: ["http://127.0.0.1:9"] });
    expect(await machine.ready).toBe(true);
  });
  afterAll(() => machine?.kill());

  test("[G2] passes a job on and returns the runner's envelope, or its refusal with the status", async () => {
    const handler = python([join(IMAGES, "runpod_handler.py")], { COMFYUME_PORT: new URL(machine.url).port }, [IMAGES, join(ROOT, "test/simulators/runpod/python")]);
    const answers = lines(handler);
    const ask = async (input: unknown): Promise<unknown> => {
      handler.stdin!.write(`${JSON.stringify({ id: "job-1", input })}\n`);
      return JSON.parse((await answers.next()).value as string) as unknown;
    };
    expect(await ask({ what: "nonsense" })).toMatchObject({ status: 400, body: { error: expect.stringMatching(/not a dispatch/) as string } });
    const rest = { v: 1, workshop: "demo", pool: "p", job_id: "j", attempt: 1, dispatch_id: "d", callback: { base_url: "http://127.0.0.1:9/runner/v1/demo", token: "t".repeat(30) }, claim_before: Date.now() + 300, detach: false };
    expect(await ask({ ...rest, sig: "0".repeat(64) })).toMatchObject({ status: 401 });
    // Nobody is at home where it is to call back: the runner says so in its envelope.
    expect(await ask({ ...rest, sig: await signDispatch(rest, key) })).toMatchObject({ v: 1, job_id: "j", outcome: "skipped", reason: expect.stringMatching(/did not answer the claim/) as string });
  });
});

describe("Modal's app", () => {
  test("[G2] the whole path through it: submit once, status, stats, scale, and a picture", async () => {
    const verda = new Verda();
    await verda.open();
    const room = await openGpuRoom(verda, { ...verda.vars, GPU_MODAL_KEY: "wk-1:ws-1" });
    const pool = { provider: "modal", secret: "GPU_MODAL_KEY", lease_ms: LEASE_MS, position: 0 };
    await room.room.putPool("modal", { ...pool, endpoint: "http://127.0.0.1:9", max_in_flight: 0 });
    const machine = new Replica({ dispatchKey: await room.room.dispatchKey("modal"), allowOrigins: [room.weather.origin] });
    expect(await machine.ready).toBe(true);
    try {
      const app = python([join(ROOT, "test/simulators/modal/python/serve.py")], { COMFYUME_PORT: new URL(machine.url).port, KEY: "wk-1", SECRET: "ws-1" }, [IMAGES, join(ROOT, "test/simulators/modal/python")]);
      const endpoint = `http://127.0.0.1:${(await lines(app).next()).value}`;
      await room.room.putPool("modal", { ...pool, endpoint, max_in_flight: 1 });
      expect(await room.tested("modal")).toMatchObject({ verdict: "works" });
      const client = room.client(1);
      await pictureOf(client, await client.submit(colourGraph(5, "modal")));
      expect(await room.state("modal", true)).toMatchObject({ machines: { up: 1, state: "running" } });
      await room.room.ops("POST", "/pools/modal/warm", { replicas: 2 });
      const call = async (method: string, path: string, body?: unknown): Promise<{ status: number; body: unknown }> => {
        const answer = await fetch(`${endpoint}${path}`, { method, headers: { "Modal-Key": "wk-1", "Modal-Secret": "ws-1" }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
        return { status: answer.status, body: await answer.json() };
      };
      expect((await fetch(`${endpoint}/stats`)).status).toBe(401);
      const twice = await Promise.all([1, 2].map(() => call("POST", "/submit", { dispatch_id: "twice" })));
      expect(twice[0]).toEqual(twice[1]);
      expect((await call("GET", "/status/never")).status).toBe(404);
    } finally {
      machine.kill();
      await room.end();
    }
  });
});

describe("hydrate.py", () => {
  const folder = mkdtempSync(join(tmpdir(), "comfyume-models-"));
  const content = Buffer.alloc(3_000_000, "model ");
  const sha256 = createHash("sha256").update(content).digest("hex");
  const requests: (string | undefined)[] = [];
  let server: Server;
  let origin = "";
  let breakAt = 0;
  beforeAll(async () => {
    server = createServer((request, response) => {
      if (request.url === "/manifest.json") return void response.end(JSON.stringify(manifest));
      requests.push(request.headers.range);
      const from = Number(/bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0);
      response.writeHead(from > 0 ? 206 : 200, { "Content-Length": content.length - from });
      if (breakAt > from) {
        response.write(content.subarray(from, breakAt), () => response.destroy());
        breakAt = 0;
      } else response.end(content.subarray(from));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    origin = `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`;
  });
  afterAll(() => {
    server.close();
    rmSync(folder, { recursive: true, force: true });
  });
  let manifest: object = {};
  const run = async (files: object[]): Promise<number | null> => {
    manifest = { files };
    const child = python([join(IMAGES, "hydrate.py"), `${origin}/manifest.json`, folder], {}, []);
    child.stdout!.resume();
    return await new Promise((resolve) => child.once("exit", (code) => resolve(code)));
  };
  const entry = (change: object = {}): object => ({ folder: "vae", name: "one.safetensors", url: `${origin}/one`, size: content.length, sha256, ...change });

  test("a download that breaks off goes on where it stopped, and is there once it is whole", async () => {
    breakAt = 1_000_000;
    expect(await run([entry()])).toBe(0);
    expect(readFileSync(join(folder, "vae/one.safetensors")).equals(content)).toBe(true);
    expect(requests).toEqual([undefined, expect.stringMatching(/^bytes=[1-9]\d*-$/)]);
    requests.length = 0;
    expect(await run([entry()])).toBe(0);
    expect(requests).toEqual([]);
  });

  test("bytes that are not the announced ones are not kept under the model's name", async () => {
    expect(await run([entry({ name: "two.safetensors", sha256: "0".repeat(64) })])).toBe(1);
    expect(existsSync(join(folder, "vae/two.safetensors"))).toBe(false);
  });

  test("a manifest cannot write outside the models' folder", async () => {
    expect(await run([entry({ folder: "../..", name: "evil" })])).toBe(1);
    expect(existsSync(join(folder, "../../evil"))).toBe(false);
  });
});
