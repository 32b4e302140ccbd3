// Who this server says it is: the ComfyUI of the workshop's latest report, without what belongs to that machine alone.
import { MAX_BODY_BYTES, both, isRecord, seatRouter } from "./context.ts";
import { json } from "./answers.ts";
import { currentCatalog } from "./catalog-source.ts";
import type { Report } from "./catalog-source.ts";

export const systemRoutes = seatRouter();

systemRoutes.on("GET", both("/system_stats"), async (c) => json(systemStats((await currentCatalog(c.env.seat))?.reports[0] ?? null)));

// Only what is served here: no `assets`, no Manager, no node replacements. The page takes its flags from the socket, other clients from here.
systemRoutes.on("GET", both("/features"), () => json({ supports_preview_metadata: true, max_upload_size: MAX_BODY_BYTES }));

// As ComfyUI 0.38 with the assets system off. The page asks only when the `assets` flag is true, which ours never is.
for (const path of ["/api/assets", "/api/assets/*", "/api/tags"]) {
  systemRoutes.all(path, () => json({ error: { code: "SERVICE_DISABLED", message: "The assets API is not served by this workshop. Use /view, /upload/image and /jobs.", details: {} } }, 503));
}

/**
 * The report's answer with these members left out: `argv` is made new (`--enable-manager` would switch on a Manager that a seat does not have), and what
 * makes the page warn about versions is dropped, since nobody in a seat can update a GPU's packages and the page is pinned by the platform.
 */
export function systemStats(report: Report | null): unknown {
  const argv = commandLine(report);
  if (report === null) return { system: { os: "posix", ram_total: 0, ram_free: 0, comfyui_version: "unknown", python_version: "unknown", pytorch_version: "unknown", embedded_python: false, argv }, devices: [] };
  const system = isRecord(report.systemStats["system"]) ? report.systemStats["system"] : {};
  const { required_frontend_version: _frontend, comfy_package_versions: _packages, ...rest } = system;
  const devices = report.systemStats["devices"];
  return { system: { ...rest, argv }, devices: Array.isArray(devices) ? devices : [] };
}

/** Without partner nodes ComfyUI is started so, and the page then asks nobody on the internet for release notes at every start. */
function commandLine(report: Report | null): string[] {
  const partners = report !== null && Object.values(report.catalog.object_info).some((info) => info["api_node"] === true);
  return partners ? ["main.py"] : ["main.py", "--disable-api-nodes"];
}
