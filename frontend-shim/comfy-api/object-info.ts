// The node catalogue of one seat: the GPUs' own object_info with the seat's files in its lists. Half a megabyte, so it carries a validator made of the
// catalog's digest and the lists alone, and is spliced from ready pieces when it has to be sent.
import { seatNodeInfo, seatObjectInfo, seatObjectInfoKey } from "./catalog/index.ts";
import type { SeatFiles } from "./catalog/index.ts";
import { both, seatRouter, segment } from "./context.ts";
import type { SeatContext } from "./context.ts";
import { json, jsonText, matches, validated } from "./answers.ts";
import { currentCatalog } from "./catalog-source.ts";

export const objectInfoRoutes = seatRouter();

objectInfoRoutes.on("GET", both("/object_info"), async (c) => {
  const [catalog, files] = await Promise.all([currentCatalog(c.env.seat), listedFiles(c.env.seat)]);
  // No GPU has ever reported: no nodes, which the page shows as an empty library; POST /prompt says why.
  if (catalog === null) return json({});
  const shown = catalog.merged.shown;
  const etag = await tag(shown.digest, seatObjectInfoKey(shown.object_info, files));
  return validated(matches(c.req.header("if-none-match"), etag) ? null : seatObjectInfo(shown.object_info, files), etag);
});

objectInfoRoutes.on("GET", both("/object_info/:class"), async (c) => {
  const [catalog, files] = await Promise.all([currentCatalog(c.env.seat), listedFiles(c.env.seat)]);
  return jsonText(catalog === null ? "{}" : seatNodeInfo(catalog.merged.shown.object_info, files, segment(c, "class")));
});

/** The seat's input folder, as far as lists need it. */
async function listedFiles(seat: SeatContext): Promise<SeatFiles> {
  const files = await seat.rpc.listFiles(seat.seat, "input", null);
  const inputs = files.map((file) => (file.subfolder === "" ? file.filename : `${file.subfolder}/${file.filename}`));
  return { inputs, exists: (type, subfolder, name) => type === "input" && files.some((file) => file.subfolder === subfolder && file.filename === name) };
}

async function tag(digest: string, lists: string): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(`${digest} ${lists}`));
  return `"${[...new Uint8Array(hash, 0, 16)].map((byte) => byte.toString(16).padStart(2, "0")).join("")}"`;
}
