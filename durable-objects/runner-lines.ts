// Who is connected to run jobs, and how each runner stands, in words. Pure over the sockets' attachments, so it is the same before and after hibernation.
import type { RunnerStage } from "../gpu-adapter/contract.ts";
import type { RunnerLine } from "./contract.ts";
import type { RunnerSocket } from "./sockets.ts";

/** `at` of every runner's socket; those that have not introduced themselves are left out. */
export function runnerLines(sockets: readonly { at: RunnerSocket }[]): RunnerLine[] {
  return sockets.flatMap(({ at }) => {
    if (at.runner === null) return [];
    const { stage, missing, says } = standing(at);
    return [{ id: at.runner.id, pool: at.pool, busy: at.job !== null, stage, missing, says, gpu: at.runner.gpu_name ?? null, comfyui: at.runner.comfyui_version ?? null, last_seen: at.since }];
  });
}

type Standing = { stage: RunnerStage | null; missing: string[]; says: string };

/** A runner that has work or asks for it is ready, whatever its last hello said: the wish came later. */
function standing({ job, waiting, stage = null, missing = [] }: RunnerSocket): Standing {
  if (job !== null) return { stage: "ready", missing: [], says: "busy" };
  if (waiting) return { stage: "ready", missing: [], says: "idle" };
  return { stage, missing, says: wordsOf(stage, missing) };
}

function wordsOf(stage: RunnerStage | null, missing: readonly string[]): string {
  if (missing.length > 0) return `not ready, missing: ${missing.join(", ")}`;
  switch (stage) {
    case "process":
      return "starting: ComfyUI does not answer yet";
    case "comfyui":
      return "starting: ComfyUI is up, its nodes and models are looked through";
    case "inventory":
      return "starting: everything is there, ComfyUI's cache is emptied";
    case "ready":
    case null:
      return "connected, has not asked for work";
  }
}
