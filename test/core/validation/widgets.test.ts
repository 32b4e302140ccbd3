// Widget values: what they become, and what is said when they cannot.
import { describe, expect, test } from "vitest";
import { rememberText } from "../../../frontend-shim/comfy-api/catalog/index.ts";
import { parseJson, stringifyJson } from "../../../frontend-shim/comfy-api/validation/index.ts";
import { coercedBy, errorsOf, graphOf, judge, nodeInfo, withNodes } from "./builders.ts";
import { seatWith } from "./recorded.ts";

const typed = nodeInfo({}, { optional: { i: ["INT"], f: ["FLOAT", {}], s: ["STRING"], b: ["BOOLEAN"], x: ["THING"] } });

describe("conversion", () => {
  test("each type as Python converts it, kept in place among the others", () => {
    expect(coercedBy(typed, { i: "5", f: "0.5", s: 7, b: "false", x: "7" })).toEqual({ i: 5, f: 0.5, s: "7", b: true, x: "7" });
    expect(coercedBy(typed, { i: 5.9, f: true, s: null, b: 0, x: null })).toEqual({ i: 5, f: 1, s: "None", b: false, x: null });
    expect(Object.keys(coercedBy(typed, { undeclared: 1, s: 2, i: "3" }) as object)).toEqual(["undeclared", "s", "i"]);
  });
  test("`__value__` is taken off, so that a list is no link", () => {
    expect(coercedBy(typed, { x: { __value__: ["a", "b", "c"] }, i: { __value__: "8" } })).toEqual({ x: ["a", "b", "c"], i: 8 });
    expect(coercedBy(typed, { s: { __value__: [1, "a"] } })).toEqual({ s: "[1, 'a']" });
  });
  test("a float without end stays the text it was, and is compared as Python would", () => {
    expect(coercedBy(typed, { f: "inf" })).toEqual({ f: "inf" });
    expect(errorsOf(nodeInfo({ f: ["FLOAT", { max: 2.5 }] }), { f: "inf" })).toMatchObject([{ type: "value_bigger_than_max", message: "Value inf bigger than max of 2.5" }]);
  });
  test("the prompt sent is left as it was", () => {
    const prompt = graphOf({ i: "5" });
    const sent = structuredClone(prompt);
    judge(withNodes({ T: { ...typed, output: ["X"] } }), prompt);
    expect(prompt).toEqual(sent);
  });
  test("what cannot be converted says so", () => {
    const config = ["INT", { min: 1 }];
    expect(errorsOf(nodeInfo({ i: config }), { i: null })).toEqual([
      {
        type: "invalid_input_type",
        message: "Failed to convert an input value to a INT value",
        details: "i, None, int() argument must be a string, a bytes-like object or a real number, not 'NoneType'",
        extra_info: { input_name: "i", input_config: config, received_value: null, exception_message: "int() argument must be a string, a bytes-like object or a real number, not 'NoneType'" },
      },
    ]);
    expect(errorsOf(nodeInfo({ f: ["FLOAT"] }), { f: { __value__: [1] } })).toMatchObject([{ details: "f, [1], float() argument must be a string or a real number, not 'list'", extra_info: { received_value: [1] } }]);
  });
});

describe("min and max", () => {
  test("floats are shown as floats", () => {
    expect(errorsOf(nodeInfo({ f: ["FLOAT", { min: 0, max: 1 }] }), { f: -1 })).toMatchObject([{ type: "value_smaller_than_min", message: "Value -1.0 smaller than min of 0.0", details: "f" }]);
  });
  test("bounds are shown as the catalog's text has them", () => {
    const text = '{"T": {"input": {"required": {"f": ["FLOAT", {"min": 0, "max": 100.0}], "i": [ "INT" , {"max":5.0} ]}}, "output": ["X"]}, "Out": {"input": {"required": {"value": ["*"]}}, "output_node": true}}';
    const objectInfo = JSON.parse(text);
    rememberText(objectInfo, text);
    const verdict = judge(withNodes({}, { object_info: objectInfo }), graphOf({ f: -2.5, i: 7 }));
    const other = judge(withNodes({}, { object_info: objectInfo }), graphOf({ f: 200, i: 1 }));
    expect(JSON.stringify(verdict)).toContain("Value -2.5 smaller than min of 0\"");
    expect(JSON.stringify(verdict)).toContain("Value 7 bigger than max of 5.0");
    expect(JSON.stringify(other)).toContain("Value 200.0 bigger than max of 100.0");
  });
  test("a seed of 2^64 − 1 passes and stays exact; 2^64 does not pass", () => {
    const text = '{"T": {"input": {"required": {"seed": ["INT", {"min": 0, "max": 18446744073709551615}]}}, "output": ["X"]}, "Out": {"input": {"required": {"value": ["*"]}}, "output_node": true}}';
    const objectInfo = JSON.parse(text);
    rememberText(objectInfo, text);
    const send = (seed: string): ReturnType<typeof judge> => judge(withNodes({}, { object_info: objectInfo }), parseJson(`{"1": {"class_type": "T", "inputs": {"seed": ${seed}}}, "9": {"class_type": "Out", "inputs": {"value": ["1", 0]}}}`));
    const passed = send("18446744073709551615");
    expect(passed.ok && stringifyJson(passed.prompt["1"])).toBe('{"class_type":"T","inputs":{"seed":18446744073709551615}}');
    expect(send('"18446744073709551615"').ok).toBe(true);
    const refused = send("18446744073709551616");
    expect(JSON.stringify(refused)).toContain("Value 18446744073709551616 bigger than max of 18446744073709551615");
  });
  test("a text held against a number is ComfyUI's exception, not ours", () => {
    expect(errorsOf(nodeInfo({ x: ["THING", { min: 0 }] }), { x: "a" })).toMatchObject([
      { type: "exception_during_inner_validation", details: "'<' not supported between instances of 'str' and 'int'", extra_info: { exception_type: "TypeError", traceback: [], input_name: "value", linked_node: ["1", 0] } },
    ]);
  });
});

describe("lists", () => {
  const long = Array.from({ length: 21 }, (_, index) => `choice ${index}`);
  test("old lists and COMBO options alike", () => {
    for (const spec of [[["a", "b"], {}], ["COMBO", { options: ["a", "b"] }]]) {
      expect(errorsOf(nodeInfo({ c: spec }), { c: "b" })).toEqual([]);
      expect(errorsOf(nodeInfo({ c: spec }), { c: "z" })).toEqual([{ type: "value_not_in_list", message: "Value not in list", details: "c: 'z' not in ['a', 'b']", extra_info: { input_name: "c", input_config: spec, received_value: "z" } }]);
    }
  });
  test("a list of more than twenty is not sent back", () => {
    expect(errorsOf(nodeInfo({ c: [long] }), { c: "z" })).toMatchObject([{ details: "c: 'z' not in (list of length 21)", extra_info: { input_config: null } }]);
    expect(errorsOf(nodeInfo({ c: [long.slice(1)] }), { c: "z" })[0]?.extra_info["input_config"]).not.toBeNull();
  });
  test("choices are compared as Python compares: True is 1, '1' is not", () => {
    const numbers = nodeInfo({ c: [[1, 2.5, "x", false]] });
    expect(errorsOf(numbers, { c: true })).toEqual([]);
    expect(errorsOf(numbers, { c: 0 })).toEqual([]);
    expect(errorsOf(numbers, { c: "1" })).toMatchObject([{ details: "c: '1' not in [1, 2.5, 'x', False]" }]);
  });
  test("several at once where the input allows it", () => {
    const several = nodeInfo({ c: ["COMBO", { options: ["a", "b", "c"], multiselect: true }] });
    expect(errorsOf(several, { c: { __value__: ["a", "c"] } })).toEqual([]);
    expect(errorsOf(several, { c: { __value__: ["a", "y", "z"] } }, { vocabulary: "0.38" })).toMatchObject([{ details: "c: 'y', 'z' not in ['a', 'b', 'c']", extra_info: { received_value: ["a", "y", "z"] } }]);
    expect(errorsOf(nodeInfo({ c: ["COMBO", { options: ["a", "b"] }] }), { c: { __value__: ["a", "b"] } })).toHaveLength(1);
  });
  test("a list the page fetches itself is not known here", () => {
    expect(errorsOf(nodeInfo({ c: ["COMBO", { remote: { route: "/proxy/things" } }] }), { c: "anything" })).toEqual([]);
    expect(errorsOf(nodeInfo({ c: ["COMBO", { options: [], remote_combo: {} }] }), { c: "anything" })).toEqual([]);
  });
  test("0.38 shows the value as Python would write it", () => {
    expect(errorsOf(nodeInfo({ c: [["a"]] }), { c: "it's" })).toMatchObject([{ details: "c: 'it's' not in ['a']" }]);
    expect(errorsOf(nodeInfo({ c: [["a"]] }), { c: "it's" }, { vocabulary: "0.38" })).toMatchObject([{ details: `c: "it's" not in ['a']` }]);
  });
});

describe("[Q13] a model no GPU has", () => {
  const models = ["flux2-klein-4b-fp8.safetensors", "flux2-klein-9b-fp8.safetensors", "sub/sdxl_base_1.0.safetensors", "vae.safetensors"];
  const loader = nodeInfo({ name: [models, {}] });
  test("is refused with the names most like it", () => {
    const [error] = errorsOf(loader, { name: "flux-2-klein-4B.safetensors" });
    expect(error?.extra_info["nearest"]).toEqual(["flux2-klein-4b-fp8.safetensors", "flux2-klein-9b-fp8.safetensors"]);
    expect(error?.details).toContain("not in ['flux2-klein-4b-fp8.safetensors'");
    expect(error?.details).toContain("No GPU here has that file; the nearest are 'flux2-klein-4b-fp8.safetensors' and 'flux2-klein-9b-fp8.safetensors'.");
    expect(judge(withNodes({ T: { ...loader, output: ["X"] } }), graphOf({ name: "nope.safetensors" }))).toMatchObject({ ok: false, reason: "unknown_model" });
  });
  test("finds the same file in another folder", () => {
    expect(errorsOf(loader, { name: "SDXL_base_1.0.safetensors" })[0]?.extra_info["nearest"]).toEqual(["sub/sdxl_base_1.0.safetensors"]);
  });
  test("guesses nothing when nothing is near, nor for lists that are no models", () => {
    expect(errorsOf(loader, { name: "wan2.2.safetensors" })[0]?.extra_info).not.toHaveProperty("nearest");
    expect(errorsOf(nodeInfo({ mode: [["bicubic", "bilinear"]] }), { mode: "bicubi" })[0]?.extra_info).not.toHaveProperty("nearest");
  });
});

const details = (flag: string): string | undefined => errorsOf(nodeInfo({ x: [[], { [flag]: true }] }), { x: "no" }, { seatFiles: seatWith() })[0]?.details;

describe("[Q13] files of the seat", () => {
  const image = nodeInfo({ image: [["on-the-gpu.png"], { image_upload: true }] });
  const files = { seatFiles: seatWith("a.png", "sub/b.png", "output:c.png", "3d/cat.glb") };
  test("are looked up in the seat's storage, not in the GPU's list", () => {
    for (const name of ["a.png", "sub/b.png", "a.png [input]", "c.png [output]", "./sub/../a.png"]) expect(errorsOf(image, { image: name }, files)).toEqual([]);
    for (const name of ["on-the-gpu.png", "b.png", "c.png", "a.png [temp]", "../a.png", "/a.png", "", "a.png[input]"]) {
      expect(errorsOf(image, { image: name }, files)).toEqual([{ type: "custom_validation_failed", message: "Custom validation failed for node", details: `image - Invalid image file: ${name}`, extra_info: { input_name: "image" } }]);
    }
  });
  test("each kind by its name", () => {
    expect(["audio_upload", "video_upload", "file_upload"].map(details)).toEqual(["x - Invalid audio file: no", "x - Invalid video file: no", "x - Invalid file: no"]);
  });
  test("3-D models are a plain list in ComfyUI, and here the seat's", () => {
    const catalog = withNodes({ Load3D: nodeInfo({ model_file: [["3d/of-the-gpu.glb", "none"], { file_upload: true }] }, { output: ["MESH"] }) });
    const send = (name: string): ReturnType<typeof judge> => judge(catalog, { "1": { class_type: "Load3D", inputs: { model_file: name } }, "9": { class_type: "Out", inputs: { value: ["1", 0] } } }, {}, files);
    expect(send("3d/cat.glb").ok).toBe(true);
    expect(send("none").ok).toBe(true);
    const refused = send("3d/of-the-gpu.glb");
    expect(refused).toMatchObject({ reason: "input_missing", body: { node_errors: { "1": { errors: [{ type: "value_not_in_list", details: "model_file: '3d/of-the-gpu.glb' not in ['none', '3d/cat.glb']" }] } } } });
  });
  test("come after the node's other errors, and a link in their place is left to the GPU", () => {
    const both = nodeInfo({ image: [[], { image_upload: true }], size: ["INT", { max: 5 }] });
    expect(errorsOf(both, { image: "no.png", size: 9 }, files).map((error) => error.type)).toEqual(["value_bigger_than_max", "custom_validation_failed"]);
    const linked = judge(withNodes({ T: { ...both, output: ["X"] } }), { ...graphOf({ image: ["2", 3], size: 1 }), "2": { class_type: "Src", inputs: {} } }, {}, files);
    expect(linked.ok).toBe(true);
  });
  test("something that is no name is ComfyUI's exception", () => {
    expect(errorsOf(image, { image: 5 }, files)).toMatchObject([{ type: "exception_during_inner_validation", details: "'int' object has no attribute 'endswith'" }]);
  });
  test("a reported validator takes its inputs out of our checks", () => {
    const catalog = withNodes({ T: nodeInfo({ c: [["a"]], n: ["INT", { max: 1 }], l: ["IMAGE"] }, { output: ["X"] }) }, { validators: { T: { inputs: ["c"], types: true } } });
    expect(judge(catalog, { ...graphOf({ c: "zzz", n: 1, l: ["2", 1] }), "2": { class_type: "Src", inputs: {} } }).ok).toBe(true);
    expect(judge(catalog, { ...graphOf({ c: "zzz", n: 9, l: ["2", 0] }), "2": { class_type: "Src", inputs: {} } }).ok).toBe(false);
  });
});
