// Signed file tokens: the only way a runner reaches a stored file. A token names one key, one operation and an end; whoever holds it may do exactly
// that and nothing else [G5], [G21]. Synchronous on purpose (node:crypto), because the workshop object signs inside decisions that may not await.
import { createHmac, timingSafeEqual } from "node:crypto";
import { z } from "zod";

const claims = z.object({
  op: z.enum(["get", "put"]),
  key: z.string().min(1).max(1024),
  /** Bytes a put must bring, no more and no less. */
  size: z.int().min(0).optional(),
  /** Lower-case hex; a put with other bytes is refused by the store itself. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/).optional(),
  content_type: z.string().max(200).optional(),
  /** One part of a multipart upload. */
  part: z.object({ upload_id: z.string().min(1).max(600), number: z.int().min(1).max(10_000) }).optional(),
  /** ms since the epoch; refused from then on. */
  exp: z.int(),
});
export type FileClaims = z.infer<typeof claims>;
export type FileVerdict = { ok: true; claims: FileClaims } | { ok: false; reason: "malformed" | "forged" | "expired" };

/** Signs `claims` with the platform's secret; the answer is URL-safe and holds nothing secret. */
export function signFile(secret: string, value: FileClaims): string {
  const payload = toBase64Url(new TextEncoder().encode(JSON.stringify(value)));
  return `${payload}.${mac(secret, payload)}`;
}

/** Checks a token's signature (in constant time), shape and end. `now` in ms since the epoch. */
export function verifyFile(secret: string, token: string, now: number): FileVerdict {
  const [payload, signature, ...rest] = token.split(".");
  if (!payload || !signature || rest.length > 0) return { ok: false, reason: "malformed" };
  if (!sameText(signature, mac(secret, payload))) return { ok: false, reason: "forged" };
  const parsed = claims.safeParse(readJson(payload));
  if (!parsed.success) return { ok: false, reason: "malformed" };
  return parsed.data.exp > now ? { ok: true, claims: parsed.data } : { ok: false, reason: "expired" };
}

/** The address of a token below a workshop's runner base URL (`https://host/runner/v1/{workshop}`). */
export function fileUrl(baseUrl: string, token: string): string {
  return `${baseUrl}/files/${token}`;
}

function mac(secret: string, payload: string): string {
  // The prefix keeps this signature from ever being valid as a session or a pool token, which are signed with the same secret.
  return createHmac("sha256", secret).update(`comfyume-file-v1.${payload}`).digest("base64url");
}

function sameText(a: string, b: string): boolean {
  const [left, right] = [new TextEncoder().encode(a), new TextEncoder().encode(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}

function toBase64Url(bytes: Uint8Array): string {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function readJson(payload: string): unknown {
  try {
    const binary = atob(payload.replaceAll("-", "+").replaceAll("_", "/"));
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(binary, (character) => character.charCodeAt(0))));
  } catch {
    return null;
  }
}
