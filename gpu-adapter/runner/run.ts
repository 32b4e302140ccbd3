// One prompt on ComfyUI, from POST /prompt to its history entry: follows its private socket, survives the loss of it, tells a dead ComfyUI from a quiet
// one. Knows nothing of leases: the attempt around it does.
import type { JobDocument } from "../contract.ts";
import { parseJson } from "../json.ts";
import type { Box } from "./box.ts";
import { ComfyError, type HistoryEntry, type PromptBody } from "./comfy.ts";
import { ComfySocket } from "./comfy-socket.ts";
import { type Log, sleep, words } from "./log.ts";
import { loaderNodes } from "./model-loads.ts";
import { outputNodes, tagOutputs } from "./seat-tag.ts";

export type RunEnd = { how: "history"; entry: HistoryEntry } | { how: "gone"; why: string };
export type RunListener = {
  message(message: { type: string; data: Record<string, unknown> }): void;
  binary(frame: Uint8Array): void;
  /** The line was cut: what follows may be missing something. */
  cut(): void;
};
export type Order = { body: PromptBody; /** ids of its nodes that load models */ loaders: Set<string> };

/** ComfyUI may be away this long before it counts as dead (ms); a supervised one that exited is dead at once. */
const AWAY_MS = 15_000;
/** History follows the end of a run within milliseconds; this long it is looked for (ms). */
const HISTORY_MS = 5_000;

/** What ComfyUI is asked to run: tagged outputs [G19], and exactly the outputs that passed validation when those are not all. */
export async function orderOf(box: Box, document: JobDocument, clientId: string): Promise<Order> {
  const { outputs, loaders } = await box.classes();
  const graph = parseJson(document.prompt_json) as Record<string, unknown>;
  const prompt = tagOutputs(graph, outputs, document.seat_tag);
  const all = outputNodes(graph, outputs);
  const wanted = document.outputs_to_execute;
  const narrowed = wanted.length > 0 && (document.partial || !all.every((id) => wanted.includes(id)));
  const body = { prompt, prompt_id: document.prompt_id, client_id: clientId, extra_data: parseJson(document.extra_data_json) as object, ...(narrowed ? { partial_execution_targets: wanted } : {}) };
  return { body, loaders: loaderNodes(graph, loaders) };
}

export class Run {
  readonly #box: Box;
  readonly #id: string;
  readonly #listener: RunListener;
  readonly #log: Log;
  #socket: ComfySocket | null = null;
  #probing = false;
  #finished = false;
  readonly #end: PromiseWithResolvers<RunEnd> = Promise.withResolvers();

  constructor(box: Box, promptId: string, listener: RunListener, log: Log) {
    this.#box = box;
    this.#id = promptId;
    this.#listener = listener;
    this.#log = log;
  }

  /** Resolves once: with ComfyUI's own record of the run, or when ComfyUI lost it. */
  get ended(): Promise<RunEnd> {
    return this.#end.promise;
  }

  get over(): boolean {
    return this.#finished;
  }

  /** Listens on the run's socket; call before the prompt is posted. */
  follow(socket: ComfySocket): void {
    this.#socket = socket;
    socket.listen({ message: (message) => this.#listener.message(message), binary: (frame) => this.#listener.binary(frame), closed: () => this.#cut() });
  }

  #cut(): void {
    this.#listener.cut();
    void this.probe();
  }

  /** ComfyUI announced the end: its history is there, or will be in a moment. */
  async announced(): Promise<void> {
    const deadline = Date.now() + HISTORY_MS;
    for (let wait = 5; !this.#finished; wait = Math.min(wait * 2, 500)) {
      try {
        const entry = await this.#box.comfy.history(this.#id);
        if (entry !== null) return this.#finish({ how: "history", entry });
      } catch (error) {
        if (error instanceof ComfyError && error.status === 0) return void this.probe();
        this.#log("history_unreadable", { error: words(error) });
      }
      if (Date.now() > deadline) return void this.probe();
      await sleep(wait);
    }
  }

  /** Nothing was heard, or the socket closed: asks ComfyUI where the run is, and listens again if it goes on. */
  async probe(): Promise<void> {
    if (this.#probing || this.#finished) return;
    this.#probing = true;
    try {
      await this.#probeUntilKnown();
    } finally {
      this.#probing = false;
    }
  }

  async #probeUntilKnown(): Promise<void> {
    const deadline = Date.now() + AWAY_MS;
    let absent = 0;
    for (let wait = 50; !this.#finished; wait = Math.min(wait * 2, 1_000)) {
      try {
        const entry = await this.#box.comfy.history(this.#id);
        if (entry !== null) return this.#finish({ how: "history", entry });
        const place = await this.#box.comfy.place(this.#id);
        if (place !== "none") return await this.#listenAgain();
        // Between queue and history lies a moment: twice absent from both is gone.
        if (++absent >= 3) return this.#finish({ how: "gone", why: "ComfyUI was started anew and knows nothing of the run." });
      } catch (error) {
        if (!this.#box.processAlive()) return this.#finish({ how: "gone", why: "ComfyUI's process ended during the run." });
        if (Date.now() > deadline) return this.#finish({ how: "gone", why: `ComfyUI stopped answering during the run (${words(error)}).` });
      }
      await sleep(wait);
    }
  }

  async #listenAgain(): Promise<void> {
    const old = this.#socket;
    if (old === null || old.alive) return;
    this.#log("comfy_socket_again", { job: this.#id });
    const socket = new ComfySocket(this.#box.comfy, old.clientId);
    this.follow(socket);
    await socket.ready.catch(() => {});
  }

  /** Gives up waiting; whatever ComfyUI still does is nobody's. */
  abandon(why: string): void {
    this.#finish({ how: "gone", why });
  }

  close(): void {
    this.#finished = true;
    this.#socket?.close();
  }

  #finish(end: RunEnd): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#end.resolve(end);
  }
}
