// A seat seen by an ordinary ComfyUI API client: HTTP and one WebSocket with Basic credentials, nothing of ours.
import { WebSocket } from "ws";
import type { SeatAccess } from "../../../scripts/stack.ts";

export type Message = { type: string; data: Record<string, unknown> };
export type HistoryEntry = { outputs: Record<string, { images?: { filename: string; subfolder: string; type: string }[] }>; status: { status_str: string; completed: boolean; messages: [string, Record<string, unknown>][] } };

export class SeatClient {
  readonly seat: string;
  readonly url: string;
  readonly authorization: string;
  readonly clientId = crypto.randomUUID();
  readonly messages: Message[] = [];
  readonly binaries: Buffer[] = [];
  #socket: WebSocket | null = null;
  readonly #listeners = new Set<() => void>();

  constructor(access: SeatAccess) {
    this.seat = access.id;
    this.url = access.url.replace(/\/$/, "");
    this.authorization = `Basic ${Buffer.from(`${access.username}:${access.password}`).toString("base64")}`;
  }

  async fetch(path: string, init: RequestInit = {}): Promise<Response> {
    return await fetch(`${this.url}${path}`, { redirect: "manual", ...init, headers: { Authorization: this.authorization, ...(init.headers as Record<string, string> | undefined) } });
  }

  async json<T>(path: string): Promise<T> {
    return (await (await this.fetch(path)).json()) as T;
  }

  async post(path: string, body: unknown): Promise<Response> {
    return await this.fetch(path, { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });
  }

  async open(): Promise<void> {
    const socket = new WebSocket(`${this.url.replace(/^http/, "ws")}/ws?clientId=${this.clientId}`, { headers: { Authorization: this.authorization } });
    this.#socket = socket;
    socket.on("message", (data: Buffer, binary: boolean) => {
      if (binary) this.binaries.push(data);
      else this.messages.push(JSON.parse(data.toString()) as Message);
      for (const listener of this.#listeners) listener();
    });
    socket.on("error", () => undefined);
    await new Promise<void>((resolve, reject) => {
      socket.once("open", () => resolve());
      socket.once("error", reject);
    });
    socket.send(JSON.stringify({ type: "feature_flags", data: { supports_preview_metadata: true } }));
  }

  close(): void {
    this.#socket?.close();
    this.#socket = null;
  }

  /** Resolves with the first message, past or coming, that fits. */
  async heard(what: string, fits: (message: Message) => boolean, seconds = 60): Promise<Message> {
    return await new Promise<Message>((resolve, reject) => {
      const look = (): boolean => {
        const found = this.messages.find(fits);
        if (!found) return false;
        clearTimeout(timer);
        this.#listeners.delete(look);
        resolve(found);
        return true;
      };
      const timer = setTimeout(() => {
        this.#listeners.delete(look);
        reject(new Error(`${this.seat} did not hear ${what} within ${seconds} s; heard: ${this.messages.slice(-12).map((message) => message.type).join(", ")}`));
      }, seconds * 1000);
      if (!look()) this.#listeners.add(look);
    });
  }

  async submit(prompt: unknown, extra: Record<string, unknown> = {}): Promise<string> {
    const answer = await this.post("/prompt", { prompt, client_id: this.clientId, ...extra });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${this.seat}: POST /prompt answered ${answer.status} ${text.slice(0, 500)}`);
    return (JSON.parse(text) as { prompt_id: string }).prompt_id;
  }

  /** Waits for a job's end by asking history, as clients without a socket do. */
  async ended(job: string, seconds = 90): Promise<HistoryEntry> {
    const deadline = Date.now() + seconds * 1000;
    while (Date.now() < deadline) {
      const entry = await this.fetch(`/history/${job}`).then(async (answer) => (answer.ok ? ((await answer.json()) as Record<string, HistoryEntry>)[job] : undefined), () => undefined);
      if (entry) return entry;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`${this.seat}: job ${job} did not end within ${seconds} s`);
  }

  async picture(file: { filename: string; subfolder: string; type: string }): Promise<Response> {
    return await this.fetch(`/view?${new URLSearchParams(file)}`);
  }
}

/** EmptyImage → SaveImage: the smallest graph with a picture. */
export function colourGraph(colour: number, prefix = "colour", size = 64): Record<string, unknown> {
  return {
    "1": { class_type: "EmptyImage", inputs: { width: size, height: size, batch_size: 1, color: colour } },
    "2": { class_type: "SaveImage", inputs: { images: ["1", 0], filename_prefix: prefix } },
  };
}

/** The classic text-to-image graph on the sandbox painter. */
export function painterGraph(text: string, seed: number, steps = 8, size = 256): Record<string, unknown> {
  return {
    "4": { class_type: "CheckpointLoaderSimple", inputs: { ckpt_name: "sandbox-painter.safetensors" } },
    "5": { class_type: "EmptyLatentImage", inputs: { width: size, height: size, batch_size: 1 } },
    "6": { class_type: "CLIPTextEncode", inputs: { text, clip: ["4", 1] } },
    "7": { class_type: "CLIPTextEncode", inputs: { text: "blurry", clip: ["4", 1] } },
    "3": { class_type: "KSampler", inputs: { seed, steps, cfg: 7, sampler_name: "euler", scheduler: "normal", denoise: 1, model: ["4", 0], positive: ["6", 0], negative: ["7", 0], latent_image: ["5", 0] } },
    "8": { class_type: "VAEDecode", inputs: { samples: ["3", 0], vae: ["4", 2] } },
    "9": { class_type: "SaveImage", inputs: { images: ["8", 0], filename_prefix: "painting" } },
  };
}

/** A run that takes `seconds` and can be interrupted. */
export function sleepGraph(seconds: number, colour = 0x336699): Record<string, unknown> {
  return {
    "1": { class_type: "EmptyImage", inputs: { width: 64, height: 64, batch_size: 1, color: colour } },
    "2": { class_type: "SandboxSleep", inputs: { image: ["1", 0], seconds } },
    "3": { class_type: "SaveImage", inputs: { images: ["2", 0], filename_prefix: "slept" } },
  };
}
