// A small catalog made for one rule at a time.
import type { Catalog, NodeInfo, ObjectInfo, PromptVerdict, SeatFiles, ValidationContext } from "../../../frontend-shim/comfy-api/validation/index.ts";
import { validatePrompt } from "../../../frontend-shim/comfy-api/validation/index.ts";
import { catalogOf, seatWith } from "./recorded.ts";

export type Inputs = NonNullable<NodeInfo["input"]>;

export function nodeInfo(required: Record<string, unknown>, more: Partial<NodeInfo> & { optional?: Record<string, unknown> } = {}): NodeInfo {
  const { optional, ...rest } = more;
  return { input: { required, ...(optional === undefined ? {} : { optional }) } as Inputs, output: [], output_node: false, ...rest };
}

/** `Out` is an output node that takes anything; `Src` gives one of each type. */
export const basics: ObjectInfo = {
  Out: nodeInfo({ value: ["*"] }, { output_node: true }),
  Src: nodeInfo({}, { output: ["IMAGE", "LATENT", "IMAGE,MASK", "*", ["a", "b"]] }),
};

export function withNodes(nodes: ObjectInfo, extra: Partial<Catalog> = {}): Catalog {
  return catalogOf({ ...basics, ...nodes }, extra);
}

export type Graph = Record<string, unknown>;

export function judge(catalog: Catalog, prompt: unknown, more: Record<string, unknown> = {}, context: Partial<ValidationContext> & { seatFiles?: SeatFiles } = {}): PromptVerdict {
  return validatePrompt({ prompt, ...more }, { catalog, seatFiles: seatWith(), ...context });
}

/** One node of class `T` with these inputs, read by an output. */
export function graphOf(inputs: Record<string, unknown>): Graph {
  return { "1": { class_type: "T", inputs }, "9": { class_type: "Out", inputs: { value: ["1", 0] } } };
}

/** The errors of node 1 when `T` is declared so and gets these inputs; [] when accepted. */
export function errorsOf(info: NodeInfo, inputs: Record<string, unknown>, context: Partial<ValidationContext> = {}): { type: string; message: string; details: string; extra_info: Record<string, unknown> }[] {
  const verdict = judge(withNodes({ T: { output: ["X"], ...info, ...(info.output?.length ? {} : { output: ["X"] }) } }), graphOf(inputs), {}, context);
  if (verdict.ok) return [];
  if (verdict.status === 500) throw new Error("500");
  return (verdict.body.node_errors["1"]?.errors ?? []) as never;
}

/** What node 1's inputs become. */
export function coercedBy(info: NodeInfo, inputs: Record<string, unknown>): unknown {
  const verdict = judge(withNodes({ T: { ...info, output: ["X"] } }), graphOf(inputs));
  if (!verdict.ok) throw new Error(JSON.stringify(verdict));
  return verdict.prompt["1"]?.inputs;
}
