// All node classes, in the order /object_info lists them, and how a class describes itself there.

import type { Folders } from "../folders.ts";
import type { Writable } from "../json.ts";
import type { InputGroups, NodeClass } from "./definition.ts";
import { emptyImage, imageBlend, imageCrop, imageInvert, imageScale, imageScaleBy } from "./images.ts";
import { loadImage } from "./load-image.ts";
import { checkpointLoader, decode, emptyLatent, loadModel, sampler, textEncode } from "./painter.ts";
import { previewImage, saveImage } from "./save-image.ts";
import { sandboxFail, sandboxFiles, sandboxLeaveFile, sandboxNameFile, sandboxSleep, sandboxText } from "./support.ts";

const ALL: readonly NodeClass[] = [
  sampler, checkpointLoader, textEncode, decode, emptyLatent, saveImage, previewImage, loadImage, imageScale, imageScaleBy, imageInvert, emptyImage, imageCrop, imageBlend,
  loadModel, sandboxSleep, sandboxFail, sandboxText, sandboxFiles, sandboxLeaveFile, sandboxNameFile,
];

export const NODES: ReadonlyMap<string, NodeClass> = new Map(ALL.map((node) => [node.info.name, node]));

function inputOrder(groups: InputGroups): Record<string, string[]> {
  const order: Record<string, string[]> = {};
  for (const [group, members] of Object.entries(groups)) order[group] = Object.keys(members);
  return order;
}

/** A class as /object_info shows it. */
export async function describeNode(node: NodeClass, folders: Folders): Promise<Writable> {
  const { info } = node;
  const groups = await node.inputs(folders);
  return {
    input: { required: groups.required, optional: groups.optional, hidden: groups.hidden },
    input_order: inputOrder(groups),
    output: info.output,
    output_is_list: info.output.map(() => false),
    output_name: info.outputName ?? info.output,
    output_tooltips: info.outputTooltips,
    name: info.name,
    display_name: info.displayName,
    description: info.description,
    python_module: info.pythonModule,
    category: info.category,
    output_node: info.outputNode,
    ...info.extra,
  };
}

export async function describeAll(folders: Folders): Promise<Record<string, Writable>> {
  const entries = await Promise.all(ALL.map(async (node) => [node.info.name, await describeNode(node, folders)] as const));
  return Object.fromEntries(entries);
}
