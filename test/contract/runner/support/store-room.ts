// A room whose runners write their files to a store of the test's choice: through the Worker, to the R2 simulator, or to the S3 endpoint that wrangler
// itself has for its local buckets, which checks signatures by code that is neither ours nor the signer's.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "smol-toml";
import type { PresignStore } from "../../../../r2/presign.ts";
import { freePort, ROOT } from "../../../../scripts/stack.ts";
import { R2 } from "../../../simulators/r2/r2.ts";
import { type BoxRoom, openBoxRoom } from "./box-room.ts";

export type StoreKind = "the platform's own addresses" | "the R2 simulator" | "wrangler's local S3 endpoint";
export type StoreRoom = BoxRoom & { /** only with the simulator */ r2: R2 | null; store: PresignStore };

const KEYS = { accessKeyId: "local-key-id", secretAccessKey: "local-key-secret" };

type Config = { main: string; assets: { directory: string }; vars: Record<string, string>; r2_buckets: { bucket_name: string; local_dev?: object }[] };

export async function openStoreRoom(kind: StoreKind): Promise<StoreRoom> {
  const folder = mkdtempSync(join(tmpdir(), "comfyume-store-"));
  const port = await freePort();
  const config = parse(readFileSync(join(ROOT, "wrangler.toml"), "utf8")) as unknown as Config;
  const bucket = config.r2_buckets[0]!;
  const local = `http://127.0.0.1:${port}/cdn-cgi/local/r2/s3`;
  const r2 = kind === "the R2 simulator" ? new R2(bucket.bucket_name, KEYS) : null;
  const endpoint = r2 === null ? local : await r2.open();
  r2?.keepAt(local);
  const store: PresignStore = { endpoint, bucket: bucket.bucket_name, access_key_id: KEYS.accessKeyId, secret_access_key: KEYS.secretAccessKey };
  // The whole configuration of the product, with absolute paths because it lies elsewhere, and the bucket opened to S3 clients of this machine.
  config.main = join(ROOT, config.main);
  config.assets.directory = join(ROOT, config.assets.directory);
  bucket.local_dev = { experimental_s3_credentials: KEYS };
  if (kind !== "the platform's own addresses") Object.assign(config.vars, { R2_ACCESS_KEY_ID: KEYS.accessKeyId, R2_SECRET_ACCESS_KEY: KEYS.secretAccessKey, R2_ENDPOINT: endpoint, R2_BUCKET: store.bucket });
  const configFile = join(folder, "wrangler.json");
  writeFileSync(configFile, JSON.stringify(config));
  const box = await openBoxRoom({ port, configFile, leaseMs: 60_000 });
  return {
    ...box,
    r2,
    store,
    end: async () => {
      await box.end();
      r2?.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
