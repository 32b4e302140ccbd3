// What a GPU can be asked for, as the queue's capability keys [Q41]: its node classes, and every model file that some node of it offers. Pure.
import type { CatalogReport } from "../../gpu-adapter/contract.ts";

/** Endings of model files, as the seats' validation knows them. */
const MODEL_FILE = /\.(?:safetensors|sft|ckpt|pth?|pt2|bin|gguf|onnx|engine|pkl|msgpack|npz)$/i;

export function offersOf(report: Pick<CatalogReport, "object_info" | "models">): string[] {
  const offers = new Set<string>();
  for (const names of Object.values(report.models)) for (const name of names) offers.add(`m:${name}`);
  for (const [name, info] of Object.entries(report.object_info)) {
    offers.add(`n:${name}`);
    for (const choice of choicesOf(info)) if (MODEL_FILE.test(choice)) offers.add(`m:${choice}`);
  }
  return [...offers];
}

/** Every text that a list input of the class offers, old lists and `COMBO`s alike. */
function choicesOf(info: Record<string, unknown>): string[] {
  const groups = typeof info.input === "object" && info.input !== null ? Object.values(info.input) : [];
  return groups.flatMap((inputs: unknown) => (typeof inputs === "object" && inputs !== null ? Object.values(inputs) : []).flatMap(listOf));
}

function listOf(definition: unknown): string[] {
  if (!Array.isArray(definition)) return [];
  const [type, options] = definition as [unknown, { options?: unknown } | undefined];
  const list = Array.isArray(type) ? type : type === "COMBO" && Array.isArray(options?.options) ? options.options : [];
  return list.filter((choice): choice is string => typeof choice === "string");
}
