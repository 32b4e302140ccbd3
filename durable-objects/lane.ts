// A lane for outbound calls: so many at once, and calls about one thing one after the other.

export class Lane {
  readonly #width: number;
  #running = 0;
  readonly #queue: { key: string; start: () => void }[] = [];
  readonly #held = new Set<string>();

  constructor(width: number) {
    this.#width = width;
  }

  /** Resolves when `work` is done; it begins when the lane has room and nothing else of this key is under way. `work` must not reject. */
  enter(key: string, work: () => Promise<void>): Promise<void> {
    return new Promise<void>((resolve) => {
      this.#queue.push({ key, start: () => void this.#run(key, work).then(resolve) });
      this.#next();
    });
  }

  /** Whether something of this key waits for its turn. */
  waiting(key: string): boolean {
    return this.#queue.some((entry) => entry.key === key);
  }

  async #run(key: string, work: () => Promise<void>): Promise<void> {
    try {
      // Never inside the decision that asked for it: what comes of a call is a command of its own.
      await Promise.resolve();
      await work();
    } finally {
      this.#running--;
      this.#held.delete(key);
      this.#next();
    }
  }

  #next(): void {
    while (this.#running < this.#width) {
      const at = this.#queue.findIndex(({ key }) => !this.#held.has(key));
      const [entry] = at < 0 ? [] : this.#queue.splice(at, 1);
      if (entry === undefined) return;
      this.#running++;
      this.#held.add(entry.key);
      entry.start();
    }
  }
}
