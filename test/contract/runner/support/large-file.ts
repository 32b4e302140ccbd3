// Large files that a run seems to have written, and what is needed to tell whether they came back whole.
import { createHash } from "node:crypto";
import { closeSync, mkdirSync, openSync, utimesSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { Room } from "../../../e2e/support/room.ts";

export const MIB = 1024 * 1024;

/** Where the room's sandbox keeps its outputs. */
export function outputFolder(room: Room): string {
  const args = room.children.get("sandbox")?.spawnargs ?? [];
  return join(args[args.indexOf("--dir") + 1] ?? "", "output");
}

/** Pseudo-random bytes in a file, and their sha256, without holding them. */
export function largeFile(path: string, bytes: number): string {
  const hash = createHash("sha256");
  const file = openSync(path, "w");
  let block = createHash("sha512").update(path).digest();
  for (let written = 0; written < bytes; ) {
    block = createHash("sha512").update(block).digest();
    const chunk = Buffer.concat(Array.from({ length: 16_384 }, () => block)).subarray(0, Math.min(MIB, bytes - written));
    writeSync(file, chunk);
    hash.update(chunk);
    written += chunk.length;
  }
  closeSync(file);
  return hash.digest("hex");
}

/** A file that carries a time within the coming run, as one that the run itself writes would. */
export function writtenLater(room: Room, name: string, write: (path: string) => void): void {
  mkdirSync(outputFolder(room), { recursive: true });
  const path = join(outputFolder(room), name);
  write(path);
  const later = new Date(Date.now() + 60_000);
  utimesSync(path, later, later);
}

export const textGraph = (text: string): Record<string, unknown> => ({ "1": { class_type: "SandboxText", inputs: { text } } });

export async function sha256Of(answer: Response): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of answer.body as unknown as AsyncIterable<Uint8Array>) hash.update(chunk);
  return hash.digest("hex");
}
