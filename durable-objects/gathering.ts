// Group commit: commands that arrive while the last commit is on its way to the disk are decided together, as one decision, one transaction and one log
// entry. Invariant: nobody is answered before the commit that holds his command, and a failed one fails all that were in it, with nothing changed.
import type { Delivered } from "./job-keeper.ts";
import type { BatchAnswer, Changes, Command, Decision, ResultCommand } from "./queue/index.ts";

type Gathered = Extract<Command, { type: "submit" }> | ResultCommand;

/** One command in the making. */
export type Prepared = {
  command: Gathered;
  /** What a result brought, for the rows of the job it ends. */
  delivered?: Delivered;
  /** Joins the transaction; takes out of `changes` what it has written itself. */
  record?: (answer: BatchAnswer, changes: Changes) => void;
  /** After the commit. */
  done: (answer: BatchAnswer) => void;
};
/** `prepare` runs right before the decision, so that what it reads still holds; null: nothing is left to decide. */
export type Entry = { prepare: () => Prepared | null; failed: (error: unknown) => void };

export type GatheringParts = {
  /** Resolves when everything written so far is safe; at once when nothing is on its way. */
  sync: () => Promise<void>;
  run: (command: Gathered | Extract<Command, { type: "batch" }>, record: (decision: Decision) => void, delivered: Delivered[]) => Decision;
};

export class Gathering {
  readonly #parts: GatheringParts;
  #entries: Entry[] = [];

  constructor(parts: GatheringParts) {
    this.#parts = parts;
  }

  enter(entry: Entry): void {
    this.#entries.push(entry);
    if (this.#entries.length === 1) void this.#parts.sync().finally(() => this.#decide());
  }

  #decide(): void {
    const entries = this.#entries;
    this.#entries = [];
    let waiting: Entry[] = entries;
    try {
      const prepared = entries.flatMap((entry) => {
        const one = entry.prepare();
        return one === null ? [] : [{ ...one, entry }];
      });
      waiting = prepared.map(({ entry }) => entry);
      const answers = this.#run(prepared);
      waiting = [];
      for (const [n, { done }] of prepared.entries()) done(answers[n] as BatchAnswer);
    } catch (error) {
      for (const { failed } of waiting) failed(error);
      if (waiting.length === 0) throw error;
    }
  }

  #run(prepared: Prepared[]): BatchAnswer[] {
    const [first] = prepared;
    if (first === undefined) return [];
    const delivered = prepared.flatMap((one) => (one.delivered === undefined ? [] : [one.delivered]));
    if (prepared.length === 1) return [this.#parts.run(first.command, (made) => first.record?.(made, made.changes), delivered)];
    const decision = this.#parts.run({ type: "batch", commands: prepared.map(({ command }) => command) }, (made) => {
      const answers = made.ok ? (made.result as BatchAnswer[]) : [];
      for (const [n, answer] of answers.entries()) prepared[n]?.record?.(answer, made.changes);
    }, delivered);
    return decision.ok ? (decision.result as BatchAnswer[]) : prepared.map(() => decision);
  }
}
