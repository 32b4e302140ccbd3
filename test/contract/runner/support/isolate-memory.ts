// How much memory the Worker's isolate holds, asked of the runtime's own inspector. The process around it is no measure: locally it is also R2.
import { WebSocket } from "ws";
import type { Room } from "../../../e2e/support/room.ts";

type Usage = { totalSize: number; backingStorageSize: number };

/** Watches from now on; `stop` answers with the memory at the beginning and the most there was, in bytes. */
export async function watchIsolate(room: Room): Promise<{ stop(): { before: number; most: number; samples: number } }> {
  const args = room.children.get("wrangler")?.spawnargs ?? [];
  const port = args[args.indexOf("--inspector-port") + 1] ?? "";
  const [worker] = (await (await fetch(`http://127.0.0.1:${port}/json`)).json()) as { webSocketDebuggerUrl: string }[];
  // The inspector lets in pages of this machine only.
  const socket = new WebSocket(worker?.webSocketDebuggerUrl ?? "", { origin: "http://localhost" });
  const seen: number[] = [];
  const first = new Promise<void>((resolve, reject) => {
    socket.on("error", reject);
    socket.on("message", (data: Buffer) => {
      const { result } = JSON.parse(data.toString()) as { result?: Partial<Usage> };
      if (result?.totalSize === undefined) return;
      seen.push(result.totalSize + (result.backingStorageSize ?? 0));
      resolve();
    });
  });
  await new Promise((resolve) => socket.once("open", resolve));
  let id = 0;
  const ask = (): void => socket.send(JSON.stringify({ id: ++id, method: "Runtime.getHeapUsage" }));
  ask();
  await first;
  const timer = setInterval(ask, 50);
  return {
    stop: () => {
      clearInterval(timer);
      socket.close();
      return { before: seen[0] ?? 0, most: Math.max(...seen), samples: seen.length };
    },
  };
}
