// The workshop's GPUs as its shell sees them: told of every decision, woken by the alarm, asked by the doors.
import type { RunnerInfo } from "../../gpu-adapter/contract.ts";
import type { GpuProvider } from "../../gpu-adapter/port.ts";
import type { AttemptRef } from "../contract.ts";
import type { QueueEvent } from "../queue/index.ts";
import type { Shell } from "../shell.ts";
import { FactStore } from "./facts.ts";
import { Journal, noteOf } from "./journal.ts";
import { Keeper } from "./keeper.ts";
import { SelfTest } from "./self-test.ts";

export class Gpus {
  readonly facts: FactStore;
  readonly journal: Journal;
  readonly keeper: Keeper;
  readonly tests: SelfTest;
  readonly #now: () => number;
  readonly #open: (pool: string) => GpuProvider | null;
  readonly #keep: (work: Promise<void>) => void;

  constructor(shell: Shell) {
    this.#now = () => shell.engine.now();
    this.#open = (pool) => shell.providers.open(pool);
    this.#keep = (work) => shell.ctx.waitUntil(work.catch((error: unknown) => shell.complain("let_go_failed", error)));
    this.facts = new FactStore(shell.sql);
    this.journal = new Journal(shell.sql);
    this.tests = new SelfTest(shell);
    this.keeper = new Keeper({
      engine: shell.engine,
      providers: shell.providers,
      facts: this.facts,
      journal: this.journal,
      run: (command, record, delivered) => shell.run(command, record, delivered),
      setup: (pool) => shell.poolSetup(pool),
      keep: (work) => shell.ctx.waitUntil(work),
      complain: (event, error) => shell.complain(event, error),
      rearm: () => shell.rearm(),
    });
  }

  /** After a commit: what concerns the pools is written down in words. */
  heard(events: readonly QueueEvent[]): void {
    for (const event of events) {
      const note = noteOf(event, this.#now());
      if (note !== null) this.journal.note(note);
      this.tests.heard(event);
    }
  }

  claimed(ref: AttemptRef, runner: RunnerInfo): void {
    this.keeper.claimed(ref, runner);
  }

  /** The pool as it is set up now is no longer ours to keep up. */
  letGo(pool: string): void {
    this.#keep(this.keeper.letGo(pool, this.#open(pool)));
  }

  tick(): void {
    this.keeper.tick();
  }

  nextWake(): number | null {
    return this.keeper.nextWake();
  }
}
