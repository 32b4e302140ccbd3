// The seats' ledgers kept a second time, from what attempts were charged, settled and refunded [Q29][Q30], and held against the core's after every entry of
// the log [I10]. Invariant: a ledger moves by exactly that, by decay [Q35], by the lift of a seat that had nothing and sends again [Q31] and by the debt cap
// [Q36]; by nothing else. (Storms pause no seat, start no round and set no weight or parameter.)
import type { LogEntry } from "../../../durable-objects/log-entry.ts";
import { attemptKey, type ClosedAttempt, type Command, decide, type QueueEvent, type QueueState } from "../../../durable-objects/queue/index.ts";

type Pair = { v: number; n: number };
type Entry = Pick<LogEntry, "revision" | "at" | "command">;
type Before = { minute: number; virtual: Pair; seats: Map<string, Pair & { waiting: boolean; busy: boolean }> };
export type Kept = { events: QueueEvent[]; /** what does not add up, in words */ faults: string[]; /** per seat: its ledger less lifts and decay */ charged: Map<string, Pair>; lifts: number; decays: number };

/** Half-life 60 min, per minute, in millionths [Q35]. */
const DECAY = 988_514;
/** How far a seat may be behind: GPU-ms, and jobs of 1000 [Q36]. */
const CAP: Pair = { v: 600_000, n: 10_000 };
const UNITS = ["v", "n"] as const;

/** Runs the entries on `state` with a second set of books. `run` is the core. */
export function keepLedgers(state: QueueState, entries: readonly Entry[], run: typeof decide = decide): Kept {
  const kept: Kept = { events: [], faults: [], charged: new Map(), lifts: 0, decays: 0 };
  for (const entry of entries) {
    const before = look(state);
    const { events } = run(state, entry.command, entry.at);
    kept.events.push(...events);
    for (const record of closedOf(events)) checkSettled(kept, entry, record);
    for (const seat of state.seats.keys()) checkSeat(kept, entry, state, seat, before, events);
  }
  return kept;
}

function look(state: QueueState): Before {
  const [busy, waiting] = [new Set<string>(), new Set<string>()];
  for (const job of state.jobs.values()) {
    busy.add(job.seat);
    if (job.state === "waiting") waiting.add(job.seat);
  }
  return {
    minute: state.workshop.minute, virtual: { ...state.workshop.main },
    seats: new Map([...state.seats.values()].map(({ id, main }) => [id, { v: main.v, n: main.n, waiting: waiting.has(id), busy: busy.has(id) }])),
  };
}

function closedOf(events: readonly QueueEvent[]): ClosedAttempt[] {
  return events.flatMap((event) => (event.type === "attempt_closed" ? [event.record] : []));
}

/** What charge, settle and refund make of a seat's ledger in one entry, by the rules; `closed` is the part of the last two. */
function moved(kept: Kept, { revision }: Entry, state: QueueState, seat: string, events: readonly QueueEvent[]): Pair & { closed: Pair } {
  const weight = state.seats.get(seat)?.weight ?? 100;
  const sum = { v: 0, n: 0 };
  const closed = closedOf(events);
  for (const event of events) {
    if (event.type !== "job_dispatched" || event.seat !== seat) continue;
    const key = attemptKey(event.job, event.attempt);
    const attempt = state.attempts.get(key) ?? closed.find((record) => record.key === key);
    const due = { v: Math.floor(((attempt?.e ?? Number.NaN) * 100) / weight), n: Math.floor(100_000 / weight) };
    if (attempt?.charged.v !== due.v || attempt.charged.n !== due.n) kept.faults.push(`${revision}: ${key} was charged ${JSON.stringify(attempt?.charged)}, not ${JSON.stringify(due)}`);
    sum.v += due.v;
    sum.n += due.n;
  }
  const back = { v: 0, n: 0 };
  for (const record of closed.filter((one) => one.seat === seat)) {
    back.v += (record.refunded ? 0 : Math.floor((record.settled * 100) / weight)) - record.charged.v;
    if (record.refunded) back.n -= record.charged.n;
  }
  return { v: sum.v + back.v, n: sum.n + back.n, closed: back };
}

function checkSeat(kept: Kept, entry: Entry, state: QueueState, seat: string, before: Before, events: readonly QueueEvent[]): void {
  const was = before.seats.get(seat) ?? { v: 0, n: 0, waiting: false, busy: false };
  const now = state.seats.get(seat)?.main ?? { v: Number.NaN, n: Number.NaN };
  const by = moved(kept, entry, state, seat, events);
  const total = kept.charged.get(seat) ?? { v: 0, n: 0 };
  const happened = (type: "job_accepted" | "job_ended"): boolean => events.some((event) => event.type === type && event.seat === seat);
  const [sent, ended] = [happened("job_accepted"), happened("job_ended")];
  for (const unit of UNITS) {
    const worn = was.waiting ? was[unit] : decayed(was[unit], before.virtual[unit], before.minute, entry.at);
    const lift = now[unit] - worn - by[unit];
    kept.decays += worn < was[unit] ? 1 : 0;
    kept.lifts += lift > 0 ? 1 : 0;
    total[unit] += now[unit] - was[unit] - (worn - was[unit]) - lift;
    // A seat that comes back starts level with V as it is then, between V before and V after the entry. One whose last job ends in the entry in which it
    // sends the next comes back or was never away, as the two fell: no lift is due, and one is right up to V.
    const level = (virtual: Pair): number => Math.max(0, virtual[unit] - worn - Math.min(0, by.closed[unit]));
    const least = sent && !was.busy ? level(before.virtual) : 0;
    const most = sent && (!was.busy || ended) ? level(state.workshop.main) : 0;
    // Above the cap it was cut to V + cap, V as it was in that moment; a run that ended after that took its part away again.
    const capped = worn + by[unit] > before.virtual[unit] + CAP[unit] && now[unit] >= before.virtual[unit] + CAP[unit] + Math.min(0, by.closed[unit]) && now[unit] <= state.workshop.main[unit] + CAP[unit];
    if (!(lift >= least && lift <= most) && !(lift < 0 && capped)) kept.faults.push(`${entry.revision}: ${unit} of ${seat} went from ${was[unit]} to ${now[unit]}; charge, settle and refund make ${by[unit]}, decay ${worn - was[unit]}, and a lift of ${least} to ${most} was due`);
  }
  kept.charged.set(seat, total);
}

function decayed(value: number, virtual: number, minute: number, at: number): number {
  let left = value - virtual;
  if (minute < 0 || left <= 0) return value;
  for (let passed = Math.min(1440, Math.floor(at / 60_000) - minute); passed > 0; passed--) left = Math.floor((left * DECAY) / 1_000_000);
  return virtual + left;
}

/** A settled success stands for what its runner measured, as far as the platform saw it, at the pool's speed [Q30]. */
function checkSettled(kept: Kept, { revision, command }: Entry, record: ClosedAttempt): void {
  const commands: readonly Command[] = command.type === "batch" ? command.commands : [command];
  const result = commands.find((one) => one.type === "result" && one.job === record.job && one.attempt === record.number);
  if (record.refunded || record.outcome !== "succeeded" || result?.type !== "result" || result.timings === undefined || record.claimedAt === null) return;
  const measured = Math.min(Math.max(0, result.timings.execMs - result.timings.loadMs), record.closedAt - record.claimedAt);
  const due = Math.floor((measured * record.speed) / 100);
  if (record.settled !== due) kept.faults.push(`${revision}: ${record.key} was settled with ${record.settled}, and ran ${due}`);
}
