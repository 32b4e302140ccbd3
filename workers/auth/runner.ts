// Who a machine at the runners' door is: a pool's token opens that pool, an attempt's token that attempt, in one workshop, and nothing else [G9].
import type { Context } from "hono";
import type { AttemptRef } from "../../durable-objects/contract.ts";
import { verifyAttempt } from "../../r2/signed.ts";
import type { EdgeEnv } from "../app.ts";
import { runnerError } from "../errors.ts";
import { isWorkshopName } from "../names.ts";
import { listing, openWorkshop, type WorkshopDoor } from "../workshop.ts";
import { may } from "./may.ts";
import { bearer, readPoolToken } from "./tokens.ts";

export type PoolCaller = { workshop: string; pool: string; door: WorkshopDoor };
export type AttemptCaller = { workshop: string; ref: AttemptRef; door: WorkshopDoor };

type RunnerContext = Context<EdgeEnv>;

export async function asPool(c: RunnerContext, serve: (caller: PoolCaller) => Promise<Response>): Promise<Response> {
  const workshop = c.req.param("workshop") ?? "";
  const pool = c.req.param("pool") ?? "";
  const token = bearer(c.req.raw);
  const claims = token === null ? null : readPoolToken(c.env.SESSION_SECRET, token);
  if (claims === null) return notSignedIn("the pool's token");
  if (claims.workshop !== workshop || claims.pool !== pool || !isWorkshopName(workshop) || !may("runner", "pool.serve")) return runnerError(403, "forbidden", "This token is for another workshop or pool.");
  // A directory that was lost knows no numbers; the first token of each pool then still holds.
  const valid = (await listing(c.env, workshop, Date.now()))?.tokens[pool] ?? 1;
  if (claims.version !== valid) return runnerError(401, "unauthorized", "This token was replaced by a newer one. Give the runner the new token.");
  return await serve({ workshop, pool, door: openWorkshop(c.env, workshop) });
}

/** A catalog may also come with the token of an attempt that a machine of the pool holds: only the one it announced when it claimed. */
export async function asReporter(c: RunnerContext, serve: (caller: PoolCaller & { only: string | null }) => Promise<Response>): Promise<Response> {
  const token = bearer(c.req.raw);
  const verdict = token === null ? null : verifyAttempt(c.env.SESSION_SECRET, token, Date.now());
  if (verdict === null || !verdict.ok) return await asPool(c, (caller) => serve({ ...caller, only: null }));
  const { workshop, job, attempt } = verdict.claims;
  const door = openWorkshop(c.env, workshop);
  const expected = workshop === c.req.param("workshop") && may("attempt", "attempt.serve") ? await door.expectedCatalog({ job, attempt }) : null;
  if (expected === null || expected.pool !== c.req.param("pool")) return runnerError(403, "forbidden", "This token's attempt is over, or of another pool; the next claim opens this door again.");
  return await serve({ workshop, pool: expected.pool, door, only: expected.digest });
}

export async function asAttempt(c: RunnerContext, serve: (caller: AttemptCaller) => Promise<Response>): Promise<Response> {
  const workshop = c.req.param("workshop") ?? "";
  const ref: AttemptRef = { job: c.req.param("job") ?? "", attempt: Number(c.req.param("attempt")) };
  const token = bearer(c.req.raw);
  const verdict = token === null ? null : verifyAttempt(c.env.SESSION_SECRET, token, Date.now());
  if (verdict === null || !verdict.ok) return notSignedIn("the token of its dispatch");
  const { claims } = verdict;
  if (claims.workshop !== workshop || claims.job !== ref.job || claims.attempt !== ref.attempt || !may("attempt", "attempt.serve")) return runnerError(403, "forbidden", "This token is for another attempt.");
  return await serve({ workshop, ref, door: openWorkshop(c.env, workshop) });
}

function notSignedIn(what: string): Response {
  const answer = runnerError(401, "unauthorized", `A runner must send ${what} as Authorization: Bearer.`);
  answer.headers.set("www-authenticate", 'Bearer realm="ComfyUMe runner"');
  return answer;
}
