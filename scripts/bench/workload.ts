// What every case of the bench works on: the same prompts, the same node catalog, the same secret that sessions are signed with.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { canonicalJson, sha256Hex } from "../../gpu-adapter/canonical.ts";

export const SESSION_SECRET = "bench-session-secret-0123456789abcdef";

/** A runner's report of the recorded ComfyUI 0.3.64, as the product takes it. */
export async function catalogReport(): Promise<object> {
  const recording = JSON.parse(readFileSync(join(import.meta.dirname, "../../test/recordings/object_info.json"), "utf8")) as Record<string, unknown>;
  const rest = { object_info: recording.object_info ?? recording, extensions: [], embeddings: [], models: {}, system_stats: { system: { comfyui_version: "0.3.64" }, devices: [] } };
  return { digest: await sha256Hex(canonicalJson(rest)), ...rest };
}

/** A graph of real nodes and a workflow beside it, `bytes` in all when sent (8 to 30 KB is what the stock frontend sends). `n` makes it distinct. */
export function promptBody(n: number, bytes: number): string {
  const prompt: Record<string, unknown> = { "1": { class_type: "EmptyImage", inputs: { width: 64, height: 64, batch_size: 1, color: n % 0xffffff } } };
  const nodes = Math.max(1, Math.floor(bytes / 400));
  for (let i = 2; i < 2 + nodes; i++) prompt[i] = { class_type: "ImageInvert", inputs: { image: [String(i - 1), 0] }, _meta: { title: "Invert Image" } };
  prompt[2 + nodes] = { class_type: "SaveImage", inputs: { images: [String(1 + nodes), 0], filename_prefix: "bench" } };
  const bare = JSON.stringify({ prompt, client_id: "bench", extra_data: { extra_pnginfo: { workflow: { pad: "" } } } });
  return bare.replace('"pad":""', `"pad":"${"w".repeat(Math.max(0, bytes - bare.length))}"`);
}

/** The size of the nth prompt: 8 to 30 KB, evenly spread, the same in every run. */
export function promptSize(n: number): number {
  return 8_000 + ((n * 7_919) % 22_000);
}
