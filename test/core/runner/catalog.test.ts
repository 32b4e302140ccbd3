import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canonicalJson, signDispatch, verifyDispatch } from "../../../gpu-adapter/canonical.ts";
import { withoutInputFiles, withoutVolatile } from "../../../gpu-adapter/runner/catalog.ts";
import { lacking } from "../../../gpu-adapter/runner/readiness.ts";
import { outputClasses } from "../../../gpu-adapter/runner/seat-tag.ts";
import { references } from "../../../gpu-adapter/runner/web-files.ts";

type Info = Record<string, { input?: { required?: Record<string, unknown[]>; optional?: Record<string, unknown[]> }; output_node?: boolean }>;
const recorded = JSON.parse(readFileSync(join(import.meta.dirname, "../../recordings/object_info.json"), "utf8")) as { events?: { response_json?: Info }[] };
const real = (recorded.events?.find((event) => event.response_json !== undefined)?.response_json ?? recorded) as Info;

describe("the catalog's report", () => {
  test("[G13] lists of input files are emptied, models and other choices stay", () => {
    const cleaned = JSON.parse(withoutInputFiles(JSON.stringify(real))) as Info;
    expect(cleaned.LoadImage?.input?.required?.image?.[0]).toEqual([]);
    expect(cleaned.LoadImage?.input?.required?.image?.[1]).toMatchObject({ image_upload: true });
    expect(cleaned.LoadLatent?.input?.required?.latent?.[0]).toEqual([]);
    expect(cleaned.LoadVideo?.input?.required?.file?.[1]).toMatchObject({ options: [] });
    expect(cleaned.CheckpointLoaderSimple).toEqual(real.CheckpointLoaderSimple);
    expect(cleaned.KSampler).toEqual(real.KSampler);
    expect(Object.keys(cleaned)).toEqual(Object.keys(real));
  });

  test("[G13] everything else of object_info stays as ComfyUI wrote it, to the letter", () => {
    const plain = '"KSampler": {"input": {"required": {"cfg": ["FLOAT", {"default": 8.0, "min": 0.0, "max": 100.0, "step": 0.10}], "seed": ["INT", {"max": 18446744073709551615}], "t": ["STRING", {"default": "\\u00e9 \\"[{"}]}}, "output": ["LATENT"]}';
    const loader = (files: string): string => `"LoadImage": {"input": {"required": {"image": [${files}, {"image_upload": true, "weight": 1.0}], "x": ["FLOAT", {"default": 2.0}]}}, "name": "LoadImage"}`;
    const newer = (files: string): string => `"LoadVideo": {"input": {"required": {"file": ["COMBO", {"video_upload": true, "options": ${files}, "f": 3.0}]}}, "name": "LoadVideo"}`;
    const text = (files: string): string => `{${plain}, ${loader(files)}, ${newer(files)}, "Odd": {"input": null}, "Bare": {}}`;
    expect(withoutInputFiles(text('["a, b.png", "c]}.png"]'))).toBe(text("[]"));
  });

  test("[G19] ComfyUI itself says which classes are output nodes", () => {
    const classes = outputClasses(real);
    expect(classes.has("SaveImage") && classes.has("PreviewImage") && !classes.has("KSampler")).toBe(true);
  });

  test("free memory is left out, so that the digest stands for what is there", () => {
    const stats = { system: { ram_total: 5, ram_free: 3, argv: ["main.py"] }, devices: [{ name: "gpu", vram_total: 9, vram_free: 1, torch_vram_free: 1 }] };
    expect(withoutVolatile(stats)).toEqual({ system: { ram_total: 5, argv: ["main.py"] }, devices: [{ name: "gpu", vram_total: 9 }] });
  });

  test("[G30] what is required and not there is said by name", () => {
    const report = { object_info: { KSampler: {} }, models: { checkpoints: ["a/x.safetensors"] } } as never;
    expect(lacking(report, { nodes: ["KSampler", "Nope"], models: ["checkpoints/a/x.safetensors", "loras/y.safetensors", "noslash"] })).toEqual(["node class Nope", "model loras/y.safetensors", "model noslash"]);
  });

  test("web files: relative references inside the own pack are followed, others are not", () => {
    const source = `import "./lib/a.js"; import x from '../util.mjs'; el.href = new URL("./style.css", import.meta.url); import "../../../scripts/app.js"; fetch("https://x.y/z.json"); const icon = "img/pic one.svg"`;
    expect(references("pack/js/main.js", source).sort()).toEqual(["pack/js/img/pic one.svg", "pack/js/lib/a.js", "pack/js/style.css", "pack/util.mjs"]);
  });
});

describe("canonical JSON", () => {
  test("key order does not matter, anything else does", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const shuffled = JSON.parse(JSON.stringify(value), (_key, inner: unknown) => (typeof inner === "object" && inner !== null && !Array.isArray(inner) ? Object.fromEntries(Object.entries(inner).reverse()) : inner)) as unknown;
        expect(canonicalJson(shuffled)).toBe(canonicalJson(JSON.parse(JSON.stringify(value))));
        expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
    expect(canonicalJson({ b: [2, { d: 1, c: undefined }], a: "é", n: 18446744073709551615n })).toBe('{"a":"é","b":[2,{"d":1}],"n":18446744073709551615}');
  });

  test("[G8] a signature covers every field but itself, and no other key makes it", async () => {
    const dispatch = { v: 1, job_id: "j", nested: { b: 1, a: 2 }, sig: "" };
    const sig = await signDispatch(dispatch, "key");
    expect(await verifyDispatch({ nested: { a: 2, b: 1 }, job_id: "j", v: 1, sig } as never, "key")).toBe(true);
    expect(await verifyDispatch({ ...dispatch, job_id: "k", sig } as never, "key")).toBe(false);
    expect(await verifyDispatch({ ...dispatch, extra: 1, sig } as never, "key")).toBe(false);
    expect(await verifyDispatch({ ...dispatch, sig }, "other")).toBe(false);
    expect(await verifyDispatch({ ...dispatch, sig: sig.slice(1) }, "key")).toBe(false);
  });
});
