// Bearer tokens of machines: the operator's, the pools' and the attempts'. A pool's token is scoped to one workshop and one pool and numbered, so that
// minting a new one ends the old; an attempt's opens the routes of one attempt until its end.
import { z } from "zod";
import { sameText, seal, unseal } from "../../r2/seal.ts";

const poolClaims = z.object({ workshop: z.string(), pool: z.string(), version: z.int().min(1) });
export type PoolClaims = z.infer<typeof poolClaims>;

export function signPoolToken(secret: string, claims: PoolClaims): string {
  return `cmp_${seal(secret, "pool-v1", claims)}`;
}

/** The claims of a token that was made here; whether its number is still the valid one is the directory's to say. */
export function readPoolToken(secret: string, token: string): PoolClaims | null {
  const parsed = poolClaims.safeParse(token.startsWith("cmp_") ? unseal(secret, "pool-v1", token.slice(4)) : undefined);
  return parsed.success ? parsed.data : null;
}

/** The token of `Authorization: Bearer …`, or null. */
export function bearer(request: Request): string | null {
  return /^Bearer +([\w.~+/=-]+) *$/i.exec(request.headers.get("authorization") ?? "")?.[1] ?? null;
}

export function isOperator(request: Request, operatorToken: string): boolean {
  const given = bearer(request);
  return given !== null && sameText(given, operatorToken);
}
