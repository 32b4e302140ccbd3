// The deadlines of one run: when it must have started, how long it may be silent, how long it may take in all ([Q57], `limits` of the job document).
// Also the pulse that asks ComfyUI itself when its socket says nothing, because a message can be lost with a socket. Pure but for its one timer.
import type { JobError } from "../contract.ts";
import { failure } from "./conclude.ts";

export type WatchLimits = { start_s: number; exec_s: number; idle_event_s: number };
export type Overdue = "start" | "idle" | "exec";
export type WatchHooks = { overdue(which: Overdue): void; quiet(): void };

/** What an attempt says of a limit that was passed. */
export const OVERDUE: Record<Overdue, (limits: WatchLimits) => JobError> = {
  start: (limits) => failure("start_timeout", `ComfyUI did not begin the run within ${limits.start_s} s.`),
  idle: (limits) => failure("exec_timeout", `Nothing was heard from the run for ${limits.idle_event_s} s.`),
  exec: (limits) => failure("exec_timeout", `The run took longer than ${limits.exec_s} s.`),
};

/** Silence after which ComfyUI's history is asked (ms), and between two such questions. */
const QUIET_MS = 5_000;
const TICK_MS = 500;

/** Which limit is passed at `now`; all times ms on one clock, `startedAt` null until the run began. */
export function overdue(limits: WatchLimits, at: { now: number; postedAt: number; startedAt: number | null; activeAt: number }): Overdue | null {
  if (at.startedAt === null) return at.now - at.postedAt > limits.start_s * 1000 ? "start" : null;
  if (at.now - at.startedAt > limits.exec_s * 1000) return "exec";
  return at.now - at.activeAt > limits.idle_event_s * 1000 ? "idle" : null;
}

export class Watch {
  readonly #limits: WatchLimits;
  readonly #hooks: WatchHooks;
  readonly #postedAt = Date.now();
  #startedAt: number | null = null;
  #activeAt = Date.now();
  #askedAt = Date.now();
  #fired = false;
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(limits: WatchLimits, hooks: WatchHooks) {
    this.#limits = limits;
    this.#hooks = hooks;
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  activity(now: number): void {
    this.#activeAt = now;
  }

  started(): void {
    this.#startedAt = Date.now();
    this.#activeAt = this.#startedAt;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #tick(): void {
    const now = Date.now();
    const passed = overdue(this.#limits, { now, postedAt: this.#postedAt, startedAt: this.#startedAt, activeAt: this.#activeAt });
    if (passed !== null && !this.#fired) {
      this.#fired = true;
      this.#hooks.overdue(passed);
    }
    if (now - Math.max(this.#activeAt, this.#askedAt) < QUIET_MS) return;
    this.#askedAt = now;
    this.#hooks.quiet();
  }
}
