// The product for measuring: the same bundle as `wrangler deploy` on Miniflare's workerd, spoken to directly. (`wrangler dev` puts a proxy in front
// that alone costs a factor of about 3.5; what is measured here is the Worker and its objects.)
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Miniflare } from "miniflare";
import { canonicalJson, sha256Hex } from "../../gpu-adapter/canonical.ts";
import { ROOT } from "../stack.ts";

const OPERATOR = "bench-operator-token-0123456789";

export type Product = { url: string; seats: { seat: string; authorization: string }[]; instructor: string; poolToken: string; ops(method: string, path: string, body?: unknown): Promise<Record<string, unknown>>; close(): Promise<void> };

function bundle(): Record<string, { type: "esm" | "wasm"; contents: Uint8Array<ArrayBuffer> }> {
  const outdir = join(ROOT, "dist/worker-bench");
  execFileSync(process.execPath, [join(ROOT, "node_modules/wrangler/bin/wrangler.js"), "deploy", "--dry-run", "--outdir", outdir], { cwd: ROOT, stdio: "ignore", env: { ...process.env, WRANGLER_SEND_METRICS: "false" } });
  const files = readdirSync(outdir).filter((name) => /\.(js|wasm)$/.test(name));
  return Object.fromEntries(files.map((name) => [name, { type: name.endsWith(".js") ? "esm" : "wasm", contents: new Uint8Array(readFileSync(join(outdir, name))) }]));
}

/** A workshop with `seats` seats, one pulling pool of `slots`, limits out of the way, and the node catalog of a real ComfyUI. */
export async function startProduct(seats: number, slots: number): Promise<Product> {
  const state = mkdtempSync(join(tmpdir(), "comfyume-bench-"));
  const text = (value: string): { type: "text"; value: string } => ({ type: "text", value });
  const miniflare = new Miniflare({
    port: 0,
    ...(process.env.BENCH_INSPECTOR ? { inspectorPort: Number(process.env.BENCH_INSPECTOR) } : {}),
    resourcePersistencePath: state,
    workers: [
      {
        config: {
          name: "comfyume",
          compatibilityDate: "2026-11-02",
          manifest: { mainModule: "index.js", modules: bundle() },
          env: {
            WORKSHOP: { type: "durable-object", exportName: "Workshop", worker: "comfyume" },
            DIRECTORY: { type: "durable-object", exportName: "Directory", worker: "comfyume" },
            FILES: { type: "r2", name: "files" },
            SESSION_SECRET: text("bench-session-secret-0123456789abcdef"),
            OPERATOR_TOKEN: text(OPERATOR),
            DEFAULT_WORKSHOP: text("bench"),
            FRONTEND: text("none"),
          },
          exports: { Workshop: { type: "durable-object", storage: "sqlite" }, Directory: { type: "durable-object", storage: "sqlite" } },
        },
        dev: { unsafeDirectSockets: [{}] },
      },
    ],
  });
  await miniflare.ready;
  const url = String(await miniflare.unsafeGetDirectURL()).replace(/\/$/, "");
  const ops = async (method: string, path: string, body?: unknown): Promise<Record<string, unknown>> => {
    const answer = await fetch(`${url}/ops/v1${path}`, { method, headers: { Authorization: `Bearer ${OPERATOR}`, "Content-Type": "application/json" }, body: body === undefined ? undefined : JSON.stringify(body) });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${(await answer.text()).slice(0, 300)}`);
    return (await answer.json()) as Record<string, unknown>;
  };
  const made = (await ops("POST", "/workshops", { workshop: "bench", seats, pools: [{ id: "bench", provider: "pull", max_in_flight: slots }], limits: { seat_max: 100_000, queue_max: 100_000 } })) as { seats: { seat: string; password: string }[]; instructor: { password: string } };
  const { token } = (await ops("POST", "/workshops/bench/pools/bench/token", {})) as { token: string };
  await postCatalog(url, token);
  const basic = (name: string, password: string): string => `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}`;
  return {
    url,
    ops,
    poolToken: token,
    instructor: basic("instructor", made.instructor.password),
    seats: made.seats.map(({ seat, password }) => ({ seat, authorization: basic(seat, password) })),
    close: async () => {
      await miniflare.dispose();
      rmSync(state, { recursive: true, force: true });
    },
  };
}

async function postCatalog(url: string, token: string): Promise<void> {
  const recording = JSON.parse(readFileSync(join(ROOT, "test/recordings/object_info.json"), "utf8")) as Record<string, unknown>;
  const rest = { object_info: recording.object_info ?? recording, extensions: [], embeddings: [], models: {}, system_stats: { system: { comfyui_version: "0.3.64" }, devices: [] } };
  const report = { digest: await sha256Hex(canonicalJson(rest)), ...rest };
  const answer = await fetch(`${url}/runner/v1/bench/pools/bench/catalog`, { method: "POST", headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" }, body: JSON.stringify(report) });
  if (!answer.ok) throw new Error(`catalog: ${answer.status} ${await answer.text()}`);
}

/** A graph of real nodes and a workflow beside it, `bytes` in all when sent (8 to 30 KB is what the stock frontend sends). `n` makes it distinct. */
export function promptBody(n: number, bytes: number): string {
  const prompt: Record<string, unknown> = { "1": { class_type: "EmptyImage", inputs: { width: 64, height: 64, batch_size: 1, color: n % 0xffffff } } };
  const nodes = Math.max(1, Math.floor(bytes / 400));
  for (let i = 2; i < 2 + nodes; i++) prompt[i] = { class_type: "ImageInvert", inputs: { image: [String(i - 1), 0] }, _meta: { title: "Invert Image" } };
  prompt[2 + nodes] = { class_type: "SaveImage", inputs: { images: [String(1 + nodes), 0], filename_prefix: "bench" } };
  const bare = JSON.stringify({ prompt, client_id: "bench", extra_data: { extra_pnginfo: { workflow: { pad: "" } } } });
  return bare.replace('"pad":""', `"pad":"${"w".repeat(Math.max(0, bytes - bare.length))}"`);
}

/** The size of the nth prompt: 8 to 30 KB, evenly spread, the same in every run. */
export function promptSize(n: number): number {
  return 8_000 + ((n * 7_919) % 22_000);
}
