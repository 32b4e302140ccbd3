// From the start of the process to "give me work": each stage is a signal that was seen, never a guess [G30]. The health route, the log and a pool's socket
// tell the same.
import type { RunnerInfo, RunnerStage } from "../contract.ts";
import type { Box } from "./box.ts";
import type { Catalog } from "./catalog.ts";
import type { CatalogKeeper } from "./catalog-keeper.ts";
import { type Log, sleep, words } from "./log.ts";

export type Required = { nodes: readonly string[]; models: readonly string[] };

/** How often a box that lacks required nodes or models is looked at again (ms): a network disk may still be mounting. */
const LOOK_AGAIN_MS = 5_000;

/** What is required and not there, in words. */
export function lacking(catalog: Catalog["report"], required: Required): string[] {
  const nodes = required.nodes.filter((name) => catalog.object_info[name] === undefined).map((name) => `node class ${name}`);
  const models = required.models.filter((path) => {
    const cut = path.indexOf("/");
    return cut < 0 || catalog.models[path.slice(0, cut)]?.includes(path.slice(cut + 1)) !== true;
  });
  return [...nodes, ...models.map((path) => `model ${path}`)];
}

export class Readiness {
  readonly #box: Box;
  readonly #catalog: CatalogKeeper;
  readonly #required: Required;
  readonly #log: Log;
  #reached: RunnerStage = "process";
  missing: string[] = [];
  /** Another stage was reached, or something else is missing. */
  onChange: () => void = () => {};

  constructor(box: Box, catalog: CatalogKeeper, required: Required, log: Log) {
    this.#box = box;
    this.#catalog = catalog;
    this.#required = required;
    this.#log = log;
  }

  /** Where it stands now: a ComfyUI that went away is awaited again, whatever was reached before. */
  get stage(): RunnerStage {
    return this.#box.here ? this.#reached : "process";
  }

  get ready(): boolean {
    return this.stage === "ready";
  }

  /** Resolves when everything required is there; false when the signal fired or `withinMs` passed without ComfyUI. */
  async reach(withinMs: number, signal: AbortSignal): Promise<boolean> {
    if (!(await this.#box.ready(withinMs, signal))) return false;
    this.#enter("comfyui");
    while (!signal.aborted) {
      const missing = await this.#look();
      const changed = missing.join() !== this.missing.join();
      this.missing = missing;
      if (missing.length === 0) break;
      this.#log("inventory_incomplete", { missing: missing.join(", ").slice(0, 500) });
      if (changed) this.onChange();
      await sleep(LOOK_AGAIN_MS, signal);
    }
    if (signal.aborted) return false;
    this.#enter("inventory");
    // Names of emptied or foreign files must not come back out of ComfyUI's cache after a restart of ours [G23].
    await this.#box.forgetRuns();
    const info: RunnerInfo = { ...this.#box.info, cold_start_ms: Math.round(performance.now()) };
    this.#box.info = info;
    this.#enter("ready");
    return true;
  }

  async #look(): Promise<string[]> {
    try {
      await this.#catalog.refresh();
      const report = this.#catalog.catalog?.report;
      return report === undefined ? ["the catalog"] : lacking(report, this.#required);
    } catch (error) {
      return [`an answer of ComfyUI (${words(error)})`];
    }
  }

  #enter(stage: RunnerStage): void {
    this.#reached = stage;
    this.#log("stage", { stage, at_ms: Math.round(performance.now()), comfyui: this.#box.info.comfyui_version, gpu: this.#box.info.gpu_name });
    this.onChange();
  }
}
