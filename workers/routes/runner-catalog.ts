// What a runner's ComfyUI has [G13]: the report once in the store under its digest, the pool's pointer in the workshop's object. Invariant: a digest names
// one content for ever and for all workshops, so it is computed again here before anything is stored under it, and a web file is stored only with the
// checksum the report gave for it. No workshop's runner can put words into another's catalog.
import { z } from "zod";
import { canonicalJson, sha256Hex } from "../../gpu-adapter/canonical.ts";
import { type CatalogReport, catalogReport } from "../../gpu-adapter/contract.ts";
import { joinMembers, parseJson, rawMembers } from "../../gpu-adapter/json.ts";
import { storeExact } from "../../r2/ingest.ts";
import { catalogKey, catalogWebKey } from "../../r2/keys.ts";
import type { PoolCaller } from "../auth/runner.ts";
import { json, runnerError } from "../errors.ts";
import { offersOf } from "./catalog-offers.ts";
import { check, readJson, type RunnerRequest } from "./runner.ts";

const DIGEST = /^[A-Za-z0-9_-]{16,100}$/;
const MAX_WEB_FILES = 5_000;

/** `only`: the one digest an attempt's token may report; null with a pool's token. */
export async function reportCatalog(c: RunnerRequest, { workshop, pool, door, only }: PoolCaller & { only: string | null }): Promise<Response> {
  const body = await readJson(c);
  if (body instanceof Response) return body;
  const report = check(catalogReport, body.value);
  if (report instanceof Response) return report;
  if (only !== null && report.digest !== only) return runnerError(403, "forbidden", "This token may report only the catalog that was announced with its claim.");
  const { digest: _digest, ...rest } = body.value as CatalogReport;
  if (report.digest !== (await sha256Hex(canonicalJson(rest)))) return runnerError(422, "bad_request", "digest is not the sha256 (lower-case hex) of the canonical JSON of the rest of the report.");
  if (report.web_files.length > MAX_WEB_FILES) return runnerError(400, "bad_request", `A catalog takes ${MAX_WEB_FILES} web files at most.`);
  await c.env.FILES.put(catalogKey(report.digest), asWritten(body.text, report), { onlyIf: { etagDoesNotMatch: "*" }, httpMetadata: { contentType: "application/json" }, customMetadata: { workshop, pool } });
  await door.setCatalog(pool, report.digest, { comfyui_version: comfyVersion(report.system_stats), offers: offersOf(report) });
  const present = await presentFiles(c.env.FILES, report.digest);
  const want_files = report.web_files.flatMap(({ path }) => {
    const key = catalogWebKey(report.digest, path);
    return key === null || present.has(key) ? [] : [path];
  });
  return json({ want_files });
}

/** The report's known members in their own spelling: 8.0 stays 8.0, as pages and validation read it. Defaults for what it left out. */
function asWritten(text: string, report: CatalogReport): string {
  const members = rawMembers(text);
  return joinMembers(Object.entries(report).map(([name, value]) => [name, members.get(name) ?? JSON.stringify(value)] as const));
}

/** `PUT …/catalog/{digest}/web/{path}`; the path's segments come encoded, and are decoded one by one from the raw path. */
export async function putWebFile(c: RunnerRequest, only: string | null): Promise<Response> {
  const digest = c.req.param("digest") ?? "";
  if (only !== null && digest !== only) return runnerError(403, "forbidden", "This token may report only the catalog that was announced with its claim.");
  const raw = c.req.path.slice(c.req.path.indexOf("/web/") + 5);
  const path = decodePath(raw);
  if (!DIGEST.test(digest) || path === null) return runnerError(400, "bad_request", "This is no path of a web file.");
  const stored = await c.env.FILES.get(catalogKey(digest));
  if (stored === null) return runnerError(404, "not_found", "Report the catalog first.");
  const report = catalogReport.pick({ web_files: true }).parse(parseJson(await stored.text()));
  const announced = report.web_files.find((file) => file.path === path);
  const key = catalogWebKey(digest, path);
  if (announced === undefined || key === null) return runnerError(404, "not_found", "The catalog's report names no such file.");
  const outcome = await storeExact(c.env.FILES, key, c.req.raw, { size: announced.size, sha256: announced.sha256, content_type: announced.content_type });
  if (outcome.ok || outcome.reason === "exists") return json({ ok: true });
  return runnerError(422, "bad_request", "The bytes that arrived are not the announced file.");
}

async function presentFiles(bucket: R2Bucket, digest: string): Promise<Set<string>> {
  const found = new Set<string>();
  const prefix = `catalog/${digest}/web/`;
  for (let cursor: string | undefined; ; ) {
    const page = await bucket.list({ prefix, ...(cursor === undefined ? {} : { cursor }) });
    for (const { key } of page.objects) found.add(key);
    if (!page.truncated) return found;
    cursor = page.cursor;
  }
}

function comfyVersion(stats: Record<string, unknown>): string {
  const parsed = z.object({ system: z.object({ comfyui_version: z.string().max(50) }) }).safeParse(stats);
  return parsed.success ? parsed.data.system.comfyui_version : "unknown";
}

function decodePath(raw: string): string | null {
  try {
    const segments = raw.split("/").map(decodeURIComponent);
    return segments.some((segment) => segment === "" || segment === "." || segment === ".." || segment.includes("/")) ? null : segments.join("/");
  } catch {
    return null;
  }
}
