// What a browser that never opened this seat is shown: the starter workflow, by way of `?template=`, the page's own way to open with a given graph.
// Without it the page opens its built-in example, whose model a workshop's GPUs rarely have, so that the first Run anybody tries would fail.
import type { SeatContext } from "./context.ts";
import { currentCatalog } from "./catalog-source.ts";
import { STARTER_TEMPLATE } from "./starter.ts";

/** Tells this browser's first visit from later ones, whose open tabs the page restores itself. Holds nothing. */
const SEEN = "comfyume_seen";
const A_YEAR_S = 31_536_000;

/** The answer to a first visit of the document, null for every other request. Not before the catalog is known: the page would call every node missing. */
export async function firstVisit(request: Request, seat: SeatContext): Promise<Response | null> {
  const url = new URL(request.url);
  const opensPage = request.method === "GET" && url.search === "" && (request.headers.get("accept") ?? "").includes("text/html");
  if (!opensPage || new RegExp(`(?:^|;\\s*)${SEEN}=`).test(request.headers.get("cookie") ?? "")) return null;
  const catalog = await currentCatalog(seat);
  if (catalog === null || !Object.hasOwn(catalog.merged.shown.object_info, "CheckpointLoaderSimple")) return null;
  // A person known from another browser is a newcomer to this one: else the page would put its example into a tab beside the starter.
  const settings = await seat.rpc.settings(seat.seat);
  if (settings["Comfy.TutorialCompleted"] === true) await seat.rpc.putSettings(seat.seat, { "Comfy.TutorialCompleted": false });
  const cookie = `${SEEN}=1; Path=${url.pathname}; Max-Age=${A_YEAR_S}; HttpOnly; SameSite=Lax${url.protocol === "https:" ? "; Secure" : ""}`;
  return new Response(null, { status: 302, headers: { location: `?template=${STARTER_TEMPLATE}`, "set-cookie": cookie, "cache-control": "no-store" } });
}
