// `--check`: one tiny job through this machine's ComfyUI and back, step by step, each with what to do when it fails [G31]. Talks to no platform.
import { randomUUID } from "node:crypto";
import type { Box } from "./box.ts";
import { CatalogKeeper } from "./catalog-keeper.ts";
import { findFiles } from "./output-files.ts";
import { readContent } from "./content.ts";
import { sleep, words } from "./log.ts";
import { lacking, type Required } from "./readiness.ts";
import { Run, type RunEnd } from "./run.ts";

type Say = (line: string) => void;
const quiet = (): void => {};
const READY_MS = 60_000;
const RUN_MS = 60_000;

/** A 64 x 64 picture in one colour, previewed: stock nodes that need no model. The colour differs from run to run, so nothing is cached. */
function tinyPrompt(): Record<string, unknown> {
  return {
    "1": { class_type: "EmptyImage", inputs: { width: 64, height: 64, batch_size: 1, color: Math.floor(Math.random() * 0xffffff) } },
    "2": { class_type: "PreviewImage", inputs: { images: ["1", 0] } },
  };
}

/** True when everything a job needs is there; says each step. */
export async function check(box: Box, required: Required, say: Say): Promise<boolean> {
  if (!(await box.ready(READY_MS, new AbortController().signal))) {
    say(`FAIL  ComfyUI does not answer at ${box.comfy.base}. Start it, or name its address with --comfy.`);
    return false;
  }
  say(`ok    ComfyUI ${box.info.comfyui_version ?? "of unknown version"} on ${box.info.gpu_name ?? "an unknown device"}, ${box.info.vram_mb ?? "?"} MB`);
  const catalog = new CatalogKeeper(box, quiet);
  try {
    await catalog.refresh();
  } catch (error) {
    say(`FAIL  Its catalog cannot be read: ${words(error)}`);
    return false;
  }
  const report = catalog.catalog?.report;
  if (report === undefined) return false;
  say(`ok    ${Object.keys(report.object_info).length} node classes, ${Object.values(report.models).flat().length} model files, ${report.web_files.length} web files of custom nodes`);
  const missing = lacking(report, { nodes: ["EmptyImage", "PreviewImage", ...required.nodes], models: required.models });
  for (const what of missing) say(`FAIL  Missing: ${what}`);
  if (missing.length > 0) return false;
  return await tinyJob(box, say);
}

async function tinyJob(box: Box, say: Say): Promise<boolean> {
  const id = randomUUID();
  let events = 0;
  const run = new Run(box, id, { message: ({ type, data }) => {
    if (data.prompt_id === id) events++;
    if (type === "executing" && data.node === null && data.prompt_id === id) void run.announced();
  }, binary: quiet, cut: quiet }, quiet);
  try {
    const socket = await box.sockets.take();
    run.follow(socket);
    const begun = performance.now();
    const accepted = await box.comfy.prompt({ prompt: tinyPrompt(), prompt_id: id, client_id: socket.clientId, extra_data: {} });
    if (!accepted.accepted) {
      say(`FAIL  ComfyUI refused the tiny prompt: ${JSON.stringify(accepted.body).slice(0, 500)}`);
      return false;
    }
    const end: RunEnd = await Promise.race([run.ended, sleep(RUN_MS).then((): RunEnd => ({ how: "gone", why: `It did not end within ${RUN_MS / 1000} s. Is ComfyUI busy with something else?` }))]);
    if (end.how === "gone") {
      say(`FAIL  The tiny job was lost: ${end.why}`);
      return false;
    }
    say(`ok    ran a tiny job in ${Math.round(performance.now() - begun)} ms, ${events} events over the socket`);
    return await fetchBack(box, end, say);
  } catch (error) {
    say(`FAIL  The tiny job failed: ${words(error)}`);
    return false;
  } finally {
    run.close();
  }
}

async function fetchBack(box: Box, end: RunEnd & { how: "history" }, say: Say): Promise<boolean> {
  const [file] = Object.values(end.entry.outputs).flatMap((output) => findFiles(output));
  const content = file === undefined ? null : await readContent(file, { comfy: box.comfy, folders: box.folders, spoolDir: box.workDir, seatTag: "", maxBytes: Infinity, signal: AbortSignal.timeout(READY_MS) });
  if (file === undefined || content === null || content.size === 0) {
    say("FAIL  The picture of the tiny job cannot be fetched. Are the folders given to the runner ComfyUI's own?");
    return false;
  }
  const local = box.folders.folder(file.type) === null ? "over HTTP" : (await box.folders.find(file)) === null ? null : "from disk";
  if (local === null) {
    say(`FAIL  --${file.type}-dir is not the folder ComfyUI writes to: ${file.filename} is not there.`);
    return false;
  }
  say(`ok    fetched ${file.filename}, ${content.size} bytes, ${local}`);
  await content.dispose();
  return true;
}
