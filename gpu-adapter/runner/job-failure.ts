// What was thrown in an attempt, as the contract's error. Pure.
import type { JobError } from "../contract.ts";
import { BeyondAllowance, UploadFailure } from "./allowance.ts";
import { ComfyError } from "./comfy.ts";
import { failure } from "./conclude.ts";
import { words } from "./log.ts";

/** An attempt that fails for a known reason carries it. */
export class JobFailure extends Error {
  readonly error: JobError;
  constructor(error: JobError) {
    super(error.message);
    this.error = error;
  }
}

/** `internal` for what nobody expected. */
export function errorOf(error: unknown): JobError {
  if (error instanceof JobFailure) return error.error;
  if (error instanceof UploadFailure) return storeError(error);
  if (error instanceof ComfyError) return failure("comfy_crash", error.message);
  return failure("internal", words(error));
}

/** Files that could not be stored. Too many or too large ones are the graph's own doing: the seat is told so at its node, and nobody is alarmed. */
export function storeError(error: unknown): JobError {
  if (!(error instanceof BeyondAllowance)) return failure("upload_failed", words(error));
  return { ...failure("node_error", error.message), node_id: error.nodeId, exception_type: "OutputLimit" };
}
