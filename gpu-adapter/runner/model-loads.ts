// How much of a run was loading models [Q30], as far as ComfyUI says so: the time between `executing` of a node that does nothing but load a model file,
// and whatever ComfyUI says next. A lower bound, never a guess: moving weights to the GPU happens inside the sampler and stays execution, a node that loads
// and works as well counts as work, and time nobody listened to is not counted.
import { isModelFile } from "../file-names.ts";
import { WORTH_SAYING_MS } from "./stages.ts";

type Json = Record<string, unknown>;
/** Class -> its inputs that are a choice from a list, for classes that put out nothing but parts of models. */
export type LoaderClasses = ReadonlyMap<string, ReadonlySet<string>>;

/** Types of sockets that carry a model or a part of one, by their last word: MODEL, UPSCALE_MODEL, CLIP_VISION, AUDIO_ENCODER, ... but not CLIP_VISION_OUTPUT. */
const MODEL_KIND = /(MODEL|CLIP|VAE|VISION|CONTROL_NET|GLIGEN|ENCODER|PHOTOMAKER|MODEL_PATCH)$/;

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isList(definition: unknown): boolean {
  return Array.isArray(definition) && (Array.isArray(definition[0]) || definition[0] === "COMBO");
}

function choices(info: Json): Set<string> {
  const { required, optional } = isObject(info.input) ? info.input : {};
  return new Set([required, optional].flatMap((group) => (isObject(group) ? Object.entries(group).flatMap(([name, definition]) => (isList(definition) ? [name] : [])) : [])));
}

/** The classes of ComfyUI's `/object_info` that only load. */
export function loaderClasses(objectInfo: Json): LoaderClasses {
  const found = new Map<string, ReadonlySet<string>>();
  for (const [name, info] of Object.entries(objectInfo)) {
    if (!isObject(info) || info.output_node === true || !Array.isArray(info.output) || info.output.length === 0) continue;
    if (!info.output.every((type) => typeof type === "string" && MODEL_KIND.test(type))) continue;
    const lists = choices(info);
    if (lists.size > 0) found.set(name, lists);
  }
  return found;
}

/** Ids of the graph's nodes that load a model file, because one is chosen in them. */
export function loaderNodes(graph: Json, classes: LoaderClasses): Set<string> {
  const loads = (node: unknown): boolean => {
    if (!isObject(node) || typeof node.class_type !== "string" || !isObject(node.inputs)) return false;
    const lists = classes.get(node.class_type);
    return lists !== undefined && Object.entries(node.inputs).some(([name, value]) => lists.has(name) && isModelFile(value));
  };
  return new Set(Object.entries(graph).flatMap(([id, node]) => (loads(node) ? [id] : [])));
}

/** Adds up the loading of one run, and says `loading` while it lasts. Times are ms on one clock of the caller's choice. */
export class LoadClock {
  #nodes: ReadonlySet<string> = new Set();
  readonly #say: (stage: "loading" | "executing") => void;
  #since: number | null = null;
  #sum = 0;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #said = false;

  constructor(say: (stage: "loading" | "executing") => void) {
    this.#say = say;
  }

  /** Call before the run begins. */
  expect(nodes: ReadonlySet<string>): void {
    this.#nodes = nodes;
  }

  /** ComfyUI began this node; null: the run is over, or nobody listens any more. */
  executing(node: string | null, now: number): void {
    if (this.#since !== null) this.#sum += Math.max(0, now - this.#since);
    this.#since = node !== null && this.#nodes.has(node) ? now : null;
    if (this.#since === null) return this.#quiet(node !== null);
    this.#timer ??= setTimeout(() => {
      this.#said = true;
      this.#say("loading");
    }, WORTH_SAYING_MS);
  }

  get ms(): number {
    return Math.round(this.#sum);
  }

  #quiet(goesOn: boolean): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (!this.#said || !goesOn) return;
    this.#said = false;
    this.#say("executing");
  }
}
