// Whether runners write straight to R2 [G21]: four settings of the Worker, all or none. Invariant: a half-made setting is a fault with a name, never
// quietly the other way of uploading, because nobody would notice until the first file over the limit of a request.
import type { PresignStore } from "./presign.ts";

export type Uploads = { to: "platform" } | { to: "r2"; store: PresignStore } | { to: "nowhere"; /** what to set, for an operator */ fault: string };

const NAMES = ["R2_ACCESS_KEY_ID", "R2_SECRET_ACCESS_KEY", "R2_ENDPOINT", "R2_BUCKET"] as const;
/** developers.cloudflare.com/r2/buckets/create-buckets: 3 to 63 small letters, digits and hyphens. */
const BUCKET = /^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/;
/** A server of the same machine, as tests and local stores are, may be spoken to without TLS. */
const LOOPBACK = new Set(["localhost", "127.0.0.1", "[::1]"]);

export function readUploads(env: object): Uploads {
  const settings = Object.fromEntries(NAMES.map((name) => [name, textOf((env as Record<string, unknown>)[name])])) as Record<(typeof NAMES)[number], string>;
  const missing = NAMES.filter((name) => settings[name] === "");
  if (missing.length === NAMES.length) return { to: "platform" };
  if (missing.length > 0) return nowhere(`${missing.join(" and ")} ${missing.length === 1 ? "is" : "are"} missing`);
  const endpoint = readEndpoint(settings.R2_ENDPOINT);
  if (!endpoint.ok) return nowhere(`R2_ENDPOINT ${endpoint.fault}`);
  if (!BUCKET.test(settings.R2_BUCKET)) return nowhere("R2_BUCKET is not the name of a bucket");
  return { to: "r2", store: { endpoint: endpoint.url, bucket: settings.R2_BUCKET, access_key_id: settings.R2_ACCESS_KEY_ID, secret_access_key: settings.R2_SECRET_ACCESS_KEY } };
}

function readEndpoint(text: string): { ok: true; url: string } | { ok: false; fault: string } {
  if (!URL.canParse(text)) return { ok: false, fault: "is no address; it looks like https://ACCOUNT_ID.r2.cloudflarestorage.com" };
  const url = new URL(text);
  if (url.protocol !== "https:" && !(url.protocol === "http:" && LOOPBACK.has(url.hostname))) return { ok: false, fault: "must begin with https://" };
  if (url.search !== "" || url.hash !== "" || url.username !== "" || url.password !== "") return { ok: false, fault: "must be an address and nothing more" };
  // The bucket's own page shows the address with the bucket's name at its end.
  if (url.hostname.endsWith(".r2.cloudflarestorage.com") && url.pathname !== "/") return { ok: false, fault: "ends with the host; the bucket's name goes into R2_BUCKET" };
  return { ok: true, url: `${url.origin}${url.pathname}`.replace(/\/+$/, "") };
}

function nowhere(fault: string): Uploads {
  return { to: "nowhere", fault: `Uploads straight to R2 are half set up: ${fault}. Set all of ${NAMES.join(", ")} (docs/deploy.md), or none of them.` };
}

/** Pasted secrets often end in a line break. */
function textOf(value: unknown): string {
  return typeof value === "string" ? value.trim() : "";
}
