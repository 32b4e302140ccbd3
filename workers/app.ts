// The edge's table of contents: what every request passes, and which door leads where. The first match wins, top to bottom.
import { Hono } from "hono";
import { crossSite } from "./auth/origins.ts";
import { comfyError, opsError } from "./errors.ts";
import { log, logError } from "./log.ts";
import { isSeatName, isWorkshopName, rawPath, splitPath } from "./names.ts";
import { instructor } from "./routes/instructor.ts";
import { ops } from "./routes/ops.ts";
import { runner } from "./routes/runner.ts";
import { seat, seatAnswer, type Tell } from "./routes/seat.ts";
import { site } from "./routes/site.ts";
import { workshop } from "./routes/workshop.ts";

export type EdgeEnv = { Bindings: Env };

/** A session signed with a guessable secret is no session. In characters. */
const MIN_SESSION_SECRET = 32;
const MIN_OPERATOR_TOKEN = 24;

const table = new Hono<EdgeEnv>({ getPath: (request) => rawPath(request.url) });

table.route("/", site);
table.route("/ops/v1", ops);
table.route("/runner/v1", runner);
table.route("/", instructor);
table.route("/", workshop);
table.route("/", seat);

table.notFound(() => new Response(null, { status: 404 }));
table.onError((error, c) => failed(error, tellAt(c.req.path)));

export const app = { fetch: answer };

/** One request, from the checks that all of them pass to its door. `ctx` is missing only where nothing is left to do after the answer. */
async function answer(request: Request, env: Env, ctx?: ExecutionContext): Promise<Response> {
  const refused = guard(request, env);
  if (refused !== null) return refused;
  // A seat's address is told by its first two words, which name nothing else (names.ts): its requests, nearly all there are, need no look at the table.
  const { first, second, rest } = splitPath(rawPath(request.url));
  if (rest === "" || request.method === "HEAD" || ctx === undefined || !isWorkshopName(first) || !isSeatName(second)) return await table.fetch(request, env, ctx);
  try {
    return await seatAnswer(request, env, { workshop: first, seat: second, path: rest }, (promise) => ctx.waitUntil(promise));
  } catch (error) {
    return failed(error, comfyError);
  }
}

function guard(request: Request, env: Env): Response | null {
  if ((env.SESSION_SECRET ?? "").length < MIN_SESSION_SECRET) return misconfigured("SESSION_SECRET", MIN_SESSION_SECRET);
  if ((env.OPERATOR_TOKEN ?? "").length < MIN_OPERATOR_TOKEN) return misconfigured("OPERATOR_TOKEN", MIN_OPERATOR_TOKEN);
  if (!crossSite(request)) return null;
  log("cross_site_refused", { method: request.method });
  return tellAt(rawPath(request.url))(403, "cross_site", "This request comes from a page of another site. Open the workshop's own address and try again there.");
}

/** Operators' and instructors' scripts read `error.reason`; everybody else here is a client of ComfyUI's. */
function tellAt(path: string): Tell {
  return path.startsWith("/ops/v1/") || /^\/[^/]+\/dashboard\//.test(path) ? opsError : comfyError;
}

function failed(error: unknown, tell: Tell): Response {
  const flags = error as { retryable?: boolean; overloaded?: boolean };
  logError("unhandled", error, { retryable: flags.retryable ?? false, overloaded: flags.overloaded ?? false });
  // A reset object (deploy, host move) is whole again at once; an overloaded one needs a moment.
  if (flags.retryable === true || flags.overloaded === true) return tell(503, "unavailable", "The workshop is restarting. Nothing is lost; try again in a moment.", { "retry-after": flags.overloaded === true ? "5" : "1" });
  return tell(500, "internal", "Something went wrong on our side. What was accepted before is safe; try again, and tell the instructor if it stays so.");
}

function misconfigured(name: string, least: number): Response {
  logError("misconfigured", name);
  return new Response(`This server is not set up: the secret ${name} is missing or shorter than ${least} characters. Set it with \`wrangler secret put ${name}\` (locally: in .dev.vars) and try again.\n`, { status: 500, headers: { "content-type": "text/plain; charset=utf-8" } });
}
