// What an attempt reports [G24], put together from everything that is known at its end. Pure but for the signature.
import { resultHmac } from "../canonical.ts";
import type { Dispatch, ProducedFile, RunnerInfo, RunResult } from "../contract.ts";
import { type Conclusion, executionMs, type Messages } from "./conclude.ts";
import { withoutFiles, withoutFullPaths } from "./output-files.ts";
import type { RunEnd } from "./run.ts";

export type AttemptFacts = {
  dispatch: Dispatch;
  lease: string;
  /** ComfyUI's history entry, when it was read. */
  entry: (RunEnd & { how: "history" })["entry"] | null;
  /** What was heard of the run beside it. */
  heard: { messages: Messages; outputs: Record<string, unknown> };
  conclusion: Conclusion;
  files: ProducedFile[];
  /** Keys of the files in these outputs that nobody can fetch. */
  unfetchable: (outputs: unknown) => ReadonlySet<string>;
  runner: RunnerInfo;
  /** `load_ms` as counted, whatever the run's own stamps say; `cold_ms` belongs to a runner's first job only. */
  timings: RunResult["timings"] & { load_ms: number; gpu_ms: number };
  firstJob: boolean;
};

export async function resultOf({ dispatch, lease, entry, heard, conclusion, files, unfetchable, runner, timings, firstJob }: AttemptFacts): Promise<RunResult> {
  const { status, error } = conclusion;
  const messages = entry?.status?.messages ?? heard.messages;
  const outputs = withoutFullPaths(entry?.outputs ?? heard.outputs) as Record<string, unknown>;
  const { load_ms, ...others } = timings;
  const ran = executionMs(messages);
  return {
    lease_id: lease,
    status,
    files,
    // Whoever sees a name can fetch it [G17], also of a run that failed or was stopped.
    comfy_outputs: Object.fromEntries(Object.entries(outputs).map(([node, output]) => [node, withoutFiles(output, unfetchable(output))])),
    comfy_messages: messages,
    comfy_meta: entry?.meta ?? {},
    ...(error === null ? {} : { error }),
    timings: {
      ...others,
      ...(ran === null ? {} : { exec_ms: ran, load_ms: Math.min(load_ms, ran) }),
      ...(firstJob && runner.cold_start_ms !== undefined ? { cold_ms: runner.cold_start_ms } : {}),
    },
    runner,
    hmac: await resultHmac(dispatch.callback.token, lease, status, dispatch.job_id, dispatch.attempt),
  };
}
