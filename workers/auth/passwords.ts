// Passwords of seats: made by us, checked by us. Each is 130 bits of a keyed hash, so guessing is hopeless whatever hash guards it, and a slow one
// (scrypt, Argon2) would only cost CPU: it protects passwords that people choose, and nobody chooses here. Stored as salted SHA-256 in the workshop's object.
// Derived, not drawn: the same secret, workshop, seat and version give the same password, so starting again shows the same list and stores none.
import { createHash, createHmac } from "node:crypto";
import type { Role, SeatCredential } from "../../durable-objects/contract.ts";
import { fromBase64Url, sameText, toBase64Url } from "../../r2/seal.ts";

/** The alphabet of RFC 4648 (which leaves out 0, 1, 8 and 9, the digits people confuse with letters), in lower case for phones. */
const BASE32 = "abcdefghijklmnopqrstuvwxyz234567";
/** 26 characters of 5 bits. */
const PASSWORD_CHARACTERS = 26;

/** The password of a seat in its `version`-th issue (from 1). */
export function derivePassword(secret: string, workshop: string, seat: string, version: number): string {
  // Two steps: the seed separates passwords from everything else the secret signs.
  const seed = createHmac("sha256", secret).update("comfyume:passwords-v1").digest();
  const digest = createHmac("sha256", seed).update(`${workshop}|${seat}|${version}`).digest();
  return base32(digest).slice(0, PASSWORD_CHARACTERS);
}

/** What the workshop's object keeps of a password. */
export function credentialOf(seat: string, role: Role, password: string): SeatCredential {
  const salt = crypto.getRandomValues(new Uint8Array(16));
  return { seat, role, salt: toBase64Url(salt), hash: hashOf(salt, password) };
}

export function passwordMatches(credential: Pick<SeatCredential, "salt" | "hash">, password: string): boolean {
  return sameText(hashOf(fromBase64Url(credential.salt), password), credential.hash);
}

function hashOf(salt: Uint8Array, password: string): string {
  return createHash("sha256").update(salt).update(password).digest("base64url");
}

function base32(bytes: Uint8Array): string {
  let text = "";
  let bits = 0;
  let value = 0;
  for (const byte of bytes) {
    value = (value << 8) | byte;
    for (bits += 8; bits >= 5; bits -= 5) text += BASE32[(value >>> (bits - 5)) & 31] ?? "";
    value &= (1 << bits) - 1;
  }
  return text;
}
