// The runner's entry: options, ComfyUI, mode, signals. One job at a time, one process, no state that a restart would miss.
import { randomUUID } from "node:crypto";
import type { RunnerInfo } from "../contract.ts";
import { Box } from "./box.ts";
import { CatalogKeeper } from "./catalog-keeper.ts";
import { Comfy } from "./comfy.ts";
import { ComfyFolders } from "./disk.ts";
import { type Log, logger, sleep, words } from "./log.ts";
import { OptionError, type Options, readOptions } from "./options.ts";
import { Misconfigured, PullRunner } from "./pull.ts";
import { VERSION } from "./version.ts";

/** SIGTERM to the end of the process: 10 s, inside every provider's 30 s [G31]. */
const DRAIN_MS = 9_000;
/** ComfyUI may take this long to answer for the first time: models on a network disk (ms). */
const START_MS = 30 * 60_000;
/** How often an idle runner looks whether models or nodes were added (ms). */
const CATALOG_MS = 10 * 60_000;

function options(): Options {
  try {
    return readOptions(process.argv.slice(2), process.env);
  } catch (error) {
    process.stderr.write(`${error instanceof OptionError ? error.message : words(error)}\n`);
    process.exit(64);
  }
}

async function pull(given: Options, box: Box, log: Log): Promise<void> {
  const starting = new AbortController();
  const catalog = new CatalogKeeper(box, log);
  const runner = new PullRunner(box, given, catalog, log);
  const stop = (signal: string): void => {
    log("stopping", { signal });
    starting.abort();
    void runner.stop(DRAIN_MS).then(() => process.exit(0));
  };
  process.once("SIGTERM", () => stop("SIGTERM"));
  process.once("SIGINT", () => stop("SIGINT"));
  if (!(await box.ready(START_MS, starting.signal))) {
    if (starting.signal.aborted) return;
    throw new Error(`ComfyUI at ${given.comfy} did not answer. Is it running, and is --comfy right?`);
  }
  log("comfy_up", { comfyui: box.info.comfyui_version, gpu: box.info.gpu_name });
  if (box.folders.emptiesFiles) await box.clear();
  await catalog.refresh();
  setInterval(() => void refresh(catalog, runner, log), CATALOG_MS).unref();
  await runner.run();
}

async function refresh(catalog: CatalogKeeper, runner: PullRunner, log: Log): Promise<void> {
  try {
    if (await catalog.refresh()) await runner.announceCatalog();
  } catch (error) {
    log("catalog_unreadable", { error: words(error) });
  }
}

async function main(): Promise<void> {
  const given = options();
  const log = logger({ runner: process.pid });
  if (given.mode !== "pull") throw new OptionError(`The mode "${given.mode}" is not part of this build.`);
  const info: RunnerInfo = { id: randomUUID(), version: VERSION, mode: given.mode };
  const box = new Box({ comfy: new Comfy(given.comfy), folders: new ComfyFolders(given.folders), workDir: given.workDir, info, log });
  log("runner", { version: VERSION, mode: given.mode, comfy: given.comfy, up_ms: Math.round(performance.now()) });
  try {
    await pull(given, box, log);
  } catch (error) {
    log("runner_failed", { error: words(error) });
    await sleep(0);
    process.exit(error instanceof Misconfigured ? 78 : 1);
  }
}

await main();
