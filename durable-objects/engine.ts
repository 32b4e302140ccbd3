// load -> decide -> commit: the only place where the queue's state changes. Invariants: one transaction per decision, state first [Q6];
// every command that changed anything is in the log with its time [Q5]; when a commit fails the state is read again, as if nothing had been asked.
import { brief } from "./log-entry.ts";
import { type Command, type CommandType, type Decision, decide, hasChanges, type QueueEvent, type QueueState, restore } from "./queue/index.ts";
import { loadRows, writeChanges } from "./queue-store.ts";
import { integer, type Sql } from "./sql.ts";

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
   * Throws only when the database does; then nothing has changed and the state is what the database says.
   */
  run<T extends CommandType>(command: Extract<Command, { type: T }>, record: (decision: Decision<T>) => void = () => undefined): Decision<T> {
    const now = this.#clock();
    const decision = decide(this.#state, command, now) as Decision<T>;
    const changed = hasChanges(decision.changes);
    if (!changed && decision.events.length === 0 && !decision.ok) return decision;
    try {
      this.#sql.transaction(() => {
        record(decision);
        writeChanges(this.#sql, this.#state, decision.changes);
        if (changed || decision.events.length > 0) this.#log(command, decision.events, now);
      });
    } catch (error) {
      this.#state = restore(loadRows(this.#sql));
      this.#revision = integer(this.#sql.all("SELECT COALESCE(MAX(revision), 0) AS n FROM log")[0] ?? {}, "n");
      throw error;
    }
    return decision;
  }

  #log(command: Command, events: QueueEvent[], now: number): void {
    this.#revision++;
    this.#sql.all("INSERT INTO log (revision, at, command, events) VALUES (?, ?, ?, ?)", this.#revision, now, JSON.stringify(command), JSON.stringify(events.map(brief)));
  }
}
