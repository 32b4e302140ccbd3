// `npm run gpu`: the chain, the money and the deployments of gpu.toml from the command line, against the real Worker and the simulated control planes.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ROOT } from "../../../scripts/stack.ts";
import { Runpod } from "../../simulators/runpod/runpod.ts";
import { Verda } from "../../simulators/verda/verda.ts";
import { type GpuRoom, openGpuRoom, until } from "./support/gpu-room.ts";

let room: GpuRoom<Verda>;
let verda: Verda;
let runpod: Runpod;
const folder = mkdtempSync(join(tmpdir(), "comfyume-gpu-"));
beforeAll(async () => {
  verda = new Verda();
  runpod = new Runpod();
  await Promise.all([verda.open(), runpod.open()]);
  room = await openGpuRoom(verda, { ...verda.vars, ...runpod.vars });
});
afterAll(async () => {
  await room?.end();
  await runpod?.close();
  rmSync(folder, { recursive: true, force: true });
});

async function gpu(...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
  const child = spawn(process.execPath, [join(ROOT, "scripts/gpu.ts"), ...args, "--url", room.stage.origin], { env: { ...process.env, ...verda.vars, ...runpod.vars } });
  let [out, err] = ["", ""];
  child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (err += chunk.toString()));
  return await new Promise((resolve) => child.once("exit", (code) => resolve({ code, out, err })));
}

function write(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const chain = (replicas: number): string => `
workshop = "demo"
slots = 3
budget_eur = 12.5

[image]
name = "registry.example/comfyume-gpu:1.0.0"
registry_credentials = "my-registry"

[[pool]]
id = "h200-spot"
provider = "verda"
slots = 2
gpu = "H200"
spot = true
secret = "GPU_VERDA_KEY"
control_secret = "GPU_VERDA_API"
control_url = "${verda.api}"
[pool.deployment]
max_replicas = ${replicas}
models_volume = "volume-1"
env = { COMFYUME_REQUIRE_MODELS = "checkpoints/flux.safetensors" }
[[pool.session]]
from = 2126-03-01T09:00:00+01:00
to = 2126-03-01T17:00:00+01:00
replicas = 1

[[pool]]
id = "film"
provider = "verda-batch"
slots = 1
gpu = "H200"
secret = "GPU_VERDA_KEY"
control_secret = "GPU_VERDA_API"
control_url = "${verda.api}"
[pool.deployment]
deadline_s = 7200

[[pool]]
id = "runpod"
provider = "runpod"
slots = 1
secret = "GPU_RUNPOD_KEY"
control_url = "${runpod.host.origin}/v2"
[pool.deployment]
gpu_pools = ["ADA_24"]

[[pool]]
id = "own"
provider = "pull"
slots = 1
rate_eur = 0.5
`;

describe("deploy verda", () => {
  test("without --apply nothing is made: it says what would be, and no secret's value is in it", async () => {
    const { code, out } = await gpu("deploy", "verda", "--file", write("gpu.toml", chain(2)));
    expect(code).toBe(0);
    expect(out).toMatch(/^verda deployment demo-h200-spot would be created:\n/);
    expect(out).toContain('+ compute.name = "H200"');
    expect(out).toContain("+ scaling.scale_down_policy.delay_seconds = 600");
    expect(out).toMatch(/verda-batch deployment demo-film would be created:[\s\S]*\+ scaling\.deadline_seconds = 7200/);
    expect(out).toContain('"comfyume-demo-h200-spot-dispatch-key"');
    expect(out).not.toContain(await room.room.dispatchKey("h200-spot"));
    expect(out).toContain("Nothing was changed. Do it with --apply.");
    expect([...verda.deployments.keys()]).not.toContain("demo-h200-spot");
  });

  test("with --apply the deployments are made although Verda answers 500, their key is stored, and the pools hand over there", async () => {
    verda.switches.applied500 = true;
    const { code, out, err } = await gpu("deploy", "verda", "--apply", "--file", write("gpu.toml", chain(2)));
    verda.switches.applied500 = false;
    expect(code, err).toBe(0);
    expect(out).toContain(`The pool h200-spot of demo hands its jobs to ${verda.endpoint("demo-h200-spot")}.`);
    expect(verda.secrets.get("comfyume-demo-h200-spot-dispatch-key")).toBe(await room.room.dispatchKey("h200-spot"));
    expect(verda.deployments.get("demo-h200-spot")).toMatchObject({
      spec: { is_spot: true, container_registry_settings: { is_private: true, credentials: { name: "my-registry" } }, containers: [{ image: "registry.example/comfyume-gpu:1.0.0", exposed_port: 8189, healthcheck: { path: "/health" }, volume_mounts: [{ type: "scratch" }, { type: "shared", volume_id: "volume-1", mount_path: "/models" }] }] },
      scaling: { min_replica_count: 0, max_replica_count: 2, concurrent_requests_per_replica: 1 },
    });
    const { pools } = await room.room.ops<{ pools: { pool: string; endpoint: string; position: number }[] }>("GET", "/gpus");
    expect(pools.map(({ pool, endpoint, position }) => [pool, endpoint, position])).toEqual([["h200-spot", verda.endpoint("demo-h200-spot"), 0], ["film", verda.endpoint("demo-film"), 1]]);
  });

  test("again: all is as wanted; a changed file changes that alone, and machines that are kept up stay up", async () => {
    expect((await gpu("deploy", "verda", "--file", write("gpu.toml", chain(2)))).out).toMatch(/^verda deployment demo-h200-spot is as wanted\nverda-batch deployment demo-film is as wanted\n/);
    verda.deployments.get("demo-h200-spot")!.scaling.min_replica_count = 1;
    const { code, out } = await gpu("deploy", "verda", "--apply", "--file", write("gpu.toml", chain(3)));
    expect(code).toBe(0);
    expect(out).toContain("demo-h200-spot is changed:\n  ~ scaling.max_replica_count: 2 → 3\n");
    expect(verda.deployments.get("demo-h200-spot")!.scaling).toMatchObject({ min_replica_count: 1, max_replica_count: 3 });
  });
});

describe("deploy runpod", () => {
  test("says, makes, and finds it as wanted; the key is a secret of RunPod's by name", async () => {
    const file = write("gpu.toml", chain(2));
    expect((await gpu("deploy", "runpod", "--file", file)).out).toMatch(/^runpod deployment demo-runpod would be created:[\s\S]*\+ gpu\.pools = \["ADA_24"\]/);
    const { code, out, err } = await gpu("deploy", "runpod", "--apply", "--file", file);
    expect(code, err).toBe(0);
    expect(out).toContain("make comfyume_demo_runpod_dispatch_key with the value that npm run gpu -- key runpod prints");
    expect(out).toContain(`hands its jobs to ${runpod.host.origin}/v2/e1`);
    expect(runpod.endpoints.get("e1")?.spec).toMatchObject({ type: "QUEUE", env: { COMFYUME_DISPATCH_KEY: "{{ RUNPOD_SECRET_comfyume_demo_runpod_dispatch_key }}", COMFYUME_ALLOW_ORIGINS: room.stage.origin } });
    expect((await gpu("deploy", "runpod", "--file", file)).out).toMatch(/^runpod deployment demo-runpod is as wanted\n/);
  });
});

describe("the other commands", () => {
  test("put sets pools without a deployment, slots and budget; pools and log show the room in words", async () => {
    const put = await gpu("put", "--file", write("gpu.toml", chain(2)));
    expect(put.err).toBe("");
    expect(put.out).toContain("own: put as number 4 of the chain.");
    const { out } = await gpu("pools");
    expect(out).toMatch(/^3 slots over 4 pools\. .* of 12\.50 EUR spent/);
    expect(out).toContain("1. h200-spot  verda H200 spot  2 slots");
    expect(out).toMatch(/4\. own {2}pull {2}\d+ slots, 0\.50 EUR\/h/);
    expect((await gpu("log", "h200-spot")).out).toContain("h200-spot: was set up or changed");
  });

  test("test says what works and what does not, and its exit code too", async () => {
    for (const { pool } of (await room.room.ops<{ pools: { pool: string }[] }>("GET", "/gpus")).pools) await room.room.ops("DELETE", `/pools/${pool}`);
    await room.pool("cli");
    const works = await gpu("test", "cli");
    expect([works.code, works.out.trim().split("\n").at(-1)]).toEqual([0, expect.stringMatching(/^cli works: a picture went the whole way/)]);
    await room.pool("broken", {}, { secret: "GPU_NOT_SET" });
    const broken = await gpu("test", "broken");
    expect(broken.code).toBe(1);
    expect(broken.out).toContain("Check the pool's endpoint and deployment");
  });

  test("warm, cool, budget, key, control: one sentence each", async () => {
    expect((await gpu("warm", "cli", "--replicas", "1", "--minutes", "5")).out).toMatch(/^1 machine of cli will be kept up until/);
    await until("a machine", () => verda.fleet("cli").options.min === 1);
    expect((await gpu("cool", "cli")).out).toMatch(/^Machines of cli are no longer kept up/);
    expect((await gpu("budget", "20")).out).toMatch(/of 20\.00 EUR spent/);
    expect((await gpu("budget", "none")).out).toMatch(/no budget set/);
    expect((await gpu("key", "cli")).out.trim()).toBe(await room.room.dispatchKey("cli"));
    expect((await gpu("control", "cli", "pause")).out).toBe("pause of cli: done.\n");
    expect((await gpu("slots", "2")).out).toMatch(/^2 jobs may run at once/);
  });

  test("what cannot be done is one sentence with the way out", async () => {
    expect(await gpu("warm", "nowhere")).toMatchObject({ code: 1, err: expect.stringMatching(/This workshop has no pool nowhere/) as string });
    expect(await gpu("fly")).toMatchObject({ code: 2, err: expect.stringMatching(/There is no command "fly"/) as string });
    expect(await gpu("budget", "much")).toMatchObject({ code: 2 });
    expect(await gpu("deploy", "verda", "--file", join(folder, "none.toml"))).toMatchObject({ code: 1, err: expect.stringMatching(/Begin with a copy of gpu\.example\.toml/) as string });
    const bad = await gpu("put", "--file", write("bad.toml", 'workshop = "demo"\n[[pool]]\nid = "x"\nprovider = "verda"\nslots = 1\nsecret = "SESSION_SECRET"\n'));
    expect(bad).toMatchObject({ code: 1, err: expect.stringMatching(/pool x\.secret: must be the name of a Worker secret beginning with GPU_/) as string });
  });
});
