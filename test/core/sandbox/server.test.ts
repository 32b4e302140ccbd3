// The sandbox through its front door: files, names, metadata, batches, interrupts and history.

import { readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { readTexts } from "../../../gpu-adapter/sandbox/pixels/png.ts";
import { Client, type FileRef, type Output, emptyImage, painting, saveImage } from "./client.ts";

let comfy: Client;
beforeEach(async () => {
  comfy = await Client.start();
});
afterEach(() => comfy.stop());

const names = (output: Output): string[] => output["images"]!.map((file) => file.filename);
const saved = (files: Output): FileRef => files["images"]![0]!;

const preview = (color: number) => ({ "1": emptyImage(color), "2": { class_type: "PreviewImage", inputs: { images: ["1", 0] } } });
const load = (name: string) => ({ "1": { class_type: "LoadImage", inputs: { image: name } }, "2": saveImage("1", "loaded") });
const dot = (value: number) => sharp(Buffer.alloc(3, value), { raw: { width: 1, height: 1, channels: 3 } }).png().toBuffer();

async function pixels(file: Buffer): Promise<number[]> {
  return [...(await sharp(file).raw().toBuffer())];
}

describe("saved pictures", () => {
  test("a colour goes through to the file unchanged", async () => {
    const output = comfy.output(await comfy.run({ "1": emptyImage(0x3f80ff, 2, 1), "2": saveImage("1") }), "2");
    expect(await pixels(await comfy.file(saved(output)))).toEqual([0x3f, 0x80, 0xff, 0x3f, 0x80, 0xff]);
  });

  test("names count up from what lies in the folder, each prefix for itself", async () => {
    await comfy.run({ "1": emptyImage(1), "2": saveImage("1", "a/b") });
    await writeFile(join(comfy.dir, "output/a/b_00041_.png"), "");
    await writeFile(join(comfy.dir, "output/a/bb_00099_.png"), "");
    expect(comfy.output(await comfy.run({ "1": emptyImage(2), "2": saveImage("1", "a/b") }), "2")).toEqual({ images: [{ filename: "b_00042_.png", subfolder: "a", type: "output" }] });
    expect(names(comfy.output(await comfy.run({ "1": emptyImage(3), "2": saveImage("1", "a/c") }), "2"))).toEqual(["c_00001_.png"]);
  });

  test("a batch of three is three files, and %batch_num% tells them apart", async () => {
    expect(names(comfy.output(await comfy.run({ "1": emptyImage(1, 4, 4, 3), "2": saveImage("1", "n%batch_num%") }), "2"))).toEqual(["n0_00001_.png", "n1_00002_.png", "n2_00003_.png"]);
  });

  test("tokens of the prefix are filled in", async () => {
    const now = new Date();
    const [file] = names(comfy.output(await comfy.run({ "1": emptyImage(1, 12, 34), "2": saveImage("1", "%width%x%height%-%year%") }), "2"));
    expect([`12x34-${now.getFullYear()}_00001_.png`, `12x34-${now.getFullYear() + 1}_00001_.png`]).toContain(file);
  });

  test.each(["../outside", "/outside", "a/../../outside"])("the prefix %s does not lead out of the output folder", async (prefix) => {
    const run = await comfy.run({ "1": emptyImage(), "2": saveImage("1", prefix) });
    expect(run.find(({ type }) => type === "execution_error")?.data).toMatchObject({ node_id: "2", node_type: "SaveImage", executed: ["1"] });
    expect(await readdir(join(comfy.dir, "output"))).toEqual([]);
  });

  test("previews are temporary, keep their suffix while the node stays, and are gone after a restart", async () => {
    const [first] = names(comfy.output(await comfy.run(preview(1)), "2"));
    const [second] = names(comfy.output(await comfy.run(preview(2)), "2"));
    expect(first).toMatch(/^ComfyUI_temp_[a-z]{5}_00001_\.png$/);
    expect(second).toBe(first!.replace("00001", "00002"));
  });
});

describe("PNG text", () => {
  const PROMPT = '{"10":{"inputs":{"color":5,"batch_size":"1","height":4,"width":4},"class_type":"EmptyImage","_meta":{"title":"é"}},"2":{"class_type":"ImageScaleBy","inputs":{"image":["10",0],"upscale_method":"area","scale_by":2}},"9":{"class_type":"SaveImage","inputs":{"images":["2",0],"filename_prefix":"t"}}}';

  test("prompt and workflow are carried as Python writes them: order kept, coerced values, non-ASCII escaped", async () => {
    const body = `{"client_id":"tester","prompt":${PROMPT},"extra_data":{"extra_pnginfo":{"workflow":{"nodes":[{"id":7,"pos":[1.0,2.5]}],"name":"図"},"other":1}}}`;
    const file = await comfy.file(saved(comfy.output(await comfy.run(body), "9")));
    expect(readTexts(file)).toEqual([
      {
        key: "prompt",
        text: '{"10": {"inputs": {"color": 5, "batch_size": 1, "height": 4, "width": 4}, "class_type": "EmptyImage", "_meta": {"title": "\\u00e9"}}, "2": {"class_type": "ImageScaleBy", "inputs": {"image": ["10", 0], "upscale_method": "area", "scale_by": 2.0}}, "9": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "t"}}}',
      },
      { key: "workflow", text: '{"nodes": [{"id": 7, "pos": [1.0, 2.5]}], "name": "\\u56f3"}' },
      { key: "other", text: "1" },
    ]);
  });

  test("the chunks stand before the pixels and their checksums hold", async () => {
    const file = await comfy.file(saved(comfy.output(await comfy.run({ "1": emptyImage(7), "2": saveImage("1") }), "2")));
    expect(file.indexOf("tEXt")).toBeGreaterThan(file.indexOf("IHDR"));
    expect(file.indexOf("tEXt")).toBeLessThan(file.indexOf("IDAT"));
    expect((await sharp(file, { failOn: "warning" }).metadata()).comments).toEqual([{ keyword: "prompt", text: readTexts(file)[0]!.text }]);
  });
});

describe("LoadImage", () => {
  test("takes colours as stored, alpha apart", async () => {
    const raw = Buffer.from([255, 0, 0, 0, 10, 20, 30, 255]);
    await comfy.upload("a.png", await sharp(raw, { raw: { width: 2, height: 1, channels: 4 } }).png().toBuffer());
    const output = comfy.output(await comfy.run(load("a.png")), "2");
    expect(await pixels(await comfy.file(saved(output)))).toEqual([255, 0, 0, 10, 20, 30]);
  });

  test("turns a photo upright by its EXIF orientation", async () => {
    const lying = await sharp(Buffer.from([255, 0, 0, 0, 0, 255]), { raw: { width: 2, height: 1, channels: 3 } }).png().withMetadata({ orientation: 6 }).toBuffer();
    await comfy.upload("lying.png", lying);
    const file = await comfy.file(saved(comfy.output(await comfy.run(load("lying.png")), "2")));
    expect(await sharp(file).metadata()).toMatchObject({ width: 1, height: 2 });
    expect(await pixels(file)).toEqual([255, 0, 0, 0, 0, 255]);
  });

  test("an animation becomes a batch", async () => {
    const frames = Buffer.concat([Buffer.alloc(12, 255), Buffer.alloc(12, 0), Buffer.alloc(12, 128)]);
    await comfy.upload("moving.webp", await sharp(frames, { raw: { width: 2, height: 6, channels: 3, pageHeight: 2 } }).webp({ lossless: true }).toBuffer());
    expect(names(comfy.output(await comfy.run(load("moving.webp")), "2"))).toHaveLength(3);
  });

  test("an uploaded picture is offered at once, a replaced one is loaded anew", async () => {
    await comfy.upload("dot.png", await dot(9));
    const info = await comfy.json<{ LoadImage: { input: { required: { image: [string[]] } } } }>("/object_info/LoadImage");
    expect(info.LoadImage.input.required.image[0]).toEqual(["dot.png"]);
    await comfy.run(load("dot.png"));
    await writeFile(join(comfy.dir, "input/dot.png"), await dot(200));
    const run = await comfy.run(load("dot.png"));
    expect(run.find(({ type }) => type === "execution_cached")?.data["nodes"]).toEqual([]);
    expect(await pixels(await comfy.file(saved(comfy.output(run, "2"))))).toEqual([200, 200, 200]);
  });

  test("a picture of the output folder can be loaded by its annotated name", async () => {
    await comfy.run({ "1": emptyImage(0xff00ff, 1, 1), "2": saveImage("1", "made") });
    expect(await pixels(await comfy.file(saved(comfy.output(await comfy.run(load("made_00001_.png [output]")), "2"))))).toEqual([255, 0, 255]);
  });
});

describe("the painter's graph", () => {
  test("twice the same prompt after /free gives the same pixels", async () => {
    const file = async () => pixels(await comfy.file(saved(comfy.output(await comfy.run(painting("a red valley")), "7"))));
    const first = await file();
    await comfy.post("/free", { free_memory: true });
    const before = comfy.messages.length;
    expect(await file()).toEqual(first);
    expect(comfy.messages.slice(before).some(({ type, data }) => type === "execution_cached" && (data["nodes"] as string[]).length === 0)).toBe(true);
  });

  test("each picture of a batch is another one, the first is the seed's own", async () => {
    const files = comfy.output(await comfy.run(painting("hills", {}, 64, 3)), "7")["images"]!;
    const all = await Promise.all(files.map(async (file) => (await pixels(await comfy.file(file))).join()));
    expect(new Set(all).size).toBe(3);
    const single = await pixels(await comfy.file(saved(comfy.output(await comfy.run(painting("hills")), "7"))));
    expect(all[0]).toBe(single.join());
  });

  test("one preview per step, each naming node and prompt", async () => {
    const run = await comfy.run(painting("clouds", { steps: 6 }));
    expect(run.filter(({ type }) => type === "progress").map(({ data }) => [data["value"], data["max"]])).toEqual([1, 2, 3, 4, 5, 6].map((step) => [step, 6]));
    expect(comfy.previews).toHaveLength(6);
    const metadata = JSON.parse(comfy.previews[0]!.subarray(8, 8 + comfy.previews[0]!.readUInt32BE(4)).toString()) as Record<string, unknown>;
    expect(metadata).toEqual({ node_id: "5", prompt_id: run[0]!.data["prompt_id"], display_node_id: "5", parent_node_id: null, real_node_id: "5", image_type: "image/jpeg" });
  });

  test("no strength leaves the latent as it was", async () => {
    const file = await pixels(await comfy.file(saved(comfy.output(await comfy.run(painting("clouds", { denoise: 0 })), "7"))));
    expect(new Set(file).size).toBe(3);
  });

  test("it says that it is a sandbox wherever it shows", async () => {
    const info = await comfy.json<Record<string, { display_name: string; description: string; category: string }>>("/object_info");
    for (const name of ["CheckpointLoaderSimple", "CLIPTextEncode", "EmptyLatentImage", "KSampler", "VAEDecode"]) {
      for (const text of [info[name]!.display_name, info[name]!.description, info[name]!.category]) expect(text.toLowerCase()).toContain("sandbox");
    }
    const stats = await comfy.json<{ system: { comfyui_version: string }; devices: { name: string }[] }>("/system_stats");
    expect(stats.system.comfyui_version).toBe("0.3.64");
    expect(stats.devices[0]!.name).toBe("Sandbox GPU (CPU)");
  });
});

describe("rehearsal nodes", () => {
  test("SandboxFiles: every file is served with its type, one file is named under two keys", async () => {
    const output = comfy.output(await comfy.run({ "1": { class_type: "SandboxFiles", inputs: { filename_prefix: "all/f", note: "été", seed: 3 } } }), "1");
    expect(Object.keys(output)).toEqual(["images", "animated", "gifs", "audio", "files", "text"]);
    expect(output["files"]![1]).toEqual(output["images"]![0]);
    const type = async (file: FileRef) => (await comfy.get(`/view?${new URLSearchParams({ ...file })}`)).headers.get("content-type");
    expect(await Promise.all(["images", "gifs", "audio", "files"].map((key) => type(output[key]![0]!)))).toEqual(["image/webp", "image/gif", "audio/wav", "text/plain"]);
    for (const key of ["images", "gifs"]) expect((await sharp(await comfy.file(output[key]![0]!), { pages: -1 }).metadata()).pages, key).toBe(6);
    const wav = await comfy.file(output["audio"]![0]!);
    expect([wav.toString("latin1", 0, 4), wav.readUInt32LE(4), wav.readUInt32LE(40)]).toEqual(["RIFF", wav.length - 8, wav.length - 44]);
    expect((await comfy.file(output["files"]![0]!)).toString()).toBe("été\n");
  });

  test("SandboxText shows its text and hands it on", async () => {
    const run = await comfy.run({ "1": { class_type: "SandboxText", inputs: { text: "hello" } }, "2": { class_type: "SandboxText", inputs: { text: ["1", 0] } } });
    expect(comfy.output(run, "2")).toEqual({ text: ["hello"] });
  });

  test("SandboxFail out of memory carries torch's type, and no path of this machine", async () => {
    const run = await comfy.run({ "1": emptyImage(), "2": { class_type: "SandboxFail", inputs: { image: ["1", 0], message: "full", error: "out_of_memory" } }, "3": saveImage("2") });
    const error = run.find(({ type }) => type === "execution_error")!.data;
    expect(error).toMatchObject({ exception_type: "torch.OutOfMemoryError", node_id: "2", executed: ["1"], current_inputs: { message: ["full"], image: ["tensor(shape=[1, 8, 8, 3])"] } });
    expect((error["traceback"] as string[]).length).toBeGreaterThan(0);
    expect(JSON.stringify(error)).not.toContain(process.cwd());
    expect((error["traceback"] as string[]).at(-1)).toMatch(/File "sandbox\/nodes\/support\.ts", line \d+/);
  });

  test("an interrupted sleep stops at its next step, and the finished part stays cached", async () => {
    const prompt = { "1": emptyImage(), "2": { class_type: "SandboxSleep", inputs: { image: ["1", 0], seconds: 600 } }, "3": saveImage("2") };
    const id = await comfy.submit(prompt);
    await comfy.until(({ type }) => type === "progress");
    await comfy.post("/interrupt", { prompt_id: id });
    const ended = await comfy.until(({ type }) => type === "execution_interrupted");
    expect(ended.data).toMatchObject({ prompt_id: id, node_id: "2", node_type: "SandboxSleep", executed: ["1"] });
    const rerun = await comfy.run({ ...prompt, "2": { class_type: "SandboxSleep", inputs: { image: ["1", 0], seconds: 0 } } });
    expect(rerun.find(({ type }) => type === "execution_cached")?.data["nodes"]).toEqual(["1"]);
  });
});

describe("history", () => {
  test("pages: the newest n, or n from an offset counted from the oldest", async () => {
    const ids: string[] = [];
    for (let color = 0; color < 4; color++) {
      ids.push(await comfy.submit({ "1": emptyImage(color), "2": saveImage("1") }));
      await comfy.until(({ type, data }) => type === "executing" && data["node"] === null && data["prompt_id"] === ids.at(-1));
    }
    const page = async (query: string) => Object.keys(await comfy.json<object>(`/history${query}`));
    expect(await page("")).toEqual(ids);
    expect(await page("?max_items=2")).toEqual(ids.slice(2));
    expect(await page("?max_items=2&offset=1")).toEqual(ids.slice(1, 3));
    expect(await page("?max_items=0")).toEqual([]);
    await comfy.post("/history", { delete: [ids[0]] });
    expect(await page("")).toEqual(ids.slice(1));
  });
});

describe("twenty prompts at once", () => {
  test("each runs once, in order, and saves its own file", async () => {
    const ids = await Promise.all(Array.from({ length: 20 }, (_, color) => comfy.submit({ "1": emptyImage(color, 1, 1), "2": saveImage("1", `n${color}`) })));
    await comfy.until(({ type, data }) => type === "status" && (data["status"] as { exec_info: { queue_remaining: number } }).exec_info.queue_remaining === 0 && comfy.messages.filter((message) => message.type === "execution_success").length === 20);
    const succeeded = comfy.messages.filter(({ type }) => type === "execution_success").map(({ data }) => data["prompt_id"]);
    expect(new Set(succeeded)).toEqual(new Set(ids));
    expect((await readdir(join(comfy.dir, "output"))).length).toBe(20);
  });
});

describe("masks", () => {
  test("the mask of an upload goes into the saved file's alpha and keeps its texts", async () => {
    const source = await comfy.file(saved(comfy.output(await comfy.run({ "1": emptyImage(0xff0000, 2, 1), "2": saveImage("1", "masked") }), "2")));
    const mask = await sharp(Buffer.from([0, 0, 0, 40, 0, 0, 0, 250]), { raw: { width: 2, height: 1, channels: 4 } }).png().toBuffer();
    const form = new FormData();
    form.set("image", new File([new Uint8Array(mask)], "m.png"));
    form.set("original_ref", JSON.stringify({ filename: "masked_00001_.png", subfolder: "", type: "output" }));
    expect((await fetch(`${comfy.url}/upload/mask`, { method: "POST", body: form })).status).toBe(200);
    const file = await readFile(join(comfy.dir, "input/m.png"));
    expect(await pixels(file)).toEqual([255, 0, 0, 40, 255, 0, 0, 250]);
    expect(readTexts(file)).toEqual(readTexts(source));
  });
});
