// A job's story out of the event log: every moment that names it, as a sentence. Pure; what to read of the log is decided in log-store.ts.
import type { Moment } from "./instructor-contract.ts";
import type { LogEntry } from "./log-entry.ts";

type Event = Record<string, unknown>;

/** Moments of one job, oldest first. */
export function timelineOf(job: string, entries: readonly LogEntry[]): Moment[] {
  return entries.flatMap(({ revision, at, events }) =>
    events.flatMap((event) => {
      const says = event.job === job || (event.type === "audit" && event.target === job) ? sayOf(event) : null;
      return says === null ? [] : [{ at, revision, type: String(event.type), says }];
    }),
  );
}

function sayOf(event: Event): string | null {
  const why = typeof event.why === "string" && event.why !== "" ? `: ${event.why}` : "";
  switch (event.type) {
    case "job_accepted":
      return `accepted as number ${String(event.seq)}`;
    case "job_dispatched":
      return `attempt ${String(event.attempt)} goes to ${String(event.slot)}${why}`;
    case "job_state":
      // The dispatch itself says where to.
      return event.to === "dispatched" ? null : `${String(event.to)}${why}`;
    case "job_phase":
      return phaseOf(event.phase);
    case "job_changed":
      return `${String(event.what)} changed${why}`;
    case "attempt_closed":
      return `attempt ${String(event.attempt)} on ${String(event.pool)} ended: ${String(event.outcome)}${event.code === null ? "" : ` (${String(event.code)})`}${event.refunded === true ? ", charged to nobody" : ""}`;
    case "lease_expired":
      return `the runner ${String(event.runner)} went silent`;
    case "job_ended":
      return `${String(event.state)}${why}`;
    case "audit":
      return `${String(event.by)}: ${String(event.what)}`;
    case "alarm":
      return String(event.message);
    default:
      return null;
  }
}

function phaseOf(phase: unknown): string | null {
  const { name, node } = (phase ?? {}) as { name?: string; node?: string };
  switch (name) {
    case "gpu_starting":
      return "its GPU starts up";
    case "inputs":
      return "its input files are fetched";
    case "loading":
      return "its model is loaded";
    case "executing":
      return node === undefined ? "it runs" : `it runs node ${node}`;
    case "uploading":
      return "its files are stored";
    default:
      return null;
  }
}
