// The embedded GPU: starts a server that speaks ComfyUI's protocol and runs a few real nodes on the CPU.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Control } from "./control.ts";
import { Folders } from "./folders.ts";
import { isForeign, serve } from "./http.ts";
import { Log } from "./log.ts";
import { PromptQueue } from "./queue.ts";
import { catalogRoutes } from "./routes/catalog.ts";
import { promptRoutes } from "./routes/prompt.ts";
import { systemRoutes } from "./routes/system.ts";
import { uploadRoutes } from "./routes/upload.ts";
import { viewRoutes } from "./routes/view.ts";
import type { Server } from "./server.ts";
import { Sockets } from "./sockets.ts";

/** Milliseconds a painter step takes at least, unless told otherwise: slow enough to be seen. */
export const DEFAULT_STEP_MS = 40;

export interface SandboxOptions {
  /** 0 takes any free port. */
  readonly port: number;
  /** Folder for input, output, temp and models; made when missing. Its temp folder is emptied at start. */
  readonly dir: string;
  /** Milliseconds per painter step; 0 paints as fast as it can. */
  readonly stepMs?: number;
  /** What the `crash` switch does; by default the server goes silent at once, sockets and all. */
  readonly onCrash?: () => void;
}

export interface Sandbox {
  readonly url: string;
  readonly port: number;
  close(): Promise<void>;
}

class Crashed extends Error {}

/** Starts a sandbox on 127.0.0.1. Rejects when the port is taken. */
export async function startSandbox(options: SandboxOptions): Promise<Sandbox> {
  const folders = new Folders(options.dir);
  await folders.prepare();
  const log = new Log();
  const http = createServer();
  const control = new Control(options.stepMs ?? DEFAULT_STEP_MS, () => {
    (options.onCrash ?? silence)();
    throw new Crashed("the sandbox was told to crash");
  });
  const queue = new PromptQueue({ folders, control, log });
  const sockets = new Sockets(() => queue.remaining);
  queue.attach(sockets);
  const server: Server = { folders, control, log, queue, sockets };
  function silence(): void {
    queue.stop();
    sockets.closeAll();
    http.close();
    http.closeAllConnections();
  }
  const routes = [...promptRoutes(server), ...catalogRoutes(server), ...uploadRoutes(server), ...viewRoutes(server), ...systemRoutes(server)];
  routes.push({
    method: "GET",
    path: "/ws",
    at: "both",
    handle: () => ({ status: 400, headers: { "content-type": "text/plain; charset=utf-8" }, body: 'No WebSocket UPGRADE hdr: None\n Can "Upgrade" only to "WebSocket".' }),
  });

  http.on("request", (request, response) => void serve(routes, request, response, (message) => log.write(message)));
  http.on("upgrade", (request, socket, head) => {
    const url = URL.parse(`http://sandbox${request.url ?? "/"}`);
    if (isForeign(request.headers)) socket.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    else if (url?.pathname === "/ws" || url?.pathname === "/api/ws") sockets.accept(request, socket, head, url.searchParams.get("clientId") ?? "");
    else socket.end("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  });
  await new Promise<void>((resolve, reject) => {
    http.once("error", reject);
    http.listen(options.port, "127.0.0.1", resolve);
  });
  const { port } = http.address() as AddressInfo;
  const closed = new Promise<void>((resolve) => http.once("close", resolve));
  log.write(`ComfyUI sandbox listening on port ${port}`);
  const close = (): Promise<void> => {
    if (http.listening) silence();
    return closed;
  };
  return { url: `http://127.0.0.1:${port}`, port, close };
}
