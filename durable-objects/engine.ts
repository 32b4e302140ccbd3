// load -> decide -> commit: the only place where the queue's state changes. Invariants: one transaction per decision, state first [Q6];
// every command that changed anything is in the log with its time [Q5]; when a commit fails the state is read again, as if nothing had been asked.
import { brief } from "./log-entry.ts";
import { addChanges, type Changes, type Command, type CommandType, type Decision, decide, hasChanges, type QueueEvent, type QueueState, restore } from "./queue/index.ts";
import { loadRows, writeChanges } from "./queue-store.ts";
import { integer, type Sql } from "./sql.ts";

/** A command that follows from a decision, and what of it joins the transaction. */
export type Step = { command: Command; record: (decision: Decision) => void };
type Decided = { command: Command; decision: Decision; logged: boolean; record: () => void };

export class Engine {
  readonly #sql: Sql;
  readonly #clock: () => number;
  #state: QueueState;
  #revision: number;

  constructor(sql: Sql, clock: () => number) {
    this.#sql = sql;
    this.#clock = clock;
    this.#state = restore(loadRows(sql));
    this.#revision = integer(sql.all("SELECT COALESCE(MAX(revision), 0) AS n FROM log")[0] ?? {}, "n");
  }

  get state(): QueueState {
    return this.#state;
  }

  /** Rises with every committed decision; every frame to a dashboard carries it [CF14]. */
  get revision(): number {
    return this.#revision;
  }

  now(): number {
    return this.#clock();
  }

  /**
   * Decides and commits. `record` runs inside the same transaction, before the queue's own rows: what it has written itself it takes out of `changes`.
   * `follow` may answer a decision with one more command, decided at the same moment and committed with it; each has its own log entry, the rows are
   * written once. Throws only when the database does; then nothing has changed and the state is what the database says.
   */
  run<T extends CommandType>(command: Extract<Command, { type: T }>, record: (decision: Decision<T>) => void = () => undefined, follow: (decision: Decision) => Step | null = () => null): Decision<T> {
    const now = this.#clock();
    try {
      const decision = decide(this.#state, command, now) as Decision<T>;
      const steps: Decided[] = [{ command, decision, logged: worthLogging(decision), record: () => record(decision) }];
      for (let next = follow(decision); next !== null; ) {
        const step = next;
        const made = decide(this.#state, step.command, now);
        steps.push({ command: step.command, decision: made, logged: worthLogging(made), record: () => step.record(made) });
        // From here on both speak of the same rows.
        addChanges(decision.changes, made.changes);
        made.changes = decision.changes;
        next = follow(made);
      }
      if (decision.ok || steps.some(({ logged }) => logged)) this.#commit(steps, decision.changes, now);
      return decision;
    } catch (error) {
      this.#state = restore(loadRows(this.#sql));
      this.#revision = integer(this.#sql.all("SELECT COALESCE(MAX(revision), 0) AS n FROM log")[0] ?? {}, "n");
      throw error;
    }
  }

  #commit(steps: Decided[], changes: Changes, now: number): void {
    this.#sql.transaction(() => {
      for (const { command, decision, logged, record } of steps) {
        record();
        if (logged) this.#log(command, decision.events, now);
      }
      writeChanges(this.#sql, this.#state, changes);
    });
  }

  #log(command: Command, events: QueueEvent[], now: number): void {
    this.#revision++;
    this.#sql.all("INSERT INTO log (revision, at, command, events) VALUES (?, ?, ?, ?)", this.#revision, now, JSON.stringify(command), JSON.stringify(events.map(brief)));
  }
}

function worthLogging({ changes, events }: Decision): boolean {
  return events.length > 0 || hasChanges(changes);
}
