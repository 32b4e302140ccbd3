// The starter workflow: text to picture on the sandbox's nodes, in the editor's own format (version 0.4). It is put into a seat's workflow list once,
// never over a file of that name, and never again after the person deleted it. The same graph is the one template of the template browser and is what
// `?template=` opens on a first visit, which is the stock frontend's own way to start with a given graph.
import type { SeatCatalog } from "./catalog-source.ts";

export const STARTER_PATH = "workflows/Text to picture (sandbox).json";
export const STARTER_TEMPLATE = "text_to_picture_sandbox";
/** The sandbox's only checkpoint (gpu-adapter/sandbox). */
const SANDBOX_CHECKPOINT = "sandbox-painter.safetensors";

type Link = [id: number, from: number, fromSlot: number, to: number, toSlot: number, type: string];
const LINKS: Link[] = [
  [1, 1, 0, 5, 0, "MODEL"],
  [2, 1, 1, 2, 0, "CLIP"],
  [3, 1, 1, 3, 0, "CLIP"],
  [4, 2, 0, 5, 1, "CONDITIONING"],
  [5, 3, 0, 5, 2, "CONDITIONING"],
  [6, 4, 0, 5, 3, "LATENT"],
  [7, 5, 0, 6, 0, "LATENT"],
  [8, 1, 2, 6, 1, "VAE"],
  [9, 6, 0, 7, 0, "IMAGE"],
];

type Slot = [name: string, type: string];
type Part = { id: number; type: string; title?: string; pos: [number, number]; size: [number, number]; inputs: Slot[]; outputs: Slot[]; widgets: unknown[]; color?: [string, string] };

const PARTS: Part[] = [
  { id: 1, type: "CheckpointLoaderSimple", pos: [40, 220], size: [320, 100], inputs: [], outputs: [["MODEL", "MODEL"], ["CLIP", "CLIP"], ["VAE", "VAE"]], widgets: [SANDBOX_CHECKPOINT] },
  {
    id: 2, type: "CLIPTextEncode", title: "What to paint", pos: [420, 120], size: [400, 180], inputs: [["clip", "CLIP"]], outputs: [["CONDITIONING", "CONDITIONING"]],
    widgets: ["a red fishing boat on a calm fjord at dawn, mist, mountains behind, wide shot, soft light"], color: ["#232", "#353"],
  },
  {
    id: 3, type: "CLIPTextEncode", title: "What to avoid", pos: [420, 350], size: [400, 140], inputs: [["clip", "CLIP"]], outputs: [["CONDITIONING", "CONDITIONING"]],
    widgets: ["text, watermark"], color: ["#322", "#533"],
  },
  { id: 4, type: "EmptyLatentImage", pos: [420, 540], size: [320, 110], inputs: [], outputs: [["LATENT", "LATENT"]], widgets: [512, 512, 1] },
  {
    id: 5, type: "KSampler", pos: [880, 120], size: [320, 264], inputs: [["model", "MODEL"], ["positive", "CONDITIONING"], ["negative", "CONDITIONING"], ["latent_image", "LATENT"]], outputs: [["LATENT", "LATENT"]],
    // seed, what happens to it after each run, steps, cfg, sampler, scheduler, denoise
    widgets: [20260101, "randomize", 20, 8, "euler", "normal", 1],
  },
  { id: 6, type: "VAEDecode", pos: [1260, 120], size: [210, 46], inputs: [["samples", "LATENT"], ["vae", "VAE"]], outputs: [["IMAGE", "IMAGE"]], widgets: [] },
  { id: 7, type: "SaveImage", pos: [1260, 230], size: [420, 440], inputs: [["images", "IMAGE"]], outputs: [], widgets: ["picture"] },
];

function node(part: Part, order: number): Record<string, unknown> {
  return {
    id: part.id, type: part.type, pos: part.pos, size: part.size, flags: {}, order, mode: 0,
    inputs: part.inputs.map(([name, type], slot) => ({ name, type, link: LINKS.find(([, , , to, toSlot]) => to === part.id && toSlot === slot)?.[0] ?? null })),
    outputs: part.outputs.map(([name, type], slot) => ({ name, type, slot_index: slot, links: LINKS.filter(([, from, fromSlot]) => from === part.id && fromSlot === slot).map(([id]) => id) })),
    ...(part.title === undefined ? {} : { title: part.title }),
    properties: { "Node name for S&R": part.type },
    widgets_values: part.widgets,
    ...(part.color === undefined ? {} : { color: part.color[0], bgcolor: part.color[1] }),
  };
}

/** The graph as the editor saves one, with a checkpoint that this workshop's GPUs have. */
export function starterWorkflow(catalog: SeatCatalog | null): Record<string, unknown> {
  const checkpoint = checkpointOf(catalog);
  const parts = PARTS.map((part) => (part.type === "CheckpointLoaderSimple" ? { ...part, widgets: [checkpoint] } : part));
  return {
    id: "5b1f7f0e-2c1d-4f0b-9a54-9e0c7d3c8a11",
    revision: 0,
    last_node_id: PARTS.length,
    last_link_id: LINKS.length,
    nodes: parts.map(node),
    links: LINKS,
    groups: [],
    config: {},
    extra: { ds: { scale: 0.8, offset: [60, 40] } },
    version: 0.4,
  };
}

/** The sandbox's where there is one, else the first the loader offers. */
function checkpointOf(catalog: SeatCatalog | null): string {
  const choices = catalog?.merged.shown.object_info["CheckpointLoaderSimple"]?.input?.required?.["ckpt_name"]?.[0];
  const names = Array.isArray(choices) ? choices.filter((choice): choice is string => typeof choice === "string") : [];
  return names.includes(SANDBOX_CHECKPOINT) ? SANDBOX_CHECKPOINT : (names[0] ?? SANDBOX_CHECKPOINT);
}

/** Its line in `/templates/index.json`. */
export function starterEntry(): Record<string, unknown> {
  return {
    name: STARTER_TEMPLATE,
    title: "Text to picture (sandbox)",
    description: "Write what to paint, press Run, and the sandbox paints it. Every box is a stock ComfyUI node: swap the checkpoint when a real GPU is there.",
    mediaType: "image",
    mediaSubtype: "svg",
    tags: ["Image", "Text to Image"],
  };
}

/** The template's tile: the graph's own shape, drawn plainly. */
export const STARTER_TILE = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 320 320" role="img" aria-label="Text to picture">
<rect width="320" height="320" fill="#1f2430"/>
<path d="M72 110H116M72 130C95 130 95 190 116 190M196 110C215 110 215 150 232 150M196 190C215 190 215 160 232 160" stroke="#8fa3c8" stroke-width="3" fill="none"/>
<g fill="#2f3748" stroke="#8fa3c8" stroke-width="2"><rect x="24" y="92" width="48" height="56" rx="6"/><rect x="116" y="86" width="80" height="48" rx="6"/><rect x="116" y="166" width="80" height="48" rx="6"/></g>
<g stroke="#8fa3c8" stroke-width="2"><rect x="232" y="112" width="64" height="88" rx="6" fill="#f0b27a"/><path d="M232 178l22-26 16 16 10-10 16 20v16a6 6 0 0 1-6 6h-52a6 6 0 0 1-6-6z" fill="#34517a"/><circle cx="278" cy="134" r="8" fill="#fff3d6"/></g>
<g fill="#8fa3c8"><rect x="126" y="100" width="58" height="5" rx="2"/><rect x="126" y="114" width="40" height="5" rx="2"/><rect x="126" y="180" width="50" height="5" rx="2"/></g>
</svg>
`;
