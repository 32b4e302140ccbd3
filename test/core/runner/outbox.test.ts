import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Lane, Outbox } from "../../../gpu-adapter/runner/outbox.ts";

const GAPS = { progress: 250, progress_state: 250, preview: 250 };
const outbox = (): Outbox<string> => new Outbox<string>(GAPS);

describe("the order in which messages leave", () => {
  test("[G16] messages without a lane leave at once and in order", () => {
    const box = outbox();
    box.push("start");
    box.push("executing 1");
    expect(box.drain(0)).toEqual({ out: ["start", "executing 1"], wakeAt: null });
    expect(box.size).toBe(0);
  });

  test("[G17] a held message stops everything after it, and lets it go in order when released", () => {
    const box = outbox();
    const release = box.hold("executed 4");
    box.push("executing 5");
    box.replace("progress 5", "progress");
    expect(box.drain(0).out).toEqual([]);
    release("executed 4 with files");
    expect(box.drain(10).out).toEqual(["executed 4 with files", "executing 5", "progress 5"]);
  });

  test("[G17] of two held messages the second waits for the first, whichever is stored sooner", () => {
    const box = outbox();
    const first = box.hold("executed 1");
    const second = box.hold("executed 2");
    second("executed 2");
    expect(box.drain(0).out).toEqual([]);
    first("executed 1");
    expect(box.drain(1).out).toEqual(["executed 1", "executed 2"]);
  });

  test("[G16] while a file is stored, progress and previews coalesce to the latest of each", () => {
    const box = outbox();
    const release = box.hold("executed 1");
    for (let step = 1; step <= 50; step++) {
      box.replace(`progress ${step}`, "progress");
      box.replace(`preview ${step}`, "preview");
    }
    release("executed 1");
    expect(box.drain(5).out).toEqual(["executed 1", "progress 50", "preview 50"]);
  });
});

describe("the rate of progress and previews", () => {
  test("[G16] at most four a second of each lane, the latest wins, the first goes at once", () => {
    const box = outbox();
    const sent: string[] = [];
    for (let now = 0; now < 1000; now += 10) {
      box.replace(`p${now}`, "progress");
      sent.push(...box.drain(now).out);
    }
    expect(sent).toEqual(["p0", "p250", "p500", "p750"]);
  });

  test("what waits says when it may leave, and leaves then", () => {
    const box = outbox();
    box.replace("a", "preview");
    box.drain(100);
    box.replace("b", "preview");
    expect(box.drain(120)).toEqual({ out: [], wakeAt: 350 });
    expect(box.drain(350)).toEqual({ out: ["b"], wakeAt: null });
  });

  test("lanes do not slow each other, and no lane slows what must not wait", () => {
    const box = outbox();
    box.replace("progress", "progress");
    box.drain(0);
    box.replace("progress 2", "progress");
    box.replace("preview", "preview");
    box.push("executing 2");
    expect(box.drain(1).out).toEqual(["preview", "executing 2"]);
  });

  test("a preview that waits is dropped when its node ends: it would cover the finished picture", () => {
    const box = outbox();
    box.replace("preview 1", "preview");
    box.drain(0);
    box.replace("preview 2", "preview");
    box.drain(10);
    box.push("executing 2", "turns");
    expect(box.drain(400).out).toEqual(["executing 2"]);
  });

  test("the last progress_state of a run leaves before its end, however soon after the one before", () => {
    const box = outbox();
    box.replace("state 1", "progress_state");
    box.drain(0);
    box.replace("state 2", "progress_state");
    box.push("execution_success", "ends");
    expect(box.drain(1).out).toEqual(["state 2", "execution_success"]);
  });
});

type Step = { kind: "push" } | { kind: "hold" } | { kind: "replace"; lane: Lane } | { kind: "release"; which: number } | { kind: "wait"; ms: number };
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.constant<Step>({ kind: "push" }),
  fc.constant<Step>({ kind: "hold" }),
  fc.constantFrom<Lane>("progress", "progress_state", "preview").map((lane): Step => ({ kind: "replace", lane })),
  fc.nat(5).map((which): Step => ({ kind: "release", which })),
  fc.nat(400).map((ms): Step => ({ kind: "wait", ms })),
);

type Value = { n: number; lane: Lane | null; held: boolean };

describe("whatever comes", () => {
  test("[G16] [G17] nothing without a lane is lost, doubled or reordered; nothing passes a held message; each lane keeps its gap", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const box = new Outbox<Value>(GAPS);
        const ordered: number[] = [];
        const held: { n: number; release: (value: Value) => void }[] = [];
        const open = new Set<number>();
        const sent: { value: Value; at: number }[] = [];
        let n = 0;
        let now = 0;
        const drain = (): void => {
          for (const value of box.drain(now).out) {
            sent.push({ value, at: now });
            expect([...open].every((waiting) => waiting > value.n)).toBe(true);
          }
        };
        for (const what of steps) {
          if (what.kind === "wait") now += what.ms;
          else if (what.kind === "release") {
            const [chosen] = held.splice(what.which % Math.max(1, held.length), 1);
            if (chosen === undefined) continue;
            open.delete(chosen.n);
            chosen.release({ n: chosen.n, lane: null, held: true });
          } else if (what.kind === "replace") box.replace({ n: ++n, lane: what.lane, held: false }, what.lane);
          else {
            ordered.push(++n);
            const value = { n, lane: null, held: what.kind === "hold" };
            if (what.kind === "push") box.push(value, "turns");
            else {
              open.add(n);
              held.push({ n, release: box.hold(value) });
            }
          }
          drain();
        }
        for (const { n: number, release } of held) {
          open.delete(number);
          release({ n: number, lane: null, held: true });
        }
        now += 10_000;
        drain();
        expect(sent.filter(({ value }) => value.lane === null).map(({ value }) => value.n)).toEqual(ordered);
        for (const lane of ["progress", "progress_state", "preview"] as const) {
          const times = sent.filter(({ value }) => value.lane === lane);
          for (const [index, { at, value }] of times.entries()) {
            const before = times[index - 1];
            if (before === undefined) continue;
            expect(at - before.at).toBeGreaterThanOrEqual(GAPS[lane]);
            expect(value.n).toBeGreaterThan(before.value.n);
          }
        }
        expect(box.size).toBe(0);
      }),
      { numRuns: 500 },
    );
  });
});
