// Frames between the platform and a runner's socket, read and said. Invariant: nothing passes that is not of the contract, and its sender hears why.
import { type PlatformFrame, runnerFrame, type RunnerFrame } from "../gpu-adapter/contract.ts";
import { quickCheck } from "../gpu-adapter/quick-check.ts";
import { send } from "./sockets.ts";

const isFrame = quickCheck(runnerFrame);

/** Says it to a runner. */
export function tell(socket: WebSocket, frame: PlatformFrame): void {
  send(socket, JSON.stringify(frame));
}

/** The frame in a text message; null after its sender was told why it is none. */
export function readFrame(socket: WebSocket, message: string): RunnerFrame | null {
  const value = parseJson(message);
  if (isFrame(value)) return value;
  const parsed = runnerFrame.safeParse(value);
  if (parsed.success) return parsed.data;
  send(socket, JSON.stringify({ type: "error", message: "That frame is not of the contract; it was ignored.", issues: parsed.error.issues.slice(0, 3) }));
  return null;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
