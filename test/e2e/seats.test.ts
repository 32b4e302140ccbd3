// The main job with API clients: twenty seats press Run at the same instant, and every one gets its own picture, once.
import { createHash } from "node:crypto";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openRoom, type Room } from "./support/room.ts";
import { colourGraph, painterGraph, type SeatClient, sleepGraph } from "./support/seat-client.ts";

let room: Room;
beforeAll(async () => {
  room = await openRoom({ seats: 20 });
});
afterAll(async () => {
  await room?.end();
});

async function firstPicture(client: SeatClient, job: string, node = "2"): Promise<{ filename: string; bytes: Buffer }> {
  const entry = await client.ended(job);
  expect(entry.status.status_str, JSON.stringify(entry.status)).toBe("success");
  const images = entry.outputs[node]?.images ?? [];
  expect(images).toHaveLength(1);
  const [image] = images;
  const answer = await client.picture(image!);
  expect(answer.status).toBe(200);
  return { filename: image!.filename, bytes: Buffer.from(await answer.arrayBuffer()) };
}

describe("a room of twenty", () => {
  test("[I1] twenty seats pressing Run at once get twenty pictures, each once, each in its own seat", async () => {
    const clients = room.access.seats.map((_, n) => room.client(n + 1));
    const colours = clients.map((_, n) => ((n + 1) * 0x0b1d3f) & 0xffffff);
    await Promise.all(clients.map((client) => client.open()));
    const jobs = await Promise.all(clients.map((client, n) => client.submit(colourGraph(colours[n]!, "room"))));
    expect(new Set(jobs).size).toBe(20);
    await Promise.all(clients.map(async (client, n) => client.heard("the end", (m) => m.type === "executing" && m.data.node === null && m.data.prompt_id === jobs[n])));
    for (const [n, client] of clients.entries()) {
      const { filename, bytes } = await firstPicture(client, jobs[n]!);
      expect(filename).toBe("room_00001_.png");
      const { data } = await sharp(bytes).raw().toBuffer({ resolveWithObject: true });
      expect([data[0], data[1], data[2]]).toEqual([(colours[n]! >> 16) & 255, (colours[n]! >> 8) & 255, colours[n]! & 255]);
      expect(Object.keys(await client.json<object>("/history"))).toEqual([jobs[n]]);
      const foreign = client.messages.filter((m) => "prompt_id" in m.data && m.data.prompt_id !== jobs[n]);
      expect(foreign).toEqual([]);
      expect(client.messages.filter((m) => m.type === "executed")).toHaveLength(1);
      client.close();
    }
  });

  test("a run is heard in ComfyUI's order, previews included", async () => {
    const client = room.client(1);
    await client.open();
    const job = await client.submit(painterGraph("a red sunset over the sea", 5));
    await client.heard("the end", (m) => m.type === "executing" && m.data.node === null && m.data.prompt_id === job);
    const own = client.messages.filter((m) => m.data.prompt_id === job).map((m) => m.type);
    expect(own[0]).toBe("execution_start");
    expect(own[1]).toBe("execution_cached");
    expect(own.at(-2)).toBe("execution_success");
    expect(own.at(-1)).toBe("executing");
    expect(own.filter((type) => type === "executed")).toHaveLength(1);
    expect(own.includes("progress")).toBe(true);
    expect(client.binaries.length).toBeGreaterThan(0);
    expect(client.binaries[0]!.readUInt32BE(0)).toBe(4);
    const end = client.messages.findIndex((m) => m.type === "execution_success" && m.data.prompt_id === job);
    expect(client.messages.slice(end + 1).map((m) => m.type).slice(0, 2)).toEqual(["status", "executing"]);
    client.close();
  });

  test("names count up per seat and prefix, and never collide", async () => {
    const client = room.client(2);
    const jobs: string[] = [];
    for (const colour of [1, 2, 3]) jobs.push(await client.submit(colourGraph(colour, "count/up")));
    const names = [];
    for (const job of jobs) names.push((await firstPicture(client, job)).filename);
    expect(names).toEqual(["up_00001_.png", "up_00002_.png", "up_00003_.png"]);
  });

  test("pictures carry the prompt and the workflow, as ComfyUI's do", async () => {
    const client = room.client(3);
    const workflow = { id: "w-1", nodes: [], note: "mine" };
    const job = await client.submit(colourGraph(0x00ff00, "meta"), { extra_data: { extra_pnginfo: { workflow } } });
    const { bytes } = await firstPicture(client, job);
    const text = bytes.toString("latin1");
    expect(text).toContain("tEXtprompt\0");
    expect(text).toContain("tEXtworkflow\0");
  });

  test("[Q59] cancelling a long run interrupts the GPU, and the history says so", async () => {
    const client = room.client(4);
    await client.open();
    const job = await client.submit(sleepGraph(60));
    await client.heard("the start", (m) => m.type === "execution_start" && m.data.prompt_id === job);
    expect((await client.post("/interrupt", { prompt_id: job })).status).toBe(200);
    await client.heard("the interruption", (m) => m.type === "execution_interrupted" && m.data.prompt_id === job, 20);
    const entry = await client.ended(job);
    expect(entry.status.status_str).toBe("error");
    expect(entry.status.messages.at(-1)?.[0]).toBe("execution_interrupted");
    client.close();
  });

  test("[Q62] a waiting job deleted from the queue leaves nothing behind; the running one goes on", async () => {
    const client = room.client(5);
    const running = await client.submit(sleepGraph(2));
    const waiting = await client.submit(colourGraph(5, "never"));
    const queue = await client.json<{ queue_pending: [number, string][]; queue_running: [number, string][] }>("/queue");
    expect([...queue.queue_pending, ...queue.queue_running].map((item) => item[1]).sort()).toEqual([running, waiting].sort());
    expect((await client.post("/queue", { delete: [waiting] })).status).toBe(200);
    expect((await client.ended(running)).status.status_str).toBe("success");
    expect(await client.json<object>(`/history/${waiting}`)).toEqual({});
  });

  test("a node that fails shows its error, with node and message", async () => {
    const client = room.client(6);
    await client.open();
    const job = await client.submit({
      "1": { class_type: "EmptyImage", inputs: { width: 64, height: 64, batch_size: 1, color: 0 } },
      "2": { class_type: "SandboxFail", inputs: { image: ["1", 0], message: "the paint ran out", error: "error" } },
      "3": { class_type: "SaveImage", inputs: { images: ["2", 0], filename_prefix: "x" } },
    });
    const error = await client.heard("the error", (m) => m.type === "execution_error" && m.data.prompt_id === job);
    expect(error.data.node_id).toBe("2");
    expect(String(error.data.exception_message)).toContain("the paint ran out");
    expect((await client.ended(job)).status.status_str).toBe("error");
    client.close();
  });

  test("an uploaded picture reaches the GPU and comes back inverted", async () => {
    const client = room.client(7);
    const png = await sharp({ create: { width: 32, height: 32, channels: 3, background: { r: 10, g: 200, b: 30 } } }).png().toBuffer();
    const form = new FormData();
    form.append("image", new Blob([png], { type: "image/png" }), "mein bild.png");
    const uploaded = (await (await client.fetch("/upload/image", { method: "POST", body: form })).json()) as { name: string };
    expect(uploaded.name).toBe("mein bild.png");
    const job = await client.submit({
      "1": { class_type: "LoadImage", inputs: { image: uploaded.name } },
      "2": { class_type: "ImageInvert", inputs: { image: ["1", 0] } },
      "3": { class_type: "SaveImage", inputs: { images: ["2", 0], filename_prefix: "inverted" } },
    });
    const { bytes } = await firstPicture(client, job, "3");
    const { data } = await sharp(bytes).raw().toBuffer({ resolveWithObject: true });
    // ComfyUI cuts 255 × (1 − v) down, it does not round: 1 − 200/255 in 32 bits gives 54.99…
    expect([data[0], data[1], data[2]]).toEqual([245, 54, 225]);
    const other = await room.client(8).submit({ "1": { class_type: "LoadImage", inputs: { image: uploaded.name } }, "3": { class_type: "SaveImage", inputs: { images: ["1", 0], filename_prefix: "stolen" } } }).catch((error: Error) => error.message);
    expect(other).toContain("400");
  });

  test("nobody reads another seat's picture, history or queue", async () => {
    const [ada, ben] = [room.client(9), room.client(10)];
    const job = await ada.submit(colourGraph(0xabcdef, "secret"));
    const { filename } = await firstPicture(ada, job);
    expect((await ben.fetch(`/view?filename=${filename}&type=output`)).status).toBe(404);
    expect(await ben.json<object>(`/history/${job}`)).toEqual({});
    expect((await ben.post("/queue", { delete: [job] })).status).toBe(200);
    expect((await fetch(`${ada.url}/history`, { headers: { Authorization: ben.authorization } })).status).toBe(403);
    expect((await fetch(`${ada.url}/history`)).status).toBe(401);
  });

  test("the same graph from another seat is not answered with the first seat's file", async () => {
    const [ada, ben] = [room.client(11), room.client(12)];
    const graph = colourGraph(0x123456, "twin");
    const one = await firstPicture(ada, await ada.submit(graph, { extra_data: { extra_pnginfo: { workflow: { owner: "ada" } } } }));
    const two = await firstPicture(ben, await ben.submit(graph, { extra_data: { extra_pnginfo: { workflow: { owner: "ben" } } } }));
    expect(one.bytes.toString("latin1")).toContain("ada");
    expect(two.bytes.toString("latin1")).toContain("ben");
    expect(two.bytes.toString("latin1")).not.toContain("ada");
  });

  test("a seed beyond 2^53 reaches the GPU digit by digit", async () => {
    const client = room.client(13);
    const text = JSON.stringify({ prompt: painterGraph("deep", 1, 2, 64), client_id: client.clientId }).replace('"seed":1', '"seed":18446744073709551615');
    const answer = await client.fetch("/prompt", { method: "POST", body: text });
    const { prompt_id } = (await answer.json()) as { prompt_id: string };
    await client.ended(prompt_id);
    const history = await (await client.fetch(`/history/${prompt_id}`)).text();
    expect(history).toContain("18446744073709551615");
    const [, file] = /"filename":\s*"([^"]+)"/.exec(history) ?? [];
    const picture = Buffer.from(await (await client.fetch(`/view?filename=${file}`)).arrayBuffer()).toString("latin1");
    expect(picture).toContain("18446744073709551615");
  });

  test("[Q13] a prompt body of 10 MiB is accepted, one byte more is 413 with a sentence", async () => {
    const client = room.client(14);
    const body = (bytes: number): string => {
      const bare = JSON.stringify({ prompt: colourGraph(1, "large"), client_id: "x", extra_data: { extra_pnginfo: { workflow: { pad: "" } } } });
      return bare.replace('"pad":""', `"pad":"${"a".repeat(bytes - bare.length)}"`);
    };
    const fits = await client.fetch("/prompt", { method: "POST", body: body(10 * 1024 * 1024) });
    expect(fits.status).toBe(200);
    const { prompt_id } = (await fits.json()) as { prompt_id: string };
    expect((await client.ended(prompt_id)).status.status_str).toBe("success");
    const over = await client.fetch("/prompt", { method: "POST", body: body(10 * 1024 * 1024 + 1) });
    expect(over.status).toBe(413);
    expect(((await over.json()) as { error: { message: string } }).error.message).toMatch(/10 MiB|10485760/);
  });

  test("[Q14] the same prompt_id twice is one job; another body under it is a conflict", async () => {
    const client = room.client(15);
    const id = crypto.randomUUID();
    const once = await client.submit(colourGraph(7, "idem"), { prompt_id: id });
    const twice = await client.submit(colourGraph(7, "idem"), { prompt_id: id });
    expect([once, twice]).toEqual([id, id]);
    const other = await client.post("/prompt", { prompt: colourGraph(8, "idem"), prompt_id: id, client_id: client.clientId });
    expect(other.status).toBe(409);
    await client.ended(id);
    expect(Object.keys(await client.json<object>("/history")).filter((job) => job === id)).toHaveLength(1);
    const output = await client.json<string[]>("/internal/files/output");
    expect(output.filter((name) => name.startsWith("idem_"))).toHaveLength(1);
  });

  test("files of any key come home", async () => {
    const client = room.client(16);
    const info = await client.json<Record<string, { input: { required: Record<string, unknown> } }>>("/object_info/SandboxFiles");
    expect(Object.keys(info)).toEqual(["SandboxFiles"]);
    const job = await client.submit({
      "1": { class_type: "EmptyImage", inputs: { width: 32, height: 32, batch_size: 2, color: 99 } },
      "2": { class_type: "SandboxFiles", inputs: { images: ["1", 0], filename_prefix: "several", note: "hello", seed: 1 } },
    });
    const entry = await client.ended(job);
    expect(entry.status.status_str, JSON.stringify(entry.status)).toBe("success");
    const output = entry.outputs["2"] as unknown as Record<string, { filename: string; subfolder: string; type: string }[]>;
    const files = Object.values(output).flat().filter((file) => typeof file === "object");
    expect(files.length).toBeGreaterThan(2);
    const digests = new Set<string>();
    for (const file of files) {
      const answer = await client.picture(file);
      expect(answer.status).toBe(200);
      digests.add(createHash("sha256").update(Buffer.from(await answer.arrayBuffer())).digest("hex"));
    }
    expect(digests.size).toBeGreaterThan(2);
  });
});
