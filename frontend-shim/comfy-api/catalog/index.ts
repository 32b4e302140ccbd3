// The door of the catalog: what the GPUs say they have, as a seat sees it.
export type * from "./types.ts";
export { parseJson, stringifyJson } from "./json.ts";
export { loadCatalog } from "./load-catalog.ts";
export { type MergedCatalogs, mergeCatalogs, onSomeGpus, type PoolCatalog } from "./merge-catalogs.ts";
export { nearestNames } from "./nearest-names.ts";
export { rememberText } from "./object-info-text.ts";
export { seatNodeInfo, seatObjectInfo, seatObjectInfoKey } from "./seat-object-info.ts";
