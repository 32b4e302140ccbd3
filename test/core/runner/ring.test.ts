import { describe, expect, test } from "vitest";
import type { RunnerEvent } from "../../../gpu-adapter/contract.ts";
import { backoffMs, RECONNECT } from "../../../gpu-adapter/runner/backoff.ts";
import { Ring } from "../../../gpu-adapter/runner/ring.ts";

const event = (seq: number): RunnerEvent => ({ seq, ts: seq, type: "log", line: `${seq}` });
const seqs = (ring: Ring): number[] => ring.unacked().map(({ seq }) => seq);

describe("events not yet acknowledged", () => {
  test("[G16] everything after the last acknowledgement is there to be sent again, in order", () => {
    const ring = new Ring();
    for (let seq = 1; seq <= 5; seq++) ring.push(event(seq), 10, false);
    ring.ack(3);
    expect(seqs(ring)).toEqual([4, 5]);
    ring.ack(3);
    expect(seqs(ring)).toEqual([4, 5]);
    ring.ack(9);
    expect(ring.size).toBe(0);
  });

  test("[G16] when it is full, what a later event replaces goes first, oldest first", () => {
    const ring = new Ring({ entries: 3, bytes: 1000 });
    ring.push(event(1), 10, true);
    ring.push(event(2), 10, false);
    ring.push(event(3), 10, true);
    ring.push(event(4), 10, false);
    expect(seqs(ring)).toEqual([2, 3, 4]);
    ring.push(event(5), 10, false);
    expect(seqs(ring)).toEqual([2, 4, 5]);
  });

  test("[G16] what may never be dropped stays, full or not", () => {
    const ring = new Ring({ entries: 2, bytes: 1000 });
    for (let seq = 1; seq <= 4; seq++) ring.push(event(seq), 10, false);
    expect(seqs(ring)).toEqual([1, 2, 3, 4]);
  });

  test("bytes are bounded as well as entries, and acknowledged bytes are free again", () => {
    const ring = new Ring({ entries: 100, bytes: 100 });
    ring.push(event(1), 60, true);
    ring.push(event(2), 60, true);
    expect(seqs(ring)).toEqual([2]);
    ring.ack(2);
    ring.push(event(3), 60, true);
    ring.push(event(4), 40, true);
    expect(seqs(ring)).toEqual([3, 4]);
  });

  test("a batch takes the oldest first", () => {
    const ring = new Ring();
    for (let seq = 1; seq <= 5; seq++) ring.push(event(seq), 10, false);
    expect(ring.unacked(2).map(({ seq }) => seq)).toEqual([1, 2]);
  });
});

describe("waiting before another try", () => {
  test("doubles from 0.3 s to 10 s, and jitter takes off at most half", () => {
    expect(backoffMs(RECONNECT, 0, 0)).toBe(150);
    expect(backoffMs(RECONNECT, 0, 0.999999)).toBe(300);
    expect(backoffMs(RECONNECT, 3, 0.999999)).toBe(2400);
    expect(backoffMs(RECONNECT, 50, 0)).toBe(5000);
    expect(backoffMs(RECONNECT, 5000, 0.999999)).toBe(10_000);
  });
});
