// Two ComfyUI client libraries from npm, as they are, against a seat: what their users write for a ComfyUI of their own works with the seat's address and
// credentials. Credentials go in where each library lets its users put them.
import { ComfyApi, CallWrapper, PromptBuilder } from "@saintno/comfyui-sdk";
import { Client, ComfyUIWorkflow } from "@stable-canvas/comfyui-client";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openRoom, type Room } from "../support/room.ts";
import { colourGraph, painterGraph, sleepGraph } from "../support/seat-client.ts";
import { SIGN_INS, socketClassWith } from "./support.ts";

let room: Room;
beforeAll(async () => {
  room = await openRoom({ seats: 2 });
});
afterAll(async () => {
  await room?.end();
});

const png = async (red: number): Promise<Buffer> => await sharp({ create: { width: 24, height: 24, channels: 3, background: { r: red, g: 0, b: 0 } } }).png().toBuffer();
const firstPixel = async (bytes: Uint8Array): Promise<number[]> => [...(await sharp(bytes).removeAlpha().raw().toBuffer()).subarray(0, 3)];

/** Fails after half a second of work: both libraries begin to listen for failures only when the run has begun. */
function failingGraph(message: string): Record<string, unknown> {
  return {
    ...sleepGraph(0.5, Math.floor(Math.random() * 0xffffff)),
    "3": { class_type: "SandboxFail", inputs: { image: ["2", 0], message, error: "error" } },
    "4": { class_type: "SaveImage", inputs: { images: ["3", 0], filename_prefix: "x" } },
  };
}

describe.each(SIGN_INS)("@saintno/comfyui-sdk with $how", ({ headers }) => {
  let api: ComfyApi;
  beforeAll(async () => {
    const access = room.access.seats[0]!;
    const given = await headers(room, access);
    const credentials = "Authorization" in given ? { type: "basic" as const, username: access.username, password: access.password } : { type: "custom" as const, headers: given };
    api = new ComfyApi(access.url.replace(/\/$/, ""), crypto.randomUUID(), { credentials });
    const connected = new Promise((resolve) => api.on("connected", resolve));
    await api.init().waitForReady();
    await connected;
  });
  afterAll(() => api?.destroy());

  /** The library's own way to run a graph: a builder, a wrapper, and its pictures by the wanted output's name. */
  async function run(graph: Record<string, unknown>, node: string): Promise<{ ended: unknown; error: unknown }> {
    const builder = new PromptBuilder<never, "images", never>(graph as never, [], ["images"]).setOutputNode("images", node as never);
    const said = { error: null as unknown };
    const ended = await new CallWrapper(api, builder as never)
      .onFailed((error) => void (said.error = error))
      .run();
    return { ended, ...said };
  }

  test("runs a graph and brings its picture", async () => {
    const { ended, error } = await run(painterGraph("a blue lake", Math.floor(Math.random() * 1e9), 12), "9");
    expect(error).toBeNull();
    const [image] = (ended as { images: { images: { filename: string; subfolder: string; type: string }[] } }).images.images;
    const bytes = Buffer.from(await (await api.getImage(image!)).arrayBuffer());
    expect(await sharp(bytes).metadata()).toMatchObject({ format: "png", width: 256, height: 256 });
  });

  test("an all-cached run ends too", async () => {
    const graph = colourGraph(0x445566, "sdk-cached");
    expect((await run(graph, "2")).error).toBeNull();
    const again = await run(graph, "2");
    expect(again.error).toBeNull();
    expect((again.ended as { images: { images: unknown[] } }).images.images).toHaveLength(1);
  });

  test("uploads a picture, runs it, and reads it back", async () => {
    const uploaded = await api.uploadImage(await png(200), "sdk.png", { override: true });
    expect(uploaded).toMatchObject({ info: { name: "sdk.png", subfolder: "", type: "input" } });
    const graph = { "1": { class_type: "LoadImage", inputs: { image: "sdk.png" } }, "2": { class_type: "ImageInvert", inputs: { image: ["1", 0] } }, "3": { class_type: "SaveImage", inputs: { images: ["2", 0], filename_prefix: `sdk/${crypto.randomUUID()}` } } };
    const { ended } = await run(graph, "3");
    const [image] = (ended as { images: { images: { filename: string; subfolder: string; type: string }[] } }).images.images;
    expect(image!.subfolder).toBe("sdk");
    expect(await firstPixel(Buffer.from(await (await api.getImage(image!)).arrayBuffer()))).toEqual([54, 255, 255]);
  });

  test("hears that a node failed, and what it said", async () => {
    const { ended, error } = await run(failingGraph("no paint"), "4");
    expect(ended).toBe(false);
    expect((error as Error & { cause: { exception_message: string } }).cause.exception_message).toContain("no paint");
  });

  test("is told why a graph is refused", async () => {
    const { ended, error } = await run({ "1": { class_type: "SaveImage", inputs: { filename_prefix: "x" } } }, "1");
    expect(ended).toBeFalsy();
    expect(error).toBeInstanceOf(Error);
  });

  test("interrupts a long run", async () => {
    const going = run(sleepGraph(60, Math.floor(Math.random() * 0xffffff)), "3");
    // Progress is heard as well; only now has the wrapper begun to listen for how the run ends.
    await new Promise<void>((resolve) => api.on("progress", () => resolve()));
    await api.interrupt();
    const { ended, error } = await going;
    expect(ended).toBe(false);
    expect((error as Error).message).toContain("interrupted");
  });

  test("its readers of the server understand the answers", async () => {
    expect(await api.getQueue()).toEqual({ queue_running: [], queue_pending: [] });
    expect(Object.keys(await api.getHistories(3))).toHaveLength(3);
    expect((await api.getSystemStats()).devices.length).toBeGreaterThan(0);
    expect(await api.getCheckpoints()).toContain("sandbox-painter.safetensors");
    expect((await api.getSamplerInfo()).sampler).toBeTruthy();
    expect(await api.getNodeDefs("NoSuchNode")).toBeNull();
    expect((await api.getNodeDefs("SaveImage"))?.SaveImage?.output_node).toBe(true);
    expect(await api.getEmbeddings()).toEqual([]);
    expect((await api.getTerminalLogs()).entries.length).toBeGreaterThan(0);
    expect(await api.getUserConfig()).toMatchObject({ storage: "server" });
  });

  test("keeps settings and files in the seat", async () => {
    await api.storeSetting("Foreign.Setting", { deep: [1] } as never);
    expect(await api.getSetting("Foreign.Setting" as never)).toEqual({ deep: [1] });
    await api.storeUserData("notes/one.json", { a: 1 });
    expect(await (await api.getUserData("notes/one.json")).json()).toEqual({ a: 1 });
    await api.moveUserData("notes/one.json", "notes/two.json", { overwrite: true });
    expect(await api.listUserData("notes", true, false)).toEqual(["two.json"]);
    await api.deleteUserData("notes/two.json");
    expect(await api.freeMemory(true, true)).toBe(true);
  });
});

describe.each(SIGN_INS)("@stable-canvas/comfyui-client with $how", ({ headers }) => {
  let client: Client;
  beforeAll(async () => {
    const access = room.access.seats[1]!;
    const given = await headers(room, access);
    const base = new URL(access.url).pathname.replace(/\/$/, "");
    client = new Client({
      api_host: new URL(access.url).host,
      api_base: base,
      clientId: crypto.randomUUID(),
      user: "",
      fetch: async (input: string | URL | Request, init?: RequestInit) => await fetch(input, { ...init, headers: { ...(init?.headers as Record<string, string>), ...given } }),
      // The library asks for its socket at the root of the host, whatever `api_base` is.
      WebSocket: socketClassWith(given, (url) => url.replace("/ws?", `${base}/ws?`)),
    });
    await client.connect();
  });
  afterAll(() => client?.close());

  test("its workflow builder runs a graph over the socket", async () => {
    const workflow = new ComfyUIWorkflow();
    const { EmptyImage, SaveImage } = workflow.classes;
    const [image] = EmptyImage({ width: 64, height: 64, batch_size: 2, color: 0x00ff00 });
    SaveImage({ images: image, filename_prefix: "canvas" });
    const { images } = await workflow.invoke(client);
    expect(images).toHaveLength(2);
    const urls = images.flatMap((picture) => (picture.type === "url" ? [picture.data] : []));
    expect(urls).toHaveLength(2);
    const answer = await client.fetch(urls[0]!, {});
    expect(await firstPixel(Buffer.from(await answer.arrayBuffer()))).toEqual([0, 255, 0]);
  });

  test("an enqueued prompt reports progress and ends, and again from the cache", async () => {
    const graph = painterGraph("green hills", Math.floor(Math.random() * 1e9), 60);
    let steps = 0;
    const first = await client.enqueue(graph, { progress: () => void steps++, disable_random_seed: true });
    expect(steps).toBeGreaterThan(0);
    // The library keeps previews beside the picture, told apart by type.
    expect(first.images.filter(({ type }) => type === "url")).toHaveLength(1);
    expect((await client.enqueue_polling(graph, { disable_random_seed: true, polling_ms: 100 })).images).toHaveLength(1);
  });

  test("a refused prompt and a failing node are errors with words", async () => {
    await expect(client.enqueue({ "1": { class_type: "SaveImage", inputs: { filename_prefix: "x" } } })).rejects.toThrow();
    await expect(client.enqueue(failingGraph("no brush"), { disable_random_seed: true })).rejects.toThrow("no brush");
  });

  test("lists of models, nodes, history and queue read as from ComfyUI", async () => {
    expect(await client.getSDModels()).toContain("sandbox-painter.safetensors");
    expect((await client.getSamplers()).length).toBeGreaterThan(0);
    expect(Object.keys(await client.getNodeDefs())).toContain("SaveImage");
    expect((await client.getQueue()).Running).toEqual([]);
    expect((await client.getHistory()).History.length).toBeGreaterThan(0);
    expect((await client.getSystemStats()).devices.length).toBeGreaterThan(0);
    await client.storeSetting("Canvas.Setting", 7);
    expect(await client.getSetting("Canvas.Setting")).toBe(7);
  });
});
