// What the hand-over stands on: calls that take turns, what GPUs offer, jobs pinned to a pool, what a deployment's file would change.
import { describe, expect, test } from "vitest";
import { Lane } from "../../../durable-objects/lane.ts";
import { changeLines, changesBetween } from "../../../scripts/gpu/changes.ts";
import { offersOf } from "../../../workers/routes/catalog-offers.ts";
import { Room } from "../queue/room.ts";

describe("the lane", () => {
  test("so many at once; one thing's calls stand in line; one that takes long holds up its own kind only", async () => {
    const lane = new Lane(2);
    const open = new Map<string, () => void>();
    const begun: string[] = [];
    const enter = (key: string, name: string): Promise<void> => lane.enter(key, async () => {
      begun.push(name);
      await new Promise<void>((resolve) => open.set(name, resolve));
    });
    const settle = async (): Promise<void> => void (await new Promise((resolve) => setTimeout(resolve, 1)));
    const done = [enter("a", "a1"), enter("a", "a2"), enter("b", "b1"), enter("c", "c1")];
    await settle();
    expect([begun, lane.waiting("a"), lane.waiting("b"), lane.waiting("c")]).toEqual([["a1", "b1"], true, false, true]);
    open.get("b1")?.();
    await settle();
    expect(begun).toEqual(["a1", "b1", "c1"]);
    open.get("a1")?.();
    await settle();
    expect(begun).toEqual(["a1", "b1", "c1", "a2"]);
    for (const release of open.values()) release();
    await Promise.all(done);
  });
});

describe("what a GPU offers", () => {
  test("node classes, and model files by folder and by every list that names one", () => {
    const object_info = {
      KSampler: { input: { required: { sampler_name: [["euler", "heun"]], seed: ["INT", {}] } } },
      Loader: { input: { required: { name: [["a.safetensors", "sub/b.gguf", "none"]] }, optional: { vae: ["COMBO", { options: ["c.pt", 3] }] } } },
      Bare: {},
    };
    expect(offersOf({ object_info, models: { loras: ["d.safetensors", "a.safetensors"] } }).sort()).toEqual(["m:a.safetensors", "m:c.pt", "m:d.safetensors", "m:sub/b.gguf", "n:Bare", "n:KSampler", "n:Loader"]);
  });

  test("[Q41] a job pinned to a pool runs there and nowhere else, whether the pool has told what it offers or not", () => {
    const room = new Room({ slots: 2, pools: [{ id: "first", position: 0, maxInFlight: 1 }, { id: "second", position: 1, maxInFlight: 1, offers: ["n:SaveImage"] }] });
    room.submit("A1", { requires: ["n:SaveImage", "p:second"] });
    room.submit("B1", { requires: ["p:first"] });
    room.submit("C1", { requires: ["p:third"] });
    expect([room.attempt("A1").pool, room.attempt("B1").pool, room.stateOf("C1")]).toEqual(["second", "first", "waiting"]);
  });
});

describe("what a deployment would change", () => {
  test("only what is wanted is compared; lists of things by place; what stands beyond the wanted list goes", () => {
    const actual = { scaling: { min: 1, max: 3, extra: true }, env: [{ name: "A", value: "1" }, { name: "B", value: "2" }], tags: ["x"], id: "d-1" };
    expect(changesBetween(actual, { scaling: { min: 0, max: 3 }, env: [{ name: "A", value: "9" }], tags: ["x"], spot: true })).toEqual([
      { path: "scaling.min", from: 1, to: 0 },
      { path: "env[0].value", from: "1", to: "9" },
      { path: "env[1]", from: { name: "B", value: "2" }, to: undefined },
      { path: "spot", from: undefined, to: true },
    ]);
    expect(changesBetween(actual, { tags: ["x"] })).toEqual([]);
    expect(changeLines([{ path: "a", from: undefined, to: 1 }, { path: "b", from: "x", to: undefined }, { path: "c", from: 1, to: [2] }])).toEqual(["  + a = 1", '  - b = "x"', "  ~ c: 1 → [2]"]);
  });
});
