// The queue's parameters as people write them: one name with its unit for each of section 12 of docs/spec/queue.md. Pure.
import type { Params } from "./queue/index.ts";

export type Parameter = { core: keyof Params; unit: "ms" | "min" | "bytes" | "jobs" | "slots" | "times" | "1/1000 jobs"; says: string };

export const PARAMETERS: Readonly<Record<string, Parameter>> = {
  head_start_ms: { core: "headStart", unit: "ms", says: "head start of short jobs (κ)" },
  slack_ms: { core: "slack", unit: "ms", says: "how far a warm model may pull a job forward (δ)" },
  overtake: { core: "overtake", unit: "jobs", says: "own jobs a warm model may overtake (L)" },
  passings: { core: "passings", unit: "times", says: "times a job may be passed over (D)" },
  long_ms: { core: "long", unit: "ms", says: "from when on a job counts as long" },
  hold_ms: { core: "hold", unit: "ms", says: "how long a slot is kept for short work" },
  aged_ms: { core: "aged", unit: "ms", says: "waiting time after which head starts of others no longer count" },
  reserved_slots: { core: "reserved", unit: "slots", says: "slots kept for short work when there are four or more" },
  demo_slots: { core: "demoSlots", unit: "slots", says: "slots the demo lane may take" },
  demo_max_ms: { core: "demoMax", unit: "ms", says: "how long demo stays on by itself" },
  half_life_min: { core: "halfLifeMinutes", unit: "min", says: "half-life of what an idle seat owes; 0 switches it off" },
  debt_ms: { core: "debtMs", unit: "ms", says: "most GPU time a seat can be behind; 0 switches the cap off" },
  debt_millijobs: { core: "debtJobs", unit: "1/1000 jobs", says: "most jobs a seat can be behind, in thousandths; 0 switches the cap off" },
  seat_max: { core: "seatMax", unit: "jobs", says: "waiting jobs a seat may have" },
  queue_max: { core: "queueMax", unit: "jobs", says: "waiting jobs the workshop may have" },
  seat_floor: { core: "seatFloor", unit: "jobs", says: "waiting jobs every seat may have even when the queue is full" },
  bytes_max: { core: "bytesMax", unit: "bytes", says: "largest prompt" },
  stop_grace_ms: { core: "stopGrace", unit: "ms", says: "time a stopped run has to end by itself" },
  backoff_ms: { core: "backoff", unit: "ms", says: "wait before the first retry" },
  backoff_max_ms: { core: "backoffMax", unit: "ms", says: "longest wait before a retry" },
  attempts_max: { core: "attemptsMax", unit: "times", says: "attempts a job gets" },
  last_resort_ms: { core: "lastResort", unit: "ms", says: "wait after every pool was excluded" },
  circuit_ms: { core: "circuit", unit: "ms", says: "first rest of a failing pool" },
  circuit_max_ms: { core: "circuitMax", unit: "ms", says: "longest rest of a failing pool" },
  quarantine_ms: { core: "quarantine", unit: "ms", says: "how long a runner that fails to start is kept away" },
  company_ms: { core: "company", unit: "ms", says: "how long after its latest job a seat is expected to send more, in the slow forecast; 0 expects nobody" },
};

/** Core parameters of what a person wrote, or the first name that is none. */
export function readParameters(given: Readonly<Record<string, number>>): { ok: true; params: Partial<Params> } | { ok: false; name: string } {
  const params: Partial<Params> = {};
  for (const [name, value] of Object.entries(given)) {
    const known = Object.hasOwn(PARAMETERS, name) ? PARAMETERS[name] : undefined;
    if (known === undefined) return { ok: false, name };
    params[known.core] = value;
  }
  return { ok: true, params };
}

/** The name people write for a parameter of the core; a name that is none stays as it is. */
export function writtenName(name: string): string {
  return Object.entries(PARAMETERS).find(([, { core }]) => core === name)?.[0] ?? name;
}

/** Every parameter under its written name. */
export function writeParameters(params: Params): Record<string, number> {
  return Object.fromEntries(Object.entries(PARAMETERS).map(([name, { core }]) => [name, params[core]]));
}
