// How values look inside an error report: literals as they are, pictures and other things as a short text.

import type { Writable } from "../json.ts";
import type { Value } from "../nodes/definition.ts";
import { isLiteral } from "../nodes/inputs.ts";

export function describeValue(value: Value): Writable {
  if (isLiteral(value)) return value;
  if (value.kind === "image") return `tensor(shape=[${value.batch}, ${value.height}, ${value.width}, ${value.channels}])`;
  if (value.kind === "mask") return `tensor(shape=[${value.batch}, ${value.height}, ${value.width}])`;
  if (value.kind === "latent") return `latent(${value.width}x${value.height}, batch of ${value.batch.length})`;
  return value.kind === "conditioning" ? `conditioning(${value.text})` : `${value.kind}(${value.checkpoint})`;
}

/** `current_inputs` of an error report: each input is a list, as ComfyUI maps nodes over lists. */
export function describeInputs(inputs: ReadonlyMap<string, Value>): Map<string, Writable> {
  return new Map([...inputs].map(([name, value]) => [name, [describeValue(value)]]));
}
