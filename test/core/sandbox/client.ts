// A small ComfyUI client for tests: one socket, prompts, the messages of a run.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { WebSocket } from "ws";
import { type Sandbox, startSandbox } from "../../../gpu-adapter/sandbox/sandbox.ts";

export interface Message {
  type: string;
  data: Record<string, unknown>;
}

export interface FileRef {
  filename: string;
  subfolder: string;
  type: string;
}

export type Output = Record<string, FileRef[]>;

export type Nodes = Record<string, { class_type: string; inputs: Record<string, unknown> }>;

export class Client {
  readonly messages: Message[] = [];
  readonly previews: Buffer[] = [];
  readonly url: string;
  readonly dir: string;
  private readonly sandbox: Sandbox;
  private readonly socket: WebSocket;
  private constructor(sandbox: Sandbox, dir: string, socket: WebSocket) {
    this.sandbox = sandbox;
    this.url = sandbox.url;
    this.dir = dir;
    this.socket = socket;
    socket.on("message", (data: Buffer, isBinary) => (isBinary ? this.previews.push(data) : this.messages.push(JSON.parse(String(data)) as Message)));
  }

  /** Starts a sandbox in a folder of its own and connects to it. */
  static async start(stepMs = 0): Promise<Client> {
    const dir = await mkdtemp(join(tmpdir(), "sandbox-"));
    const sandbox = await startSandbox({ port: 0, dir, stepMs });
    const socket = new WebSocket(`${sandbox.url.replace("http", "ws")}/ws?clientId=tester`);
    const client = new Client(sandbox, dir, socket);
    await new Promise((resolve) => socket.on("open", resolve));
    socket.send(JSON.stringify({ type: "feature_flags", data: { supports_preview_metadata: true } }));
    await client.until(({ type }) => type === "feature_flags");
    return client;
  }

  async stop(): Promise<void> {
    this.socket.terminate();
    await this.sandbox.close();
    await rm(this.dir, { recursive: true, force: true });
  }

  get isClosed(): boolean {
    return this.socket.readyState === WebSocket.CLOSED;
  }

  /** Resolves with the first message that fits, past or to come. */
  async until(fits: (message: Message) => boolean): Promise<Message> {
    for (;;) {
      const found = this.messages.find(fits);
      if (found !== undefined) return found;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  get(path: string): Promise<Response> {
    return fetch(this.url + path);
  }

  async json<T>(path: string): Promise<T> {
    return (await (await this.get(path)).json()) as T;
  }

  post(path: string, body: unknown): Promise<Response> {
    return fetch(this.url + path, { method: "POST", body: typeof body === "string" ? body : JSON.stringify(body) });
  }

  /** Submits a prompt and answers its id. */
  async submit(prompt: Nodes | string, more: Record<string, unknown> = {}): Promise<string> {
    const response = await this.post("/prompt", typeof prompt === "string" ? prompt : { prompt, client_id: "tester", ...more });
    const answer = (await response.json()) as { prompt_id?: string };
    if (answer.prompt_id === undefined) throw new Error(`refused: ${JSON.stringify(answer)}`);
    return answer.prompt_id;
  }

  /** Runs a prompt to its end; answers its own messages. */
  async run(prompt: Nodes | string, more: Record<string, unknown> = {}): Promise<Message[]> {
    const id = await this.submit(prompt, more);
    await this.until(({ type, data }) => type === "executing" && data["node"] === null && data["prompt_id"] === id);
    return this.messages.filter(({ data }) => data["prompt_id"] === id);
  }

  /** What a node put out in a run. */
  output(messages: readonly Message[], node: string): Output {
    return messages.find(({ type, data }) => type === "executed" && data["node"] === node)?.data["output"] as Output;
  }

  async file({ filename, subfolder, type }: FileRef): Promise<Buffer> {
    const response = await this.get(`/view?${new URLSearchParams({ filename, subfolder, type })}`);
    if (!response.ok) throw new Error(`view answered ${response.status}`);
    return Buffer.from(await response.arrayBuffer());
  }

  async upload(name: string, bytes: Buffer): Promise<void> {
    const form = new FormData();
    form.set("image", new File([new Uint8Array(bytes)], name));
    await fetch(`${this.url}/upload/image`, { method: "POST", body: form });
  }
}

export const emptyImage = (color = 0, width = 8, height = 8, batch_size = 1) => ({ class_type: "EmptyImage", inputs: { width, height, batch_size, color } });
export const saveImage = (from: string, filename_prefix = "pic", slot = 0) => ({ class_type: "SaveImage", inputs: { images: [from, slot], filename_prefix } });

export function painting(text: string, change: Record<string, unknown> = {}, size = 64, batch = 1): Nodes {
  return {
    "1": { class_type: "CheckpointLoaderSimple", inputs: { ckpt_name: "sandbox-painter.safetensors" } },
    "2": { class_type: "CLIPTextEncode", inputs: { text, clip: ["1", 1] } },
    "3": { class_type: "CLIPTextEncode", inputs: { text: "", clip: ["1", 1] } },
    "4": { class_type: "EmptyLatentImage", inputs: { width: size, height: size, batch_size: batch } },
    "5": { class_type: "KSampler", inputs: { seed: 1, steps: 4, cfg: 7, sampler_name: "euler", scheduler: "normal", denoise: 1, model: ["1", 0], positive: ["2", 0], negative: ["3", 0], latent_image: ["4", 0], ...change } },
    "6": { class_type: "VAEDecode", inputs: { samples: ["5", 0], vae: ["1", 2] } },
    "7": saveImage("6", "painted"),
  };
}
