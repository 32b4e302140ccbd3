// The words of a prompt's verdict, in ComfyUI's own shapes (POST /prompt). Invariant: a refusal is a value; nothing here throws.
import type { Catalog, Json, JsonObject, SeatFiles } from "../catalog/types.ts";

/** A graph in API format: node id ("3", "12:5") to class and inputs. */
export type PromptNode = { readonly class_type: string; readonly inputs: JsonObject; readonly _meta?: JsonObject; readonly [member: string]: Json | undefined };
export type Prompt = { readonly [nodeId: string]: PromptNode };

export type ComfyError = { readonly type: string; readonly message: string; readonly details: string; readonly extra_info: JsonObject };
export type NodeError = { readonly errors: readonly ComfyError[]; readonly dependent_outputs: readonly string[]; readonly class_type: string };
export type NodeErrors = { readonly [nodeId: string]: NodeError };

/** 0.3.64 says `invalid_prompt` for an unknown node, 0.38 says `missing_node_type`. */
export type Vocabulary = "0.3.64" | "0.38";

export type ValidationContext = {
  readonly catalog: Catalog;
  readonly seatFiles: SeatFiles;
  /** Default: told by `catalog.versions.comfyui`. */
  readonly vocabulary?: Vocabulary;
};

/** Why a prompt was refused, in the words of admission [Q13] rows 5 to 7. */
export type PromptRefusalReason = "invalid_prompt" | "unknown_node" | "unknown_model" | "input_missing";

/** `prompt` and `extraData` may hold bigints (long seeds): write them with `stringifyJson`. `nodeErrors` never does. */
export type PromptAccepted = {
  readonly ok: true;
  /** The graph as ComfyUI stores it: `__value__` unwrapped, widget values coerced. */
  readonly prompt: Prompt;
  readonly outputsToExecute: readonly string[];
  /** May be non-empty: outputs that failed are reported and skipped. */
  readonly nodeErrors: NodeErrors;
  /** A canonical lower-case UUID if the client chose one; absent: the server mints it. */
  readonly promptId?: string;
  readonly clientId?: string;
  /** As sent, plus `client_id`, as ComfyUI's queue keeps it. */
  readonly extraData: JsonObject;
  /** `front: true`, or a `number` ≤ 0 [Q14]. */
  readonly front: boolean;
  /** Whether the client named the outputs it wants (`partial_execution_targets`). */
  readonly partial: boolean;
  /** `extra_data.extra_pnginfo.workflow.id`, by which the page groups runs. */
  readonly workflowId: string | null;
};

export type PromptRefused = {
  readonly ok: false;
  readonly status: 400;
  readonly reason: PromptRefusalReason;
  readonly body: { readonly error: ComfyError; readonly node_errors: NodeErrors };
};

/** What ComfyUI answers with an unhandled exception: 500 and a text. */
export type PromptCrashed = { readonly ok: false; readonly status: 500; readonly reason: "invalid_prompt"; readonly text: string };

export type PromptVerdict = PromptAccepted | PromptRefused | PromptCrashed;

/** What the queue needs to know of a prompt before anybody runs it. */
export type JobDescription = {
  /** The exact set of model files the graph loads, sorted and joined; "" when it loads none. */
  readonly modelSignature: string;
  /** [Q70]: model signature | node classes with counts | bit length of width × height × frames × batch × steps. */
  readonly timingSignature: string;
  /** [Q71] */
  readonly outputKind: OutputKind;
  readonly requires: { readonly nodes: readonly string[]; readonly models: readonly string[] };
};
export type OutputKind = "image" | "audio" | "video" | "3d" | "other";
