// What an act changes, so that it can be taken back: how the thing stands, and the command that makes it stand as it stood. Pure.
// Invariant: an act is taken back only while its subject still stands as the act left it; somebody else's later act is never undone by accident.
import { writeParameters, readParameters } from "./param-names.ts";
import type { Command, Job, Mode, Pool, PoolConfig, QueueState, Switch } from "./queue/index.ts";

export type Subject =
  | { of: "switch" | "mode" | "slots" | "budget" }
  | { of: "params"; names: string[] }
  | { of: "seat"; seat: string; what: "paused" | "weight" | "group" | "budget" }
  | { of: "pool"; pool: string; what: "draining" | "groups" }
  | { of: "job"; job: string; what: "lane" | "class" | "priority" | "place" }
  | { of: "notice"; notice: number };

type LaneMemory = { lane: Job["lane"]; bumpUntil: number | null };

/** How the subject stands; undefined when it is gone. Two equal answers are one standing. */
export function standing(state: QueueState, subject: Subject): unknown {
  switch (subject.of) {
    case "switch":
      return state.workshop.switch;
    case "mode":
      return state.workshop.mode;
    case "slots":
      return state.workshop.wanted;
    case "budget":
      return state.workshop.budget;
    case "params": {
      const all = writeParameters(state.params);
      return Object.fromEntries(subject.names.map((name) => [name, all[name]]));
    }
    case "seat": {
      const seat = state.seats.get(subject.seat);
      return { paused: seat?.paused ?? false, weight: seat?.weight ?? 100, group: seat?.group ?? null, budget: seat?.budget ?? null }[subject.what];
    }
    case "pool": {
      const pool = state.pools.get(subject.pool);
      return pool === undefined ? undefined : subject.what === "draining" ? pool.draining : pool.groups;
    }
    case "job": {
      const job = state.jobs.get(subject.job);
      if (job === undefined) return undefined;
      return { lane: { lane: job.lane, bumpUntil: job.bumpUntil } satisfies LaneMemory, class: job.class, priority: job.userPriority, place: job.place }[subject.what];
    }
    case "notice":
      return true;
  }
}

/** The command that brings `before` back, or null when there is none any more. `memory` is what `remember` said before the act. */
export function inverse(state: QueueState, subject: Subject, before: unknown, memory: unknown, by: string, now: number): Command | null {
  switch (subject.of) {
    case "switch":
      return { type: "set_switch", to: before as Switch, by };
    case "mode":
      return { type: "set_mode", mode: before as Mode, by };
    case "slots":
      return { type: "set_wanted", slots: before as number, by };
    case "budget":
      return { type: "set_budget", budget: before as number | null, by };
    case "params": {
      const read = readParameters(before as Record<string, number>);
      return read.ok ? { type: "set_params", params: read.params, by } : null;
    }
    case "seat":
      return seatInverse(subject, before, by);
    case "pool": {
      const pool = state.pools.get(subject.pool);
      if (pool === undefined) return null;
      return subject.what === "draining" ? { type: "drain_pool", pool: pool.id, draining: before as boolean, by } : { type: "upsert_pool", pool: { ...configOf(pool), groups: before as string[] | null }, by };
    }
    case "job":
      return jobInverse(state, subject, before, memory, by, now);
    case "notice":
      return null;
  }
}

function seatInverse({ seat, what }: Subject & { of: "seat" }, before: unknown, by: string): Command {
  switch (what) {
    case "paused":
      return before === true ? { type: "pause_seat", seat, by } : { type: "resume_seat", seat, by };
    case "weight":
      return { type: "set_weight", seat, weight: before as number, by };
    case "group":
      return { type: "set_group", seat, group: before as string | null, by };
    case "budget":
      return { type: "set_envelope", seat, budget: before as number | null, by };
  }
}

function jobInverse(state: QueueState, { job: id, what }: Subject & { of: "job" }, before: unknown, memory: unknown, by: string, now: number): Command | null {
  const job = state.jobs.get(id);
  if (job === undefined) return null;
  switch (what) {
    case "class":
      return { type: "set_class", job: id, class: before as number, by };
    case "priority":
      return { type: "set_priority", seat: job.seat, job: id, userPriority: before as number };
    case "lane": {
      const was = before as LaneMemory;
      if (was.lane !== "demo") return { type: "unbump", job: id, by };
      return { type: "bump", job: id, ...(was.bumpUntil === null ? {} : { forMs: Math.max(1, was.bumpUntil - now) }), by };
    }
    case "place": {
      // Before the first of those it stood before that still waits; last when none is left.
      const next = (memory as string[]).find((other) => state.jobs.get(other)?.state === "waiting") ?? null;
      return { type: "move", seat: job.seat, job: id, before: next, by };
    }
  }
}

/** What `inverse` needs to know beside the standing: for a place, the waiting jobs that stood behind it, nearest first. */
export function remember(state: QueueState, subject: Subject): unknown {
  if (subject.of !== "job" || subject.what !== "place") return null;
  const job = state.jobs.get(subject.job);
  return job === undefined ? [] : equalsOf(state, job).filter((other) => other.place > job.place || (other.place === job.place && other.seq > job.seq)).map((other) => other.id);
}

/** Waiting jobs among which a job may be moved [Q19], in their order. */
function equalsOf(state: QueueState, job: Job): Job[] {
  return [...state.jobs.values()]
    .filter((other) => other.seat === job.seat && other.state === "waiting" && other.lane === job.lane && other.class === job.class && other.userPriority === job.userPriority)
    .sort((a, b) => a.place - b.place || a.seq - b.seq);
}

/** What the owner of a pool sets, without what happened to it. */
export function configOf(pool: Pool): PoolConfig {
  const { draining: _draining, removed: _removed, circuit: _circuit, ...config } = pool;
  return config;
}
