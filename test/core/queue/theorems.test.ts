// Invariants about whole schedules [I3]…[I14]: fairness bounds, starvation, tricks, containment, truth of forecasts, symmetry, and that failure ends.

import { describe, expect, test } from "vitest";
import { forecast, nextWake } from "../../../durable-objects/queue/index.ts";
import type { Command, Params } from "../../../durable-objects/queue/index.ts";
import { Chaos } from "../../simulators/queue/chaos.ts";
import { Ideal, ideal, order, type IdealJob, type Start } from "../../simulators/queue/ideal.ts";
import { burst, draws, room } from "../../simulators/queue/workloads.ts";

const unlimited: Partial<Params> = { seatMax: 1e9, queueMax: 1e9 };
const k = 60_000;
const d = 30_000;

/** A random system: seats with work for hours, of one to three models. */
function system(seed: number, seats: number, perSeat: number, most: number): IdealJob[] {
  const draw = draws(seed);
  const jobs: IdealJob[] = [];
  for (let seat = 0; seat < seats; seat++) {
    const top = draw(2000, most);
    for (let n = 0; n < perSeat; n++) {
      jobs.push({ id: `${seat}.${n}`, seat: `s${seat}`, at: 0, ms: draw(1000, top + 1000), signature: `m${draw(0, 3)}` });
    }
  }
  return jobs;
}

/** Charged ms per seat up to a moment. */
function served(world: Ideal, starts: readonly Start[], until: number): Map<string, number> {
  const ms = new Map(starts.map(({ id }) => [id, 0]));
  for (const run of world.ended) ms.set(run.id, run.ms);
  const sums = new Map<string, number>();
  for (const { id, seat, at } of starts) if (at <= until) sums.set(seat, (sums.get(seat) ?? 0) + (ms.get(id) ?? 0));
  return sums;
}

/** Moment from which some seat has nothing waiting any more. */
function backloggedUntil(starts: readonly Start[], perSeat: number): number {
  const last = new Map<string, number>();
  const count = new Map<string, number>();
  for (const { seat, at } of starts) {
    count.set(seat, (count.get(seat) ?? 0) + 1);
    if (count.get(seat) === perSeat) last.set(seat, at);
  }
  return Math.min(...last.values());
}

function longest(jobs: readonly IdealJob[], load = 0): number {
  return Math.max(...jobs.map(({ ms }) => ms)) + load;
}

describe("fairness", () => {
  test("[I5] seats that always have work are served alike, within the bound", () => {
    let worst = 0;
    for (let seed = 1; seed <= 40; seed++) {
      const draw = draws(seed * 7919);
      const [seats, slots] = [draw(2, 7), draw(1, 6)];
      const jobs = system(seed, seats, 40, 40_000);
      const world = ideal({ slots, params: unlimited, jobs });
      const cap = Math.max(1, Math.ceil(slots / seats));
      const bound = (cap + 1) * longest(jobs) + k + d;
      const end = backloggedUntil(world.starts, 40);
      for (const { at } of world.starts.filter((start) => start.at < end)) {
        const sums = [...served(world, world.starts, at).values()];
        if (sums.length < seats) continue;
        worst = Math.max(worst, (Math.max(...sums) - Math.min(...sums)) / bound);
      }
    }
    expect(worst).toBeGreaterThan(0);
    expect(worst).toBeLessThanOrEqual(1);
  });

  test("[I5] [Q25] so are seats of different weights, each by its weight", () => {
    let worst = 0;
    for (let seed = 1; seed <= 30; seed++) {
      const draw = draws(seed * 6151);
      const weights = Array.from({ length: draw(2, 6) }, () => 50 * draw(1, 9));
      const slots = 1 + (seed % 6);
      const jobs = system(seed + 2000, weights.length, 80, 40_000);
      const acts = weights.map((weight, seat) => ({ at: 0, command: { type: "set_weight", seat: `s${seat}`, weight, by: "ada" } }) as never);
      const world = ideal({ slots, params: { ...unlimited, debtMs: 0 }, jobs: jobs.map((job) => ({ ...job, at: 1000 })), acts });
      const charge = ({ ms, seat }: IdealJob) => (ms * 100) / Math.min(100, weights[Number(seat.slice(1))] ?? 100);
      const cap = Math.max(1, Math.ceil((slots * Math.max(...weights)) / weights.reduce((sum, weight) => sum + weight, 0)));
      const bound = (cap + 1) * Math.max(...jobs.map(charge)) + k + d;
      const end = backloggedUntil(world.starts, 80);
      for (const { at } of world.starts.filter((start) => start.at < end)) {
        const sums = served(world, world.starts, at);
        const shares = weights.map((weight, seat) => ((sums.get(`s${seat}`) ?? 0) * 100) / weight);
        worst = Math.max(worst, (Math.max(...shares) - Math.min(...shares)) / bound);
      }
    }
    expect(worst).toBeGreaterThan(0);
    expect(worst).toBeLessThanOrEqual(1);
  });

  test("[I6] the head of every seat starts within its bound", () => {
    let worst = 0;
    for (let seed = 1; seed <= 40; seed++) {
      const draw = draws(seed * 104_729);
      const [seats, slots] = [draw(2, 9), draw(1, 7)];
      const jobs = system(seed + 1000, seats, 25, 90_000).map((job) => ({ ...job, at: draw(0, 3) * 20_000 }));
      const world = ideal({ slots, params: unlimited, jobs });
      const cap = Math.max(1, Math.ceil(slots / seats));
      const L = longest(jobs);
      const free = slots - (slots >= 4 ? 1 : 0);
      const bound = ((seats - 1) * ((cap + 1) * L + k + d)) / free + L;
      const since = new Map<string, number>();
      for (const { id, seat, at } of world.starts) {
        const arrived = jobs.find((job) => job.id === id)?.at ?? 0;
        worst = Math.max(worst, (at - Math.max(arrived, since.get(seat) ?? 0)) / bound);
        since.set(seat, at);
      }
    }
    expect(worst).toBeGreaterThan(0.2); // the bound is approached, or it would say nothing
    expect(worst).toBeLessThanOrEqual(1);
  });

  test("[I7] cutting a job into parts gains no more than the bound", () => {
    let worst = 0;
    for (let seed = 1; seed <= 30; seed++) {
      const jobs = system(seed + 500, 4, 30, 60_000).map((job) => ({ ...job, ms: (job.ms >> 2) << 2 }));
      const cut = jobs.flatMap((job): IdealJob[] => (job.seat === "s0" ? [0, 1, 2, 3].map((part) => ({ ...job, id: `${job.id}/${part}`, ms: job.ms / 4 })) : [job]));
      const [whole, parts] = [jobs, cut].map((list) => ideal({ slots: 2, params: unlimited, jobs: list })) as [Ideal, Ideal];
      const bound = longest(jobs) + k + d;
      const end = backloggedUntil(whole.starts, 30);
      for (let at = 0; at < end; at += 30_000) {
        const gain = (served(parts, parts.starts, at).get("s0") ?? 0) - (served(whole, whole.starts, at).get("s0") ?? 0);
        worst = Math.max(worst, gain / bound);
      }
    }
    expect(worst).toBeGreaterThan(0.05);
    expect(worst).toBeLessThanOrEqual(1);
  });

  test("[I7] arriving late or leaving and coming back earns no credit", () => {
    const stay = system(77, 3, 400, 20_000);
    const late = stay.map((job) => (job.seat === "s0" ? { ...job, at: 300_000 } : job));
    const world = ideal({ slots: 1, params: unlimited, jobs: late });
    const after = world.starts.filter(({ at }) => at >= 300_000 && at < 600_000);
    const sums = served(world, after, 600_000);
    const bound = longest(stay) + k + d;
    expect((sums.get("s0") ?? 0) - Math.min(sums.get("s1") ?? 0, sums.get("s2") ?? 0)).toBeLessThanOrEqual(bound);
  });

  test("[I9] with demo on the class keeps its share of the slots, and off restores the order", () => {
    for (const slots of [1, 2, 3, 5]) {
      const pupils = system(slots, 3, 60, 20_000).map((job) => ({ ...job, at: 1000 }));
      const demo = system(slots + 50, 1, 80, 20_000).map((job): IdealJob => ({ ...job, id: `d${job.id}`, seat: "teacher", at: 1000, submit: { instructor: true } }));
      const act: Command = { type: "set_demo", on: true, by: "ada" };
      const world = ideal({ slots, params: { ...unlimited, demoMax: 1e9, reserved: 0 }, jobs: [...pupils, ...demo], acts: [{ at: 0, command: act as never }], until: 150_000 });
      const time = (mine: boolean) => world.ended.filter(({ seat }) => (seat === "teacher") !== mine).reduce((sum, { ms }) => sum + ms, 0);
      const share = time(true) / (time(true) + time(false));
      expect(share).toBeGreaterThanOrEqual((slots === 1 ? 0.5 : (slots - 1) / slots) - 0.12);
    }
  });

  test("[I9] when demo goes off the class goes on in the order that would have held", () => {
    for (let seed = 1; seed <= 10; seed++) {
      const list = system(seed, 3, 10, 20_000).map((job) => ({ ...job, at: 2000, signature: "one" }));
      const demo = system(seed + 50, 1, 10, 20_000).map((job): IdealJob => ({ ...job, id: `d${job.id}`, seat: "teacher", at: 2000, signature: "one", submit: { instructor: true } }));
      const params = { ...unlimited, aged: 1e9 };
      const plain = order(ideal({ slots: 1, params, jobs: list }).starts);
      const act = (at: number, command: Command) => ({ at, command }) as never;
      const bumped = ["s1.5", "s0.9", "s2.7"].map((id) => act(2500, { type: "bump", job: id.slice(1), by: "ada" }));
      const acts = [act(0, { type: "set_demo", on: true, by: "ada" }), ...bumped, act(60_000, { type: "set_demo", on: false, by: "ada" })];
      const { starts } = ideal({ slots: 1, params, jobs: [...list, ...demo], acts });
      const ofDemo = starts.filter(({ seat }) => seat === "teacher");
      expect(ofDemo.filter(({ at }) => at < 60_000).length).toBeGreaterThan(0);
      expect(ofDemo.filter(({ at }) => at >= 60_000).length).toBeGreaterThan(0); // moved to the normal lane
      expect(order(starts.filter(({ seat }) => seat !== "teacher"))).toBe(plain);
    }
  });

  test("[I3] with several models a job overtakes at most L of its seat's jobs, and none is overtaken more than D times", () => {
    let [most, often] = [0, 0];
    for (let seed = 1; seed <= 20; seed++) {
      const world = ideal({ slots: 1 + (seed % 3), params: unlimited, jobs: system(seed, 4, 20, 30_000), load: 20_000 });
      const place = ({ id }: Start) => Number(id.split(".")[1]);
      for (let seat = 0; seat < 4; seat++) {
        const mine = world.starts.filter((start) => start.seat === `s${seat}`).map(place);
        mine.forEach((job, index) => {
          most = Math.max(most, mine.slice(index + 1).filter((later) => later < job).length);
          often = Math.max(often, mine.slice(0, index).filter((earlier) => earlier > job).length);
        });
      }
    }
    expect([most, often]).toEqual([4, 4]); // both bounds are reached
  });

  test("[I3] jobs of one seat with one model start in list order", () => {
    for (let seed = 1; seed <= 20; seed++) {
      const jobs = system(seed, 4, 20, 30_000).map((job) => ({ ...job, signature: "one" }));
      const world = ideal({ slots: 3, params: unlimited, jobs });
      for (let seat = 0; seat < 4; seat++) {
        const mine = world.starts.filter((start) => start.seat === `s${seat}`).map(({ id }) => Number(id.split(".")[1]));
        expect(mine).toEqual([...mine].sort((a, b) => a - b));
      }
    }
  });
});

describe("truth", () => {
  test("[I12] place is the index in the forecast, and perfect estimates come true", () => {
    const jobs = system(9, 5, 8, 50_000).map((job) => ({ ...job, signature: "one" }));
    const world = new Ideal({ slots: 3, params: unlimited, jobs });
    world.step();
    const said = forecast(world.state, world.now);
    const places = [...said.values()].map((entry) => entry.place);
    expect(places).toEqual(places.map((_, index) => index + 1));
    const begun = world.starts.length;
    world.run();
    expect(world.starts.slice(begun).map(({ id, at }) => [id, at])).toEqual([...said].map(([id, entry]) => [id, "start50" in entry ? entry.start50 : null]));
  });

  test("[I12] at least 85 % of jobs start before the start₉₀ quoted at admission", () => {
    let kept = 0;
    let all = 0;
    for (let run = 0; run < 9; run++) {
      const jobs = room(run);
      const quoted = new Map<string, number>();
      const world = new Ideal({ slots: 2 + (run % 3), params: unlimited, jobs }); // from more work than GPUs to hardly any wait
      while (world.step()) {
        const fresh = [...world.state.jobs.values()].filter((job) => job.state === "waiting" && !quoted.has(job.id));
        if (fresh.length === 0) continue;
        const said = forecast(world.state, world.now);
        for (const job of fresh) {
          const entry = said.get(job.id);
          quoted.set(job.id, entry !== undefined && "start90" in entry ? entry.start90 : Infinity);
        }
      }
      for (const { id, at } of world.starts) {
        all++;
        if (at <= (quoted.get(id) ?? at)) kept++;
      }
    }
    expect(kept / all).toBeGreaterThanOrEqual(0.85);
  });
});

describe("symmetry", () => {
  const jobs = burst().slice(0, 90);
  const plain = ideal({ slots: 4, params: unlimited, jobs, load: 20_000 });

  test("[I13] renaming seats gives the same schedule", () => {
    const renamed = ideal({ slots: 4, params: unlimited, jobs: jobs.map((job) => ({ ...job, seat: `zz${99 - Number(job.seat.slice(1))}` })), load: 20_000 });
    expect(renamed.starts.map(({ id, at, slot }) => [id, at, slot])).toEqual(plain.starts.map(({ id, at, slot }) => [id, at, slot]));
  });

  test("[I13] shifting all times by whole minutes gives the same schedule", () => {
    const shift = 17 * 60_000;
    const moved = ideal({ slots: 4, params: unlimited, jobs: jobs.map((job) => ({ ...job, at: job.at + shift })), load: 20_000 });
    expect(moved.starts.map(({ id, at, slot }) => [id, at - shift, slot])).toEqual(plain.starts.map(({ id, at, slot }) => [id, at, slot]));
  });

  test("[I13] an idle seat changes nothing", () => {
    const idle = ["a", "zz"].map((seat) => ({ at: 0, command: { type: "set_weight", seat, weight: 700, by: "ada" } }) as never);
    expect(ideal({ slots: 4, params: unlimited, jobs, load: 20_000, acts: idle }).starts).toEqual(plain.starts);
  });

  test("[I13] one more slot costs no seat more than the longest occupancy", () => {
    for (let seed = 1; seed <= 12; seed++) {
      const list = system(seed + 300, 4, 20, 40_000);
      const slots = 1 + (seed % 4);
      const [less, more] = [slots, slots + 1].map((n) => ideal({ slots: n, params: { ...unlimited, reserved: 0 }, jobs: list })) as [Ideal, Ideal];
      for (let at = 0; at < less.now; at += 20_000) {
        const [few, many] = [served(less, less.starts, at), served(more, more.starts, at)];
        for (const [seat, ms] of few) expect((many.get(seat) ?? 0) - ms).toBeGreaterThanOrEqual(-longest(list) - 1);
      }
    }
  });
});

describe("failure", () => {
  test("[I14] under any mix of failures every job ends, and each refund happens once", () => {
    for (let seed = 1; seed <= 25; seed++) {
      const draw = draws(seed * 31);
      const world = new Chaos({ backoff: 1000 });
      for (let n = 0; n < 150; n++) world.step({ kind: draw(0, 900), a: draw(0, 9999), b: draw(0, 9999), c: draw(0, 9999) });
      heal(world);
      for (let n = 0; n < 3000 && world.state.jobs.size > 0; n++) serve(world);
      expect([...world.state.jobs.keys()]).toEqual([]);
      expect(world.ended.size).toBe(world.accepted.size);
    }
  });
});

/** Somebody looks after the room: nothing paused, everything in the chain and offered, enough money. */
function heal(world: Chaos): void {
  const by = "ada";
  for (const seat of world.state.seats.keys()) {
    world.do({ type: "resume_seat", seat, by });
    world.do({ type: "set_envelope", seat, budget: null, by });
  }
  world.do({ type: "set_budget", budget: null, by });
  world.do({ type: "set_switch", to: "open", by });
  world.do({ type: "set_wanted", slots: 4, by });
  for (const pool of world.state.pools.keys()) {
    world.do({ type: "drain_pool", pool, draining: false, by });
    world.do({ type: "set_offers", pool, offers: null });
    world.do({ type: "set_max_in_flight", pool, maxInFlight: 2 });
  }
}

/** GPUs that work: whatever is live is claimed by a new runner and succeeds; then the clock goes to the next thing due. */
function serve(world: Chaos): void {
  for (const attempt of world.state.attempts.values()) {
    const { job, number } = attempt;
    if (attempt.lease === null) {
      if (decideOk(world, { type: "claim", job, attempt: number, runner: `fine-${world.log.length}`, lease: `fine-${world.log.length}` })) return;
    } else if (attempt.reclaimUntil === null) {
      decideOk(world, { type: "result", job, attempt: number, lease: attempt.lease.id, digest: "fine", outcome: "succeeded", filesCommitted: true });
      return;
    }
  }
  world.now = Math.max(world.now + 1000, nextWake(world.state, world.now) ?? 0);
  world.do({ type: "tick" });
}

function decideOk(world: Chaos, command: Command): boolean {
  return world.do(command).ok;
}

test("[I8] a seat's cancels leave the others' service no later", () => {
  const jobs = system(3, 4, 15, 30_000).map((job) => ({ ...job, signature: "one" }));
  const acts = jobs.filter(({ seat, id }) => seat === "s0" && Number(id.split(".")[1]) >= 3).map((job) => ({ at: 15_000, command: { type: "cancel", job: job.id, seat: "s0" } }) as never);
  const [plain, less] = [ideal({ slots: 1, params: unlimited, jobs }), ideal({ slots: 1, params: unlimited, jobs, acts })];
  for (let at = 0; at < less.now; at += 10_000) {
    const [before, after] = [served(plain, plain.starts, at), served(less, less.starts, at)];
    for (const seat of ["s1", "s2", "s3"]) expect((after.get(seat) ?? 0) - (before.get(seat) ?? 0)).toBeGreaterThanOrEqual(-longest(jobs));
  }
});
