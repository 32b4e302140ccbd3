// An attempt that fails for a known reason carries it as the contract's error.
import type { JobError } from "../contract.ts";

export class JobFailure extends Error {
  readonly error: JobError;
  constructor(error: JobError) {
    super(error.message);
    this.error = error;
  }
}
