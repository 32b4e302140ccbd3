// What a seat is shown of its jobs: the forecast's own answers, and silence while they only tremble [Q74]-[Q76].
import { describe, expect, test } from "vitest";
import { placed, placesBySeat, placesOf, type PlaceRow, sameRows } from "../../durable-objects/place-view.ts";
import { decide, defaultPool, emptyRows, forecast, type QueueState, restore } from "../../durable-objects/queue/index.ts";

const NOW = 1_800_000_000_000;

function room(jobs: [id: string, seat: string][], slots = 1): QueueState {
  const state = restore(emptyRows());
  decide(state, { type: "upsert_pool", pool: { ...defaultPool, id: "gpu", maxInFlight: slots } }, NOW);
  decide(state, { type: "set_wanted", slots, by: "test" }, NOW);
  for (const [id, seat] of jobs) {
    decide(state, { type: "submit", id, seat, instructor: false, background: false, front: false, userPriority: 0, class: 2, signature: "m", timing: "t", kind: "image", requires: [], bytes: 1, idempotency: null }, NOW);
  }
  return state;
}

const row = (changes: Partial<PlaceRow> = {}): PlaceRow => ({ id: "a", state: "waiting", lane: "normal", place: 1, ahead: 0, eta: { from: NOW + 60_000, to: NOW + 90_000 }, ...changes });

describe("places", () => {
  test("[Q74] the place shown is the index in the forecast, what is ahead is one less, and seats see their own jobs only", () => {
    const state = room([["a1", "ada"], ["a2", "ada"], ["b1", "bob"], ["c1", "cyd"]]);
    const forecasts = forecast(state, NOW);
    const all = placesBySeat(state, forecasts);
    expect(all.get("ada")).toMatchObject([{ id: "a1", state: "dispatched", place: null, ahead: 0, eta: null }, { id: "a2", place: 1, ahead: 0 }]);
    // Whoever arrives is level with the seat that was alone until then [Q31], so the earlier job goes first.
    expect(all.get("cyd")).toMatchObject([{ id: "c1", place: 3, ahead: 2 }]);
    const order = [...forecasts.keys()];
    for (const [seat, rows] of all) {
      expect(placesOf(state, seat, forecasts)).toEqual(rows);
      for (const { id, place } of rows) if (place !== null) expect(order[place - 1]).toBe(id);
    }
    expect(placesOf(state, "nobody", forecasts)).toEqual([]);
  });

  test("[Q74] a job the forecast has not seen yet is being placed: no number is made up", () => {
    const state = room([["a1", "ada"], ["a2", "ada"]]);
    expect(placesOf(state, "ada", new Map())).toMatchObject([{ id: "a1" }, { id: "a2", place: null, ahead: null, eta: null, reason: "being_placed" }]);
  });

  test("[Q76] times that move by less than two seconds or a tenth of the wait are the same times", () => {
    const later = (ms: number): PlaceRow => row({ eta: { from: NOW + 60_000 + ms, to: NOW + 90_000 + ms } });
    expect(sameRows([row()], [later(1900)], NOW)).toBe(true);
    expect(sameRows([row()], [later(5900)], NOW)).toBe(true);
    expect(sameRows([row()], [later(9000)], NOW)).toBe(false);
    expect(sameRows([row()], [later(5900)], NOW + 50_000)).toBe(false);
  });

  test("[Q76] a place, a state, a reason or a job more or less is always news", () => {
    expect(sameRows([row()], [row({ place: 2, ahead: 1 })], NOW)).toBe(false);
    expect(sameRows([row()], [row({ eta: null, reason: "paused" })], NOW)).toBe(false);
    expect(sameRows([row()], [row({ state: "dispatched" })], NOW)).toBe(false);
    expect(sameRows([row()], [], NOW)).toBe(false);
    expect(sameRows([], [], NOW)).toBe(true);
  });

  test("a listed job carries where it stands, without what the list says already", () => {
    const listed: { job: string; queue_json?: string } = placed({ job: "a" }, [row()]);
    expect(JSON.parse(listed.queue_json ?? "")).toEqual({ lane: "normal", place: 1, ahead: 0, eta: row().eta });
    expect(placed({ job: "z" }, [row()])).toEqual({ job: "z" });
  });
});
