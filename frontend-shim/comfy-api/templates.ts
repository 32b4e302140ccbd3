// The template browser and the small files the page asks for at start. The official templates package is not part of a seat: its graphs name models that a
// workshop's GPUs may not have. What stands instead is the starter workflow and the workshop's own templates, each with a word where no GPU has what it
// needs; each empty answer below keeps the page from logging a failed request.
import type { Context } from "hono";
import { both, seatRouter, segment } from "./context.ts";
import type { SeatEnv } from "./context.ts";
import { bare, json, matches, notFound } from "./answers.ts";
import { currentCatalog, findWebFile } from "./catalog-source.ts";
import { webFile } from "./extensions.ts";
import type { SeatCatalog } from "./catalog-source.ts";
import { STARTER_TEMPLATE, STARTER_TILE, starterEntry, starterWorkflow } from "./starter.ts";
import { factsOf } from "./template-check.ts";
import { type Template, TEMPLATES as SHIPPED, checkTemplate, inShort, tileOf } from "./templates/index.ts";

/** Folder of custom nodes' templates among the web files of a report. */
const TEMPLATES = "workflow_templates";

export const templateRoutes = seatRouter();

templateRoutes.get("/templates/index.json", (c) => index(c));
templateRoutes.get(`/templates/${STARTER_TEMPLATE}.json`, async (c) => fixed(c, JSON.stringify(starterWorkflow(await currentCatalog(c.env.seat))), "application/json"));
// Our own drawing, nothing of a person's in it: safe to show inline as SVG.
templateRoutes.get(`/templates/${STARTER_TEMPLATE}-1.svg`, (c) => fixed(c, STARTER_TILE, "image/svg+xml"));
// No logos of partner models: there are no partner nodes.
templateRoutes.get("/templates/index_logo.json", (c) => fixed(c, "{}", "application/json"));
// `null` leaves the page's own search settings in force (frontend 1.37 asks; a 404 is a console error there).
templateRoutes.get("/templates/fuse_options.json", (c) => fixed(c, "null", "application/json"));
// Translated indexes: the page asks for `index.<locale>.json` and takes English when it is the same.
templateRoutes.get("/templates/:file{index\\.[A-Za-z-]+\\.json}", (c) => index(c));
for (const template of SHIPPED) {
  templateRoutes.get(`/templates/${template.name}.json`, (c) => fixed(c, JSON.stringify(template.workflow()), "application/json"));
  templateRoutes.get(`/templates/${template.name}-1.svg`, (c) => fixed(c, tileOf(template), "image/svg+xml"));
}
templateRoutes.get("/templates/:file", () => notFound());

// Custom nodes' templates: listed only if their files came with the catalog, since a tile without its graph would fail when clicked.
templateRoutes.on("GET", both("/workflow_templates"), async (c) => {
  const catalog = await currentCatalog(c.env.seat);
  if (catalog === null) return json({});
  const listed = Object.entries(catalog.merged.shown.templates).map(([pack, names]) => [pack, names.filter((name) => findWebFile(catalog, `${TEMPLATES}/${pack}/${name}.json`) !== null)] as const);
  return json(Object.fromEntries(listed.filter(([, names]) => names.length > 0)));
});

templateRoutes.get("/api/workflow_templates/:pack/:file", async (c) => (await webFile(c.env.seat, `${TEMPLATES}/${segment(c, "pack")}/${segment(c, "file")}`, c.req.raw)) ?? notFound());

// The document links both style sheets at every load; a 404 would be a console error each time. The bare one is ComfyUI's (empty), the other is the seat's.
templateRoutes.get("/user.css", (c) => fixed(c, "", "text/css"));

// Blueprints, replacements: none of ours, and custom nodes' ones are not part of a catalog report. Constants known safe (docs/spec/comfy-api.md, 2).
templateRoutes.on("GET", both("/global_subgraphs"), () => json({}));
templateRoutes.on("GET", both("/global_subgraphs/:id"), () => bare(404));
templateRoutes.on("GET", both("/node_replacements"), () => json({}));

/** One module with the workshop's templates, in the shape of the official package's index. `mediaType` is the tile's. */
async function index(c: Context<SeatEnv>): Promise<Response> {
  const catalog = await currentCatalog(c.env.seat);
  const shipped = SHIPPED.map((template) => ({ name: template.name, title: template.title, description: described(template, catalog), mediaType: "image", mediaSubtype: "svg", tags: template.tags }));
  return await fixed(c, JSON.stringify([{ moduleName: "default", title: "Workshop", type: "image", templates: [starterEntry(), ...shipped] }]), "application/json");
}

/** Its description; a prompt passes only when every pool has all of it, so what any of them lacks is said here. */
function described(template: Template, catalog: SeatCatalog | null): string {
  if (catalog === null) return template.description;
  const { accepted, lacks } = checkTemplate(template, catalog.reports.map((report) => factsOf(report.digest, report)));
  return accepted ? template.description : `${template.description} Not in this workshop yet: its GPUs lack ${inShort(lacks)}.`;
}

async function fixed(c: Context<SeatEnv>, body: string, type: string): Promise<Response> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(body));
  const etag = `"${[...new Uint8Array(digest, 0, 12)].map((byte) => byte.toString(16).padStart(2, "0")).join("")}"`;
  const headers = { "content-type": type, etag, "cache-control": "no-cache" };
  return matches(c.req.header("if-none-match"), etag) ? new Response(null, { status: 304, headers }) : new Response(body, { headers });
}
