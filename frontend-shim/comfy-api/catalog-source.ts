// Where a seat's catalog comes from: the workshop names the digest of each pool, the bucket keeps each distinct report once, the isolate keeps the parsed ones.
// Invariant: the last report serves while every GPU sleeps; nothing is asked of a GPU here. Cached are values, never promises: a Worker may not await
// another request's I/O.
import { loadCatalog, mergeCatalogs } from "./catalog/index.ts";
import type { Catalog, MergedCatalogs } from "./catalog/index.ts";
import { rawMembers } from "../../gpu-adapter/json.ts";
import { vocabularyOf } from "./validation/index.ts";
import type { Vocabulary } from "./validation/index.ts";
import { catalogKey } from "../../r2/keys.ts";
import type { PoolCatalog } from "../../durable-objects/contract.ts";
import { isRecord } from "./context.ts";
import type { SeatContext } from "./context.ts";

export type WebFile = { path: string; contentType: string };
export type Report = { digest: string; catalog: Catalog; systemStats: Record<string, unknown>; webFiles: WebFile[] };

/** What a seat of this workshop is shown and held to. */
export type SeatCatalog = {
  /** Most recent first; never empty. */
  reports: Report[];
  merged: MergedCatalogs;
  /** Of the ComfyUI that reported last: the one the seat speaks for. */
  vocabulary: Vocabulary;
};

/** Parsed reports per isolate; one is some MB in memory, and a workshop has as many as it has kinds of GPU image. */
const MAX_REPORTS = 6;
const MAX_MERGED = 6;
/** ms that a workshop's list of digests is taken as still true. */
const LIST_MS = 2000;
const MAX_LISTS = 200;

const reports = new Map<string, Report>();
const merged = new Map<string, SeatCatalog>();
const lists = new Map<string, { until: number; pools: PoolCatalog[] }>();

/** The workshop's catalog; null when no GPU has ever reported one. */
export async function currentCatalog(seat: SeatContext): Promise<SeatCatalog | null> {
  const pools = await poolCatalogs(seat);
  const key = pools.map(({ pool, digest }) => `${pool}=${digest}`).join(" ");
  const known = merged.get(key);
  if (known) return known;
  const found = await reportsOf(seat.files, pools);
  const latest = found[0]?.report;
  const both = mergeCatalogs(found.map(({ pool, report }) => ({ pool, catalog: report.catalog })));
  if (latest === undefined || both === undefined) return null;
  const catalog: SeatCatalog = { reports: [...new Set(found.map(({ report }) => report))], merged: both, vocabulary: vocabularyOf(latest.catalog.versions.comfyui) };
  // A report that is named but not stored yet will be in a moment: what is missing it must not be kept.
  if (found.length === pools.length) remember(merged, key, catalog, MAX_MERGED);
  return catalog;
}

/** Each pool's report, where it is stored; in the order of `pools`. */
export async function reportsOf(files: R2Bucket, pools: readonly PoolCatalog[]): Promise<{ pool: string; report: Report }[]> {
  const found: { pool: string; report: Report }[] = [];
  for (const { pool, digest } of pools) {
    const report = reports.get(digest) ?? (await loadReport(files, digest));
    if (report) found.push({ pool, report });
  }
  return found;
}

/** The report that holds a custom node's web file, with its type; null when none does. */
export function findWebFile(catalog: SeatCatalog, path: string): { digest: string; contentType: string } | null {
  for (const report of catalog.reports) {
    const file = report.webFiles.find((candidate) => candidate.path === path);
    if (file) return { digest: report.digest, contentType: file.contentType };
  }
  return null;
}

/** A stored report (`catalogReport` of the runner contract, checked when it came in). */
export function readReport(digest: string, text: string): Report {
  const members = rawMembers(text);
  const member = (name: string): unknown => JSON.parse(members.get(name) ?? "null");
  const systemStats = member("system_stats");
  const webFiles = member("web_files");
  return {
    digest,
    catalog: { ...loadCatalog(text), digest },
    systemStats: isRecord(systemStats) ? systemStats : {},
    webFiles: (Array.isArray(webFiles) ? webFiles : []).filter(isRecord).flatMap(readWebFile),
  };
}

function readWebFile(file: Record<string, unknown>): WebFile[] {
  const { path, content_type: type } = file;
  return typeof path === "string" ? [{ path, contentType: typeof type === "string" ? type : "application/octet-stream" }] : [];
}

async function poolCatalogs(seat: SeatContext): Promise<PoolCatalog[]> {
  const now = Date.now();
  const known = lists.get(seat.workshop);
  if (known && known.until > now) return known.pools;
  const pools = await seat.rpc.catalogs();
  // A workshop without a catalog is asked each time: its first report is what everybody waits for.
  if (pools.length > 0) remember(lists, seat.workshop, { until: now + LIST_MS, pools }, MAX_LISTS);
  return pools;
}

async function loadReport(files: R2Bucket, digest: string): Promise<Report | null> {
  const object = await files.get(catalogKey(digest));
  if (object === null) return null;
  const report = readReport(digest, await object.text());
  remember(reports, digest, report, MAX_REPORTS);
  return report;
}

/** Keeps at most `max`; the one put in first goes. */
function remember<T>(map: Map<string, T>, key: string, value: T, max: number): void {
  map.delete(key);
  map.set(key, value);
  const [oldest] = map.keys();
  if (map.size > max && oldest !== undefined) map.delete(oldest);
}
