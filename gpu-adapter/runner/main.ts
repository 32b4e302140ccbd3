// The runner's entry: options, ComfyUI, mode, signals. One job at a time, one process, no state that a restart would miss.
import { randomUUID } from "node:crypto";
import { Box } from "./box.ts";
import { CatalogKeeper } from "./catalog-keeper.ts";
import { check } from "./check.ts";
import { Comfy } from "./comfy.ts";
import { ComfyFolders } from "./disk.ts";
import { HttpRunner } from "./http.ts";
import { type Log, logger, words } from "./log.ts";
import { OptionError, type Options, readOptions } from "./options.ts";
import { Misconfigured, PullRunner } from "./pull.ts";
import { Readiness } from "./readiness.ts";
import { Supervisor } from "./supervisor.ts";
import { VERSION } from "./version.ts";

/** SIGTERM to the last word to the platform: with ComfyUI's own end after it all stays inside 10 s [G31]. */
const DRAIN_MS = 8_000;
/** ComfyUI may take this long to answer for the first time: models on a network disk (ms). */
const START_MS = 30 * 60_000;
/** How often it is looked whether models or nodes were added (ms). */
const CATALOG_MS = 10 * 60_000;
/** Exit codes as in sysexits.h: usage, configuration, fault of our own. */
const EX_USAGE = 64;
const EX_CONFIG = 78;
const EX_FAULT = 70;

type Parts = { given: Options; box: Box; catalog: CatalogKeeper; readiness: Readiness; supervisor: Supervisor | null; log: Log };

function options(): Options {
  try {
    return readOptions(process.argv.slice(2), process.env);
  } catch (error) {
    process.stderr.write(`${error instanceof OptionError ? error.message : words(error)}\n`);
    process.exit(EX_USAGE);
  }
}

type Ending = { asked(): boolean; /** never resolves before everything is stopped */ done: Promise<void> };

/** Calls `stop` at the first SIGTERM or SIGINT; a second one ends the process at once. */
function onSignal(log: Log, stop: () => Promise<void>): Ending {
  let asked = false;
  const done = Promise.withResolvers<void>();
  const handle = (signal: string): void => {
    if (asked) process.exit(1);
    asked = true;
    log("stopping", { signal });
    void stop().then(done.resolve);
  };
  process.on("SIGTERM", handle);
  process.on("SIGINT", handle);
  return { asked: () => asked, done: done.promise };
}

/** New models, new nodes, a new ComfyUI: `changed` is called when the catalog differs, `woken` when ComfyUI came back. */
function keepCatalog({ box, catalog, log }: Parts, changed: () => Promise<void>, woken: () => void): void {
  const look = async (): Promise<void> => {
    try {
      if (await catalog.refresh()) await changed();
    } catch (error) {
      log("catalog_unreadable", { error: words(error) });
    }
  };
  box.onReborn = async () => {
    await look();
    woken();
  };
  setInterval(() => void look(), CATALOG_MS).unref();
}

/** Resolves when ComfyUI is ready, or when starting was given up; throws when ComfyUI never answered. */
async function comeUp({ given, box, readiness }: Parts, signal: AbortSignal): Promise<void> {
  if (await readiness.reach(START_MS, signal)) box.sockets.prepare();
  else if (!signal.aborted) throw new Error(`ComfyUI at ${given.comfy} did not answer. Is it running, and is --comfy right?`);
}

async function pull(parts: Parts): Promise<number> {
  const { given, box, readiness, supervisor, log } = parts;
  const starting = new AbortController();
  const runner = new PullRunner(parts, given);
  const ending = onSignal(log, async () => {
    starting.abort();
    await runner.stop(DRAIN_MS);
    await supervisor?.stop();
  });
  keepCatalog(parts, () => runner.announceCatalog(), () => runner.tellStage());
  readiness.onChange = () => runner.tellStage();
  box.onVanished = () => runner.tellStage();
  // The platform hears of the machine from its first second on, not only when it can work.
  await Promise.all([comeUp(parts, starting.signal), runner.run()]);
  if (ending.asked()) await ending.done;
  return 0;
}

async function http(parts: Parts): Promise<number> {
  const { given, box, catalog, readiness, supervisor, log } = parts;
  const starting = new AbortController();
  const gate = { key: given.dispatchKey, allowedOrigins: given.allowedOrigins };
  const runner = new HttpRunner({ box, catalog, readiness, gate, once: given.mode === "http-once", log });
  const ending = onSignal(log, async () => {
    starting.abort();
    await runner.stop(DRAIN_MS);
    await supervisor?.stop();
  });
  log("listening", { port: await runner.listen(given.host, given.port) });
  keepCatalog(parts, async () => {}, () => {});
  await comeUp(parts, starting.signal);
  const code = await runner.ended;
  await (ending.asked() ? ending.done : supervisor?.stop());
  return code;
}

async function checked({ box, given, supervisor }: Parts): Promise<number> {
  const fine = await check(box, { nodes: given.requiredNodes, models: given.requiredModels }, (line) => void process.stdout.write(`${line}\n`));
  await supervisor?.stop();
  return fine ? 0 : 1;
}

async function main(): Promise<number> {
  const given = options();
  const log: Log = given.mode === "check" ? () => {} : logger({ pid: process.pid });
  // A fault of ours ends the process: its lease runs out and the job goes on elsewhere, which beats a runner in an unknown state.
  process.on("unhandledRejection", (error) => {
    log("runner_fault", { error: words(error) });
    process.exit(EX_FAULT);
  });
  const info = { id: randomUUID(), version: VERSION, mode: given.mode === "check" ? ("pull" as const) : given.mode, ...given.about };
  const box = new Box({ comfy: new Comfy(given.comfy), folders: new ComfyFolders(given.folders), workDir: given.workDir, info, log });
  const catalog = new CatalogKeeper(box, log);
  const readiness = new Readiness(box, catalog, { nodes: given.requiredNodes, models: given.requiredModels }, log);
  const supervisor = given.comfyCmd === null ? null : new Supervisor(given.comfyCmd, box, given, log);
  log("runner", { version: VERSION, mode: given.mode, runner: info.id, comfy: given.comfy, up_ms: Math.round(performance.now()) });
  supervisor?.start();
  try {
    const parts = { given, box, catalog, readiness, supervisor, log };
    return await (given.mode === "check" ? checked(parts) : given.mode === "pull" ? pull(parts) : http(parts));
  } catch (error) {
    log("runner_failed", { error: words(error) });
    await supervisor?.stop();
    return error instanceof Misconfigured ? EX_CONFIG : 1;
  }
}

process.exit(await main());
