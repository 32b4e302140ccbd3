// Switches that make the sandbox misbehave on demand. Only the sandbox has them; a real ComfyUI knows no /sandbox/control.

import { type Json, isObject, isNumeric, toNumber } from "./json.ts";

export interface ControlState {
  /** Accept prompts, never start them. */
  hang: boolean;
  /** Die at the next node start. */
  crash: boolean;
  /** Milliseconds between taking a prompt and `execution_start`. */
  start_delay_ms: number;
  /** Milliseconds before /view answers. */
  view_delay_ms: number;
  /** Milliseconds a painter step takes at least. */
  step_ms: number;
}

export class Control {
  readonly state: ControlState;
  private readonly die: () => void;
  private readonly listeners: (() => void)[] = [];

  constructor(stepMs: number, die: () => void) {
    this.state = { hang: false, crash: false, start_delay_ms: 0, view_delay_ms: 0, step_ms: stepMs };
    this.die = die;
  }

  onChange(listener: () => void): void {
    this.listeners.push(listener);
  }

  /** Applies the switches a JSON object names. Answers what is wrong with it, if anything; then nothing is changed. */
  apply(change: Json): string | undefined {
    if (!isObject(change)) return `send a JSON object with any of: ${Object.keys(this.state).join(", ")}`;
    const next: Partial<Record<keyof ControlState, boolean | number>> = {};
    for (const [key, value] of change) {
      if (!(key in this.state)) return `unknown switch '${key}'; there are: ${Object.keys(this.state).join(", ")}`;
      const name = key as keyof ControlState;
      const wantsFlag = typeof this.state[name] === "boolean";
      if (wantsFlag ? typeof value !== "boolean" : !isNumeric(value) || toNumber(value) < 0) return `'${key}' takes ${wantsFlag ? "true or false" : "milliseconds, 0 or more"}`;
      next[name] = typeof value === "boolean" ? value : toNumber(value);
    }
    Object.assign(this.state, next);
    for (const listener of this.listeners) listener();
    return undefined;
  }

  maybeCrash(): void {
    if (this.state.crash) this.die();
  }
}
