// Tokens of the runner's side: signed file tokens, the only way a runner reaches a stored file [G5], [G21], and attempt tokens, which open one
// attempt's routes [G9]. A file token names one key, one operation and an end; whoever holds it may do exactly that and nothing else.
import { z } from "zod";
import { seal, unseal } from "./seal.ts";

const fileClaims = z.object({
  op: z.enum(["get", "put"]),
  key: z.string().min(1).max(1024),
  /** Bytes a put must bring, no more and no less. */
  size: z.int().min(0).optional(),
  /** Lower-case hex; a put with other bytes is refused by the store itself. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/).optional(),
  content_type: z.string().max(200).optional(),
  /** One part of a multipart upload. */
  part: z.object({ upload_id: z.string().min(1).max(2000), number: z.int().min(1).max(10_000) }).optional(),
  /** ms since the epoch; refused from then on. */
  exp: z.int(),
});
export type FileClaims = z.infer<typeof fileClaims>;

const attemptClaims = z.object({ workshop: z.string(), job: z.string(), attempt: z.int().min(1), exp: z.int() });
/** `exp` in ms since the epoch: claim deadline plus the longest run [G9]. */
export type AttemptClaims = z.infer<typeof attemptClaims>;

/** `forged` covers every token that was not made here for this purpose. */
export type Verdict<T> = { ok: true; claims: T } | { ok: false; reason: "forged" | "expired" };

export function signFile(secret: string, claims: FileClaims): string {
  return seal(secret, "file-v1", claims);
}

/** Checks signature, shape and end. `now` in ms since the epoch. */
export function verifyFile(secret: string, token: string, now: number): Verdict<FileClaims> {
  return judge(fileClaims, unseal(secret, "file-v1", token), now);
}

/** The address of a token below a workshop's runner base URL (`https://host/runner/v1/{workshop}`). */
export function fileUrl(baseUrl: string, token: string): string {
  return `${baseUrl}/files/${token}`;
}

export function signAttempt(secret: string, claims: AttemptClaims): string {
  return `cma_${seal(secret, "attempt-v1", claims)}`;
}

/** Checks signature, shape and end of a dispatch's `callback.token`. `now` in ms since the epoch. */
export function verifyAttempt(secret: string, token: string, now: number): Verdict<AttemptClaims> {
  return judge(attemptClaims, token.startsWith("cma_") ? unseal(secret, "attempt-v1", token.slice(4)) : undefined, now);
}

function judge<T extends { exp: number }>(schema: z.ZodType<T>, value: unknown, now: number): Verdict<T> {
  const parsed = schema.safeParse(value);
  if (!parsed.success) return { ok: false, reason: "forged" };
  return parsed.data.exp > now ? { ok: true, claims: parsed.data } : { ok: false, reason: "expired" };
}
