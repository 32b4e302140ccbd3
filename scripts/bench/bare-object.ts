// The floor under the product's figures: the bare object of bare-object.worker.mjs on a workerd of its own, spoken to directly as the product is.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Miniflare } from "miniflare";
import type { Target } from "./driver.ts";
import type { PoolDoor } from "./pool-runners.ts";

export type BareObject = { target: Target; door: PoolDoor; close(): Promise<void> };

export async function startBareObject(): Promise<BareObject> {
  const stateDir = mkdtempSync(join(tmpdir(), "comfyume-bare-"));
  const source = new Uint8Array(readFileSync(join(import.meta.dirname, "bare-object.worker.mjs")));
  const miniflare = new Miniflare({
    port: 0,
    resourcePersistencePath: stateDir,
    workers: [
      {
        config: {
          name: "bare",
          compatibilityDate: "2026-11-02",
          manifest: { mainModule: "index.js", modules: { "index.js": { type: "esm", contents: source } } },
          env: { BARE: { type: "durable-object", exportName: "Bare", worker: "bare" } },
          exports: { Bare: { type: "durable-object", storage: "sqlite" } },
        },
        dev: { unsafeDirectSockets: [{}] },
      },
    ],
  });
  await miniflare.ready;
  const url = String(await miniflare.unsafeGetDirectURL());
  return {
    target: { url: () => url, headers: () => ({}) },
    door: { poolUrl: url.replace(/^http/, "ws"), poolToken: "none" },
    close: async () => {
      await miniflare.dispose();
      rmSync(stateDir, { recursive: true, force: true });
    },
  };
}
