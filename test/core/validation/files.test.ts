// The files a graph names, and those it made.
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { contentName, fileKey, findInputFiles, findOutputFiles, finalName, type Json, parseLocalName, type Prompt, renameOutputFiles, rewriteInputFiles } from "../../../frontend-shim/comfy-api/validation/index.ts";
import { recordedCatalog } from "./recorded.ts";

const catalog = recordedCatalog();
const sha = "0123456789abcdef".repeat(4);

const prompt = {
  "1": { class_type: "LoadImage", inputs: { image: "photo.png" }, _meta: { title: "photo.png" } },
  "2": { class_type: "LoadImageMask", inputs: { image: "clipspace/mask.png [input]", channel: "alpha" } },
  "3": { class_type: "LoadImageOutput", inputs: { image: "rec/old.png [output]" } },
  "4": { class_type: "LoadAudio", inputs: { audio: "a/b/song.mp3" } },
  "5": { class_type: "LoadVideo", inputs: { file: "film.mp4" } },
  "6": { class_type: "Load3D", inputs: { model_file: "3d/cat.glb", image: { image: "threed/scene.png [temp]", mask: "threed/mask.png [temp]", camera_info: { fov: 75, state: null } }, width: 64, height: 64 } },
  "7": { class_type: "LoadLatent", inputs: { latent: "x.latent" } },
  "8": { class_type: "CLIPTextEncode", inputs: { text: "see photo.png [input]", clip: ["9", 0] } },
  "9": { class_type: "NotInTheCatalog", inputs: { picture: "made.webp [output]", words: "photo.png", n: 5 } },
  "10": { class_type: "SaveImage", inputs: { images: ["1", 0], filename_prefix: "photo.png" } },
} as unknown as Prompt;

describe("[G18] input files", () => {
  const found = findInputFiles(prompt, catalog);
  test("are found in loaders, recorders and annotated names; texts are left alone", () => {
    expect(found.map((file) => [file.path.join("."), fileKey(file)])).toEqual([
      ["1.image", "input/photo.png"],
      ["2.image", "input/clipspace/mask.png"],
      ["3.image", "output/rec/old.png"],
      ["4.audio", "input/a/b/song.mp3"],
      ["5.file", "input/film.mp4"],
      ["6.model_file", "input/3d/cat.glb"],
      ["6.image.image", "temp/threed/scene.png"],
      ["6.image.mask", "temp/threed/mask.png"],
      ["7.latent", "input/x.latent"],
      ["9.picture", "output/made.webp"],
    ]);
  });
  test("of branches that do not run are not needed", () => {
    expect(findInputFiles(prompt, catalog, ["10"]).map(fileKey)).toEqual(["input/photo.png"]);
  });
  test("paths that leave their root name no file", () => {
    for (const image of ["../x.png", "/etc/passwd", "a/../../x", "..", "", " [output]"]) expect(findInputFiles({ "1": { class_type: "LoadImage", inputs: { image } } }, catalog)).toEqual([]);
    expect(findInputFiles({ "1": { class_type: "Load3D", inputs: { model_file: "none" } } }, catalog)).toEqual([]);
  });
  test("a wrapped value is found and rewritten inside its wrapper", () => {
    const wrapped = { "1": { class_type: "LoadImage", inputs: { image: { __value__: "photo.png" } } } };
    expect(rewriteInputFiles(wrapped, findInputFiles(wrapped, catalog), new Map([["input/photo.png", "p.png"]]))).toEqual({ "1": { class_type: "LoadImage", inputs: { image: { __value__: "p.png" } } } });
  });
  test("get their content names, everything else stays, and the prompt given is not touched", () => {
    const before = structuredClone(prompt);
    const names = new Map(found.map((file) => [fileKey(file), contentName(file.name, sha)]));
    const rewritten = rewriteInputFiles(prompt, found, names);
    expect(prompt).toEqual(before);
    expect(rewritten["1"]).toEqual({ class_type: "LoadImage", inputs: { image: "photo-0123456789abcdef.png" }, _meta: { title: "photo.png" } });
    expect(rewritten["3"]?.inputs).toEqual({ image: "old-0123456789abcdef.png" });
    expect(rewritten["6"]?.inputs).toEqual({ ...prompt["6"]?.inputs, model_file: "3d/cat-0123456789abcdef.glb", image: { image: "scene-0123456789abcdef.png", mask: "mask-0123456789abcdef.png", camera_info: { fov: 75, state: null } } });
    expect(rewritten["9"]?.inputs).toEqual({ picture: "made-0123456789abcdef.webp", words: "photo.png", n: 5 });
    expect(rewritten["8"]).toBe(prompt["8"]);
    expect(rewritten["10"]).toBe(prompt["10"]);
  });
  test("without a name in the mapping stay as they are", () => {
    expect(rewriteInputFiles(prompt, found, new Map())).toBe(prompt);
  });
  test("content names keep stem and ending, and nothing a disk or a header would mind", () => {
    expect(contentName("photo.png", sha.toUpperCase())).toBe("photo-0123456789abcdef.png");
    expect(contentName("é ü 图.png", sha)).toBe("é_ü_图-0123456789abcdef.png");
    expect(contentName(".hidden", sha)).toBe(".hidden-0123456789abcdef");
    expect(contentName("a\"b\r\n/c.p\"ng", sha)).toBe("a_b_c-0123456789abcdef.png");
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 400 }), (name) => {
        const made = contentName(name, sha);
        expect(made).toMatch(/^[\p{L}\p{N}._-]+-0123456789abcdef[A-Za-z0-9.]*$/u);
        expect(new TextEncoder().encode(made).length).toBeLessThan(256);
      }),
    );
  });
});

describe("[G20] output files", () => {
  const output: Json = {
    images: [{ filename: "a_00001_.png", subfolder: "rec", type: "output" }],
    gifs: [{ filename: "b_00001.mp4", subfolder: "", type: "temp", format: "video/h264-mp4", workflow: "b_00001.png", fullpath: "/out/b_00001.mp4" }],
    made_by_a_pack: { deep: [{ file: { filename: "c.bin", type: "output" } }] },
    text: ["a_00001_.png"],
    animated: [true],
    settings: [{ filename: "", fullpath: "/kept" }, { filename: 5 }, { filename: "d.txt", type: "video" }],
  };
  test("are found under any key, at any depth, in order", () => {
    expect(findOutputFiles(output)).toEqual([
      { key: "images", filename: "a_00001_.png", subfolder: "rec", type: "output" },
      { key: "gifs", filename: "b_00001.mp4", subfolder: "", type: "temp" },
      { key: "made_by_a_pack", filename: "c.bin", subfolder: "", type: "output" },
    ]);
    expect([findOutputFiles(null), findOutputFiles("x"), findOutputFiles([])]).toEqual([[], [], []]);
  });
  test("get new names in place; fullpath goes, all else and the order stay", () => {
    const renamed = renameOutputFiles(output, (file) => (file.filename === "c.bin" ? undefined : { filename: `seat-${file.filename}`, subfolder: "s", type: "output" })) as { [key: string]: Json };
    expect(JSON.stringify(renamed)).toBe(
      JSON.stringify({
        ...(output as object),
        images: [{ filename: "seat-a_00001_.png", subfolder: "s", type: "output" }],
        gifs: [{ filename: "seat-b_00001.mp4", subfolder: "s", type: "output", format: "video/h264-mp4", workflow: "b_00001.png" }],
      }),
    );
    expect(renameOutputFiles(null, () => undefined)).toBeNull();
  });
});

describe("[G22] names with counters", () => {
  test.each([
    ["edge_00001_.png", { stem: "edge", digits: "00001", tail: "_.png" }],
    ["film_00012-audio.mp4", { stem: "film", digits: "00012", tail: "-audio.mp4" }],
    ["a_20240101_00003_.png", { stem: "a_20240101", digits: "00003", tail: "_.png" }],
    ["a_123456_.png", { stem: "a", digits: "123456", tail: "_.png" }],
    ["ComfyUI_temp_kppiz_00001_.png", { stem: "ComfyUI_temp_kppiz", digits: "00001", tail: "_.png" }],
    ["a_0001_.png", { stem: "a_0001_", digits: null, tail: ".png" }],
    ["scene.tar.gz", { stem: "scene.tar", digits: null, tail: ".gz" }],
    [".hidden", { stem: ".hidden", digits: null, tail: "" }],
  ])("%s", (name, parts) => expect(parseLocalName(name)).toEqual(parts));
  test("are put together again as they were, with five digits at least", () => {
    expect(finalName("edge", 7, "_.png")).toBe("edge_00007_.png");
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.nat(10_000_000), fc.constantFrom("_.png", ".mp4", "-audio.mp4", ""), (stem, counter, tail) => {
        const name = finalName(stem, counter, tail);
        const { stem: readStem, digits, tail: readTail } = parseLocalName(name);
        expect(finalName(readStem, Number(digits), readTail)).toBe(name);
        expect({ readStem, digits: Number(digits), readTail }).toEqual({ readStem: stem, digits: counter, readTail: tail });
      }),
    );
  });
});
