// Custom nodes' browser code: listed and served as their own ComfyUI would, from the report of the GPU they run on.
// Invariant: only files named in a report are served, under the type the report gives; a path is looked up, never built into a key unchecked.
import { both, decodeOnce, seatRouter } from "./context.ts";
import type { SeatContext } from "./context.ts";
import { json } from "./answers.ts";
import { currentCatalog, findWebFile } from "./catalog-source.ts";
import { catalogWebKey } from "../../r2/keys.ts";

export const extensionRoutes = seatRouter();

/** The frontend's own modules; it lists them on a stock server and then skips them, and the ones on a GPU belong to another version of the page. */
const CORE = "/extensions/core/";

/** Our own (frontend-shim/extension), served by the edge; first, so that it runs before what reads the browser's storage. */
const OWN = ["/extensions/comfyume/own-storage.js"];

extensionRoutes.on("GET", both("/extensions"), async (c) => {
  const catalog = await currentCatalog(c.env.seat);
  // Before the first report there are no custom nodes; the page starts with a list and does not without an answer.
  return json([...OWN, ...(catalog?.merged.shown.extensions ?? []).filter((url) => !url.startsWith(CORE))]);
});

/** A file below /extensions/ that is not the page's own; null leaves it to the static files. */
export async function serveExtension(path: string, request: Request, seat: SeatContext): Promise<Response | null> {
  if (!path.startsWith("/extensions/") || path.startsWith(CORE) || (request.method !== "GET" && request.method !== "HEAD")) return null;
  return await webFile(seat, path.slice("/extensions/".length).split("/").map(decodeOnce).join("/"), request);
}

/** One reported web file with its validators; null when no report has it. */
export async function webFile(seat: SeatContext, path: string, request: Request): Promise<Response | null> {
  const catalog = await currentCatalog(seat);
  const found = catalog === null ? null : findWebFile(catalog, path);
  const key = found === null ? null : catalogWebKey(found.digest, path);
  const object: R2Object | R2ObjectBody | null = key === null ? null : await seat.files.get(key, { onlyIf: request.headers });
  if (found === null || object === null) return null;
  // Code runs in the page, so it goes out under its real type: the operator put it on the GPU, no participant can.
  const headers = { "content-type": found.contentType, "cache-control": "no-cache", "x-content-type-options": "nosniff", etag: object.httpEtag, "last-modified": object.uploaded.toUTCString() };
  return isWhole(object) ? new Response(object.body, { headers: { ...headers, "content-length": String(object.size) } }) : new Response(null, { status: 304, headers });
}

/** R2 answers a failed condition with the object's description alone. */
function isWhole(object: R2Object): object is R2ObjectBody {
  return "body" in object;
}
