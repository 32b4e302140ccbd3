// How much one job may store: `max_files` and `max_total_bytes` of its document [G12]. Pure. Invariant: what is beyond is known before it is read whole, so
// that a film of any size cannot fill this machine's disk on its way to being refused.

/** Storing failed for good; the run itself may be fine. */
export class UploadFailure extends Error {}

/** The run makes more than a job may store: the graph's own doing, which another try would only repeat. */
export class BeyondAllowance extends UploadFailure {
  readonly nodeId: string;
  constructor(nodeId: string, message: string) {
    super(message);
    this.nodeId = nodeId;
  }
}

export type StoreLimits = { max_files: number; max_total_bytes: number };

export class Allowance {
  readonly #limits: StoreLimits;
  #files = 0;
  #bytes = 0;

  constructor(limits: StoreLimits) {
    this.#limits = limits;
  }

  /** Bytes that the next file may have; throws BeyondAllowance when there may be no next one. */
  left(nodeId: string): number {
    if (this.#files >= this.#limits.max_files) throw new BeyondAllowance(nodeId, `The run made more than ${this.#limits.max_files} files, the most that one job may store. It was stopped there, and what this node made is not kept. Make fewer files in one run: a smaller batch, or several runs.`);
    return this.#limits.max_total_bytes - this.#bytes;
  }

  /** Counts a file of `size` bytes in; throws BeyondAllowance when it is one too many or does not fit. */
  take(nodeId: string, size: number): void {
    if (size > this.left(nodeId)) throw this.tooLarge(nodeId);
    this.#files += 1;
    this.#bytes += size;
  }

  tooLarge(nodeId: string): BeyondAllowance {
    return new BeyondAllowance(nodeId, `The run's files are larger than ${inWords(this.#limits.max_total_bytes)} together, the most that one job may store. It was stopped there, and what this node made is not kept. Make the video shorter or smaller, or save it compressed.`);
  }
}

function inWords(bytes: number): string {
  return bytes >= 1024 ** 3 ? `${Math.round((bytes / 1024 ** 3) * 10) / 10} GB` : `${Math.round((bytes / 1024 ** 2) * 10) / 10} MB`;
}
