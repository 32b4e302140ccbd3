// Sealed values: a small JSON value, readable by anyone, that only the holder of the secret could have made. Every token of the platform is one.
// The invariant: the purpose is part of what is signed, so a token made for one door never opens another, though all share one secret.
// Synchronous (node:crypto), because the workshop object seals inside decisions that may not await.
import { createHmac, timingSafeEqual } from "node:crypto";

/** What a seal is for; the number rises when the payload changes meaning. */
export type Purpose = "file-v1" | "attempt-v1" | "pool-v1" | "session-v1";

/** `payload.signature`, both base64url: safe in URLs, headers and cookies. */
export function seal(secret: string, purpose: Purpose, value: unknown): string {
  const payload = toBase64Url(new TextEncoder().encode(JSON.stringify(value)));
  return `${payload}.${signature(secret, purpose, payload)}`;
}

/** The sealed value, or undefined when the token is no token, was made for another purpose, or was changed. Compared in constant time. */
export function unseal(secret: string, purpose: Purpose, token: string): unknown {
  const [payload, given, ...rest] = token.split(".");
  if (!payload || !given || rest.length > 0) return undefined;
  return sameText(given, signature(secret, purpose, payload)) ? readJson(payload) : undefined;
}

/** Compares two texts without telling by its duration where they differ. */
export function sameText(a: string, b: string): boolean {
  const [left, right] = [new TextEncoder().encode(a), new TextEncoder().encode(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}

export function toBase64Url(bytes: Uint8Array): string {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** Throws on anything that is not base64url. */
export function fromBase64Url(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (character) => character.charCodeAt(0));
}

function signature(secret: string, purpose: Purpose, payload: string): string {
  return createHmac("sha256", secret).update(`comfyume:${purpose}:${payload}`).digest("base64url");
}

function readJson(payload: string): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(fromBase64Url(payload)));
  } catch {
    return undefined;
  }
}
