// Which model files the GPUs say they have. Names only: sizes, dates, covers and headers of files stay on the GPU, so what would need them is a plain 404,
// which the page takes as "nothing to show".
import { both, seatRouter, segment } from "./context.ts";
import { bare, json } from "./answers.ts";
import { currentCatalog } from "./catalog-source.ts";
import type { SeatCatalog } from "./catalog-source.ts";

export const modelRoutes = seatRouter();

/** Folders that hold no models; ComfyUI leaves them out of its model library too. */
const NO_LIBRARY = new Set(["configs", "custom_nodes"]);
/** What ComfyUI counts as a model file; 0.38 names them per folder. */
const EXTENSIONS = [".ckpt", ".pt", ".pt2", ".bin", ".pth", ".safetensors", ".pkl", ".sft"];

modelRoutes.on("GET", both("/models"), async (c) => json(modelFolders(await currentCatalog(c.env.seat))));

modelRoutes.on("GET", both("/models/:folder"), async (c) => {
  const files = modelFiles(await currentCatalog(c.env.seat), segment(c, "folder"));
  return files === null ? bare(404) : json(files);
});

modelRoutes.on("GET", both("/experiment/models"), async (c) => {
  const catalog = await currentCatalog(c.env.seat);
  const extra = catalog?.vocabulary === "0.38" ? { extensions: EXTENSIONS } : {};
  return json(modelFolders(catalog).filter((name) => !NO_LIBRARY.has(name)).map((name) => ({ name, folders: [`models/${name}`], ...extra })));
});

modelRoutes.on("GET", both("/experiment/models/:folder"), async (c) => {
  const files = modelFiles(await currentCatalog(c.env.seat), segment(c, "folder"));
  return files === null ? bare(404) : json(files.map((name) => ({ name, pathIndex: 0 })));
});

modelRoutes.on("GET", both("/experiment/models/preview/*"), () => bare(404));

modelRoutes.on("GET", both("/view_metadata/:folder"), () => bare(404));

modelRoutes.on("GET", both("/embeddings"), async (c) => {
  return json((await currentCatalog(c.env.seat))?.merged.shown.embeddings ?? []);
});

// Translations that custom nodes bring along; the page has its own.
modelRoutes.on("GET", both("/i18n"), async (c) => json((await currentCatalog(c.env.seat))?.merged.shown.i18n ?? {}));

export function modelFolders(catalog: SeatCatalog | null): string[] {
  return Object.keys(catalog?.merged.shown.models ?? {});
}

/** Every file of a folder on any pool; null for a folder no GPU has. */
function modelFiles(catalog: SeatCatalog | null, folder: string): readonly string[] | null {
  const models = catalog?.merged.shown.models ?? {};
  return Object.hasOwn(models, folder) ? (models[folder] ?? null) : null;
}
