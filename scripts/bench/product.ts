// The product for measuring: the same bundle as `wrangler deploy` on Miniflare's workerd, spoken to directly. (`wrangler dev` puts a proxy in front
// that alone costs a factor of about 3.5; what is measured here is the Worker and its objects.)
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Miniflare } from "miniflare";
import { ROOT } from "../stack.ts";
import type { Target } from "./driver.ts";
import { catalogReport, SESSION_SECRET } from "./workload.ts";

const OPERATOR = "bench-operator-token-0123456789";

export type Seat = { seat: string; password: string; authorization: string; cookie: string };
export type Room = { workshop: string; seats: Seat[]; poolToken: string; /** `ws://…/next` of its pool */ poolUrl: string };
export type Product = Room & {
  url: string;
  stateDir: string;
  ops(method: string, path: string, body?: unknown): Promise<Record<string, unknown>>;
  /** A room with the address it has now: a restart changes the port. */
  at(room: Room): Room;
  /** Another workshop beside the first, with a pool of `slots`. */
  room(workshop: string, seats: number, slots: number): Promise<Room>;
  /** Ends the runtime, lets `between` at its state, and starts it again. */
  restart(between?: () => void): Promise<void>;
  close(): Promise<void>;
};

type Modules = Record<string, { type: "esm" | "wasm"; contents: Uint8Array<ArrayBuffer> }>;
let bundled: Modules | null = null;

function bundle(): Modules {
  if (bundled !== null) return bundled;
  const outdir = mkdtempSync(join(tmpdir(), "comfyume-bundle-"));
  execFileSync(process.execPath, [join(ROOT, "node_modules/wrangler/bin/wrangler.js"), "deploy", "--dry-run", "--outdir", outdir], { cwd: ROOT, stdio: "ignore", env: { ...process.env, WRANGLER_SEND_METRICS: "false" } });
  const files = readdirSync(outdir).filter((name) => /\.(js|wasm)$/.test(name));
  bundled = Object.fromEntries(files.map((name) => [name, { type: name.endsWith(".js") ? "esm" : "wasm", contents: new Uint8Array(readFileSync(join(outdir, name))) }]));
  rmSync(outdir, { recursive: true, force: true });
  return bundled;
}

async function startRuntime(stateDir: string): Promise<{ miniflare: Miniflare; url: string }> {
  const text = (value: string): { type: "text"; value: string } => ({ type: "text", value });
  const miniflare = new Miniflare({
    port: 0,
    ...(process.env.BENCH_INSPECTOR ? { inspectorPort: Number(process.env.BENCH_INSPECTOR) } : {}),
    resourcePersistencePath: stateDir,
    // What the Worker logs about itself must not stand between the figures.
    handleStructuredLogs: ({ level, message }) => void (level === "error" && process.stderr.write(`  ${message}\n`)),
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
            SESSION_SECRET: text(SESSION_SECRET),
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
  return { miniflare, url: String(await miniflare.unsafeGetDirectURL()).replace(/\/$/, "") };
}

/** A workshop `bench` with `seats` seats, one pulling pool of `slots`, limits out of the way, and the node catalog of a real ComfyUI. */
export async function startProduct(seats: number, slots: number): Promise<Product> {
  const stateDir = mkdtempSync(join(tmpdir(), "comfyume-bench-"));
  let runtime = await startRuntime(stateDir);
  const ops = async (method: string, path: string, body?: unknown): Promise<Record<string, unknown>> => {
    const answer = await fetch(`${runtime.url}/ops/v1${path}`, { method, headers: { Authorization: `Bearer ${OPERATOR}`, "Content-Type": "application/json" }, body: body === undefined ? undefined : JSON.stringify(body) });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${(await answer.text()).slice(0, 300)}`);
    return (await answer.json()) as Record<string, unknown>;
  };
  const room = async (workshop: string, count: number, width: number): Promise<Room> => {
    const limits = { seat_max: 100_000, queue_max: 100_000 };
    const made = (await ops("POST", "/workshops", { workshop, seats: count, pools: [{ id: "bench", provider: "pull", max_in_flight: width }], limits })) as { seats: { seat: string; password: string }[] };
    const { token } = (await ops("POST", `/workshops/${workshop}/pools/bench/token`, {})) as { token: string };
    await postCatalog(`${runtime.url}/runner/v1/${workshop}/pools/bench/catalog`, token);
    const signedIn = await Promise.all(made.seats.map(({ seat, password }) => signIn(runtime.url, workshop, seat, password)));
    return { workshop, seats: signedIn, poolToken: token, poolUrl: `${runtime.url.replace(/^http/, "ws")}/runner/v1/${workshop}/pools/bench/next` };
  };
  const first = await room("bench", seats, slots);
  return {
    ...first,
    get url() {
      return runtime.url;
    },
    get poolUrl() {
      return `${runtime.url.replace(/^http/, "ws")}/runner/v1/bench/pools/bench/next`;
    },
    stateDir,
    ops,
    room,
    at: (one) => ({ ...one, poolUrl: `${runtime.url.replace(/^http/, "ws")}/runner/v1/${one.workshop}/pools/bench/next` }),
    restart: async (between = () => undefined) => {
      await runtime.miniflare.dispose();
      between();
      runtime = await startRuntime(stateDir);
    },
    close: async () => {
      await runtime.miniflare.dispose();
      rmSync(stateDir, { recursive: true, force: true });
    },
  };
}

/** The seats of a room as users that send prompts, signed in by their cookies as browsers are. */
export function asTarget(product: Product, room: Room = product): Target {
  const seat = (user: number): Seat | undefined => room.seats[user % room.seats.length];
  return { url: (user) => `${product.url}/${room.workshop}/${seat(user)?.seat}/prompt`, headers: (user) => ({ cookie: seat(user)?.cookie ?? "" }) };
}

async function signIn(url: string, workshop: string, seat: string, password: string): Promise<Seat> {
  const answer = await fetch(`${url}/${workshop}/login`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ seat, password }) });
  if (!answer.ok) throw new Error(`sign-in of ${seat}: ${answer.status} ${await answer.text()}`);
  await answer.body?.cancel();
  return { seat, password, authorization: `Basic ${Buffer.from(`${seat}:${password}`).toString("base64")}`, cookie: answer.headers.getSetCookie()[0]?.split(";")[0] ?? "" };
}

async function postCatalog(url: string, token: string): Promise<void> {
  const answer = await fetch(url, { method: "POST", headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" }, body: JSON.stringify(await catalogReport()) });
  if (!answer.ok) throw new Error(`catalog: ${answer.status} ${await answer.text()}`);
}
