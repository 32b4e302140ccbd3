// One entry of the event log [Q5]: a command with its time, and what came of it in few words. Pure. A replay must give the same words again.
import type { Command, QueueEvent } from "./queue/index.ts";

export type LogEntry = { revision: number; at: number; command: Command; events: Record<string, unknown>[] };

/** An event as the log keeps it: what happened to whom and why; records stand in their own tables. */
export function brief(event: QueueEvent): Record<string, unknown> {
  switch (event.type) {
    case "job_ended":
      return { type: event.type, job: event.job, seat: event.seat, state: event.record.state, settled: event.record.settled, cost: event.record.cost, why: event.why };
    case "attempt_closed":
      return { type: event.type, job: event.record.job, attempt: event.record.number, pool: event.record.pool, outcome: event.record.outcome, code: event.record.code, settled: event.record.settled, refunded: event.record.refunded };
    default:
      return event;
  }
}
