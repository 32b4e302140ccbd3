// What outlives a job on this machine: ComfyUI, its node classes, the files it was given and has named. One job at a time uses it [G4].
import type { RunnerInfo } from "../contract.ts";
import type { Comfy } from "./comfy.ts";
import { SocketSupply } from "./comfy-socket.ts";
import type { ComfyFolders } from "./disk.ts";
import { FileMemory } from "./file-memory.ts";
import { Inputs } from "./inputs.ts";
import { type Log, sleep, words } from "./log.ts";
import { type LoaderClasses, loaderClasses } from "./model-loads.ts";
import { outputClasses, SEAT_TAG_INPUT } from "./seat-tag.ts";

export type BoxOptions = { comfy: Comfy; folders: ComfyFolders; workDir: string; info: RunnerInfo; log: Log };
/** How often the log says that ComfyUI is still awaited (ms). */
const LOOK_MS = 60_000;
/** How often it is looked whether the last job is done with, before ComfyUI is put in order (ms). */
const IDLE_MS = 200;

/** Classes that are output nodes, and those that load models. */
export type NodeClasses = { outputs: ReadonlySet<string>; loaders: LoaderClasses };

/** How a finished job leaves ComfyUI, for whoever supervises it. */
export type Aftermath = { oom: boolean; crashed: boolean; stuck: boolean };

export class Box {
  readonly comfy: Comfy;
  readonly folders: ComfyFolders;
  readonly workDir: string;
  readonly log: Log;
  readonly sockets: SocketSupply;
  readonly memory = new FileMemory();
  readonly inputs: Inputs;
  info: RunnerInfo;
  jobsDone = 0;
  /** From the beginning of a job until ComfyUI was put in order after it. */
  working = false;
  /** Set by the supervisor: false while the ComfyUI it started is known to be dead. */
  processAlive: () => boolean = () => true;
  /** Set by the supervisor: ComfyUI, which was awaited, has answered. */
  onAnswer: () => void = () => {};
  /** Set by the supervisor: a job begins. */
  beforeJob: () => void = () => {};
  /** Set by the supervisor: a job ended; may start ComfyUI anew. */
  afterJob: (aftermath: Aftermath) => Promise<void> = async () => {};
  /** Set by the supervisor: true when ComfyUI will not serve the next job as it is. */
  unwell: (aftermath: Aftermath) => boolean = ({ crashed }) => crashed;
  /** ComfyUI is not there: no work, please. */
  onVanished: () => void = () => {};
  /** ComfyUI is a new process and answers again: what it has may differ. */
  onReborn: () => Promise<void> = async () => {};
  /** False from the moment ComfyUI went away until it answers again: no work is asked for meanwhile. */
  here = true;
  /** Somebody waits for it to come back. */
  #awaited = false;
  #classes: NodeClasses | null = null;
  #workshop: string | null = null;

  constructor({ comfy, folders, workDir, info, log }: BoxOptions) {
    this.comfy = comfy;
    this.folders = folders;
    this.workDir = workDir;
    this.info = info;
    this.log = log;
    this.sockets = new SocketSupply(comfy, () => this.vanished());
    this.inputs = new Inputs(comfy, folders.folder("input"), workDir, log);
  }

  /** What ComfyUI says of its node classes; asked once per ComfyUI process. */
  async classes(): Promise<NodeClasses> {
    return this.#classes ?? this.learn((await this.comfy.json("/object_info")) as Record<string, unknown>);
  }

  /** Classes from an object_info that was read anyway. */
  learn(objectInfo: Record<string, unknown>): NodeClasses {
    this.#classes = { outputs: outputClasses(objectInfo), loaders: loaderClasses(objectInfo) };
    return this.#classes;
  }

  /** ComfyUI was started anew: nothing that was known about it holds. */
  reborn(): void {
    this.#classes = null;
    this.memory.forget();
    this.inputs.forget();
    this.sockets.close();
  }

  /** ComfyUI went away, and will come back as another process: forgets what was known, waits for it, and tells `onReborn`. */
  vanished(): void {
    this.reborn();
    this.dismiss();
    if (this.#awaited) return;
    this.#awaited = true;
    this.log("comfy_away", {});
    void this.#back();
  }

  /** ComfyUI is about to be ended, which may take a while: no work from here on. */
  dismiss(): void {
    if (!this.here) return;
    this.here = false;
    this.onVanished();
  }

  async #back(): Promise<void> {
    const forever = new AbortController().signal;
    while (!(await this.ready(LOOK_MS, forever))) this.log("comfy_awaited", {});
    // What the last job still stores must not be swept from under it.
    while (this.working) await sleep(IDLE_MS);
    // It may be the same process, met again after a cut line: its cache must not outlive our memory of the names in it.
    await this.forgetRuns();
    this.#awaited = false;
    this.here = true;
    this.log("comfy_back", {});
    this.sockets.prepare();
    await this.onReborn();
  }

  /** Polls until ComfyUI answers; false when `withinMs` is over. No fixed sleeps: a warm one is found at once [G31]. */
  async ready(withinMs: number, signal: AbortSignal): Promise<boolean> {
    const deadline = Date.now() + withinMs;
    for (let waited = 100; !signal.aborted; waited = Math.min(waited * 1.5, 1_000)) {
      try {
        const stats = await this.comfy.systemStats(5_000);
        this.onAnswer();
        const device = stats.devices[0];
        this.info = { ...this.info, comfyui_version: stats.system.comfyui_version, ...(device === undefined ? {} : { gpu_name: device.name.slice(0, 200), vram_mb: Math.round(device.vram_total / 1024 / 1024) }) };
        return true;
      } catch (error) {
        if (Date.now() + waited > deadline) {
          this.log("comfy_unreachable", { error: words(error) });
          return false;
        }
        await sleep(waited, signal);
      }
    }
    return false;
  }

  /** Another workshop's job comes: nothing of the one before may be answered from a cache [G19]. */
  async enter(workshop: string): Promise<void> {
    if (this.#workshop !== null && this.#workshop !== workshop) {
      await this.clear();
      await this.folders.wipe();
    }
    this.#workshop = workshop;
  }

  /** Before the first job, and when ComfyUI is back: no earlier run goes on, comes out of its cache, or has bytes in its folders [G23]. */
  async forgetRuns(): Promise<void> {
    try {
      // Of a runner that was killed: nobody waits for it any more, and the next job would wait behind it.
      for (const id of this.folders.owned ? await this.comfy.marked(SEAT_TAG_INPUT) : []) {
        this.log("orphan_stopped", { job: id });
        await this.comfy.forget(id);
      }
      await this.clear();
    } catch (error) {
      this.log("runs_kept", { error: words(error) });
    }
    await this.folders.sweep();
  }

  /** Empties ComfyUI's cache of outputs and our memory of their names. */
  async clear(): Promise<void> {
    await this.comfy.free(false);
    this.memory.forget();
    this.inputs.forget();
  }
}
