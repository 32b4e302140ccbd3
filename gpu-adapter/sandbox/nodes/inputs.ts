// Typed reading of a node's inputs.

import { PythonError, truthy } from "../graph/python.ts";
import { type Json, WholeFloat, isNumeric } from "../json.ts";
import type { Picture } from "../pixels/tensor.ts";
import type { Inputs, Value } from "./definition.ts";

/** True for values that came as JSON, false for pictures and the painter's things. */
export function isLiteral(value: Value): value is Json {
  return value === null || typeof value !== "object" || Array.isArray(value) || value instanceof Map || value instanceof WholeFloat;
}

function wrong(name: string, wanted: string): never {
  throw new PythonError("TypeError", `input '${name}' is not ${wanted}`);
}

export class NodeInputs implements Inputs {
  readonly all: ReadonlyMap<string, Value>;
  constructor(all: ReadonlyMap<string, Value>) {
    this.all = all;
  }

  value(name: string): Value {
    const value = this.all.get(name);
    if (value === undefined) throw new PythonError("TypeError", `missing 1 required argument: '${name}'`);
    return value;
  }

  number(name: string): number {
    const value = this.value(name);
    if (isLiteral(value) && isNumeric(value)) return value instanceof WholeFloat ? value.value : Number(value);
    return wrong(name, "a number");
  }

  text(name: string): string {
    const value = this.value(name);
    return typeof value === "string" ? value : wrong(name, "text");
  }

  flag(name: string): boolean {
    const value = this.value(name);
    return isLiteral(value) ? truthy(value) : wrong(name, "true or false");
  }

  picture(name: string): Picture {
    const value = this.value(name);
    return !isLiteral(value) && value.kind === "image" ? value : wrong(name, "an image");
  }
}
