// The seat's own folder: the starter workflow, units of time, races, and what answers as empty.
import { describe, expect, it } from "vitest";
import { openSeatOf, openWorkshop, reportCatalog } from "./seat-harness.ts";
import type { Seat } from "./seat-harness.ts";

const LIST = "/api/userdata?dir=workflows&recurse=true&split=false&full_info=true";
const STARTER = "Text to picture (sandbox).json";
const STARTER_PATH = `/api/userdata/${encodeURIComponent(`workflows/${STARTER}`)}`;
const OBJECT_INFO = { CheckpointLoaderSimple: { input: { required: { ckpt_name: [["real-model.safetensors", "sandbox-painter.safetensors"], {}] } }, output: [], output_node: false, name: "CheckpointLoaderSimple", category: "" } };

async function names(seat: Seat): Promise<string[]> {
  return ((await (await seat.get("GET", LIST)).json()) as { path: string }[]).map((file) => file.path);
}

async function checkpointOf(objectInfo: Record<string, unknown>): Promise<unknown> {
  const seat = await openSeatOf();
  await reportCatalog(seat.context, { object_info: objectInfo });
  const graph: Graph = await (await seat.get("GET", "/templates/text_to_picture_sandbox.json")).json();
  return graph.nodes.find((node) => node.type === "CheckpointLoaderSimple")?.widgets_values[0];
}

type Graph = { version: number; last_node_id: number; nodes: { id: number; type: string; inputs: { link: number | null }[]; outputs: { links: number[] }[]; widgets_values: unknown[] }[]; links: [number, number, number, number, number, string][] };

describe("the starter workflow", () => {
  it("stands in every seat's list from the first look, whole, and opens from the template browser too", async () => {
    const { seats } = await openWorkshop("ada", "bob");
    for (const seat of seats) {
      expect(await names(seat)).toEqual([STARTER]);
      const graph: Graph = await (await seat.get("GET", STARTER_PATH)).json();
      expect(graph.version).toBe(0.4);
      expect(graph.nodes.map((node) => node.type).toSorted()).toEqual(["CLIPTextEncode", "CLIPTextEncode", "CheckpointLoaderSimple", "EmptyLatentImage", "KSampler", "SaveImage", "VAEDecode"]);
      for (const [id, from, fromSlot, to, toSlot] of graph.links) {
        expect(graph.nodes.find((node) => node.id === from)?.outputs[fromSlot]?.links).toContain(id);
        expect(graph.nodes.find((node) => node.id === to)?.inputs[toSlot]?.link).toBe(id);
      }
      expect(graph.nodes.flatMap((node) => node.inputs).filter((input) => input.link === null)).toEqual([]);
      const [group] = (await (await seat.get("GET", "/templates/index.json")).json()) as { templates: { name: string; mediaSubtype: string }[] }[];
      const template = group?.templates[0];
      expect(await (await seat.get("GET", `/templates/${template?.name}.json`)).json()).toEqual(graph);
      expect((await seat.get("GET", `/templates/${template?.name}-1.${template?.mediaSubtype}`)).headers.get("content-type")).toBe("image/svg+xml");
    }
  });

  it("is never written over and never comes back", async () => {
    const seat = await openSeatOf();
    await seat.get("POST", STARTER_PATH, { body: '{"mine":1}' });
    expect(await names(seat)).toEqual([STARTER]);
    expect(await (await seat.get("GET", STARTER_PATH)).json()).toEqual({ mine: 1 });
    expect((await seat.get("DELETE", STARTER_PATH)).status).toBe(204);
    expect(await names(seat)).toEqual([]);
    expect(await names(seat)).toEqual([]);
  });

  it("is put once when twenty tabs look at the same time", async () => {
    const seat = await openSeatOf();
    await Promise.all(Array.from({ length: 20 }, () => names(seat)));
    expect(await names(seat)).toEqual([STARTER]);
  });

  it("names a checkpoint that the GPUs have", async () => {
    expect(await checkpointOf(OBJECT_INFO)).toBe("sandbox-painter.safetensors");
    expect(await checkpointOf({ CheckpointLoaderSimple: { ...OBJECT_INFO.CheckpointLoaderSimple, input: { required: { ckpt_name: [["real-model.safetensors"], {}] } } } })).toBe("real-model.safetensors");
  });

  it("opens by itself in a browser that never opened this seat, once a GPU has told its nodes, and not after", async () => {
    const seat = await openSeatOf();
    const open = async (path: string, headers: Record<string, string> = {}) => await seat.ask("GET", path, { headers: { accept: "text/html,*/*", ...headers } });
    expect(await open("/")).toBeNull();
    await reportCatalog(seat.context, { object_info: OBJECT_INFO });
    const first = await open("/");
    expect([first?.status, first?.headers.get("location")]).toEqual([302, "?template=text_to_picture_sandbox"]);
    const cookie = first?.headers.get("set-cookie") ?? "";
    expect(cookie).toContain(`Path=/${seat.context.workshop}/ada/;`);
    expect(await open("/", { cookie: `a=b; ${cookie.split(";")[0]}` })).toBeNull();
    expect(await open("/?template=text_to_picture_sandbox")).toBeNull();
    expect(await open("/", { accept: "*/*" })).toBeNull();
    await seat.get("POST", "/settings/Comfy.TutorialCompleted", { body: "true" });
    expect((await open("/"))?.status).toBe(302);
    expect(await (await seat.get("GET", "/settings/Comfy.TutorialCompleted")).json()).toBe(false);
  });
});

describe("user data", () => {
  it("times are float seconds for a ComfyUI of 0.3 and whole milliseconds since", async () => {
    for (const [version, milliseconds] of [["0.3.64", false], ["0.38.1", true]] as const) {
      const seat = await openSeatOf();
      await reportCatalog(seat.context, { object_info: {}, version });
      const saved: { modified: number; created: number } = await (await seat.get("POST", "/userdata/a.json?full_info=true", { body: "1" })).json();
      const [listed] = (await (await seat.get("GET", "/userdata?dir=.&full_info=true")).json()) as { modified: number }[];
      for (const time of [saved.modified, saved.created, listed?.modified ?? 0]) expect(Math.abs((milliseconds ? time : time * 1000) - Date.now())).toBeLessThan(3_600_000);
      expect(Number.isInteger(saved.modified)).toBe(milliseconds);
      const [entry] = (await (await seat.get("GET", "/v2/userdata")).json()) as { modified: number }[];
      expect(entry?.modified).toBeLessThan(1e11);
    }
  });

  it("a move keeps the time of the last change", async () => {
    const seat = await openSeatOf();
    const saved: { modified: number } = await (await seat.get("POST", "/userdata/a.json?full_info=true", { body: "1" })).json();
    const moved: { modified: number; path: string } = await (await seat.get("POST", "/userdata/a.json/move/b%2Fc.json?full_info=true")).json();
    expect([moved.path, moved.modified]).toEqual(["b/c.json", saved.modified]);
    const again: { modified: number } = await (await seat.get("POST", "/userdata/b%2Fc.json/move/d.json?full_info=true")).json();
    expect(again.modified).toBe(saved.modified);
    expect((await seat.get("GET", "/userdata/a.json")).status).toBe(404);
  });

  it("of twenty tabs that save one new name without overwrite, one wins and nothing is lost", async () => {
    const seat = await openSeatOf();
    const answers = await Promise.all(Array.from({ length: 20 }, (_, tab) => seat.get("POST", "/userdata/new.json?overwrite=false", { body: `tab ${tab}` })));
    const winners = answers.flatMap((answer, tab) => (answer.status === 200 ? [tab] : []));
    expect(winners).toHaveLength(1);
    expect(answers.filter((answer) => answer.status === 409)).toHaveLength(19);
    expect(await (await seat.get("GET", "/userdata/new.json")).text()).toBe(`tab ${winners[0]}`);
  });

  it("takes a body of unknown length, an empty one, and refuses what is announced too large", async () => {
    const seat = await openSeatOf();
    expect((await seat.get("POST", "/userdata/s.txt", { body: new Blob(["streamed"]).stream() })).status).toBe(200);
    expect(await (await seat.get("GET", "/userdata/s.txt")).text()).toBe("streamed");
    expect((await seat.get("POST", "/userdata/e.txt", { body: "" })).status).toBe(200);
    expect(await (await seat.get("GET", "/userdata/e.txt")).text()).toBe("");
    const refused = await seat.get("POST", "/userdata/l.txt", { body: "x", headers: { "content-length": "104857601" } });
    expect([refused.status, await refused.text()]).toEqual([413, "Maximum request body size 104857600 exceeded."]);
  });

  it("what the page asks for at every start answers without a 404, and gives way to what is saved", async () => {
    const seat = await openSeatOf();
    const asked = async (path: string) => await (await seat.get("GET", path)).text();
    expect(await asked("/api/userdata?dir=subgraphs&recurse=true&split=false&full_info=true")).toBe("[]");
    expect([await asked("/api/userdata/comfy.templates.json"), await asked("/api/userdata/workflows%2F.index.json"), await asked("/api/userdata/user.css"), await asked("/user.css")]).toEqual(["[]", '{"favorites":[]}', "", ""]);
    await seat.get("POST", "/api/userdata/user.css", { body: "body{color:red}" });
    const css = await seat.get("GET", "/api/userdata/user.css");
    expect([css.headers.get("content-type"), css.headers.get("content-disposition"), await css.text()]).toEqual(["text/css", null, "body{color:red}"]);
    expect((await seat.get("GET", "/api/userdata/other.json")).status).toBe(404);
  });

  it("lists a thousand workflows and more", async () => {
    const seat = await openSeatOf();
    const key = (n: number) => `u/${seat.context.workshop}/ada/many/f${String(n).padStart(4, "0")}.json`;
    for (let n = 0; n < 1050; n += 50) await Promise.all(Array.from({ length: 50 }, (_, at) => seat.context.files.put(key(n + at), "1")));
    expect((await (await seat.get("GET", "/userdata?dir=many")).json()) as string[]).toHaveLength(1050);
  });

  it("the settings show as a file, can be added to as one, and are never moved, replaced or deleted as one", async () => {
    const seat = await openSeatOf();
    expect(await (await seat.get("GET", "/v2/userdata")).json()).toEqual([]);
    await seat.get("POST", "/settings", { body: '{"a":1}' });
    expect(await (await seat.get("GET", "/v2/userdata")).json()).toEqual([{ name: "comfy.settings.json", path: "comfy.settings.json", type: "file", size: 14 }]);
    expect(await (await seat.get("GET", "/userdata/comfy.settings.json")).json()).toEqual({ a: 1 });
    expect((await seat.get("POST", "/userdata/comfy.settings.json", { body: '{"b":2}' })).status).toBe(200);
    expect((await seat.get("POST", "/userdata/comfy.settings.json", { body: "no" })).status).toBe(400);
    expect((await seat.get("DELETE", "/userdata/comfy.settings.json")).status).toBe(404);
    await seat.get("POST", "/userdata/x.json", { body: "{}" });
    expect((await seat.get("POST", "/userdata/x.json/move/comfy.settings.json")).status).toBe(400);
    expect(await (await seat.get("GET", "/settings")).json()).toEqual({ a: 1, b: 2 });
  });

  it("a setting may have any name", async () => {
    const seat = await openSeatOf();
    for (const id of ["__proto__", "constructor", "a/b", "é"]) {
      expect((await seat.get("POST", `/settings/${encodeURIComponent(id)}`, { body: '{"x":1}' })).status).toBe(200);
      expect(await (await seat.get("GET", `/settings/${encodeURIComponent(id)}`)).json()).toEqual({ x: 1 });
    }
    expect(await (await seat.get("GET", "/settings/toString")).json()).toBeNull();
    expect((await seat.get("POST", "/settings", { body: JSON.stringify({ big: "x".repeat(1_100_000) }) })).status).toBe(413);
  });
});
