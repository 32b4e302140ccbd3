// One JSON text per value, whatever order its keys were made in: what signatures and digests are computed over. Runs in the Worker and in the runner alike.

/** JSON with object keys sorted by code unit at every depth, members that are `undefined` left out, no white space. */
export function canonicalJson(value: unknown): string {
  // Integers beyond 2^53 come as bigint (json.ts).
  if (typeof value === "bigint") return value.toString();
  if (value === null || typeof value !== "object") return JSON.stringify(value) ?? "null";
  if (Array.isArray(value)) return `[${value.map((inner) => canonicalJson(inner)).join(",")}]`;
  const members = Object.entries(value)
    .filter(([, inner]) => inner !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return `{${members.map(([key, inner]) => `${JSON.stringify(key)}:${canonicalJson(inner)}`).join(",")}}`;
}

function hex(bytes: ArrayBuffer): string {
  return Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Lower-case hex SHA-256 of a UTF-8 text. */
export async function sha256Hex(text: string): Promise<string> {
  return hex(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
}

/** Lower-case hex HMAC-SHA-256 of a UTF-8 text under a UTF-8 key. */
export async function hmacHex(key: string, text: string): Promise<string> {
  const imported = await crypto.subtle.importKey("raw", new TextEncoder().encode(key), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return hex(await crypto.subtle.sign("HMAC", imported, new TextEncoder().encode(text)));
}

/** The signature of a dispatch: over the canonical JSON of everything but `sig` [G8]. */
export async function signDispatch(dispatch: object, key: string): Promise<string> {
  const { sig: _sig, ...rest } = dispatch as Record<string, unknown>;
  return hmacHex(key, canonicalJson(rest));
}

/** True when `sig` is the signature under `key`. Compares in constant time. */
export async function verifyDispatch(dispatch: { sig: string }, key: string): Promise<boolean> {
  const expected = await signDispatch(dispatch, key);
  if (expected.length !== dispatch.sig.length) return false;
  let difference = 0;
  for (let i = 0; i < expected.length; i++) difference |= expected.charCodeAt(i) ^ dispatch.sig.charCodeAt(i);
  return difference === 0;
}

/** The proof a runner adds to a result, keyed by the dispatch token [G24]. */
export async function resultHmac(token: string, lease: string, status: string, job: string, attempt: number): Promise<string> {
  return hmacHex(token, `${lease}|${status}|${job}|${attempt}`);
}
