import { deflateSync, crc32 } from "node:zlib";
import { describe, expect, test } from "vitest";
import { outputClasses, outputNodes, tagOutputs, withoutSeatTag } from "../../../gpu-adapter/runner/seat-tag.ts";
import { untagged } from "../../../gpu-adapter/runner/untag.ts";
import { FileMemory } from "../../../gpu-adapter/runner/file-memory.ts";

const CLASSES = outputClasses({ SaveImage: { output_node: true }, PreviewImage: { output_node: true }, EmptyImage: { output_node: false }, Odd: null });
const GRAPH = { "1": { class_type: "EmptyImage", inputs: { width: 8 } }, "2": { class_type: "SaveImage", inputs: { images: ["1", 0], filename_prefix: "x" }, _meta: { title: "Save" } }, "3": { class_type: "PreviewImage" } };

describe("the seat tag", () => {
  test("[G19] goes to output nodes only, beside their other inputs, and the graph given stays as it was", () => {
    const before = structuredClone(GRAPH);
    expect(tagOutputs(GRAPH, CLASSES, "seat-a")).toEqual({
      "1": { class_type: "EmptyImage", inputs: { width: 8 } },
      "2": { class_type: "SaveImage", inputs: { images: ["1", 0], filename_prefix: "x", comfyume_seat: "seat-a" }, _meta: { title: "Save" } },
      "3": { class_type: "PreviewImage", inputs: { comfyume_seat: "seat-a" } },
    });
    expect(GRAPH).toEqual(before);
  });

  test("[G19] a tag that a client sent itself does not survive", () => {
    const graph = { "1": { class_type: "EmptyImage", inputs: { comfyume_seat: "other" } }, "2": { class_type: "SaveImage", inputs: { comfyume_seat: "other" } } };
    expect(tagOutputs(graph, CLASSES, "mine")).toEqual({ "1": { class_type: "EmptyImage", inputs: {} }, "2": { class_type: "SaveImage", inputs: { comfyume_seat: "mine" } } });
  });

  test("malformed nodes pass for ComfyUI to refuse in its own words", () => {
    expect(tagOutputs({ "1": null, "2": { class_type: 5 }, "3": "x" }, CLASSES, "t")).toEqual({ "1": null, "2": { class_type: 5, inputs: {} }, "3": "x" });
  });

  test("output nodes are those whose class ComfyUI calls one", () => {
    expect(outputNodes(GRAPH, CLASSES)).toEqual(["2", "3"]);
  });

  test("[G19] does not show in messages that quote a node's inputs", () => {
    const data = { current_inputs: { images: ["x"], comfyume_seat: ["t"] }, nested: [{ inputs: { comfyume_seat: "t", a: 1 } }] };
    expect(withoutSeatTag(data)).toEqual({ current_inputs: { images: ["x"] }, nested: [{ inputs: { a: 1 } }] });
  });
});

function chunk(type: string, body: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(type, "latin1"), body]);
  const head = Buffer.alloc(4);
  head.writeUInt32BE(body.length);
  const tail = Buffer.alloc(4);
  tail.writeUInt32BE(crc32(named));
  return Buffer.concat([head, named, tail]);
}

function png(prompt: string): Buffer {
  const header = Buffer.from([0, 0, 0, 1, 0, 0, 0, 1, 8, 2, 0, 0, 0]);
  return Buffer.concat([Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]), chunk("IHDR", header), chunk("tEXt", Buffer.from(`prompt\0${prompt}`, "latin1")), chunk("IDAT", deflateSync(Buffer.from([0, 1, 2, 3]))), chunk("IEND", Buffer.alloc(0))]);
}

describe("the seat tag in produced files", () => {
  test("[G19] a PNG becomes what it would have been without the tag, byte for byte", () => {
    const clean = '{"2": {"inputs": {"images": ["1", 0], "filename_prefix": "\\u00e9"}, "class_type": "SaveImage"}}';
    const last = clean.replace('"\\u00e9"', '"\\u00e9", "comfyume_seat": "0123456789abcdef"');
    const first = clean.replace('"images"', '"comfyume_seat": "0123456789abcdef", "images"');
    expect(untagged(png(last), "0123456789abcdef")).toEqual(png(clean));
    expect(untagged(png(first), "0123456789abcdef")).toEqual(png(clean));
  });

  test("[G19] as the only input it leaves an empty object", () => {
    expect(untagged(png('{"inputs": {"comfyume_seat": "t-1"}}'), "t-1")).toEqual(png('{"inputs": {}}'));
  });

  test("[G19] in other containers the length stays and the JSON stays valid, escaped JSON too", () => {
    const plain = '{"inputs": {"a": 1, "comfyume_seat": "abc"}}';
    const escaped = JSON.stringify({ prompt: JSON.stringify({ inputs: { a: 1, comfyume_seat: "abc" } }) });
    for (const text of [plain, escaped]) {
      const cleaned = untagged(Buffer.from(`RIFF${text}`), "abc").toString();
      expect(cleaned).toHaveLength(text.length + 4);
      expect(cleaned).not.toContain("comfyume_seat");
      const parsed = JSON.parse(cleaned.slice(4)) as { prompt?: string; inputs?: object };
      expect(parsed.prompt === undefined ? parsed : JSON.parse(parsed.prompt)).toEqual({ inputs: { a: 1 } });
    }
  });

  test("files without it, and files that speak of it without being it, are the same bytes", () => {
    const other = png('{"a": 1}');
    expect(untagged(other, "abc")).toBe(other);
    const foreign = Buffer.from('{"comfyume_seat": "somebody else"}');
    expect(untagged(foreign, "abc")).toEqual(foreign);
    const cut = png('{"comfyume_seat": "abc"}').subarray(0, 60);
    expect(untagged(cut, "abc")).toEqual(cut);
  });
});

describe("names remembered for cached nodes", () => {
  const file = { type: "output" as const, subfolder: "", filename: "a_00001_.png" };

  test("[G23] a seat finds its own earlier file, another seat does not", () => {
    const memory = new FileMemory();
    memory.remember("seat-a", file, "f1");
    expect(memory.recall("seat-a", file)).toBe("f1");
    expect(memory.recall("seat-b", file)).toBeNull();
    expect(memory.recall("seat-a", { ...file, type: "temp" })).toBeNull();
    expect(memory.knows(file)).toBe(true);
  });

  test("[G23] with the ComfyUI process its names are forgotten", () => {
    const memory = new FileMemory();
    memory.remember("seat-a", file, "f1");
    memory.forget();
    expect(memory.recall("seat-a", file)).toBeNull();
    expect(memory.knows(file)).toBe(false);
  });
});
