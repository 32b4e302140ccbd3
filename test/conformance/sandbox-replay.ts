// Plays a recording's side of the client against a sandbox and collects what comes back in the recording's own form,
// so that both can be compared. The recorder's test nodes are translated to the sandbox's.
// Requests wait until as many frames have arrived as had in the recording: the order of things is kept, their timing is not.

import { readFileSync } from "node:fs";
import sharp from "sharp";
import { WebSocket } from "ws";

export interface Frame {
  json?: { type: string; data: Record<string, unknown> };
  binary?: { event_type: number; metadata?: Record<string, unknown>; payload_magic?: string };
}

export interface RecordedEvent extends Frame {
  dir: "http" | "ws-open" | "ws-out" | "ws-in" | "ws-close" | "note";
  text?: string;
  socket?: string;
  clientId?: string | null;
  method?: string;
  path?: string;
  request_headers?: Record<string, string>;
  request_body?: unknown;
  status?: number;
  response_headers?: Record<string, string>;
  response_json?: unknown;
  response_text?: string;
  response_head_hex?: string;
}

export interface Exchange {
  note: string;
  recorded: RecordedEvent;
  status: number;
  headers: Headers;
  body: Buffer;
}

export interface Replayed {
  exchanges: Exchange[];
  /** Frames by socket, recorded and received. */
  recorded: Map<string, Frame[]>;
  received: Map<string, Frame[]>;
}

export function recording(name: string): RecordedEvent[] {
  const text = readFileSync(new URL(`../recordings/${name}.json`, import.meta.url), "utf8");
  return (JSON.parse(text) as { events: RecordedEvent[] }).events;
}

export type Node = { class_type?: string; inputs?: Record<string, unknown> };

export type ReplayOptions = {
  /** Sent with every request and handshake: who asks. */
  headers?: Record<string, string>;
  /** This server's node for a recorded one, or undefined when it has none. */
  translate?: (node: Node) => Node | undefined;
  /** Frames that are waited for before the next request; all of them unless a server may leave some out. */
  counts?: (frame: Frame) => boolean;
  /** Waits as well until every kind of frame recorded so far has come at least once, and every end of a run. */
  kinds?: boolean;
};

/** The sandbox's node for a recorder's one, or undefined when it has none. */
export function translateNode(node: Node): Node | undefined {
  const inputs = node.inputs ?? {};
  switch (node.class_type) {
    case "EdgeSteps":
      return { class_type: "SandboxSleep", inputs: { image: inputs["image"], seconds: Number(inputs["steps"]) * Number(inputs["delay"]), steps: inputs["steps"], previews: inputs["previews"], seed: Number(inputs["seed"]) } };
    case "EdgeRaise":
      return { class_type: "SandboxFail", inputs: { image: inputs["image"], message: inputs["message"], error: "error" } };
    case "EdgeOOM":
      return { class_type: "SandboxFail", inputs: { image: inputs["image"], message: "CUDA out of memory (simulated)", error: "out_of_memory" } };
    default:
      return node.class_type?.startsWith("Edge") ? undefined : node;
  }
}

/** A prompt body with translated nodes; undefined when a node has no counterpart. */
function translateBody(body: unknown, translate: (node: Node) => Node | undefined): unknown {
  if (typeof body !== "object" || body === null || !("prompt" in body)) return body;
  const { prompt } = body as { prompt: unknown };
  if (typeof prompt !== "object" || prompt === null || Array.isArray(prompt)) return body;
  const nodes = Object.entries(prompt as Record<string, Node>).map(([id, node]) => [id, translate(node)] as const);
  return nodes.some(([, node]) => node === undefined) ? undefined : { ...body, prompt: Object.fromEntries(nodes) };
}

/** Pictures of the upload recording: 16x12, A red with half alpha, B opaque blue; told apart by their recorded sizes. */
async function uploadFile(name: string, size: number): Promise<Buffer> {
  if (name.endsWith(".html")) return Buffer.from("<script>alert(1)</script>");
  if (name.endsWith(".svg")) return Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>');
  const color = size === 80 ? { r: 255, g: 0, b: 0, alpha: 128 / 255 } : { r: 0, g: 0, b: 255 };
  return sharp({ create: { width: 16, height: 12, channels: size === 80 ? 4 : 3, background: color } }).png().toBuffer();
}

/** aiohttp's client and ours write names differently; the bytes on the wire are made by hand so that "../x" stays as it is. */
async function multipart(fields: [string, string][]): Promise<{ body: Buffer; type: string }> {
  const boundary = "----recorded";
  const parts: Buffer[] = [];
  for (const [name, value] of fields) {
    const file = /^<file (.*) (\d+)>$/s.exec(value);
    const head = `--${boundary}\r\nContent-Disposition: form-data; name="${name}"${file === null ? "" : `; filename="${file[1]}"\r\nContent-Type: application/octet-stream`}\r\n\r\n`;
    parts.push(Buffer.from(head), file === null ? Buffer.from(value) : await uploadFile(file[1] as string, Number(file[2])), Buffer.from("\r\n"));
  }
  return { body: Buffer.concat([...parts, Buffer.from(`--${boundary}--\r\n`)]), type: `multipart/form-data; boundary=${boundary}` };
}

function decodeFrame(data: Buffer): Frame {
  const kind = data.readUInt32BE(0);
  if (kind !== 4) return { binary: { event_type: kind, payload_magic: data.subarray(8, 12).toString("hex") } };
  const length = data.readUInt32BE(4);
  const metadata = JSON.parse(data.subarray(8, 8 + length).toString()) as Record<string, unknown>;
  return { binary: { event_type: kind, metadata, payload_magic: data.subarray(8 + length, 12 + length).toString("hex") } };
}

/** Names of the pictures in `executed` messages, in order. */
function savedNames(frames: readonly Frame[]): string[] {
  const outputs = frames.filter((frame) => frame.json?.type === "executed").map((frame) => frame.json?.data["output"] as { images?: { filename: string }[] } | null);
  return outputs.flatMap((output) => (output?.images ?? []).map((file) => file.filename));
}

const PATIENCE_MS = 20_000;
/** When a prompt was refused that the recorded server took, its messages will not come. */
const NO_PATIENCE_MS = 1_000;

export class Replay {
  private readonly url: string;
  private readonly sockets = new Map<string, WebSocket>();
  private readonly recorded = new Map<string, Frame[]>();
  private readonly received = new Map<string, Frame[]>();
  private readonly ids = new Map<string, string>();
  private readonly files = new Map<string, string>();
  private readonly options: ReplayOptions;
  private etag = "";
  private patience = PATIENCE_MS;
  constructor(url: string, options: ReplayOptions = {}) {
    this.url = url;
    this.options = options;
  }

  /** Our id of a recorded prompt, in any text. */
  private ours(text: string): string {
    return [...this.ids, ...this.files].reduce((result, [theirs, mine]) => result.replaceAll(theirs, mine), text);
  }

  /** What we got, with the recording's ids. */
  theirs(text: string): string {
    return [...this.ids].reduce((result, [theirs, mine]) => result.replaceAll(mine, theirs), text);
  }

  async play(events: readonly RecordedEvent[], wants: (event: RecordedEvent, note: string) => boolean = () => true): Promise<Replayed> {
    const exchanges: Exchange[] = [];
    let note = "";
    for (const event of events) {
      if (event.dir === "note") note = event.text ?? "";
      else if (event.dir === "ws-in") this.recorded.get(event.socket ?? "")?.push(event);
      else if (event.dir === "ws-open") await this.open(event);
      else if (event.dir === "ws-out") this.say(event);
      else if (event.dir === "ws-close") await this.close(event.socket ?? "");
      else if (wants(event, note)) {
        await this.settled();
        this.learnFiles();
        const exchange = await this.request(event, note);
        if (exchange !== undefined) exchanges.push(exchange);
      }
    }
    for (const name of this.sockets.keys()) await this.close(name);
    // Ids are put in at the end: frames may arrive before the answer that says what a prompt is called.
    const received = JSON.parse(this.theirs(JSON.stringify([...this.received]))) as [string, Frame[]][];
    return { exchanges, recorded: this.recorded, received: new Map(received) };
  }

  private async open(event: RecordedEvent): Promise<void> {
    const name = event.socket ?? "";
    await this.settled();
    const query = typeof event.clientId === "string" ? `?clientId=${event.clientId}` : "";
    const socket = new WebSocket(`${this.url.replace("http", "ws")}/ws${query}`, { headers: this.options.headers ?? {} });
    const frames: Frame[] = [];
    this.sockets.set(name, socket);
    this.recorded.set(name, []);
    this.received.set(name, frames);
    socket.on("message", (data: Buffer, isBinary) => frames.push(isBinary ? decodeFrame(data) : (JSON.parse(`{"json": ${String(data)}}`) as Frame)));
    await new Promise((resolve, reject) => {
      socket.on("open", resolve);
      socket.on("error", reject);
    });
  }

  /** What a client sent; the recorder described two messages sent in a row in words. */
  private say(event: RecordedEvent): void {
    const flags = JSON.stringify({ type: "feature_flags", data: { supports_preview_metadata: true } });
    const first = event.text?.startsWith("not json") === true ? "not json" : '{"type":"hello"}';
    for (const message of event.json === undefined ? [first, flags] : [JSON.stringify(event.json)]) this.sockets.get(event.socket ?? "")?.send(message);
  }

  /** Files are called otherwise here (a preview's suffix is random): learnt from the `executed` messages, which come in the same order. */
  private learnFiles(): void {
    for (const [socket, frames] of this.recorded) {
      const mine = savedNames(this.received.get(socket) ?? []);
      for (const [index, theirs] of savedNames(frames).entries()) if (theirs.includes("_temp_") && mine[index] !== undefined) this.files.set(theirs, mine[index]);
    }
  }

  private async close(name: string): Promise<void> {
    await this.settled();
    this.sockets.get(name)?.terminate();
    this.sockets.delete(name);
  }

  /** Waits until every open socket has at least as many frames as the recording had by now. */
  private async settled(): Promise<void> {
    const end = performance.now() + this.patience;
    const { counts = () => true, kinds = false } = this.options;
    const kindOf = (frame: Frame): string => frame.json?.type ?? `binary ${frame.binary?.event_type}`;
    const endsOf = (frames: readonly Frame[]): number => frames.filter((frame) => frame.json?.type === "executing" && frame.json.data["node"] === null).length;
    const lacks = (name: string): boolean => {
      if (endsOf(this.received.get(name) ?? []) < endsOf(this.recorded.get(name) ?? [])) return true;
      const come = new Set(this.received.get(name)?.map(kindOf));
      return (this.recorded.get(name) ?? []).some((frame) => !come.has(kindOf(frame)));
    };
    const count = (frames: readonly Frame[] | undefined): number => (frames ?? []).filter(counts).length;
    const isBehind = (): boolean => [...this.sockets.keys()].some((name) => count(this.received.get(name)) < count(this.recorded.get(name)) || (kinds && lacks(name)));
    while (isBehind() && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  private async request(event: RecordedEvent, note: string): Promise<Exchange | undefined> {
    const headers: Record<string, string> = { ...event.request_headers, ...this.options.headers };
    if (headers["if-none-match"] !== undefined) headers["if-none-match"] = this.etag;
    let body: string | Buffer | undefined;
    const sent = translateBody(event.request_body, this.options.translate ?? translateNode);
    if (event.request_body !== undefined && sent === undefined) return undefined;
    if (Array.isArray(sent) && event.path?.includes("/upload/")) {
      const form = await multipart(sent as [string, string][]);
      headers["content-type"] = form.type;
      body = form.body;
    } else if (sent !== undefined && sent !== null) body = this.ours(typeof sent === "string" ? sent : JSON.stringify(sent));
    const response = await fetch(this.url + this.ours(event.path ?? "/"), { method: event.method ?? "GET", headers, ...(body === undefined ? {} : { body: new Uint8Array(Buffer.from(body as string)) }) });
    const bytes = Buffer.from(await response.arrayBuffer());
    this.etag = response.headers.get("etag") ?? this.etag;
    const theirs = event.response_json as { prompt_id?: unknown } | undefined;
    if (event.path?.endsWith("/prompt") && typeof theirs?.prompt_id === "string" && response.ok) this.ids.set(theirs.prompt_id, (JSON.parse(bytes.toString()) as { prompt_id: string }).prompt_id);
    if (event.path?.endsWith("/prompt") && event.method === "POST" && event.status === 200 && !response.ok) this.patience = NO_PATIENCE_MS;
    return { note, recorded: event, status: response.status, headers: response.headers, body: Buffer.from(this.theirs(bytes.toString("latin1")), "latin1") };
  }
}
