// What a seat shows of the GPUs: nodes with the seat's own files, custom nodes' browser code, models, and nothing of the machines themselves.
import { describe, expect, it } from "vitest";
import { openSeatOf, openWorkshop, reportCatalog } from "./seat-harness.ts";
import type { Seat } from "./seat-harness.ts";
import objectInfoText from "../recordings/object_info.json?raw";

const objectInfo = JSON.parse(objectInfoText) as Record<string, unknown>;

async function uploadTo(seat: Seat, name: string): Promise<void> {
  const form = new FormData();
  form.set("image", new File([name], name));
  await seat.get("POST", "/upload/image", { body: form });
}

async function choices(seat: Seat): Promise<unknown> {
  const info = (await (await seat.get("GET", "/object_info/LoadImage")).json()) as { LoadImage: { input: { required: { image: [unknown] } } } };
  return info.LoadImage.input.required.image[0];
}

function bareNode(name: string): Record<string, unknown> {
  return { [name]: { input: { required: {} }, output: [], output_node: true, name, category: "" } };
}

describe("the catalogue of nodes", () => {
  it("is the GPU's own, to the digit, but for the seat's files", async () => {
    const seat = await openSeatOf();
    await reportCatalog(seat.context, { object_info: objectInfo }, objectInfoText);
    const answer = await seat.get("GET", "/api/object_info");
    const text = await answer.text();
    expect(text).toContain('"max": 18446744073709551615');
    const [mine, theirs] = [JSON.parse(text) as Record<string, unknown>, objectInfo];
    expect(Object.keys(mine)).toEqual(Object.keys(theirs));
    const differing = Object.keys(theirs).filter((name) => JSON.stringify(mine[name]) !== JSON.stringify(theirs[name]));
    expect(differing).toContain("LoadImage");
    expect(differing.filter((name) => !name.startsWith("Load"))).toEqual([]);
  });

  it("lists each seat's own uploads, and its validator changes with them", async () => {
    const { seats } = await openWorkshop("ada", "bob");
    const [ada, bob] = seats as [Seat, Seat];
    await reportCatalog(ada.context, { object_info: objectInfo }, objectInfoText);
    const before = (await ada.get("GET", "/object_info")).headers.get("etag") ?? "";
    expect((await ada.get("GET", "/object_info", { headers: { "if-none-match": before } })).status).toBe(304);
    await uploadTo(ada, "mine.png");
    const after = await ada.get("GET", "/object_info", { headers: { "if-none-match": before } });
    expect(after.status).toBe(200);
    expect([await choices(ada), await choices(bob)]).toEqual([["mine.png"], []]);
    expect((await bob.get("GET", "/object_info", { headers: { "if-none-match": before } })).status).toBe(304);
  });

  it("serves the last report though no GPU is there, and the new one after it came", async () => {
    const seat = await openSeatOf();
    await reportCatalog(seat.context, { object_info: { A: { input: {}, output: [], output_node: true, name: "A", category: "" } } });
    expect(Object.keys((await (await seat.get("GET", "/object_info")).json()) as object)).toEqual(["A"]);
    await reportCatalog(seat.context, { object_info: { B: { input: {}, output: [], output_node: true, name: "B", category: "" } } });
    await expect.poll(async () => Object.keys((await (await seat.get("GET", "/object_info")).json()) as object), { timeout: 10_000, interval: 250 }).toEqual(["B"]);
  });

  it("of a digest whose report is not stored yet there is no catalogue, and soon there is", async () => {
    const seat = await openSeatOf();
    await seat.context.rpc.setCatalog("gpu", "f".repeat(32), { comfyui_version: "0.3.64" });
    expect(await (await seat.get("GET", "/object_info")).json()).toEqual({});
    await seat.context.files.put(`catalog/${"f".repeat(32)}.json`, JSON.stringify({ digest: "f".repeat(32), object_info: { A: {} } }));
    expect(await (await seat.get("GET", "/object_info")).json()).toEqual({ A: {} });
  });
});

describe("custom nodes' browser code", () => {
  const web = [{ path: "pack/js/a b.js", size: 9, sha256: "0".repeat(64), content_type: "text/javascript" }, { path: "workflow_templates/pack/one.json", size: 2, sha256: "0".repeat(64), content_type: "application/json" }];

  async function seatWithPack(): Promise<Seat> {
    const seat = await openSeatOf();
    const digest = await reportCatalog(seat.context, { object_info: {}, extensions: ["/extensions/core/groupNode.js", "/extensions/pack/js/a b.js"], web_files: web, workflow_templates: { pack: ["one", "two"], empty: ["x"] } });
    await seat.context.files.put(`catalog/${digest}/web/pack/js/a b.js`, "export {};");
    await seat.context.files.put(`catalog/${digest}/web/workflow_templates/pack/one.json`, "{}");
    await seat.context.files.put(`catalog/${digest}/web/pack/unlisted.js`, "never");
    return seat;
  }

  it("is listed and runs as code: right type, validator, no download", async () => {
    const seat = await seatWithPack();
    expect(await (await seat.get("GET", "/api/extensions")).json()).toEqual(["/extensions/comfyume/own-storage.js", "/extensions/pack/js/a b.js"]);
    const file = await seat.get("GET", "/extensions/pack/js/a%20b.js");
    expect([file.status, file.headers.get("content-type"), file.headers.get("content-disposition"), await file.text()]).toEqual([200, "text/javascript", null, "export {};"]);
    expect((await seat.get("GET", "/extensions/pack/js/a%20b.js", { headers: { "if-none-match": file.headers.get("etag") ?? "" } })).status).toBe(304);
  });

  it("leaves the page's own modules and unknown files to the static files", async () => {
    const seat = await seatWithPack();
    for (const path of ["/extensions/core/groupNode.js", "/extensions/pack/none.js", "/extensions/pack/unlisted.js", "/extensions/pack/../../x", "/scripts/app.js"]) expect(await seat.ask("GET", path)).toBeNull();
  });

  it("lists templates whose files came along, and only those", async () => {
    const seat = await seatWithPack();
    expect(await (await seat.get("GET", "/workflow_templates")).json()).toEqual({ pack: ["one"] });
    expect(await (await seat.get("GET", "/api/workflow_templates/pack/one.json")).text()).toBe("{}");
    expect((await seat.get("GET", "/api/workflow_templates/pack/two.json")).status).toBe(404);
  });
});

describe("the server behind a seat", () => {
  it("is the GPU's ComfyUI with a neutral command line, and warns of no version", async () => {
    const seat = await openSeatOf();
    await reportCatalog(seat.context, { object_info: {}, version: "0.38.1", system: { required_frontend_version: "99.0.0", comfy_package_versions: [{ name: "x", installed: "1", required: "2" }] } });
    const { system } = (await (await seat.get("GET", "/system_stats")).json()) as { system: Record<string, unknown> };
    expect(system).toMatchObject({ comfyui_version: "0.38.1", argv: ["main.py", "--disable-api-nodes"] });
    expect(Object.keys(system)).not.toContain("required_frontend_version");
    expect(Object.keys(system)).not.toContain("comfy_package_versions");
  });

  it("has partner nodes when the GPU has some", async () => {
    const seat = await openSeatOf();
    await reportCatalog(seat.context, { object_info: { Partner: { input: {}, output: [], output_node: true, name: "Partner", category: "", api_node: true } } });
    expect(await (await seat.get("GET", "/system_stats")).json()).toMatchObject({ system: { argv: ["main.py"] } });
  });

  it("has an answer of the right shape before any GPU has reported", async () => {
    const seat = await openSeatOf();
    const json = async (path: string): Promise<unknown> => await (await seat.get("GET", path)).json();
    expect(await json("/system_stats")).toMatchObject({ system: { argv: ["main.py", "--disable-api-nodes"], comfyui_version: "unknown" }, devices: [] });
    expect([await json("/extensions"), await json("/embeddings"), await json("/models"), await json("/experiment/models"), await json("/i18n"), await json("/workflow_templates"), await json("/internal/folder_paths"), await json("/global_subgraphs")]).toEqual([["/extensions/comfyume/own-storage.js"], [], [], [], {}, {}, {}, {}]);
    expect(await json("/features")).toEqual({ supports_preview_metadata: true, max_upload_size: 104857600 });
  });

  it("shows what any pool has and accepts what all of them have", async () => {
    const { seats, rpc } = await openWorkshop("ada");
    const [seat] = seats as [Seat];
    await rpc.putPool({ id: "second", provider: "pull", max_in_flight: 1 });
    for (const [pool, node, model] of [["gpu", "OnlyFirst", "a.safetensors"], ["second", "OnlySecond", "b.safetensors"]] as const) {
      const digest = `${pool}${crypto.randomUUID()}`.replaceAll("-", "");
      await seat.context.files.put(`catalog/${digest}.json`, JSON.stringify({ digest, object_info: { ...bareNode("Both"), ...bareNode(node) }, models: { loras: [model] }, embeddings: [pool], extensions: [], system_stats: { system: { comfyui_version: "0.3.64" } } }));
      await rpc.setCatalog(pool, digest, { comfyui_version: "0.3.64" });
    }
    expect(Object.keys((await (await seat.get("GET", "/object_info")).json()) as object).toSorted()).toEqual(["Both", "OnlyFirst", "OnlySecond"]);
    expect(((await (await seat.get("GET", "/models/loras")).json()) as string[]).toSorted()).toEqual(["a.safetensors", "b.safetensors"]);
    const run = async (type: string) => (await seat.get("POST", "/prompt", { body: JSON.stringify({ prompt: { "1": { class_type: type, inputs: {} } } }) })).status;
    expect([await run("Both"), await run("OnlyFirst")]).toEqual([200, 400]);
  });
});
