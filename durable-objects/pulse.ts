// One short timer for everything that is told at most so often [Q76]. Invariant: it runs only while something is left to tell and somebody is there to hear,
// and never for longer than one gap, so an idle workshop hibernates.

/** What comes together within this time (ms) is told together. */
const TOGETHER_MS = 50;

export class Pulse {
  readonly #now: () => number;
  readonly #beat: () => number;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #next = 0;

  /** `beat` does the telling and answers after how many ms it may be called again. */
  constructor(now: () => number, beat: () => number) {
    this.#now = now;
    this.#beat = beat;
  }

  get waiting(): boolean {
    return this.#timer !== null;
  }

  /** Something is to be told: soon, or when the last telling is a gap ago. */
  wake(): void {
    if (this.#timer !== null) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#next = this.#now() + this.#beat();
    }, Math.max(TOGETHER_MS, this.#next - this.#now()));
  }
}
