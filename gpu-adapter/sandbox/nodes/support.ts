// Nodes for rehearsing what goes wrong or takes long: they wait, fail, show text, and write files of every kind.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import sharp from "sharp";
import { PythonError } from "../graph/python.ts";
import { type Picture, frame, toBytes } from "../pixels/tensor.ts";
import { type FileRef, type InputSpec, type NodeClass, type NodeInfo, type NodeRun, fixedInputs, floats } from "./definition.ts";
import { type SavePlace, fileName, savePlace } from "./files.ts";

function supportNode(name: string, displayName: string, description: string, output: readonly string[], outputNode: boolean): NodeInfo {
  return { name, displayName, description: `${description} A sandbox node for rehearsals and tests.`, category: "sandbox/rehearsal", pythonModule: "custom_nodes.sandbox_painter", output, outputNode };
}

const IMAGE: InputSpec = ["IMAGE"];
/** Lets a workflow run again with the same other inputs. */
const SEED: InputSpec = ["INT", { default: 0, min: 0, max: Number.MAX_SAFE_INTEGER, control_after_generate: true }];
const TICK_MS = 100;
/** Longer side of a passing picture's preview, pixels. */
const PREVIEW_SIDE = 256;

function previewOf(image: Picture): Promise<Buffer> {
  const channels = image.channels as 1 | 2 | 3 | 4;
  return sharp(toBytes(frame(image, 0)), { raw: { width: image.width, height: image.height, channels } })
    .resize(PREVIEW_SIDE, PREVIEW_SIDE, { fit: "inside", withoutEnlargement: true })
    .jpeg()
    .toBuffer();
}

export const sandboxSleep: NodeClass = {
  info: supportNode("SandboxSleep", "Sandbox Sleep", "Waits, reports progress, and passes the picture on.", ["IMAGE"], false),
  inputs: fixedInputs({
    required: { image: IMAGE, seconds: ["FLOAT", floats({ default: 2, min: 0, max: 3600, step: 0.1 })] },
    optional: {
      steps: ["INT", { default: 0, min: 0, max: 10000, tooltip: "Progress steps; 0 means one every 100 ms." }],
      previews: ["BOOLEAN", { default: false, tooltip: "Show the picture at each step." }],
      seed: SEED,
    },
  }),
  async run(inputs, run) {
    const image = inputs.picture("image");
    const total = inputs.number("seconds") * 1000;
    const wanted = inputs.all.has("steps") ? inputs.number("steps") : 0;
    const ticks = wanted > 0 ? wanted : Math.max(1, Math.ceil(total / TICK_MS));
    const showsPreviews = inputs.all.has("previews") && inputs.flag("previews");
    const start = performance.now();
    for (let tick = 1; tick <= ticks; tick++) {
      const wait = start + (total * tick) / ticks - performance.now();
      if (wait > 0) await sleep(wait);
      await run.progress(tick, ticks, showsPreviews ? () => previewOf(image) : undefined);
    }
    return { outputs: [image] };
  },
};

export const sandboxFail: NodeClass = {
  info: supportNode("SandboxFail", "Sandbox Fail", "Raises an error.", ["IMAGE"], false),
  inputs: fixedInputs({ required: { image: IMAGE, message: ["STRING", { default: "This node always fails." }], error: [["error", "out_of_memory"]] } }),
  run(inputs) {
    const message = inputs.text("message");
    if (inputs.text("error") === "out_of_memory") throw new PythonError("torch.OutOfMemoryError", message);
    throw new PythonError("ValueError", message);
  },
};

export const sandboxText: NodeClass = {
  info: supportNode("SandboxText", "Sandbox Text", "Shows a text as its output.", ["STRING"], true),
  inputs: fixedInputs({ required: { text: ["STRING", { default: "hello", multiline: true }] } }),
  run(inputs) {
    const text = inputs.text("text");
    return Promise.resolve({ outputs: [text], ui: { text: [text] } });
  },
};

const SIZE = 48;
const FRAMES = 6;

/** A square wandering over a ground, as raw frames one below the other. */
function animationFrames(hue: number): Uint8Array {
  const data = new Uint8Array(SIZE * SIZE * FRAMES * 3);
  for (let i = 0; i < data.length / 3; i++) {
    const page = Math.floor(i / (SIZE * SIZE));
    const x = i % SIZE;
    const y = Math.floor(i / SIZE) % SIZE;
    const isSquare = Math.abs(x - 8 - page * 6) < 6 && Math.abs(y - SIZE / 2) < 6;
    data.set(isSquare ? [255, 240, 200] : [hue, 60 + y, 110 + x], i * 3);
  }
  return data;
}

function animation(kind: "webp" | "gif", hue: number): Promise<Buffer> {
  const pages = sharp(animationFrames(hue), { raw: { width: SIZE, height: SIZE * FRAMES, channels: 3, pageHeight: SIZE } });
  const delay = Array<number>(FRAMES).fill(120);
  return (kind === "webp" ? pages.webp({ loop: 0, delay, quality: 80 }) : pages.gif({ loop: 0, delay })).toBuffer();
}

const RATE = 8000;
const HEADER = 44;

/** A WAV file: mono, 16 bit, 8 kHz, a tone that fades out. */
export function tone(seconds: number, hertz: number): Buffer {
  const samples = Math.floor(seconds * RATE);
  const file = Buffer.alloc(HEADER + samples * 2);
  file.write("RIFF", 0, "latin1");
  file.writeUInt32LE(36 + samples * 2, 4);
  file.write("WAVEfmt ", 8, "latin1");
  file.writeUInt32LE(16, 16);
  file.writeUInt16LE(1, 20);
  file.writeUInt16LE(1, 22);
  file.writeUInt32LE(RATE, 24);
  file.writeUInt32LE(RATE * 2, 28);
  file.writeUInt16LE(2, 32);
  file.writeUInt16LE(16, 34);
  file.write("data", 36, "latin1");
  file.writeUInt32LE(samples * 2, 40);
  for (let i = 0; i < samples; i++) file.writeInt16LE(Math.round(12000 * Math.sin((2 * Math.PI * hertz * i) / RATE) * (1 - i / samples)), HEADER + i * 2);
  return file;
}

async function write(place: SavePlace, offset: number, ending: string, bytes: Buffer | string): Promise<FileRef> {
  const filename = fileName(place, offset, ending);
  await writeFile(join(place.folder, filename), bytes);
  return { filename, subfolder: place.subfolder, type: "output" };
}

async function writeAll(prefix: string, hue: number, note: string, run: NodeRun) {
  const place = await savePlace(run.folders, "output", prefix, SIZE, SIZE);
  const still = await write(place, 0, ".webp", await animation("webp", hue));
  return {
    images: [still],
    animated: [true],
    gifs: [await write(place, 1, ".gif", await animation("gif", hue))],
    audio: [await write(place, 2, ".wav", tone(0.5, 220 + hue))],
    files: [await write(place, 3, ".txt", `${note}\n`), still],
    text: [note],
  };
}

export const sandboxLeaveFile: NodeClass = {
  info: supportNode("SandboxLeaveFile", "Sandbox Leave File", "Writes a text file and names it nowhere, as careless nodes do.", [], true),
  inputs: fixedInputs({ required: { filename_prefix: ["STRING", { default: "left/behind" }], text: ["STRING", { default: "not for anybody else" }], type: [["output", "temp"]], seed: SEED } }),
  async run(inputs, run) {
    const place = await savePlace(run.folders, inputs.text("type") === "temp" ? "temp" : "output", inputs.text("filename_prefix"), SIZE, SIZE);
    await writeFile(join(place.folder, fileName(place, 0, ".txt")), inputs.text("text"));
    return { outputs: [], ui: { text: ["left"] } };
  },
};

export const sandboxNameFile: NodeClass = {
  info: supportNode("SandboxNameFile", "Sandbox Name File", "Names a file as its output without writing it, be it there or not.", [], true),
  inputs: fixedInputs({ required: { filename: ["STRING", {}], subfolder: ["STRING", { default: "" }], type: [["output", "temp", "input"]], seed: SEED } }),
  run(inputs) {
    const file: FileRef = { filename: inputs.text("filename"), subfolder: inputs.text("subfolder"), type: inputs.text("type") };
    return Promise.resolve({ outputs: [], ui: { images: [file] } });
  },
};

export const sandboxFiles: NodeClass = {
  info: supportNode("SandboxFiles", "Sandbox Files", "Writes an animated WEBP, a GIF, a WAV and a text file; one file is named under two keys.", [], true),
  inputs: fixedInputs({
    required: { filename_prefix: ["STRING", { default: "sandbox/files" }], note: ["STRING", { default: "written by the sandbox" }], seed: SEED },
  }),
  async run(inputs, run) {
    return { outputs: [], ui: await writeAll(inputs.text("filename_prefix"), inputs.number("seed") % 200, inputs.text("note"), run) };
  },
};
