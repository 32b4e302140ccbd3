// A whole workshop for a test: the same stack as `npm start`, on free ports, with its own state, gone afterwards.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, type Stack, type StackOptions, startStack } from "../../../scripts/stack.ts";
import { SeatClient } from "./seat-client.ts";

export type Room = Stack & { client(n: number): SeatClient; end(): Promise<void> };

export async function openRoom(options: Partial<StackOptions> = {}): Promise<Room> {
  const stateDir = mkdtempSync(join(tmpdir(), "comfyume-e2e-"));
  const stack = await startStack({ port: await freePort(), workshop: "demo", seats: 3, runners: 1, stateDir, workshopDir: join(stateDir, "workshop"), leaseMs: 4000, sandboxArgs: ["--step-ms", "15"], ...options });
  return {
    ...stack,
    client: (n) => {
      const access = stack.access.seats[n - 1];
      if (!access) throw new Error(`this room has no seat ${n}`);
      return new SeatClient(access);
    },
    end: async () => {
      await stack.stop();
      rmSync(stateDir, { recursive: true, force: true });
    },
  };
}

/** A process and everything it started, killed at once, as a power cut would. */
export function killTree(pid: number): void {
  for (const child of childrenOf(pid)) killTree(child);
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // gone already
  }
}

function childrenOf(pid: number): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((candidate) => {
      try {
        return Number(/^\d+ \(.*\) \S+ (\d+)/s.exec(readFileSync(`/proc/${candidate}/stat`, "utf8"))?.[1]) === pid;
      } catch {
        return false;
      }
    });
}
