import { describe, expect, test } from "vitest";
import { fileCandidates, findFiles, isSafeName, localKey, withoutFiles, withoutFullPaths } from "../../../gpu-adapter/runner/output-files.ts";

describe("what in a node's output is a file", () => {
  test("[G20] any object with a file name, under any key, at any depth, each once", () => {
    const output = {
      images: [{ filename: "a_00001_.png", subfolder: "x", type: "output" }, { filename: "a_00001_.png", subfolder: "x", type: "output" }],
      gifs: [{ filename: "b.mp4", subfolder: "", type: "temp", format: "video/h264-mp4", fullpath: "/comfy/temp/b.mp4" }],
      "3d": { model: [{ filename: "c.glb", type: "output" }] },
      audio: [{ filename: "d.flac", subfolder: "", type: "output" }],
      text: ["words"],
      animated: [true],
    };
    expect(findFiles(output)).toEqual([
      { type: "output", subfolder: "x", filename: "a_00001_.png", key: "images" },
      { type: "temp", subfolder: "", filename: "b.mp4", key: "gifs" },
      { type: "output", subfolder: "", filename: "c.glb", key: "3d" },
      { type: "output", subfolder: "", filename: "d.flac", key: "audio" },
    ]);
  });

  test("outputs that are nothing, or no object, name no file", () => {
    for (const output of [null, undefined, "a.png", 5, [], {}, { images: null }]) expect(findFiles(output)).toEqual([]);
  });

  test("names that leave their folder are not files", () => {
    for (const [filename, subfolder] of [["../a.png", ""], ["a/b.png", ""], ["..", ""], ["a.png", "../x"], ["a.png", "/etc"], ["a.png", "x/../../y"], ["a.png", "C:\\x"], ["a\0.png", ""], ["", ""]] as const) {
      expect(isSafeName(filename, subfolder), `${subfolder}|${filename}`).toBe(false);
      expect(findFiles({ images: [{ filename, subfolder, type: "output" }] })).toEqual([]);
    }
    expect(isSafeName("ünïcode (1).png", "a/b")).toBe(true);
  });

  test("an output that refers to itself through depth ends the search", () => {
    const deep: Record<string, unknown> = {};
    let at = deep;
    for (let level = 0; level < 1000; level++) at = at.inner = {} as Record<string, unknown>;
    at.filename = "x.png";
    expect(findFiles(deep)).toEqual([]);
  });

  test("[G20] a plain string is a candidate when it looks like a file's name", () => {
    expect(fileCandidates({ video: ["clips/take_00001_.mp4"], text: ["two\nlines.png", "no extension", "../up.png", "./other-spelling.png", "a//b.png", "a/./b.png"], path: "alone.wav", images: [{ filename: "a.png" }] })).toEqual([
      { key: "video", subfolder: "clips", filename: "take_00001_.mp4" },
      { key: "path", subfolder: "", filename: "alone.wav" },
    ]);
  });

  test("[G20] full paths of this machine are dropped, the rest is untouched", () => {
    const output = { gifs: [{ filename: "b.mp4", fullpath: "/comfy/b.mp4", workflow: "b.png" }], value: 1.5 };
    expect(withoutFullPaths(output)).toEqual({ gifs: [{ filename: "b.mp4", workflow: "b.png" }], value: 1.5 });
  });

  test("[G17] a file that is not there any more is not named", () => {
    const gone = new Set([localKey({ type: "temp", subfolder: "", filename: "a.png" })]);
    const output = { images: [{ filename: "a.png", subfolder: "", type: "temp" }, { filename: "a.png", subfolder: "", type: "output" }], one: { filename: "a.png", type: "temp" }, text: ["a.png"] };
    expect(withoutFiles(output, gone)).toEqual({ images: [{ filename: "a.png", subfolder: "", type: "output" }], text: ["a.png"] });
    expect(withoutFiles(output, new Set())).toBe(output);
  });
});
