// A second opinion on who is next: section 6 of the spec read once more, naively, from rows alone. No derived lists, no caches, no shared code.

import type { Job, Pool, Rows, Seat, Slot } from "../../../durable-objects/queue/index.ts";

export interface ReferenceChoice {
  job: string;
  slot: string;
  passed: string[];
}

const modes = {
  fifo: { key: "seq", head: false, slack: false, cap: false, aged: false, reserved: false, classes: false },
  round_robin: { key: "n", head: false, slack: false, cap: true, aged: true, reserved: false, classes: false },
  fair: { key: "v", head: true, slack: true, cap: true, aged: true, reserved: true, classes: false },
  priority: { key: "v", head: true, slack: true, cap: true, aged: true, reserved: true, classes: true },
} as const;

export function referenceChoice(rows: Rows, now: number): ReferenceChoice | null {
  const { workshop, params } = rows;
  const mode = modes[workshop.mode];
  if (workshop.switch === "paused" || workshop.switch === "closed") return null;
  const seat = (job: Job) => rows.seats.find(({ id }) => id === job.seat) as Seat;
  const pool = (slot: Slot) => rows.pools.find(({ id }) => id === slot.pool) as Pool;
  const chain = rows.pools.filter(({ removed }) => !removed).sort((a, b) => a.position - b.position || (a.id < b.id ? -1 : 1));
  const position = (slot: Slot) => chain.findIndex(({ id }) => id === slot.pool);
  const open = rows.slots.filter((slot) => slot.open);
  const W = open.length;
  const I = open.filter((slot) => slot.attempt === null);
  const waiting = rows.jobs.filter(({ state }) => state === "waiting");
  const mayRun = (slot: Slot, job: Job) => {
    const p = pool(slot);
    const group = seat(job).group;
    return slot.open && (p.offers === null || job.requires.every((key) => p.offers?.includes(key))) && !job.excluded.some((entry) => entry.pool === p.id) && (p.groups === null || (group !== null && p.groups.includes(group)));
  };
  const live = rows.attempts.map((attempt) => ({ attempt, job: rows.jobs.find(({ id }) => id === attempt.job) as Job }));
  const afford = (slot: Slot, job: Job) => {
    const reserve = Math.ceil((job.e90 * pool(slot).rate) / 3_600_000);
    const all = live.reduce((sum, one) => sum + one.job.reserve, 0);
    const own = live.filter((one) => one.job.seat === job.seat).reduce((sum, one) => sum + one.job.reserve, 0);
    const { budget, spent } = seat(job);
    return (workshop.budget === null || workshop.spent + all + reserve <= workshop.budget) && (budget === null || spent + own + reserve <= budget);
  };
  const slotsFor = (job: Job) => I.filter((slot) => mayRun(slot, job) && afford(slot, job));
  const runnable = (job: Job) => !seat(job).paused && job.notBefore <= now && slotsFor(job).length > 0;
  const list = (id: string, lane: string) =>
    waiting.filter((job) => job.seat === id && job.lane === lane).sort((a, b) => (mode.classes ? a.class - b.class : 0) || b.userPriority - a.userPriority || a.place - b.place || a.seq - b.seq);
  const heads = (lane: string) => rows.seats.map(({ id }) => list(id, lane).find(runnable)).filter((job): job is Job => job !== undefined);
  const warm = (job: Job) => slotsFor(job).some((slot) => slot.warm === job.signature);
  const liveMain = (id: string) => rows.attempts.filter((attempt) => attempt.seat === id && attempt.ledger === "main").length;

  const answer = (job: Job, passed: Job[] = []): ReferenceChoice => {
    const rank = (slot: Slot) => [slot.warm === job.signature ? 0 : 1, pool(slot).groups === null ? 1 : 0, position(slot), slot.warm === null ? 0 : 1, slot.idleSince, slot.number];
    const [best] = slotsFor(job).sort((a, b) => rank(a).map((x, i) => x - (rank(b)[i] as number)).find((x) => x !== 0) ?? 0);
    return { job: job.id, slot: (best as Slot).key, passed: passed.map(({ id }) => id).sort() };
  };

  // [Q42]
  const demo = waiting.filter(({ lane }) => lane === "demo").sort((a, b) => a.laneSeq - b.laneSeq).find(runnable);
  if (demo !== undefined) {
    const liveDemo = rows.attempts.filter(({ lane }) => lane === "demo").length;
    const room = liveDemo < Math.min(params.demoSlots, Math.max(1, W - 1));
    if (room && (W > 1 || !workshop.lastWasDemo || heads("normal").length === 0)) return answer(demo);
  }

  // [Q43]
  const r = mode.reserved && W >= 4 ? params.reserved : 0;
  const longLive = rows.attempts.filter((attempt) => attempt.e > params.long && open.some((slot) => slot.key === attempt.slot)).length;
  const held = (job: Job) => r > 0 && job.e > params.long && longLive >= W - r && workshop.lastShort !== null && now - workshop.lastShort <= params.hold;
  const smallest = (jobs: Job[]) => (mode.classes ? jobs.filter((job) => job.class === Math.min(...jobs.map((one) => one.class))) : jobs);
  const H = smallest(heads("normal").filter((job) => !held(job)));
  if (H.length === 0) {
    if (I.length <= r) return null;
    const spare = smallest(heads("background"));
    return spare.length === 0 ? null : byKey(spare, "background");
  }

  // [Q44]
  if (mode.aged) {
    const unit = mode.key;
    const old = H.filter((job) => now - job.acceptedAt > params.aged && liveMain(job.seat) === 0 && !H.some((other) => seat(other).main[unit] < seat(job).main[unit]));
    const [first] = old.sort((a, b) => a.seq - b.seq);
    if (first !== undefined) return answer(first);
  }

  // [Q45]
  const active = rows.seats.filter((one) => !one.paused && (liveMain(one.id) > 0 || mainWaiting(one).some((job) => open.some((slot) => mayRun(slot, job)))));
  const cap = (one: Seat) => Math.max(1, Math.ceil((W * one.weight) / active.reduce((sum, { weight }) => sum + weight, 0)));
  const under = mode.cap ? H.filter((job) => liveMain(job.seat) < cap(seat(job))) : H;
  return byKey(under.length > 0 ? under : H, "main");

  function mainWaiting(one: Seat): Job[] {
    return waiting.filter((job) => job.seat === one.id && (job.lane === "normal" || (job.lane === "demo" && !job.instructor)));
  }

  // [Q46] [Q47]
  function byKey(candidates: Job[], ledger: "main" | "background"): ReferenceChoice {
    const lane = ledger === "main" ? "normal" : "background";
    const key = (job: Job) => {
      if (mode.key === "seq") return Math.min(...list(job.seat, lane).map(({ seq }) => seq));
      return seat(job)[ledger][mode.key] + (mode.head ? Math.floor((Math.min(job.e, params.headStart) * 100) / seat(job).weight) : 0);
    };
    const [winner] = [...candidates].sort((a, b) => key(a) - key(b) || a.seq - b.seq) as [Job];
    if (!mode.slack || params.slack === 0 || warm(winner) || winner.passed >= params.passings) return answer(winner);
    const found = candidates.flatMap(({ seat: id }) => {
      const jobs = list(id, lane);
      const at = jobs.findIndex((job, index) => index <= params.overtake && runnable(job) && !held(job) && (!mode.classes || job.class === winner.class) && warm(job) && !jobs.slice(0, index).some(({ passed }) => passed >= params.passings));
      return at < 0 ? [] : [{ job: jobs[at] as Job, before: jobs.slice(0, at) }];
    });
    const [best] = found.filter(({ job }) => key(job) <= key(winner) + params.slack).sort((a, b) => key(a.job) - key(b.job) || a.job.seq - b.job.seq);
    return best === undefined ? answer(winner) : answer(best.job, [...new Set([winner, ...best.before])]);
  }
}
