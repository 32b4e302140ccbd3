// The open sockets: who is who, who understands what, and which frame goes to whom.

import { randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocket, WebSocketServer } from "ws";
import { type JsonObject, type Writable, dumps, isObject, parseJson } from "./json.ts";
import { truthy } from "./graph/python.ts";
import type { Audience } from "./graph/execute.ts";
import type { PreviewMaker } from "./nodes/definition.ts";

/** Bytes of a request body ComfyUI takes by default (--max-upload-size 100). */
export const MAX_UPLOAD_BYTES = 100 * 1024 * 1024;
/** Bytes of one message from a client (aiohttp's limit as ComfyUI sets it). */
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;

export const FEATURES = { supports_preview_metadata: true, max_upload_size: MAX_UPLOAD_BYTES } as const;

/** Binary frame numbers: 1 is a bare preview, 4 a preview that names its node. */
const PREVIEW = 1;
const PREVIEW_WITH_METADATA = 4;
const JPEG = 1;

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** Frame type 1: uint32 1, uint32 image format, image. */
export function previewFrame(image: Buffer): Buffer {
  return Buffer.concat([uint32(PREVIEW), uint32(JPEG), image]);
}

/** Frame type 4: uint32 4, uint32 length, JSON, image. */
export function previewFrameWithMetadata(nodeId: string, promptId: string, image: Buffer): Buffer {
  const metadata = Buffer.from(dumps({ node_id: nodeId, prompt_id: promptId, display_node_id: nodeId, parent_node_id: null, real_node_id: nodeId, image_type: "image/jpeg" }));
  return Buffer.concat([uint32(PREVIEW_WITH_METADATA), uint32(metadata.length), metadata, image]);
}

interface Client {
  readonly socket: WebSocket;
  flags: JsonObject;
}

export class Sockets {
  private readonly server = new WebSocketServer({ noServer: true, maxPayload: MAX_MESSAGE_BYTES, perMessageDeflate: false });
  private readonly clients = new Map<string, Client>();
  private running: { readonly sid: string; readonly node: string } | undefined;
  private readonly queueRemaining: () => number;

  constructor(queueRemaining: () => number) {
    this.queueRemaining = queueRemaining;
  }

  get count(): number {
    return this.clients.size;
  }

  /** Takes over an upgrade request. `clientId` empty: the server makes an id. */
  accept(request: IncomingMessage, stream: Duplex, head: Buffer, clientId: string): void {
    this.server.handleUpgrade(request, stream, head, (socket) => this.open(socket, clientId === "" ? randomUUID().replaceAll("-", "") : clientId));
  }

  private open(socket: WebSocket, sid: string): void {
    const client: Client = { socket, flags: new Map() };
    this.clients.set(sid, client);
    let isFirst = true;
    socket.on("message", (data, isBinary) => {
      if (isBinary || !isFirst) return;
      try {
        const message = parseJson(String(data));
        isFirst = false;
        if (isObject(message) && message.get("type") === "feature_flags") {
          const flags = message.get("data");
          client.flags = isObject(flags) ? flags : new Map();
          sendTo(client, "feature_flags", FEATURES);
        }
      } catch (error) {
        if (!(error instanceof SyntaxError)) throw error; // text that is no JSON does not count as a first message [R ws-handshake]
      }
    });
    socket.on("error", () => socket.terminate());
    socket.on("close", () => {
      if (this.clients.get(sid) === client) this.clients.delete(sid);
    });
    sendTo(client, "status", { ...this.status(), sid });
    if (this.running?.sid === sid) sendTo(client, "executing", { node: this.running.node });
  }

  private status(): Record<string, Writable> {
    return { status: { exec_info: { queue_remaining: this.queueRemaining() } } };
  }

  /** Tells everybody how many prompts wait or run. */
  queueChanged(): void {
    for (const client of this.clients.values()) sendTo(client, "status", this.status());
  }

  send(sid: string, type: string, data: Record<string, Writable>): void {
    const client = this.clients.get(sid);
    if (client !== undefined) sendTo(client, type, data);
  }

  /** The audience of a run: its client, or for a run without one everybody (where ComfyUI broadcasts) or nobody. */
  audience(clientId: string | undefined): Audience {
    const listeners = (): Client[] => {
      if (clientId === undefined) return [...this.clients.values()];
      const client = this.clients.get(clientId);
      return client === undefined ? [] : [client];
    };
    let frame: Promise<Buffer> | undefined;
    const understands = (client: Client): boolean => clientId !== undefined && truthy(client.flags.get("supports_preview_metadata"));
    return {
      hasClient: clientId !== undefined,
      send: (type, data, broadcast) => {
        if (clientId === undefined && !broadcast) return;
        for (const client of listeners()) sendTo(client, type, data);
      },
      preview: async (when, nodeId, promptId, make: PreviewMaker) => {
        if (when === "before") frame = undefined;
        const seeing = listeners().filter((client) => understands(client) === (when === "before"));
        if (seeing.length === 0) return;
        const image = await (frame ??= make());
        const bytes = when === "before" ? previewFrameWithMetadata(nodeId, promptId, image) : previewFrame(image);
        for (const client of seeing) if (client.socket.readyState === WebSocket.OPEN) client.socket.send(bytes);
      },
      now: (node) => {
        this.running = clientId === undefined || node === undefined ? undefined : { sid: clientId, node };
      },
    };
  }

  /** Cuts every socket, as a stopping server does. */
  closeAll(): void {
    for (const client of this.clients.values()) client.socket.terminate();
    this.clients.clear();
    this.server.close();
  }
}

function sendTo(client: Client, type: string, data: Record<string, Writable>): void {
  if (client.socket.readyState === WebSocket.OPEN) client.socket.send(dumps({ type, data }));
}
