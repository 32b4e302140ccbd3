// One run of a prompt, told to the client message by message in the order a real ComfyUI tells it (recordings run-*).
// Invariant: an interrupt takes effect at the next node start or progress call, and a run always ends in exactly one of
// success, error, interrupted.

import type { Folders } from "../folders.ts";
import { type Json, type JsonObject, type Writable } from "../json.ts";
import type { NodeRun, PreviewMaker, Ui, Value } from "../nodes/definition.ts";
import { NodeInputs } from "../nodes/inputs.ts";
import { NODES } from "../nodes/registry.ts";
import type { ResultCache } from "./cache.ts";
import { messageOf, traceback, typeOf } from "./complaints.ts";
import { describeInputs } from "./describe.ts";
import { ExecutionOrder } from "./order.ts";
import { ProgressBoard } from "./progress.ts";
import { linkOf, nodeOf } from "./prompt.ts";
import { PythonError } from "./python.ts";

export interface Job {
  readonly number: Json;
  readonly promptId: string;
  readonly prompt: JsonObject;
  readonly extraData: JsonObject;
  readonly outputs: readonly string[];
}

/** The line to the job's client. Without a client id, messages marked `broadcast` go to every socket and the others to none. */
export interface Audience {
  readonly hasClient: boolean;
  send(type: string, data: Record<string, Writable>, broadcast: boolean): void;
  /** A preview frame to those who see it; `make` runs only if somebody does. Metadata frames go before `progress`, plain ones after. */
  preview(when: "before" | "after", nodeId: string, promptId: string, make: PreviewMaker): Promise<void>;
  /** The node a client that connects now shall be told about. */
  now(nodeId: string | undefined): void;
}

export interface RunSettings {
  readonly folders: Folders;
  readonly cache: ResultCache;
  readonly stepMs: () => number;
  readonly isInterrupted: () => boolean;
  /** Called at each node start, for the switches that rehearse crashes. */
  readonly beforeNode: () => void;
}

export interface RunReport {
  readonly outcome: "success" | "error";
  readonly messages: readonly (readonly [string, Record<string, Writable>])[];
  readonly outputs: ReadonlyMap<string, Ui>;
}

class Interrupted extends Error {}

const OUT_OF_MEMORY = "torch.OutOfMemoryError";
const MEMORY_TIP = "The GPU has no memory left for this step. Smaller pictures or a smaller batch need less.";

export class Run {
  private readonly messages: [string, Record<string, Writable>][] = [];
  private readonly outputs = new Map<string, Ui>();
  private readonly executed: string[] = [];
  private readonly board: ProgressBoard;
  private inputsNow: ReadonlyMap<string, Value> = new Map();
  private readonly job: Job;
  private readonly audience: Audience;
  private readonly settings: RunSettings;

  constructor(job: Job, audience: Audience, settings: RunSettings) {
    this.job = job;
    this.audience = audience;
    this.settings = settings;
    this.board = new ProgressBoard(job.promptId);
  }

  /** Runs the prompt to its end. Never throws: whatever goes wrong is an error of the run. */
  async play(): Promise<RunReport> {
    try {
      return await this.steps();
    } catch (error) {
      return this.failed("", error);
    }
  }

  private async steps(): Promise<RunReport> {
    const { prompt, promptId, outputs } = this.job;
    const { cache, folders } = this.settings;
    this.note("execution_start", { prompt_id: promptId }, false);
    await cache.begin(prompt, folders);
    this.note("execution_cached", { nodes: [...prompt.keys()].filter((id) => cache.get(id) !== undefined), prompt_id: promptId }, false);
    const order = new ExecutionOrder(prompt, (id) => cache.get(id) !== undefined, (id) => classOf(prompt, id)?.info.outputNode === true);
    for (const output of outputs) order.add(output);
    while (!order.isEmpty) {
      const id = order.next();
      if (id === undefined) return this.failed([...prompt.keys()][0] ?? "", new PythonError("DependencyCycleError", "the nodes wait for each other in a circle"));
      try {
        await this.node(id);
      } catch (error) {
        return error instanceof Interrupted ? this.interrupted(id) : this.failed(id, error);
      }
      order.done(id);
    }
    this.note("execution_success", { prompt_id: promptId }, false);
    return this.report("success");
  }

  private report(outcome: "success" | "error"): RunReport {
    return { outcome, messages: this.messages, outputs: this.outputs };
  }

  /** A message that also enters the history; the time is its last member. */
  private note(type: string, data: Record<string, Writable>, broadcast: boolean): void {
    const timed = { ...data, timestamp: Date.now() };
    this.messages.push([type, timed]);
    this.audience.send(type, timed, broadcast);
  }

  private failed(id: string, error: unknown): RunReport {
    const type = typeOf(error);
    this.note(
      "execution_error",
      {
        prompt_id: this.job.promptId,
        node_id: id,
        node_type: nodeOf(this.job.prompt, id)?.classType ?? "",
        executed: [...this.executed],
        exception_message: `${messageOf(error)}\n${type === OUT_OF_MEMORY ? MEMORY_TIP : ""}`,
        exception_type: type,
        traceback: traceback(error),
        current_inputs: describeInputs(this.inputsNow),
        current_outputs: [...this.job.prompt.keys()],
      },
      false,
    );
    return this.report("error");
  }

  private interrupted(id: string): RunReport {
    this.note("execution_interrupted", { prompt_id: this.job.promptId, node_id: id, node_type: nodeOf(this.job.prompt, id)?.classType ?? "", executed: [...this.executed] }, true);
    return this.report("error");
  }

  private progressState(): void {
    this.audience.send("progress_state", this.board.state(), true);
  }

  private show(id: string, output: Ui | null): void {
    if (output !== null) this.outputs.set(id, output);
    this.audience.send("executed", { node: id, display_node: id, output, prompt_id: this.job.promptId }, false);
  }

  private async node(id: string): Promise<void> {
    const { cache } = this.settings;
    const cached = cache.get(id);
    if (cached !== undefined) {
      this.show(id, cached.ui ?? null);
      this.board.finish(id);
      this.progressState();
      return;
    }
    const node = classOf(this.job.prompt, id);
    this.inputsNow = new Map();
    if (node === undefined) throw new PythonError("NodeNotFoundError", `Node ${id} not found`);
    this.inputsNow = await this.gather(id);
    this.board.start(id);
    this.progressState();
    this.audience.now(id);
    this.audience.send("executing", { node: id, display_node: id, prompt_id: this.job.promptId }, false);
    this.settings.beforeNode();
    this.stopIfInterrupted();
    const result = await node.run(new NodeInputs(this.inputsNow), this.services(id));
    cache.set(id, { outputs: result.outputs, ui: result.ui });
    if (result.ui !== undefined) this.show(id, result.ui);
    this.board.finish(id);
    this.progressState();
    this.executed.push(id);
  }

  private stopIfInterrupted(): void {
    if (this.settings.isInterrupted()) throw new Interrupted("interrupted");
  }

  /** The declared inputs: literals, and what the linked nodes put out. Undeclared ones stay out. */
  private async gather(id: string): Promise<Map<string, Value>> {
    const groups = await classOf(this.job.prompt, id)?.inputs(this.settings.folders);
    const values = new Map<string, Value>();
    for (const [name, value] of nodeOf(this.job.prompt, id)?.inputs ?? []) {
      if (groups?.required[name] === undefined && groups?.optional?.[name] === undefined) continue;
      const link = linkOf(value);
      const linked = link === undefined ? value : this.settings.cache.get(link.node)?.outputs.at(link.slot);
      if (linked !== undefined) values.set(name, linked);
    }
    return values;
  }

  private services(id: string): NodeRun {
    const { folders, stepMs, cache } = this.settings;
    const { prompt, extraData } = this.job;
    return {
      folders,
      nodeId: id,
      stepMs: stepMs(),
      prompt,
      extraPnginfo: extraData.get("extra_pnginfo"),
      remember: (make) => cache.remember(prompt, id, make),
      progress: async (value, max, preview) => {
        this.stopIfInterrupted();
        this.board.update(id, value, max);
        this.progressState();
        if (preview !== undefined) await this.audience.preview("before", id, this.job.promptId, preview);
        this.audience.send("progress", { value, max, prompt_id: this.job.promptId, node: id }, true);
        if (preview !== undefined) await this.audience.preview("after", id, this.job.promptId, preview);
      },
    };
  }
}

function classOf(prompt: JsonObject, id: string) {
  const node = nodeOf(prompt, id);
  return node === undefined ? undefined : NODES.get(node.classType);
}
