// The room at a glance, for its instructor: what the queue's state, the rows and the sockets say right now, in sections. Nothing is guessed in between.
import type { Role, RunnerLine } from "./contract.ts";
import type { JobLine, Notice, Overview, PoolLine, SeatLine, SlotLine } from "./instructor-contract.ts";
import { writeParameters } from "./param-names.ts";
import { type Forecasts, placeRow } from "./place-view.ts";
import type { Job, Pool, QueueState } from "./queue/index.ts";

/** Live jobs shown; the rest is counted. */
const SHOWN_MOST = 200;

export type OverviewParts = {
  workshop: string;
  title: string;
  now: number;
  state: QueueState;
  forecasts: Forecasts;
  seats: readonly { seat: string; role: Role }[];
  /** Open pages by seat. */
  pages: ReadonlyMap<string, number>;
  /** How jobs ended, and quotes kept. */
  totals: Readonly<Record<string, number>>;
  runners: RunnerLine[];
  notices: Notice[];
  /** Light rows of these jobs. */
  lines: (seqs: readonly number[]) => JobLine[];
};

export function overviewOf(parts: OverviewParts): Overview {
  const { state, now, totals } = parts;
  const { workshop } = state;
  const shown = inOrder(state, parts.forecasts);
  return {
    workshop: {
      workshop: parts.workshop, title: parts.title, mode: workshop.mode, switch: workshop.switch, demo_until: workshop.demoUntil, slots: workshop.wanted,
      budget: workshop.budget, spent: workshop.spent, reserved: state.derived.reserved, params: writeParameters(state.params),
    },
    counts: { ...liveCounts(state), succeeded: totals.succeeded ?? 0, failed: totals.failed ?? 0, cancelled: totals.cancelled ?? 0, quoted: totals.quoted ?? 0, kept: totals.kept ?? 0 },
    seats: parts.seats.map(({ seat, role }) => seatLine(state, seat, role, parts.pages.get(seat) ?? 0)),
    pools: [...state.pools.values()].sort((a, b) => a.position - b.position || (a.id < b.id ? -1 : 1)).map((pool) => poolLine(pool, now)),
    slots: [...state.slots.values()].filter((slot) => slot.open || slot.attempt !== null).sort((a, b) => (a.pool === b.pool ? a.number - b.number : a.pool < b.pool ? -1 : 1)).map((slot) => slotLine(state, slot.key)),
    jobs: { shown: parts.lines(shown.slice(0, SHOWN_MOST).map((job) => job.seq)), more: Math.max(0, shown.length - SHOWN_MOST) },
    room: { runners: parts.runners, notices: parts.notices },
  };
}

/** Under way first, in order of dispatch; then by place; then what cannot be placed. */
function inOrder(state: QueueState, forecasts: Forecasts): Job[] {
  const rank = (job: Job): number => (job.state === "waiting" ? (placeRow(state, job, forecasts).place ?? Number.MAX_SAFE_INTEGER) : 0);
  return [...state.jobs.values()].map((job) => ({ job, rank: rank(job) })).sort((a, b) => a.rank - b.rank || a.job.seq - b.job.seq).map(({ job }) => job);
}

function liveCounts(state: QueueState): { waiting: number; dispatched: number; running: number; stopping: number } {
  const counts = { waiting: 0, dispatched: 0, running: 0, stopping: 0 };
  for (const job of state.jobs.values()) counts[job.state]++;
  return counts;
}

function seatLine(state: QueueState, seat: string, role: Role, pages: number): SeatLine {
  const record = state.seats.get(seat);
  const view = state.derived.seats.get(seat);
  const live = (view?.main.live ?? 0) + (view?.idle.live ?? 0);
  return {
    seat, role, paused: record?.paused ?? false, weight: record?.weight ?? 100, group: record?.group ?? null, budget: record?.budget ?? null, spent: record?.spent ?? 0,
    waiting: view?.waiting ?? 0, live, pages,
  };
}

function poolLine(pool: Pool, now: number): PoolLine {
  const { failures, openUntil, code } = pool.circuit;
  const circuit = failures === 0 ? "closed" : now < openUntil ? "open" : "half_open";
  return {
    pool: pool.id, position: pool.position, draining: pool.draining, removed: pool.removed, max_in_flight: pool.maxInFlight, groups: pool.groups === null ? null : [...pool.groups], rate: pool.rate, speed: pool.speed,
    circuit, circuit_until: circuit === "open" ? openUntil : null, circuit_code: code,
  };
}

function slotLine(state: QueueState, key: string): SlotLine {
  const slot = state.slots.get(key);
  const attempt = slot?.attempt === null || slot?.attempt === undefined ? undefined : state.attempts.get(slot.attempt);
  return { slot: key, pool: slot?.pool ?? "", open: slot?.open ?? false, job: attempt?.job ?? null, seat: attempt?.seat ?? null, runner: attempt?.lease?.runner ?? null, since: attempt?.dispatchedAt ?? slot?.idleSince ?? 0 };
}
