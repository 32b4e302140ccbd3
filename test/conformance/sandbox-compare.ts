// Brings recorded and received things to a form in which only what a client can rely on is left:
// no times, no counters in file names (but the same file stays the same file), no wording that is the server's own.

import type { Frame } from "./sandbox-replay.ts";

/** Keys whose values are the server's own words or clock. */
const OWN = new Set(["timestamp", "tooltip", "create_time", "traceback", "input_order", "sid"]);
const SANDBOX_NODES: Record<string, string> = { EdgeSteps: "SandboxSleep", EdgeRaise: "SandboxFail", EdgeOOM: "SandboxFail" };

/** Names files f1, f2... in the order they first appear. */
export class FileNames {
  private readonly known = new Map<string, string>();
  of(name: string): string {
    const kind = name.replace(/_temp_[a-z]{5}/, "_temp_").replace(/\d{5}/, "#");
    const found = this.known.get(name) ?? `${kind}/${this.known.size + 1}`;
    this.known.set(name, found);
    return found;
  }
}

export function normal(value: unknown, files: FileNames): unknown {
  if (Array.isArray(value)) return value.map((member) => normal(member, files));
  if (typeof value !== "object" || value === null) return value;
  const result: Record<string, unknown> = {};
  for (const [key, member] of Object.entries(value)) {
    if (OWN.has(key)) result[key] = typeof member;
    else if (key === "filename" && typeof member === "string") result[key] = files.of(member);
    else if (key === "current_inputs") result[key] = Object.keys(member as object).filter((name) => name !== "message" && name !== "error");
    else if (key === "current_outputs" || key === "executed" || key === "errors") result[key] = sorted((member as unknown[]).map((item) => normal(item, files)));
    else if (key === "queue_pending") result[key] = sorted(member as unknown[]).map((item) => normal(item, files)); // a heap there, sorted here
    else if (key === "exception_message") result[key] = String(member).split("\n")[0];
    else if (key === "details") result[key] = String(member).split("\n").sort().join("\n");
    else if (key === "node_type" || key === "class_type") result[key] = SANDBOX_NODES[String(member)] ?? member;
    else if (key === "inputs") result[key] = "as sent";
    else result[key] = normal(member, files);
  }
  return result;
}

function sorted(items: unknown[]): unknown[] {
  return items.map((item) => [JSON.stringify(item), item] as const).sort(([a], [b]) => (a < b ? -1 : 1)).map(([, item]) => item);
}

export interface Told {
  type: string;
  data: unknown;
}

function told(frame: Frame, files: FileNames): Told {
  if (frame.json !== undefined) return { type: frame.json.type, data: normal(frame.json.data, files) };
  return { type: `binary ${frame.binary?.event_type}`, data: { metadata: normal(frame.binary?.metadata, files), magic: frame.binary?.payload_magic?.slice(0, 6) } };
}

/** `status` may overtake other messages (they come from different threads in ComfyUI), so it is compared on its own. */
export function streams(frames: readonly Frame[]): { run: Told[]; status: Told[] } {
  const files = new FileNames();
  const all = frames.map((frame) => told(frame, files));
  return { run: all.filter(({ type }) => type !== "status"), status: all.filter(({ type }) => type === "status") };
}

/** Drops steps in the middle of a node's progress: how many there are before an interrupt is a matter of timing. */
export function withoutSteps(frames: readonly Told[]): Told[] {
  const isStep = ({ type, data }: Told): boolean => {
    if (type === "progress" || type.startsWith("binary")) return true;
    const nodes = Object.values((data as { nodes?: Record<string, { value: number; state: string }> }).nodes ?? {});
    return type === "progress_state" && nodes.some(({ value, state }) => state === "running" && value > 0);
  };
  return frames.filter((frame) => !isStep(frame));
}
