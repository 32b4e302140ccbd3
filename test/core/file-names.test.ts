// Names of files inside a node's output, and the two halves of each name: the GPU's and the seat's.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { finalName, type NamedFile, parseLocalName, renameOutputFiles } from "../../gpu-adapter/file-names.ts";

describe("[G20] output files", () => {
  const output = {
    images: [{ filename: "a_00001_.png", subfolder: "rec", type: "output" }],
    gifs: [{ filename: "b_00001.mp4", subfolder: "", type: "temp", format: "video/h264-mp4", workflow: "b_00001.png", fullpath: "/out/b_00001.mp4" }],
    made_by_a_pack: { deep: [{ file: { filename: "c.bin", type: "output" } }] },
    text: ["a_00001_.png"],
    animated: [true],
    settings: [{ filename: "", fullpath: "/kept" }, { filename: 5 }, { filename: "d.txt", type: "video" }],
  };
  test("are found under any key, at any depth, in order", () => {
    const found: NamedFile[] = [];
    renameOutputFiles(output, (file) => {
      found.push(file);
      return null;
    });
    expect(found).toEqual([
      { filename: "a_00001_.png", subfolder: "rec", type: "output" },
      { filename: "b_00001.mp4", subfolder: "", type: "temp" },
      { filename: "c.bin", subfolder: "", type: "output" },
    ]);
  });
  test("get new names in place; fullpath goes, all else and the order stay", () => {
    const renamed = renameOutputFiles(output, (file) => (file.filename === "c.bin" ? null : { filename: `seat-${file.filename}`, subfolder: "s", type: "output" })) ;
    expect(JSON.stringify(renamed)).toBe(
      JSON.stringify({
        ...(output as object),
        images: [{ filename: "seat-a_00001_.png", subfolder: "s", type: "output" }],
        gifs: [{ filename: "seat-b_00001.mp4", subfolder: "s", type: "output", format: "video/h264-mp4", workflow: "b_00001.png" }],
      }),
    );
    expect(renameOutputFiles(null, () => null)).toBeNull();
  });
});

describe("[G22] names with counters", () => {
  test.each([
    ["edge_00001_.png", { stem: "edge", digits: "00001", tail: "_.png" }],
    ["film_00012-audio.mp4", { stem: "film", digits: "00012", tail: "-audio.mp4" }],
    ["a_20240101_00003_.png", { stem: "a_20240101", digits: "00003", tail: "_.png" }],
    ["a_123456_.png", { stem: "a", digits: "123456", tail: "_.png" }],
    ["ComfyUI_temp_kppiz_00001_.png", { stem: "ComfyUI_temp_kppiz", digits: "00001", tail: "_.png" }],
    ["a_0001_.png", null],
    ["scene.tar.gz", null],
    [".hidden", null],
  ])("%s", (name, parts) => expect(parseLocalName(name)).toEqual(parts));
  test("are put together again as they were, with five digits at least", () => {
    expect(finalName("edge", 7, "_.png")).toBe("edge_00007_.png");
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.nat(10_000_000), fc.constantFrom("_.png", ".mp4", "-audio.mp4", ""), (stem, counter, tail) => {
        const name = finalName(stem, counter, tail);
        const { stem: readStem, digits, tail: readTail } = parseLocalName(name) ?? { stem: "", digits: "", tail: "" };
        expect(finalName(readStem, Number(digits), readTail)).toBe(name);
        expect({ readStem, digits: Number(digits), readTail }).toEqual({ readStem: stem, digits: counter, readTail: tail });
      }),
    );
  });
});
