// The edge's table of contents: what every request passes, and which door leads where. The first match wins, top to bottom.
import { Hono } from "hono";
import { crossSite } from "./auth/origins.ts";
import { comfyError } from "./errors.ts";
import { log, logError } from "./log.ts";
import { rawPath } from "./names.ts";
import { instructor } from "./routes/instructor.ts";
import { ops } from "./routes/ops.ts";
import { runner } from "./routes/runner.ts";
import { seat } from "./routes/seat.ts";
import { site } from "./routes/site.ts";
import { workshop } from "./routes/workshop.ts";

export type EdgeEnv = { Bindings: Env };

/** A session signed with a guessable secret is no session. In characters. */
const MIN_SESSION_SECRET = 32;
const MIN_OPERATOR_TOKEN = 24;

export const app = new Hono<EdgeEnv>({ getPath: (request) => rawPath(request.url) });

app.use(async (c, next) => {
  if ((c.env.SESSION_SECRET ?? "").length < MIN_SESSION_SECRET) return misconfigured("SESSION_SECRET", MIN_SESSION_SECRET);
  if ((c.env.OPERATOR_TOKEN ?? "").length < MIN_OPERATOR_TOKEN) return misconfigured("OPERATOR_TOKEN", MIN_OPERATOR_TOKEN);
  return await next();
});
app.use(async (c, next) => {
  if (!crossSite(c.req.raw)) return await next();
  log("cross_site_refused", { method: c.req.method });
  return comfyError(403, "cross_site", "This request comes from a page of another site. Open the workshop's own address and try again there.");
});

app.route("/", site);
app.route("/ops/v1", ops);
app.route("/runner/v1", runner);
app.route("/", instructor);
app.route("/", workshop);
app.route("/", seat);

app.notFound(() => new Response(null, { status: 404 }));
app.onError((error) => {
  const flags = error as { retryable?: boolean; overloaded?: boolean };
  logError("unhandled", error, { retryable: flags.retryable ?? false, overloaded: flags.overloaded ?? false });
  // A reset object (deploy, host move) is whole again at once; an overloaded one needs a moment.
  if (flags.retryable === true || flags.overloaded === true) return comfyError(503, "unavailable", "The workshop is restarting. Nothing is lost; try again in a moment.", { "retry-after": flags.overloaded === true ? "5" : "1" });
  return comfyError(500, "internal", "Something went wrong on our side. What was accepted before is safe; try again, and tell the instructor if it stays so.");
});

function misconfigured(name: string, least: number): Response {
  logError("misconfigured", name);
  return new Response(`This server is not set up: the secret ${name} is missing or shorter than ${least} characters. Set it with \`wrangler secret put ${name}\` (locally: in .dev.vars) and try again.\n`, { status: 500, headers: { "content-type": "text/plain; charset=utf-8" } });
}
