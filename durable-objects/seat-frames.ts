// ComfyUI's socket messages as a seat hears them: which frames a moment gives, in which order. Pure; the sockets themselves are in sockets.ts.
// Source: docs/spec/comfy-api.md section 5 (recorded from ComfyUI 0.3.64).

/** What a page needs to be told again when it comes back in the middle of a run. Members are data objects of ComfyUI's messages. */
export type LiveRun = {
  job: string;
  start: Record<string, unknown> | null;
  /** Last `executing` with a node; null before the first. */
  executing: Record<string, unknown> | null;
  progress: Record<string, unknown> | null;
  /** `executed` data by node, names already the seat's. */
  executed: Record<string, Record<string, unknown>>;
};

/** How a run ended, as history keeps it. */
export type RunEnd = { job: string; status: string; executed: Record<string, Record<string, unknown>> };

export function frame(type: string, data: unknown): string {
  return JSON.stringify({ type, data });
}

/** `sid` only in the first message of a connection. */
export function statusFrame(remaining: number, sid?: string): string {
  const status = { exec_info: { queue_remaining: remaining } };
  return frame("status", sid === undefined ? { status } : { status, sid });
}

/** Told at connect when this client's run is executing right now: no prompt_id, no display_node, as recorded. */
export function executingNowFrame(run: LiveRun): string | null {
  return run.executing ? frame("executing", { node: run.executing.node ?? null }) : null;
}

/** The end of a run as `executing` with no node: what classic clients wait for. */
export function idleFrame(job: string): string {
  return frame("executing", { node: null, prompt_id: job });
}

/** For a page whose run went on while its socket was down: start, last progress, the node that executes. */
export function resumeFrames(run: LiveRun): string[] {
  if (!run.start) return [];
  const frames = [frame("execution_start", run.start)];
  for (const data of Object.values(run.executed)) frames.push(frame("executed", data));
  if (run.progress) frames.push(frame("progress_state", run.progress));
  if (run.executing) frames.push(frame("executing", run.executing));
  return frames;
}

/** For a page whose run ended while its socket was down: every output, how it ended, idle. Without the outputs the picture stays missing. */
export function endedFrames(end: RunEnd): string[] {
  const frames = Object.values(end.executed).map((data) => frame("executed", data));
  const last = lastMessage(end.status);
  if (last) frames.push(frame(last[0], last[1]));
  frames.push(idleFrame(end.job));
  return frames;
}

/** The message of a history `status` that says how the run ended, or null. */
export function lastMessage(status: string): [string, Record<string, unknown>] | null {
  const parsed = JSON.parse(status) as { messages?: [string, Record<string, unknown>][] };
  return parsed.messages?.findLast(([name]) => name === "execution_success" || name === "execution_error" || name === "execution_interrupted") ?? null;
}

/** The `executed` data that an output of history corresponds to. */
export function executedData(job: string, node: string, output: unknown, meta: Record<string, unknown> | undefined): Record<string, unknown> {
  const display = typeof meta?.display_node === "string" ? meta.display_node : node;
  return { node, display_node: display, output, prompt_id: job };
}

const PREVIEW_IMAGE = 1;
const PREVIEW_WITH_METADATA = 4;
const JPEG = 1;
const PNG = 2;

/**
 * Turns a preview with metadata (type 4) into the plain preview (type 1) for clients that did not declare `supports_preview_metadata`.
 * Any other frame is returned as it is; a malformed one gives null.
 */
export function plainPreview(bytes: Uint8Array): Uint8Array | null {
  if (bytes.length < 8) return bytes.length >= 4 ? bytes : null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0) !== PREVIEW_WITH_METADATA) return bytes;
  const length = view.getUint32(4);
  if (8 + length > bytes.length) return null;
  const metadata = new TextDecoder().decode(bytes.subarray(8, 8 + length));
  const image = bytes.subarray(8 + length);
  const plain = new Uint8Array(8 + image.length);
  const out = new DataView(plain.buffer);
  out.setUint32(0, PREVIEW_IMAGE);
  out.setUint32(4, metadata.includes("image/png") ? PNG : JPEG);
  plain.set(image, 8);
  return plain;
}

/** The binary frame's own type number, or 0. */
export function binaryType(bytes: Uint8Array): number {
  return bytes.length >= 4 ? new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0) : 0;
}
export const isImagePreview = (bytes: Uint8Array): boolean => [PREVIEW_IMAGE, PREVIEW_WITH_METADATA].includes(binaryType(bytes));

/** A failed run in ComfyUI's own shape, for ends ComfyUI itself could not tell about (a lost machine, a time limit, an unreachable file). */
export function platformError(job: string, error: { code: string; message: string; node_id?: string; node_type?: string; exception_type?: string; traceback?: string[] }, executed: string[], now: number): [string, Record<string, unknown>] {
  return [
    "execution_error",
    {
      prompt_id: job,
      node_id: error.node_id ?? "",
      node_type: error.node_type ?? "",
      executed,
      exception_message: error.message,
      exception_type: error.exception_type ?? error.code,
      traceback: error.traceback ?? [],
      current_inputs: {},
      current_outputs: [],
      timestamp: now,
    },
  ];
}
