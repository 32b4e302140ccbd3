// A job's inputs, placed before its prompt: within the time the job document allows, with fresh addresses when the signed ones have ended [G10].
import type { Dispatch, JobDocument, RunnerInfo } from "../contract.ts";
import { failure } from "./conclude.ts";
import { ExpiredUrl, type InputFile, InputFailure, type Inputs } from "./inputs.ts";
import { JobFailure } from "./job-failure.ts";
import { type AttemptRoutes, Unanswered } from "./platform.ts";

export type Placing = { inputs: Inputs; dispatch: Dispatch; document: JobDocument; routes: AttemptRoutes; runner: RunnerInfo; signal: AbortSignal };

/** Throws JobFailure with `input_fetch` or `input_missing`, Refused when the lease is gone, ComfyError when ComfyUI does not take a file. */
export async function placeInputs(files: readonly InputFile[], { inputs, dispatch, document, routes, runner, signal }: Placing): Promise<void> {
  const { input_fetch_s } = document.limits;
  const within = AbortSignal.any([signal, AbortSignal.timeout(Math.ceil(input_fetch_s * 1000))]);
  try {
    await inputs.place(files, within).catch(async (error: unknown) => {
      if (!(error instanceof ExpiredUrl)) throw error;
      // The same runner claiming again is given the same lease and fresh addresses.
      const again = await routes.claim({ dispatch_id: dispatch.dispatch_id, runner });
      const fresh = again.job ?? (again.job_url === undefined ? document : await routes.document(again.job_url));
      await inputs.place(fresh.inputs.filter(({ name }) => files.some((file) => file.name === name)), within);
    });
  } catch (error) {
    if (error instanceof InputFailure) throw new JobFailure(failure(error.code, error.message));
    if (within.aborted && !signal.aborted) throw new JobFailure(failure("input_fetch", `The inputs were not here within ${input_fetch_s} s.`));
    if (error instanceof ExpiredUrl || error instanceof Unanswered) throw new JobFailure(failure("input_fetch", error.message));
    throw error;
  }
}
