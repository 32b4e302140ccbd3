// One private socket per run: a fresh client id, so nobody else's messages reach it and nobody can listen in. The next run's socket is opened
// ahead, while the runner is idle, because opening it is most of what a short job would otherwise wait for.
import { parseJson } from "../json.ts";
import type { Comfy } from "./comfy.ts";

export type ComfyMessage = { type: string; data: Record<string, unknown> };
export type SocketListener = { message(message: ComfyMessage): void; binary(frame: Uint8Array): void; closed(): void };

/** A socket that has not opened by then will not (ms). */
const OPEN_MS = 20_000;

export class ComfySocket {
  readonly clientId: string;
  readonly ready: Promise<void>;
  readonly #socket: WebSocket;
  #listener: SocketListener | null = null;

  constructor(comfy: Comfy, clientId: string) {
    this.clientId = clientId;
    this.#socket = new WebSocket(comfy.socketUrl(clientId));
    this.#socket.binaryType = "arraybuffer";
    this.ready = new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error("ComfyUI's socket did not open in time")), OPEN_MS);
      this.#socket.addEventListener("open", () => {
        clearTimeout(timer);
        // Only the first message counts; with it previews name their node and their prompt (ComfyUI protocol, comfy-api 5).
        this.#socket.send(JSON.stringify({ type: "feature_flags", data: { supports_preview_metadata: true } }));
        resolve();
      });
      this.#socket.addEventListener("close", () => {
        clearTimeout(timer);
        reject(new Error("ComfyUI closed the socket"));
        this.#listener?.closed();
      });
    });
    this.ready.catch(() => {});
    this.#socket.addEventListener("error", () => {});
    this.#socket.addEventListener("message", (event: MessageEvent<string | ArrayBuffer>) => this.#receive(event.data));
  }

  get alive(): boolean {
    return this.#socket.readyState === WebSocket.OPEN || this.#socket.readyState === WebSocket.CONNECTING;
  }

  get open(): boolean {
    return this.#socket.readyState === WebSocket.OPEN;
  }

  listen(listener: SocketListener): void {
    this.#listener = listener;
    if (!this.alive) listener.closed();
  }

  close(): void {
    this.#listener = null;
    this.#socket.close();
  }

  #receive(data: string | ArrayBuffer): void {
    if (this.#listener === null) return;
    if (typeof data !== "string") return this.#listener.binary(new Uint8Array(data));
    const message = parseMessage(data);
    if (message !== null) this.#listener.message(message);
  }
}

/** ComfyUI's `{type, data}`, or null for anything else; a message without data counts as empty. */
export function parseMessage(text: string): ComfyMessage | null {
  try {
    const value = parseJson(text);
    if (typeof value !== "object" || value === null || !("type" in value) || typeof value.type !== "string") return null;
    const data = "data" in value ? value.data : {};
    return { type: value.type, data: typeof data === "object" && data !== null && !Array.isArray(data) ? (data as Record<string, unknown>) : { value: data } };
  } catch {
    return null;
  }
}

/** Keeps one socket open for the run that comes next. */
export class SocketSupply {
  readonly #comfy: Comfy;
  readonly #lost: () => void;
  #spare: ComfySocket | null = null;

  /** `lost` is called when the waiting socket, once open, was cut by the other side. */
  constructor(comfy: Comfy, lost: () => void) {
    this.#comfy = comfy;
    this.#lost = lost;
  }

  /** Opens the next run's socket now; harmless when one is open. */
  prepare(): void {
    if (this.#spare?.alive === true) return;
    const spare = new ComfySocket(this.#comfy, crypto.randomUUID());
    this.#spare = spare;
    const closed = (): void => {
      if (this.#spare === spare) this.#lost();
    };
    spare.ready.then(() => spare.listen({ message: () => {}, binary: () => {}, closed }), () => {});
  }

  /** True while the waiting socket is open: ComfyUI is there, without asking. */
  get open(): boolean {
    return this.#spare?.open === true;
  }

  /** An open socket with a client id nobody has used; throws when ComfyUI refuses. */
  async take(): Promise<ComfySocket> {
    const spare = this.#spare;
    this.#spare = null;
    if (spare?.alive === true) {
      try {
        await spare.ready;
        return spare;
      } catch {
        // It died while idle: a fresh one decides.
      }
    }
    const fresh = new ComfySocket(this.#comfy, crypto.randomUUID());
    await fresh.ready;
    return fresh;
  }

  close(): void {
    this.#spare?.close();
    this.#spare = null;
  }
}
