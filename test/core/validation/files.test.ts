// The files a graph names, and those it made.
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { contentName, fileKey, findInputFiles, type Prompt, rewriteInputFiles } from "../../../frontend-shim/comfy-api/validation/index.ts";
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
