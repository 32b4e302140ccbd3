// ComfyUI's own API example, as a sequence: connect a socket with a client id of one's own, post a prompt with an id of one's own, read the socket until
// `executing` says null for it, read the history, fetch every picture. Once in TypeScript over `fetch` and `ws`, once in Python's standard library.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { openRoom, type Room } from "../support/room.ts";
import { colourGraph, painterGraph } from "../support/seat-client.ts";
import { SIGN_INS } from "./support.ts";

let room: Room;
beforeAll(async () => {
  room = await openRoom({ seats: 2 });
});
afterAll(async () => {
  await room?.end();
});

type Heard = { types: string[]; previews: Buffer[] };
type History = Record<string, { outputs: Record<string, { images?: { filename: string; subfolder: string; type: string }[] }> }>;

/** Resolves when `executing` says null for this prompt; the only end the example knows. */
function listen(socket: WebSocket, promptId: string): Promise<Heard> {
  const heard: Heard = { types: [], previews: [] };
  return new Promise((resolve, reject) => {
    socket.on("close", () => reject(new Error(`the socket closed; heard ${heard.types.join(", ")}`)));
    socket.on("message", (data: Buffer, binary: boolean) => {
      if (binary) return void heard.previews.push(data.subarray(8));
      const { type, data: said } = JSON.parse(data.toString()) as { type: string; data: { node?: string | null; prompt_id?: string } };
      heard.types.push(type);
      if (type === "executing" && said.node === null && said.prompt_id === promptId) resolve(heard);
    });
  });
}

async function runExample(url: string, headers: Record<string, string>, prompt: object): Promise<Heard & { images: Buffer[] }> {
  const clientId = crypto.randomUUID();
  const promptId = crypto.randomUUID();
  const socket = new WebSocket(`${url.replace(/^http/, "ws")}/ws?clientId=${clientId}`, { headers });
  await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
  const heard = listen(socket, promptId);
  const queued = await fetch(`${url}/prompt`, { method: "POST", headers, body: JSON.stringify({ prompt, client_id: clientId, prompt_id: promptId }) });
  expect(await queued.json()).toMatchObject({ prompt_id: promptId, node_errors: {} });
  const { types, previews } = await heard;
  const history = (await (await fetch(`${url}/history/${promptId}`, { headers })).json()) as History;
  const files = Object.values(history[promptId]!.outputs).flatMap((output) => output.images ?? []);
  const images = await Promise.all(files.map(async (file) => Buffer.from(await (await fetch(`${url}/view?${new URLSearchParams(file)}`, { headers })).arrayBuffer())));
  socket.removeAllListeners();
  socket.close();
  return { types, previews, images };
}

describe.each(SIGN_INS)("ComfyUI's API example with $how", ({ headers }) => {
  test("in TypeScript: the picture comes back, with plain previews on the way", async () => {
    const access = room.access.seats[0]!;
    const url = access.url.replace(/\/$/, "");
    const { types, previews, images } = await runExample(url, await headers(room, access), painterGraph("an orange dune", Date.now() % 1e6, 12));
    expect(types[0]).toBe("status");
    expect(types).toContain("execution_success");
    expect(images).toHaveLength(1);
    expect(await sharp(images[0]!).metadata()).toMatchObject({ format: "png", width: 256, height: 256 });
    // The example cuts eight bytes off a frame and has a picture: only the older kind of preview is like that.
    expect(previews.length).toBeGreaterThan(0);
    for (const preview of previews) expect((await sharp(preview).metadata()).format).toBe("jpeg");
  });

  test("in Python, with nothing but its standard library", async () => {
    const access = room.access.seats[1]!;
    const [[name, value] = ["", ""]] = Object.entries(await headers(room, access));
    const colour = Math.floor(Math.random() * 0xffffff);
    const given = JSON.stringify({ url: access.url, header: [name, value], prompt: colourGraph(colour, "python") });
    const run = promisify(execFile)("python3", [join(import.meta.dirname, "api-example.py")], { maxBuffer: 1e7 });
    run.child.on("error", () => undefined).stdin?.on("error", () => undefined).end(given);
    const { stdout } = await run.catch((error: NodeJS.ErrnoException) => {
      throw error.code === "ENOENT" ? new Error("This test runs a Python script: install python3 (Debian: apt-get install python3).") : error;
    });
    const said = JSON.parse(stdout) as { types: string[]; images: string[] };
    expect(said.types).toEqual(expect.arrayContaining(["status", "execution_start", "executing", "executed", "execution_success"]));
    expect(said.images).toHaveLength(1);
    const { data } = await sharp(Buffer.from(said.images[0]!, "base64")).raw().toBuffer({ resolveWithObject: true });
    expect([data[0], data[1], data[2]]).toEqual([(colour >> 16) & 255, (colour >> 8) & 255, colour & 255]);
  });
});
