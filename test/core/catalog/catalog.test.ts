// What the GPUs say they have: read, merged, and as one seat sees it.
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { rawMembers } from "../../../gpu-adapter/json.ts";
import { type Catalog, loadCatalog, mergeCatalogs, nearestNames, onSomeGpus, parseJson, seatNodeInfo, seatObjectInfo, seatObjectInfoKey, stringifyJson } from "../../../frontend-shim/comfy-api/catalog/index.ts";
import { nodeInfo, withNodes } from "../validation/builders.ts";
import { objectInfoText, recordedCatalog, seatWith } from "../validation/recorded.ts";

const recorded = recordedCatalog();

const nested = (levels: number): string => "[".repeat(levels) + "]".repeat(levels);

describe("JSON", () => {
  test("long integers survive, everything else is as JSON.parse has it", () => {
    const text = '{"seed":18446744073709551615,"n":-9223372036854775808,"f":1e300,"s":"18446744073709551615","small":9007199254740991,"list":[0.1,null,true]}';
    expect(stringifyJson(parseJson(text))).toBe(text.replace("1e300", "1e+300"));
    fc.assert(fc.property(fc.bigInt({ min: -(2n ** 80n), max: 2n ** 80n }), (number) => stringifyJson(parseJson(`[${number}]`)) === `[${number}]`));
    fc.assert(fc.property(fc.jsonValue(), (value) => {
      expect(stringifyJson(parseJson(JSON.stringify(value)))).toBe(JSON.stringify(value));
    }));
    expect(() => parseJson("not json")).toThrow(SyntaxError);
  });
  test("nested beyond what Python takes is refused, brackets in texts are not nesting", () => {
    expect(() => parseJson(nested(901))).toThrow(SyntaxError);
    expect(() => parseJson(`{"a":${nested(900)}}`)).toThrow(SyntaxError);
    expect(stringifyJson(parseJson(nested(900)))).toBe(nested(900));
    expect(parseJson(JSON.stringify({ text: `\\"${"[{".repeat(2000)}` }))).toEqual({ text: `\\"${"[{".repeat(2000)}` });
  });
  test("the raw members of an object are exactly its text", () => {
    expect([...rawMembers(objectInfoText).keys()]).toEqual(Object.keys(JSON.parse(objectInfoText)));
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.constantFrom(undefined, 1, "\t"), (object, indent) => {
        const members = rawMembers(JSON.stringify(object, null, indent));
        const read = new Map([...members].map(([key, text]) => [key, JSON.parse(text)]));
        expect(read).toEqual(new Map(Object.entries(JSON.parse(JSON.stringify(object)))));
      }),
    );
  });
});

describe("a report", () => {
  const report = `{"digest": "d1", "object_info": {"T": {"input": {"required": {"f": ["FLOAT", {"min": 8.0}]}}, "output": ["X"]}}, "extensions": ["/extensions/pack/a.js"], "embeddings": ["e"], "models": {"loras": ["l.safetensors"]}, "workflow_templates": {"pack": ["one"]}, "i18n": {"de": {"a": "b"}}, "system_stats": {"system": {"comfyui_version": "0.38.1", "python_version": "3.12"}}}`;
  test("becomes a catalog that keeps ComfyUI's own spelling", () => {
    const catalog = loadCatalog(report);
    expect(catalog).toMatchObject({ digest: "d1", embeddings: ["e"], extensions: ["/extensions/pack/a.js"], models: { loras: ["l.safetensors"] }, templates: { pack: ["one"] }, i18n: { de: { a: "b" } }, versions: { comfyui: "0.38.1", python: "3.12" } });
    expect(seatObjectInfo(catalog.object_info, seatWith())).toBe('{"T":{"input": {"required": {"f": ["FLOAT", {"min": 8.0}]}}, "output": ["X"]}}');
  });
  test("with members missing or of another form is empty there, and no JSON is an error", () => {
    expect(loadCatalog('{"object_info": [], "models": {"loras": "x", "vae": [1, "v"]}}')).toMatchObject({ object_info: {}, models: { loras: [], vae: ["v"] }, extensions: [], versions: { comfyui: "0.0.0" }, digest: "" });
    expect(() => loadCatalog("[]")).toThrow(SyntaxError);
    expect(() => loadCatalog("{")).toThrow(SyntaxError);
  });
});

const key = (...files: string[]): string => seatObjectInfoKey(recorded.object_info, seatWith(...files));

const answer = (...files: string[]): string => seatObjectInfo(recorded.object_info, seatWith(...files));

describe("a seat's object_info", () => {
  const seat = seatWith("b.png", "a.PNG", "song.mp3", "film.mp4", "notes.txt", "x.latent", "sub/c.png", "3d/cat.glb", "3d/deep/dog.obj", "3d/readme.md", "output:o.png", ".hidden.png");
  const whole = JSON.parse(seatObjectInfo(recorded.object_info, seat)) as Record<string, { input: { required: Record<string, [unknown, Record<string, unknown>?]> } }>;
  const input = (name: string, member: string): unknown => whole[name]?.input.required[member];
  test("lists the seat's files as ComfyUI lists its disk", () => {
    expect(input("LoadImage", "image")).toEqual([["a.PNG", "b.png"], { image_upload: true }]);
    expect(input("LoadImageMask", "image")).toEqual([["a.PNG", "b.png", "film.mp4", "notes.txt", "song.mp3", "x.latent"], { image_upload: true }]);
    expect(input("LoadAudio", "audio")).toEqual([["film.mp4", "song.mp3"], { audio_upload: true }]);
    expect(input("LoadVideo", "file")).toEqual(["COMBO", { multiselect: false, options: ["film.mp4"], video_upload: true }]);
    expect(input("Load3D", "model_file")).toEqual([["3d/cat.glb", "3d/deep/dog.obj"], { file_upload: true }]);
    expect(input("LoadLatent", "latent")).toEqual([["x.latent"]]);
    expect(input("LoadImageOutput", "image")).toEqual(JSON.parse(objectInfoText).LoadImageOutput.input.required.image);
  });
  test("is otherwise the catalog, in its order, byte for byte", () => {
    const original = JSON.parse(objectInfoText) as Record<string, unknown>;
    const lists = new Set(["LoadImage", "LoadImageMask", "LoadAudio", "LoadVideo", "Load3D", "Load3DAnimation", "LoadLatent"]);
    expect(Object.keys(whole)).toEqual(Object.keys(original));
    for (const [name, info] of Object.entries(original)) {
      if (lists.has(name)) expect({ ...whole[name], input: null }).toEqual({ ...(info as object), input: null });
      else expect(whole[name]).toEqual(info);
    }
    const text = seatObjectInfo(recorded.object_info, seat);
    for (const [name, raw] of rawMembers(objectInfoText)) expect(lists.has(name) || text.includes(`${JSON.stringify(name)}:${raw}`)).toBe(true);
  });
  test("of a seat with the recorded files has the recorded lists", () => {
    const files = ["example.png", "pic-c022ac (1).png", "pic-c022ac.png", "x-c022ac.svg", "é ü c022ac 图.png", "x-c022ac.html"];
    expect(JSON.parse(seatObjectInfo(recorded.object_info, seatWith(...files)))).toEqual(JSON.parse(objectInfoText));
  });
  test("works where only the parsed catalog is known, and with the first or last class patched", () => {
    const { object_info: objectInfo } = withNodes({ LoadImage: nodeInfo({ image: [["gpu.png", "none"], { image_upload: true }] }), Between: nodeInfo({}), LoadLatent: nodeInfo({ latent: [[]] }) });
    for (const order of [["LoadImage", "Between", "LoadLatent"], ["Between", "LoadImage"], ["LoadImage"], ["Between"], []]) {
      const chosen = Object.fromEntries(order.map((name) => [name, objectInfo[name]!]));
      const answered = JSON.parse(seatObjectInfo(chosen, seat)) as typeof whole;
      expect(Object.keys(answered)).toEqual(order);
      if (order.includes("LoadImage")) expect(answered["LoadImage"]?.input.required["image"]?.[0]).toEqual(["none", "a.PNG", "b.png"]);
    }
  });
  test("one class alone, and none for what is not there", () => {
    expect(JSON.parse(seatNodeInfo(recorded.object_info, seat, "LoadImage"))).toEqual({ LoadImage: whole["LoadImage"] });
    expect(JSON.parse(seatNodeInfo(recorded.object_info, seat, "KSampler"))).toEqual({ KSampler: whole["KSampler"] });
    expect([seatNodeInfo(recorded.object_info, seat, "Nope"), seatNodeInfo(recorded.object_info, seat, "constructor")]).toEqual(["{}", "{}"]);
  });
  test("its key changes exactly when the answer does", () => {
    const sets = [["a.png"], ["a.png", "sub/b.png"], ["a.png", "b.png"], ["a.png", "note.txt"], ["a.png", "3d/x.glb"], ["a.png", "3d/x.md"], []];
    for (const one of sets) for (const other of sets) expect(key(...one) === key(...other)).toBe(answer(...one) === answer(...other));
  });
});

const loader = (...names: string[]): ReturnType<typeof nodeInfo> => nodeInfo({ name: [names, { tooltip: "t" }] }, { output: ["MODEL"] });

const choices = (catalog: Catalog): unknown => [catalog.object_info["Loader"]?.input?.required?.["name"], catalog.object_info["Modern"]?.input?.required?.["m"]];

describe("several pools", () => {
  const one: Catalog = withNodes({ Loader: loader("a", "both"), Modern: nodeInfo({ m: ["COMBO", { options: ["x", "y"] }] }) }, { digest: "1", models: { loras: ["a", "both"] }, embeddings: ["e1"], i18n: { de: { a: "1" } }, templates: { p: ["t1"] } });
  const two: Catalog = withNodes({ Loader: loader("both", "b"), Modern: nodeInfo({ m: ["COMBO", { options: ["y", "z"] }] }), Extra: nodeInfo({}) }, { digest: "2", models: { loras: ["both", "b"], vae: ["v"] }, embeddings: ["e1", "e2"], i18n: { de: { a: "2", b: "2" } }, templates: { p: ["t2"] } });
  const merged = mergeCatalogs([{ pool: "h200", catalog: one }, { pool: "b300", catalog: two }])!;
  test("show what any has", () => {
    expect(Object.keys(merged.shown.object_info)).toEqual(["Out", "Src", "Loader", "Modern", "Extra"]);
    expect(choices(merged.shown)).toEqual([[["a", "both", "b"], { tooltip: "t" }], ["COMBO", { options: ["x", "y", "z"] }]]);
    expect(merged.shown).toMatchObject({ models: { loras: ["a", "both", "b"], vae: ["v"] }, embeddings: ["e1", "e2"], i18n: { de: { a: "1", b: "2" } }, templates: { p: ["t1", "t2"] } });
  });
  test("accept what all have", () => {
    expect(Object.keys(merged.checked.object_info)).toEqual(["Out", "Src", "Loader", "Modern"]);
    expect(choices(merged.checked)).toEqual([[["both"], { tooltip: "t" }], ["COMBO", { options: ["y"] }]]);
    expect(merged.checked).toMatchObject({ models: { loras: ["both"], vae: [] }, embeddings: ["e1"] });
    expect(merged.checked.digest).not.toBe(merged.shown.digest);
  });
  test("what all of them spell alike keeps its spelling, what was merged is written anew", () => {
    const report = (digest: string, choice: string): Catalog => loadCatalog(`{"digest": "${digest}", "object_info": {"Same": {"input": {"required": {"x": ["FLOAT", {"default": 8.0}]}}}, "Pick": {"input": {"required": {"x": [["${choice}"], {"default": 1.0}]}}}}}`);
    const both = mergeCatalogs([{ pool: "a", catalog: report("one", "p") }, { pool: "b", catalog: report("two", "q") }])!;
    const text = seatObjectInfo(both.shown.object_info, seatWith());
    expect(text).toContain('{"input": {"required": {"x": ["FLOAT", {"default": 8.0}]}}}');
    expect(JSON.parse(text)).toMatchObject({ Pick: { input: { required: { x: [["p", "q"], { default: 1 }] } } } });
  });
  test("are counted per node and model", () => {
    expect(onSomeGpus(merged, { node: "Extra" })).toBe("on 1 of 2 GPUs");
    expect(onSomeGpus(merged, { node: "Loader" })).toBeUndefined();
    expect(onSomeGpus(merged, { folder: "loras", model: "a" })).toBe("on 1 of 2 GPUs");
    expect(onSomeGpus(merged, { folder: "loras", model: "none" })).toBe("on 0 of 2 GPUs");
    expect(merged.modelPools.get("loras/both")).toEqual(["h200", "b300"]);
  });
  test("with one catalog are that catalog, and none is nothing", () => {
    const same = mergeCatalogs([{ pool: "p", catalog: one }, { pool: "q", catalog: one }])!;
    expect([same.shown, same.checked]).toEqual([one, one]);
    expect(same.nodePools.get("Loader")).toEqual(["p", "q"]);
    expect(mergeCatalogs([])).toBeUndefined();
  });
});

describe("nearest names", () => {
  const list = ["v1-5-pruned-emaonly.safetensors", "sd_xl_base_1.0.safetensors", "flux1-dev-fp8.safetensors", "flux1-schnell-fp8.safetensors", "sub/ltx-2-19b-distilled.safetensors", "clip_l.safetensors"];
  test("look past case, folders, punctuation and endings", () => {
    expect(nearestNames("SDXL-base-1.0.ckpt", list)).toEqual(["sd_xl_base_1.0.safetensors"]);
    expect(nearestNames("ltx2_19b_distilled.safetensors", list)).toEqual(["sub/ltx-2-19b-distilled.safetensors"]);
    expect(nearestNames("flux1-dev.safetensors", list)[0]).toBe("flux1-dev-fp8.safetensors");
  });
  test("are three at most, the most alike first, and none where nothing is alike", () => {
    expect(nearestNames("model-1", ["model-9", "model-1", "model-12", "model-1a", "zzz"])).toEqual(["model-1", "model-12", "model-1a"]);
    expect(nearestNames("missing.safetensors", list)).toEqual([]);
    expect(nearestNames("", list)).toEqual([]);
  });
});
