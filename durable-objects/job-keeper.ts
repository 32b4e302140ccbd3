// What a decision means for the rows and the pages: job rows are written in the decision's own transaction, frames leave after it.
// Invariant: a job's end is one write and one set of frames, both made from the committed record.
import type { RunResult } from "../gpu-adapter/contract.ts";
import { endingOf, type Message } from "./endings.ts";
import { leaveJob, withdrawOutputs } from "./job-leavings.ts";
import { endJob, liveCounts } from "./job-store.ts";
import type { LogFeed } from "./log-feed.ts";
import type { Decision, QueueEvent } from "./queue/index.ts";
import type { RunRelay } from "./run-relay.ts";
import { frame, idleFrame } from "./seat-frames.ts";
import type { SeatRevisions } from "./seat-store.ts";
import type { Sockets } from "./sockets.ts";
import type { Sql } from "./sql.ts";

type Ended = QueueEvent & { type: "job_ended" };
/** A result already in the seat's names, with the digest it is recognised by when it comes again [Q53]. */
export type Delivered = { job: string; result: RunResult; digest: string };

export class JobKeeper {
  readonly #sql: Sql;
  readonly #relay: RunRelay;
  readonly #sockets: Sockets;
  readonly #logs: LogFeed;
  readonly #workshop: () => string;
  readonly #moved: { seat: string; job: string; moment: "accepted" | "ended" }[] = [];
  readonly #revisions: SeatRevisions;
  /** Ends to be told; `last` is null when nothing ran or nobody hears it. */
  readonly #frames: { job: string; seat: string; client: string | null; last: Message | null }[] = [];
  readonly #touched = new Set<string>();
  #live: Map<string, number>;

  constructor(sql: Sql, relay: RunRelay, sockets: Sockets, logs: LogFeed, revisions: SeatRevisions, workshop: () => string) {
    this.#logs = logs;
    this.#workshop = workshop;
    this.#revisions = revisions;
    this.#sql = sql;
    this.#relay = relay;
    this.#sockets = sockets;
    this.#live = liveCounts(sql);
  }

  /** Waiting and running jobs of a seat: ComfyUI's `queue_remaining`. */
  remaining(seat: string): number {
    return this.#live.get(seat) ?? 0;
  }

  /** Inside the transaction: rows of every job the decision moved. `now` in ms. */
  record(decision: Decision, now: number, delivered: readonly Delivered[] = []): void {
    const seats = new Set<string>();
    for (const event of decision.events) {
      switch (event.type) {
        case "job_accepted":
          this.#live.set(event.seat, this.remaining(event.seat) + 1);
          this.#sockets.answerFirst(event.seat);
          this.#moved.push({ seat: event.seat, job: event.job, moment: "accepted" });
          break;
        case "job_state":
          if (event.to === "waiting") this.#relay.forget(event.job);
          break;
        case "job_ended":
          this.#live.set(event.seat, this.remaining(event.seat) - 1);
          this.#moved.push({ seat: event.seat, job: event.job, moment: "ended" });
          this.#end(event, now, delivered.find(({ job }) => job === event.job) ?? null);
          break;
        default:
          continue;
      }
      seats.add(event.seat);
    }
    for (const seat of seats) {
      this.#revisions.raise(seat);
      this.#touched.add(seat);
    }
  }

  #end(event: Ended, now: number, delivered: Delivered | null): void {
    const own = delivered?.result ?? null;
    const ending = endingOf(event.record, own, this.#relay.seen(event.job), now);
    const facts = this.#relay.facts(event.job);
    const client = facts?.client_id ?? null;
    const ran = ending.last !== null;
    const heard = ran && this.#sockets.listeners(event.seat, client).length > 0;
    if (own?.status === "succeeded" && event.record.attempts > 1) withdrawOutputs(this.#sql, event.job, own.files.map(({ file_id }) => file_id), now);
    endJob(this.#sql, event.record.seq, {
      state: event.record.state,
      at: now,
      inHistory: ending.inHistory,
      outputs: JSON.stringify(ending.outputs),
      status: JSON.stringify(ending.status),
      meta: JSON.stringify(ending.meta),
      error: ending.error ? JSON.stringify(ending.error[1]) : null,
      resultHash: delivered?.digest ?? event.record.digest,
      lease: event.record.lease,
      heard: heard || !ran,
    });
    leaveJob(this.#sql, this.#workshop(), event.job, { promptKey: facts?.prompt_key ?? null, inHistory: ending.inHistory }, now);
    this.#relay.forget(event.job);
    // Nobody hears it: nothing is written out for nobody. Between here and the telling no page can come.
    this.#frames.push({ job: event.job, seat: event.seat, client, last: heard ? ending.last : null });
  }

  /** After the commit: tells the pages. `status` goes between a run's last message and its `executing null`, as recorded. */
  tell(): void {
    for (const { job, seat, client, last } of this.#frames.splice(0)) {
      if (last !== null) this.#sockets.tell(seat, client, [frame(last[0], last[1])]);
      this.#sockets.statusNow(seat);
      this.#touched.delete(seat);
      if (last !== null) this.#sockets.tell(seat, client, [idleFrame(job)]);
    }
    for (const { seat, job, moment } of this.#moved.splice(0)) this.#logs.moved(seat, job, moment);
    for (const seat of this.#touched) this.#sockets.status(seat);
    this.#touched.clear();
  }

  /** After a failed commit: nothing of it may be told. */
  drop(): void {
    this.#frames.length = 0;
    this.#moved.length = 0;
    this.#touched.clear();
    this.#live = liveCounts(this.#sql);
  }
}
