// The order in which a run's messages leave the runner, and how often [G16], [G17]. Invariants:
// - messages without a lane leave exactly once and in the order they came;
// - a message held for its files stops everything that came after it, until it is released;
// - of each lane (progress, previews) only the latest waits, and at least `gapMs` lies between two of them;
// - when a node ends or another begins, progress and previews still waiting are stale and are dropped.
// Pure: the clock is a parameter.

/** Kinds of messages of which only the latest matters. */
export type Lane = "progress" | "progress_state" | "preview";
/** What a message does to lanes that still wait: `turns` (another node now), `ends` (the run is over), or nothing. */
export type Effect = "none" | "turns" | "ends";

type Entry<T> = { value: T; lane: Lane | null; held: boolean; urgent: boolean };
export type Drained<T> = { out: T[]; /** ms on the same clock; null: nothing waits for time */ wakeAt: number | null };
/** Lets a held message go, with its final value. */
export type Release<T> = (value: T) => void;

export class Outbox<T> {
  #entries: Entry<T>[] = [];
  readonly #sentAt = new Map<Lane, number>();
  readonly #gapMs: Record<Lane, number>;

  constructor(gapMs: Record<Lane, number>) {
    this.#gapMs = gapMs;
  }

  get size(): number {
    return this.#entries.length;
  }

  push(value: T, effect: Effect = "none"): void {
    this.#retire(effect);
    this.#entries.push({ value, lane: null, held: false, urgent: false });
  }

  /** Like push, but nothing from here on leaves until the returned function is called. */
  hold(value: T, effect: Effect = "turns"): Release<T> {
    this.#retire(effect);
    const entry: Entry<T> = { value, lane: null, held: true, urgent: false };
    this.#entries.push(entry);
    return (final) => {
      entry.value = final;
      entry.held = false;
    };
  }

  /** Replaces what waits in this lane; the newest stands at the end. */
  replace(value: T, lane: Lane): void {
    this.#entries = this.#entries.filter((entry) => entry.lane !== lane || entry.urgent);
    this.#entries.push({ value, lane, held: false, urgent: false });
  }

  /** Takes out what may leave at `now` (ms) and says when to come again. */
  drain(now: number): Drained<T> {
    const out: T[] = [];
    const keep: Entry<T>[] = [];
    let wakeAt: number | null = null;
    let stopped = false;
    for (const entry of this.#entries) {
      stopped ||= entry.held;
      const due = stopped ? null : this.#dueAt(entry, now);
      if (due === null || due > now) {
        keep.push(entry);
        if (due !== null) wakeAt = Math.min(wakeAt ?? due, due);
        continue;
      }
      out.push(entry.value);
      if (entry.lane !== null) this.#sentAt.set(entry.lane, now);
    }
    this.#entries = keep;
    return { out, wakeAt };
  }

  #dueAt(entry: Entry<T>, now: number): number {
    if (entry.lane === null || entry.urgent) return now;
    const last = this.#sentAt.get(entry.lane);
    return last === undefined ? now : last + this.#gapMs[entry.lane];
  }

  /** The last progress_state of a run is its final picture: it leaves before the end, however soon after the one before. */
  #retire(effect: Effect): void {
    if (effect === "none") return;
    this.#entries = this.#entries.filter((entry) => entry.lane === null || entry.lane === "progress_state");
    if (effect === "ends") for (const entry of this.#entries) entry.urgent = true;
  }
}
