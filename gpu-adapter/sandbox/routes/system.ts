// About the server itself: versions, features, log, folders, the control switches, and a page that says what this is.

import { readdir, stat } from "node:fs/promises";
import { freemem, totalmem } from "node:os";
import { join } from "node:path";
import { MODEL_FOLDERS, isFileType } from "../folders.ts";
import { str, truthy } from "../graph/python.ts";
import { type Call, type Reply, type Route, empty, json, jsonBody } from "../http.ts";
import { type Writable, isObject } from "../json.ts";
import { FEATURES } from "../sockets.ts";
import type { Server } from "../server.ts";

/** The ComfyUI whose protocol is spoken here; the device name says that it is none. */
export const COMFYUI_VERSION = "0.3.64";
export const DEVICE_NAME = "Sandbox GPU (CPU)";

function systemStats(): Writable {
  const total = totalmem();
  const free = freemem();
  return {
    system: {
      os: "posix",
      ram_total: total,
      ram_free: free,
      comfyui_version: COMFYUI_VERSION,
      required_frontend_version: "1.27.10",
      installed_templates_version: "0.1.95",
      required_templates_version: "0.1.95",
      python_version: `sandbox (Node ${process.versions.node})`,
      pytorch_version: "sandbox (no PyTorch)",
      embedded_python: false,
      argv: ["sandbox"],
    },
    devices: [{ name: DEVICE_NAME, type: "cpu", index: null, vram_total: total, vram_free: free, torch_vram_total: total, torch_vram_free: free }],
  };
}

/** Columns and rows the log panel is told. */
const TERMINAL = { cols: 80, rows: 24 };

/** Sends new log lines to the sockets that asked for them. */
function logSubscription(server: Server): (call: Call) => Promise<Reply> {
  const subscribers = new Set<string>();
  server.log.onEntry((entry) => {
    for (const sid of subscribers) server.sockets.send(sid, "logs", { entries: [{ t: entry.t, m: entry.m }], size: TERMINAL });
  });
  return async (call) => {
    const body = await jsonBody(call);
    const sid = isObject(body) ? str(body.get("clientId") ?? "") : "";
    if (isObject(body) && truthy(body.get("enabled"))) subscribers.add(sid);
    else subscribers.delete(sid);
    return empty();
  };
}

async function listFiles(server: Server, call: Call): Promise<Reply> {
  const type = call.params[0] ?? "";
  if (!isFileType(type)) return json({ error: "Invalid directory type" }, 400);
  const root = server.folders.of(type);
  const entries = await readdir(root, { withFileTypes: true });
  const files = await Promise.all(entries.filter((entry) => entry.isFile()).map(async (entry) => ({ name: entry.name, time: (await stat(join(root, entry.name))).mtimeMs })));
  return json(files.sort((a, b) => b.time - a.time).map((file) => file.name));
}

function folderPaths(server: Server): Writable {
  return Object.fromEntries(MODEL_FOLDERS.map((name) => [name, [server.folders.models(name)]]));
}

async function changeControl(server: Server, call: Call): Promise<Reply> {
  const change = await jsonBody(call).catch(() => null);
  const problem = server.control.apply(change);
  return problem === undefined ? json({ ...server.control.state }) : json({ error: problem }, 400);
}

const PAGE = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Sandbox GPU</title>
<body style="font:16px/1.5 system-ui;max-width:40em;margin:3em auto;padding:0 1em">
<h1>Sandbox GPU</h1>
<p>This server speaks ComfyUI's protocol and paints on the CPU. No model runs here: it stands in for a GPU so that a workshop can be tried, taught and tested anywhere.</p>
<p>Its nodes are listed at <a href="object_info">/object_info</a>. Point a ComfyUI client at this address, or let a workshop's runner drive it.</p></body></html>
`;

export function systemRoutes(server: Server): Route[] {
  const page: Reply = { status: 200, headers: { "content-type": "text/html; charset=utf-8", "cache-control": "no-cache" }, body: PAGE };
  return [
    { method: "GET", path: "/", at: "both", handle: () => page },
    { method: "GET", path: "/system_stats", at: "both", handle: () => json(systemStats()) },
    { method: "GET", path: "/features", at: "both", handle: () => json(FEATURES) },
    { method: "GET", path: "/users", at: "both", handle: () => json({ storage: "server", migrated: true }) },
    { method: "GET", path: "/settings", at: "both", handle: () => json({}) },
    { method: "GET", path: "/internal/logs", at: "bare", handle: () => json(server.log.all().map(({ t, m }) => `${t} - ${m}`).join("")) },
    { method: "GET", path: "/internal/logs/raw", at: "bare", handle: () => json({ entries: server.log.all().map(({ t, m }) => ({ t, m })), size: TERMINAL }) },
    { method: "PATCH", path: "/internal/logs/subscribe", at: "bare", handle: logSubscription(server) },
    { method: "GET", path: "/internal/folder_paths", at: "bare", handle: () => json(folderPaths(server)) },
    { method: "GET", path: "/internal/files/*", at: "bare", handle: (call) => listFiles(server, call) },
    { method: "GET", path: "/sandbox/control", at: "bare", handle: () => json({ ...server.control.state }) },
    { method: "POST", path: "/sandbox/control", at: "bare", handle: (call) => changeControl(server, call) },
  ];
}
