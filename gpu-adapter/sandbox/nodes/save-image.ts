// SaveImage and PreviewImage: pictures become PNG files that carry the prompt and the workflow.

import { randomInt } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { FileType } from "../folders.ts";
import { dumps, isObject } from "../json.ts";
import { type TextChunk, encodePng } from "../pixels/png.ts";
import { type Picture, frame, toBytes } from "../pixels/tensor.ts";
import { type FileRef, type InputGroups, type NodeClass, type NodeInfo, type NodeRun, fixedInputs } from "./definition.ts";
import { fileName, savePlace } from "./files.ts";

const HIDDEN = { prompt: "PROMPT", extra_pnginfo: "EXTRA_PNGINFO" };

function outputNode(name: string, displayName: string, description: string): NodeInfo {
  return { name, displayName, description, category: "image", pythonModule: "nodes", output: [], outputNode: true };
}

/** The prompt first, then every member of `extra_pnginfo` under its own key (the editor sends `workflow`). */
function metadata(run: NodeRun): TextChunk[] {
  const texts: TextChunk[] = [{ key: "prompt", text: dumps(run.prompt) }];
  if (isObject(run.extraPnginfo)) for (const [key, value] of run.extraPnginfo) texts.push({ key, text: dumps(value) });
  return texts;
}

async function saveAll(images: Picture, prefix: string, type: FileType, level: number, run: NodeRun): Promise<FileRef[]> {
  const place = await savePlace(run.folders, type, prefix, images.width, images.height);
  const texts = metadata(run);
  const saved: FileRef[] = [];
  for (let index = 0; index < images.batch; index++) {
    const filename = fileName(place, index, ".png");
    await writeFile(join(place.folder, filename), await encodePng(toBytes(frame(images, index)), images.width, images.height, images.channels, texts, level));
    saved.push({ filename, subfolder: place.subfolder, type });
  }
  return saved;
}

const saveInputs: InputGroups = {
  required: {
    images: ["IMAGE", { tooltip: "Pictures to write to the output folder." }],
    filename_prefix: ["STRING", { default: "ComfyUI", tooltip: "Start of the file name; may name a sub-folder and hold tokens such as %date:yyyy-MM-dd% or %Empty Latent Image.width%." }],
  },
  hidden: HIDDEN,
};

export const saveImage: NodeClass = {
  info: outputNode("SaveImage", "Save Image", "Writes the pictures to the output folder as PNG."),
  inputs: fixedInputs(saveInputs),
  async run(inputs, run) {
    return { outputs: [], ui: { images: await saveAll(inputs.picture("images"), inputs.text("filename_prefix"), "output", 4, run) } };
  },
};

const SUFFIX_LETTERS = "abcdefghijklmnopqrstuvwxyz";

function randomSuffix(): { prefix: string } {
  return { prefix: `ComfyUI_temp_${Array.from({ length: 5 }, () => SUFFIX_LETTERS[randomInt(SUFFIX_LETTERS.length)]).join("")}` };
}

export const previewImage: NodeClass = {
  info: outputNode("PreviewImage", "Preview Image", "Shows the pictures; the files are temporary."),
  inputs: fixedInputs({ required: { images: ["IMAGE"] }, hidden: HIDDEN }),
  async run(inputs, run) {
    return { outputs: [], ui: { images: await saveAll(inputs.picture("images"), run.remember(randomSuffix).prefix, "temp", 1, run) } };
  },
};
