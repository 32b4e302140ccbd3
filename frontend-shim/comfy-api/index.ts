// A seat is a ComfyUI server: every HTTP route of one, for one authenticated seat. What is not a route of ComfyUI's is left to the frontend's files.
// Invariant: the seat is the caller's word; no header, query or body of the request can name another.
import { seatRouter } from "./context.ts";
import type { SeatContext } from "./context.ts";
import { done, methodNotAllowed, notFound } from "./answers.ts";
import { extensionRoutes, serveExtension } from "./extensions.ts";
import { firstVisit } from "./first-visit.ts";
import { historyRoutes } from "./history.ts";
import { internalRoutes } from "./internal.ts";
import { jobRoutes } from "./jobs.ts";
import { modelRoutes } from "./models.ts";
import { objectInfoRoutes } from "./object-info.ts";
import { promptRoutes } from "./prompt.ts";
import { queueRoutes } from "./queue.ts";
import { settingsRoutes } from "./settings.ts";
import { comfyumeRoutes } from "./comfyume.ts";
import { systemRoutes } from "./system.ts";
import { templateRoutes } from "./templates.ts";
import { uploadRoutes } from "./upload.ts";
import { uploadsRoutes } from "./uploads.ts";
import { userdataRoutes } from "./userdata.ts";
import { userdataV2Routes } from "./userdata-v2.ts";
import { viewRoutes } from "./view.ts";

export type { SeatContext } from "./context.ts";

const GROUPS = [
  promptRoutes, queueRoutes, historyRoutes, jobRoutes, objectInfoRoutes, viewRoutes, uploadRoutes, uploadsRoutes, userdataRoutes, userdataV2Routes, settingsRoutes,
  modelRoutes, templateRoutes, extensionRoutes, systemRoutes, internalRoutes, comfyumeRoutes,
];

const app = seatRouter();
for (const group of GROUPS) app.route("/", group);
/** Tells an unknown path from an answer of a route; never leaves this file. */
const UNKNOWN = 599;
app.notFound(() => new Response(null, { status: UNKNOWN }));
app.onError((error) => {
  throw error;
});

/**
 * Answers one request of a seat; null when its path is none of ComfyUI's, so that the caller serves the frontend's files.
 * `path` is the raw path inside the seat, with its leading slash. Throws only what the platform throws (object or store not reachable).
 */
export async function serveSeat(request: Request, path: string, seat: SeatContext): Promise<Response | null> {
  if (path === "/") return await firstVisit(request, seat);
  if (path === "/index.html") return null;
  const answer = await app.fetch(request, { path, seat });
  if (answer.status !== UNKNOWN) return answer;
  const allowed = await allowedMethods(path);
  if (request.method === "OPTIONS") return done();
  // As in ComfyUI, whose static handler takes GET of anything: an unknown path is 405 to every other method, a known one is 404 to GET.
  if (request.method !== "GET" && request.method !== "HEAD") return methodNotAllowed((allowed.length > 0 ? allowed : ["GET", "HEAD"]).join(","));
  if (path.startsWith("/api/") || path === "/api" || path.startsWith("/internal/") || allowed.length > 0) return notFound();
  return await serveExtension(path, request, seat);
}

/** Methods that some route of this path takes, in the order aiohttp lists them. */
async function allowedMethods(path: string): Promise<string[]> {
  const routed = (method: string) => app.router.match(method, path)[0].some(([[, route]]) => route.method === method);
  const methods = ["DELETE", "GET", "PATCH", "POST", "PUT"].filter(routed);
  return methods.includes("GET") ? [...methods, "HEAD"].sort() : methods;
}
