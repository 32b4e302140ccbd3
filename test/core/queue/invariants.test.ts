// Section 13 over random command sequences, with a crash before every command and a replay of the whole log.

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decide, nextWake, restore, rowsOf } from "../../../durable-objects/queue/index.ts";
import type { Decision, Job, QueueState, Rows } from "../../../durable-objects/queue/index.ts";
import { choose } from "../../../durable-objects/queue/choose.ts";
import { settingsOf } from "../../../durable-objects/queue/params.ts";
import { Chaos, steps, type Entry } from "../../simulators/queue/chaos.ts";
import { referenceChoice } from "../../simulators/queue/reference.ts";
import { bare } from "./room.ts";

function play(runs: number, length: number, watch?: ConstructorParameters<typeof Chaos>[1], then?: (world: Chaos) => void, params = {}): void {
  fc.assert(
    fc.property(steps(length), (list) => {
      const world = new Chaos(params, watch);
      for (const step of list) world.step(step);
      then?.(world);
    }),
    { numRuns: runs, seed: 20_261_123, endOnFailure: true },
  );
}

/** Every job in exactly one place, every attempt in its slot. */
function conserved(world: Chaos): void {
  const { state } = world;
  const live = [...state.jobs.values()];
  expect(world.accepted.size).toBe(live.length + world.ended.size);
  for (const job of live) {
    expect(world.ended.has(job.id)).toBe(false);
    const attempts = [...state.attempts.values()].filter((attempt) => attempt.job === job.id);
    expect(attempts).toHaveLength(job.state === "waiting" ? 0 : 1);
    const [attempt] = attempts;
    if (attempt === undefined) continue;
    expect(attempt.number).toBe(job.attempts);
    expect((attempt.lease === null) === (job.state === "dispatched")).toBe(true);
  }
  expect([...state.attempts.values()].every(({ job }) => state.jobs.has(job))).toBe(true);
}

function slotted(state: QueueState): void {
  const taken = [...state.slots.values()].filter(({ attempt }) => attempt !== null);
  expect(taken).toHaveLength(state.attempts.size);
  for (const slot of taken) expect(state.attempts.get(slot.attempt ?? "")?.slot).toBe(slot.key);
}

/** Passings, virtual time, sums set aside and the alarm. */
function bounded({ state, now }: Chaos, before: Rows): void {
  const jobs = [...state.jobs.values()];
  const sum = (list: Job[]) => list.reduce((total, { reserve }) => total + reserve, 0);
  expect(state.derived.reserved).toBe(sum(jobs));
  expect(state.derived.reservedLive).toBe(sum(jobs.filter((job) => job.state !== "waiting")));
  expect(Math.max(0, ...jobs.map(({ passed }) => passed))).toBeLessThanOrEqual(4);
  expect(state.workshop.main.v).toBeGreaterThanOrEqual(before.workshop.main.v);
  expect(state.workshop.background.n).toBeGreaterThanOrEqual(before.workshop.background.n);
  for (const { main, background } of state.seats.values()) expect([main.v, main.n, background.v, background.n].every(Number.isSafeInteger)).toBe(true);
  const wake = nextWake(state, now);
  if (wake !== null) expect(wake).toBeGreaterThan(now);
}

function starting(decision: Decision): string[] {
  return decision.events.flatMap((event) => (event.type === "job_dispatched" ? [event.job] : []));
}

describe("invariants", () => {
  test("[I1] [I2] [I3] [Q16] [Q32] [Q47] [Q77] after every command: each job in one place, each attempt in its slot, sums and clocks right", () => {
    play(80, 120, (world, before) => {
      conserved(world);
      slotted(world.state);
      bounded(world, before);
    });
  });

  test("[I1] [Q53] an expired or old lease changes nothing", () => {
    play(40, 120, (world, _before, { command }, decision) => {
      if (command.type !== "renew" && command.type !== "result" && command.type !== "started") return;
      const lease = world.state.attempts.get(`${command.job}#${command.attempt}`)?.lease?.id;
      if (decision.ok && command.type !== "result") expect(lease).toBe(command.lease);
      if (!decision.ok) expect(["stale", "conflict", "files_uncommitted"]).toContain(decision.reason);
    });
  });

  test("[I2] [Q68] lowering W ends no attempt", () => {
    const closed = ({ events }: Decision) => events.flatMap((event) => (event.type === "attempt_closed" ? [event.record.key] : []));
    let below = 0;
    play(40, 120, (_world, before, { command, now }, decision) => {
      if (command.type !== "set_wanted") return;
      const due = closed(decide(restore(structuredClone(before)), { type: "tick" }, now)); // what the clock alone would end
      expect(closed(decision)).toEqual(due);
      if (before.attempts.length - due.length > command.slots) below++;
    });
    expect(below).toBeGreaterThan(2); // otherwise nothing was asked
  });

  test("[I4] [Q40] after a command no idle slot may run a job it should: the reference picker agrees there is none", () => {
    play(50, 120, ({ state, now }, _before, _entry, decision) => {
      if (decision.ok) expect(referenceChoice(rowsOf(state), now)).toBeNull();
    });
  });

  test("[Q40] [Q42] [Q43] [Q44] [Q45] [Q46] [Q47] [Q48] [Q49] the core and the reference picker choose alike", () => {
    let chosen = 0;
    play(120, 120, undefined, (world) => {
      const rows = JSON.parse(JSON.stringify(rowsOf(world.state))) as Rows;
      rows.workshop.switch = "open";
      for (const slot of rows.slots) slot.open = rows.pools.some(({ id, removed }) => id === slot.pool && !removed);
      for (const ahead of [0, 45_000, 700_000]) {
        const mine = choose(restore(structuredClone(rows)), settingsOf(rows.workshop.mode, rows.params), world.now + ahead);
        const picked = mine === null ? null : { job: mine.job.id, slot: mine.slot.key, passed: mine.passed.map(({ id }) => id).sort() };
        expect(picked).toEqual(referenceChoice(structuredClone(rows), world.now + ahead));
        if (picked !== null) chosen++;
      }
    });
    expect(chosen).toBeGreaterThan(100);
  });

  test("[I8] a seat's cancel, clear, delete or interrupt ends jobs of that seat only", () => {
    play(40, 120, (_world, before, { command }, decision) => {
      if (command.type !== "cancel" && command.type !== "clear" && command.type !== "delete" && command.type !== "interrupt") return;
      if (command.seat === null) return;
      const others = (job: string) => before.jobs.find(({ id }) => id === job)?.seat !== command.seat;
      const timers = decision.events.filter((event) => event.type === "attempt_closed" && event.record.outcome !== "cancelled").length;
      if (timers > 0) return;
      for (const event of decision.events) {
        if (event.type === "job_state" && event.to === "stopping") expect(others(event.job)).toBe(false);
        if (event.type === "job_ended" && event.from !== "stopping" && event.record.state === "cancelled") expect(others(event.job)).toBe(false);
      }
    });
  });

  test("[I10] [Q30] what attempts left on the ledger is what they ran, and money is what they cost", () => {
    play(40, 150, accounts, (world) => {
      const cost = [...world.closed.values()].reduce((sum, { record }) => sum + record.cost, 0);
      expect(world.state.workshop.spent).toBe(cost + world.recorded);
      for (const { record } of world.closed.values()) {
        expect(record.refunded ? record.settled : 0).toBe(0);
        if (record.claimedAt !== null) expect(record.cost * 3_600_000).toBeGreaterThanOrEqual((record.closedAt - record.claimedAt) * record.rate);
      }
    }, { halfLifeMinutes: 0, debtMs: 0, debtJobs: 0 });
  });

  test("[I11] [Q5] the log replays bit for bit, and a crash before any command changes nothing", () => {
    play(40, 150, undefined, (world) => {
      const replayed = restore(structuredClone(world.initial));
      const starts = world.log.map(({ command, now }) => starting(decide(replayed, command, now)));
      expect(starts).toEqual(world.decisions.map(starting));
      expect(bare(rowsOf(replayed))).toEqual(bare(rowsOf(world.state)));
    });
  });

});

/** [I10] Charges, settlements and refunds are all that moves a ledger, lifts apart (decay and cap are off here). */
function accounts(world: Chaos, before: Rows, { command }: Entry, decision: Decision): void {
  if (command.type === "new_round" || command.type === "set_weight" || command.type === "batch") return;
  for (const seat of world.state.seats.values()) {
    const was = before.seats.find(({ id }) => id === seat.id)?.main ?? { v: 0, n: 0 };
    let moved = 0;
    let given = 0;
    for (const event of decision.events) {
      if (event.type === "job_dispatched" && event.seat === seat.id) {
        const attempt = world.state.attempts.get(`${event.job}#${event.attempt}`);
        if (attempt?.ledger === "main") moved += attempt.charged.v;
      }
      if (event.type === "attempt_closed" && event.record.seat === seat.id && event.record.ledger === "main") {
        const step = (event.record.refunded ? 0 : Math.floor((event.record.settled * 100) / seat.weight)) - event.record.charged.v;
        moved += step;
        given += Math.min(0, step);
      }
    }
    const lifted = seat.main.v - was.v - moved;
    expect(lifted).toBeGreaterThanOrEqual(0);
    if (lifted > 0) expect(was.v + given).toBeLessThan(world.state.workshop.main.v);
  }
}
