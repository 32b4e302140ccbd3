// How often places and times are told [Q76]: the clock of it is durable-objects/pulse.ts; what counts as a change is tested in test/core/places.test.ts.

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Pulse } from "../../../durable-objects/pulse.ts";

describe("cadence", () => {
  beforeEach(() => void vi.useFakeTimers({ now: 1_000_000 }));
  afterEach(() => void vi.useRealTimers());

  /** A pulse whose every beat lasts `gap` ms, and the moments (ms from the start) of its beats. */
  function pulse(gap: number): { beats: number[]; one: Pulse; pass: (ms: number) => void } {
    const beats: number[] = [];
    const one = new Pulse(Date.now, () => {
      beats.push(Date.now() - 1_000_000);
      return gap;
    });
    return { beats, one, pass: (ms) => void vi.advanceTimersByTime(ms) };
  }

  test("[Q76] what changes within a second is told together, once a second at most", () => {
    const { beats, one, pass } = pulse(1000);
    for (let ms = 0; ms < 5000; ms += 10) {
      one.wake();
      pass(10);
    }
    expect(beats.length).toBeGreaterThan(3);
    expect(beats.slice(1).every((at, index) => at - (beats[index] ?? 0) >= 1000)).toBe(true);
  });

  test("[Q76] after a silence a change is told at once, and nothing runs while nothing changes", () => {
    const { beats, one, pass } = pulse(1000);
    one.wake();
    pass(60_000);
    expect([beats.length, one.waiting, vi.getTimerCount()]).toEqual([1, false, 0]);
    one.wake();
    pass(100);
    expect([beats.length, one.waiting]).toEqual([2, false]);
  });

  test("[Q76] a long queue is told of less often: the beat says how long its gap is", () => {
    const { beats, one, pass } = pulse(4000);
    for (let ms = 0; ms < 9000; ms += 100) {
      one.wake();
      pass(100);
    }
    expect(beats.map((at) => Math.floor(at / 4000))).toEqual([0, 1, 2]);
  });
});
