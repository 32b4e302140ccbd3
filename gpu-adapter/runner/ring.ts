// Events that were sent and not yet acknowledged, kept so that a reconnect loses nothing [G16]. Bounded: when it is full the oldest event that a
// later one replaces anyway (progress) goes first; events that may never be dropped stay, their number is bounded by the nodes of the graph.
import type { RunnerEvent } from "../contract.ts";

type Entry = { event: RunnerEvent; bytes: number; replaceable: boolean };
export type RingLimits = { entries: number; bytes: number };

/** Enough for minutes of progress of a large graph while the platform restarts. */
export const RING_LIMITS: RingLimits = { entries: 2_000, bytes: 8 * 1024 * 1024 };

export class Ring {
  #entries: Entry[] = [];
  #bytes = 0;
  readonly #limits: RingLimits;

  constructor(limits: RingLimits = RING_LIMITS) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#entries.length;
  }

  /** Keeps `event` until it is acknowledged; `bytes` is its size on the wire. */
  push(event: RunnerEvent, bytes: number, replaceable: boolean): void {
    this.#entries.push({ event, bytes, replaceable });
    this.#bytes += bytes;
    while (this.#entries.length > this.#limits.entries || this.#bytes > this.#limits.bytes) {
      const victim = this.#entries.findIndex((entry) => entry.replaceable);
      if (victim < 0) return;
      this.#remove(victim);
    }
  }

  /** Forgets everything up to and including `seq`. */
  ack(seq: number): void {
    while (this.#entries.length > 0) {
      const head = this.#entries[0];
      if (head === undefined || head.event.seq > seq) return;
      this.#remove(0);
    }
  }

  /** What the platform has not confirmed, oldest first; at most `limit`. */
  unacked(limit = Number.POSITIVE_INFINITY): RunnerEvent[] {
    return this.#entries.slice(0, limit).map((entry) => entry.event);
  }

  #remove(index: number): void {
    const [gone] = this.#entries.splice(index, 1);
    if (gone !== undefined) this.#bytes -= gone.bytes;
  }
}
