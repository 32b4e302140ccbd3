// Section 3: arrival and admission.

import { describe, expect, test } from "vitest";
import { forecast, retryAfterSeconds } from "../../../durable-objects/queue/index.ts";
import type { Submit } from "../../../durable-objects/queue/index.ts";
import { Room } from "./room.ts";

const rich = { rate: 3_600_000 }; // one micro-unit per ms

describe("checks at the door", () => {
  test("[Q13] the first check that fails is the answer, in the spec's order", () => {
    const room = new Room({ params: { seatMax: 2, seatFloor: 1 }, pools: [rich] });
    const key = { key: "k", hash: "h" };
    room.submit("A1", { idempotency: key });
    room.submit("A2");
    room.submit("A3");
    room.ok({ type: "set_params", params: { queueMax: 1 }, by: "ada" });
    room.ok({ type: "set_budget", budget: 1, by: "ada" });
    room.ok({ type: "set_switch", to: "draining", by: "ada" });
    const everything: Partial<Submit> = {
      idempotency: { key: "k", hash: "other" },
      bytes: 1e9,
      fault: { reason: "invalid_prompt", message: "The prompt has no output node." },
    };
    const ladder: [string, () => void][] = [
      ["idempotency_conflict", () => (everything.idempotency = null)],
      ["not_admitting", () => room.ok({ type: "set_switch", to: "open", by: "ada" })],
      ["payload_too_large", () => (everything.bytes = 10)],
      ["invalid_prompt", () => (everything.fault = { reason: "unknown_model", message: "No GPU has this model." })],
      ["unknown_model", () => (everything.fault = { reason: "input_missing", message: "photo.png is not in your files." })],
      ["input_missing", () => delete everything.fault],
      ["seat_queue_full", () => room.ok({ type: "cancel", job: "A3", seat: "A" })],
      ["queue_full", () => room.ok({ type: "cancel", job: "A2", seat: "A" })],
      ["budget_exhausted", () => room.ok({ type: "set_budget", budget: null, by: "ada" })],
    ];
    for (const [reason, mend] of ladder) {
      const refusal = room.refused(room.submission("A9", everything));
      expect(refusal.reason).toBe(reason);
      mend();
    }
    expect(room.ok(room.submission("A9", everything)).repeated).toBe(false);
  });

  test("[Q13] a refusal carries the numbers behind it", () => {
    const room = new Room({ params: { seatMax: 1 } });
    room.submit("A1");
    room.submit("A2");
    expect(room.refused(room.submission("A3")).numbers).toEqual({ limit: 1, current: 1 });
  });

  test("[Q13] a full queue still has room for a seat below its floor", () => {
    const room = new Room({ params: { queueMax: 2, seatFloor: 1 } });
    for (const id of ["A1", "A2", "A3"]) room.submit(id);
    expect(room.refused(room.submission("A4")).reason).toBe("queue_full");
    room.submit("B1");
    expect(room.refused(room.submission("B2")).reason).toBe("queue_full");
  });

  test("[Q13] Retry-After is the seat's next start, 5 to 120 seconds", () => {
    const room = new Room();
    room.submit("A1", { e: 40_000 });
    room.start("A1");
    room.submit("A2", { e: 1000 });
    room.at(10);
    const after = (seat: string) => retryAfterSeconds(forecast(room.state, room.now), room.state, seat, room.now);
    expect(after("A")).toBe(30);
    expect(after("B")).toBe(120);
    room.at(39);
    expect(after("A")).toBe(10); // a quarter of the estimate is always left
  });

  test("[Q14] the same key with the same body returns the first acceptance, live or ended", () => {
    const room = new Room();
    const submission = room.submission("A1", { idempotency: { key: "k", hash: "h" } });
    const first = room.ok(submission);
    const again = { ...submission, id: "A2" };
    expect(room.ok(again)).toEqual({ ...first, repeated: true });
    expect(room.state.jobs.size).toBe(1);
    room.done("A1");
    const known = room.ended.get("A1");
    expect(room.ok({ ...again, known: { byKey: known } } as Submit)).toEqual({ ...first, repeated: true });
    expect(room.refused({ ...again, idempotency: { key: "k", hash: "x" }, known: { byKey: known } } as Submit).reason).toBe("idempotency_conflict");
    room.ok({ ...again, seat: "B" });
    expect(room.state.jobs.get("A2")?.seat).toBe("B"); // keys are per seat
  });

  test("[Q14] an id somebody used is taken, live or ended", () => {
    const room = new Room();
    room.submit("A1");
    expect(room.refused(room.submission("A1", { seat: "B" })).reason).toBe("id_taken");
    room.done("A1");
    expect(room.refused({ ...room.submission("A1", { seat: "B" }), known: { byId: room.ended.get("A1") } } as Submit).reason).toBe("id_taken");
  });

  test("[Q15] two submits in one batch cannot pass one free place", () => {
    const room = new Room({ params: { seatMax: 1 } });
    room.submit("A1");
    const answers = room.ok({ type: "batch", commands: [room.submission("A2"), room.submission("A3")] });
    expect(answers.map((one) => one.ok)).toEqual([true, false]);
  });

  test("[Q17] acceptance commits the whole job row, the quote follows once", () => {
    const room = new Room({ params: {}, pools: [rich] });
    room.at(7).submit("A1", { e: 5000, e90: 9000, userPriority: 3, requires: ["b", "a", "b"], signature: "sdxl" });
    const job = room.job("A1");
    expect(job).toMatchObject({ seat: "A", seq: 1, lane: "normal", class: 2, userPriority: 3, place: 1, signature: "sdxl", requires: ["a", "b"], e: 5000, e90: 9000, acceptedAt: 7000, quoted: null });
    room.ok({ type: "quote", quotes: [{ job: "A1", start50: 8000, start90: 9000 }, { job: "gone", start50: 1, start90: 1 }] });
    room.ok({ type: "quote", quotes: [{ job: "A1", start50: 99, start90: 99 }] });
    expect(job.quoted).toEqual({ start50: 8000, start90: 9000 });
  });
});

describe("budget", () => {
  test("[Q16] admission counts what is spent and what is set aside", () => {
    const room = new Room({ slots: 1, pools: [rich] });
    room.ok({ type: "set_budget", budget: 30_000, by: "ada" });
    room.submit("A1", { e: 5000, e90: 10_000 });
    room.submit("A2", { e: 5000, e90: 10_000 });
    room.submit("B1", { e: 5000, e90: 10_000 });
    expect(room.refused(room.submission("B2", { e: 5000, e90: 10_000 })).numbers).toEqual({ scope: "workshop", budget: 30_000, spent: 0, reserved: 30_000, needed: 10_000 });
    room.start("A1");
    room.at(4).done("A1");
    expect(room.state.workshop.spent).toBe(4000);
    expect(room.refused(room.submission("B2", { e: 5000, e90: 10_000 })).numbers).toMatchObject({ spent: 4000, reserved: 20_000 });
    room.submit("B3", { e: 5000, e90: 6000 });
  });

  test("[Q16] a seat's envelope binds that seat alone", () => {
    const room = new Room({ pools: [rich] });
    room.ok({ type: "set_envelope", seat: "A", budget: 10_000, by: "ada" });
    room.submit("A1", { e: 5000, e90: 10_000 });
    expect(room.refused(room.submission("A2", { e: 5000, e90: 10_000 })).numbers.scope).toBe("seat");
    room.submit("B1", { e: 5000, e90: 10_000 });
  });

  test("[Q16] a job the budget cannot pay waits, says so, and starts when money is added", () => {
    const room = new Room({ slots: 1, pools: [rich] });
    room.ok({ type: "set_budget", budget: 20_000, by: "ada" });
    room.submit("A1", { e: 5000, e90: 10_000 });
    room.submit("B1", { e: 5000, e90: 10_000 });
    room.start("A1");
    room.at(15).done("A1"); // dearer than thought
    expect(room.stateOf("B1")).toBe("waiting");
    expect(forecast(room.state, room.now).get("B1")).toEqual({ reason: "budget" });
    room.ok({ type: "set_budget", budget: 25_000, by: "ada" });
    expect(room.stateOf("B1")).toBe("dispatched");
  });

  test("[Q16] the dispatch test takes the pool chosen, so a cheaper pool may still serve", () => {
    const room = new Room({ slots: 2, pools: [{ id: "dear", position: 0, rate: 7_200_000 }, { id: "cheap", position: 1, rate: 3_600_000 }] });
    room.ok({ type: "set_budget", budget: 20_000, by: "ada" });
    room.submit("A1", { e: 5000, e90: 10_000 });
    room.ok({ type: "evict", job: "A1", by: "ada" });
    room.ok({ type: "record_spend", micro: 5000 });
    room.ok({ type: "evict", job: "A1", by: "ada" });
    expect(room.attempt("A1").pool).toBe("cheap");
  });

  test("[Q16] set aside is the dearest pool of the seat's chain at admission, the chosen pool from dispatch on", () => {
    const pools = [{ id: "cheap", position: 0, rate: 3_600_000 }, { id: "dear", position: 1, rate: 7_200_000 }, { id: "theirs", position: 2, rate: 36_000_000, groups: ["red"] }];
    const room = new Room({ slots: 1, pools });
    room.ok({ type: "set_switch", to: "paused", by: "ada" });
    room.submit("A1", { e: 5000, e90: 10_000 });
    expect([room.job("A1").reserve, room.state.derived.reserved, room.state.derived.reservedLive]).toEqual([20_000, 20_000, 0]);
    room.ok({ type: "set_budget", budget: 39_999, by: "ada" });
    expect(room.refused(room.submission("B1", { e: 5000, e90: 10_000 })).numbers).toMatchObject({ reserved: 20_000, needed: 20_000 });
    room.ok({ type: "set_switch", to: "open", by: "ada" });
    expect(room.attempt("A1").pool).toBe("cheap");
    expect([room.job("A1").reserve, room.state.derived.reserved, room.state.derived.reservedLive]).toEqual([10_000, 10_000, 10_000]);
    room.submit("B1", { e: 5000, e90: 10_000 }); // what the cheaper pool left over is free
    room.ok({ type: "set_group", seat: "R", group: "red", by: "ada" });
    expect(room.refused(room.submission("R1", { e: 5000, e90: 10_000 })).numbers).toMatchObject({ needed: 100_000 });
  });

  test("[Q16] crossing 80 % is said once", () => {
    const room = new Room();
    room.ok({ type: "set_budget", budget: 1000, by: "ada" });
    for (const micro of [799, 1, 50, 50]) room.ok({ type: "record_spend", micro });
    expect(room.find("budget_crossed")).toEqual([{ type: "budget_crossed", scope: "workshop", spent: 800, budget: 1000 }]);
  });

  test("[Q16] spent counts container time, failed and lost attempts included", () => {
    const room = new Room({ params: { backoff: 0 }, pools: [rich] });
    room.submit("A1");
    room.ok({ type: "claim", job: "A1", attempt: 1, runner: "r", lease: "l1", coldMs: 2000 });
    room.at(3).fail("A1", "container_lost");
    expect(room.state.workshop.spent).toBe(5000);
    expect(room.v("A")).toBe(10_000); // refunded, and charged for the second attempt
    room.start("A1");
    room.at(7).fail("A1", "node_error");
    expect(room.state.workshop.spent).toBe(9000);
    expect(room.state.seats.get("A")?.spent).toBe(9000);
  });
});

test("[Q14] [Q59] a job that ends in the very same decision is known to the commands after it", () => {
  const room = new Room();
  room.submit("A1", { idempotency: { key: "k", hash: "h" } });
  const again = room.submission("A2", { idempotency: { key: "k", hash: "h" } });
  const answers = room.ok({
    type: "batch",
    commands: [{ type: "cancel", job: "A1", seat: "A" }, again, room.submission("A1", { seat: "B" }), { type: "cancel", job: "A1", seat: "A" }, { type: "claim", job: "A1", attempt: 1, runner: "r", lease: "l" }],
  });
  expect(answers.map((one) => (one.ok ? one.result : one.reason))).toEqual([{ answer: "removed_waiting" }, { job: "A1", seq: 1, repeated: true }, "id_taken", { answer: "already_finished", state: "cancelled" }, "gone"]);
});
