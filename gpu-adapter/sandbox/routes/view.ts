// GET /view: a stored file, whole or in part, or re-encoded for previews and mask editing [R http-upload-view].

import { open, readFile, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import sharp from "sharp";
import { annotated, isFileType, mediaType } from "../folders.ts";
import { type Call, type Reply, type Route, empty } from "../http.ts";
import { decodeRgba } from "../pixels/decode.ts";
import { encodePng } from "../pixels/png.ts";
import type { Server } from "../server.ts";

/** Types a browser would run; sent as plain bytes. */
const RISKY = new Set(["text/html", "application/xhtml+xml", "text/javascript", "text/css"]);
const DEFAULT_QUALITY = 90;

/** Where the asked-for file should be, or the status that refuses it. */
function locate(server: Server, query: URLSearchParams): string | number {
  const asked = query.get("filename");
  if (asked === null) return 404;
  const requested = query.get("type") ?? "output";
  const { name, type } = annotated(asked, isFileType(requested) ? requested : "output");
  if (name === "" || name.startsWith("/") || name.includes("..")) return 400;
  if (name === asked && !isFileType(requested)) return 400;
  const folder = server.folders.inside(server.folders.of(type), query.get("subfolder") ?? "");
  return folder === undefined ? 403 : join(folder, basename(name));
}

function disposition(path: string): Record<string, string> {
  const name = basename(path);
  return { "content-disposition": `filename="${/^[\x20-\x7e]*$/.test(name) ? name.replaceAll('"', "'") : encodeURIComponent(name)}"` };
}

async function preview(path: string, wanted: string, channel: string): Promise<Reply> {
  const [format, ...rest] = wanted.split(";");
  const last = rest.at(-1) ?? "";
  const quality = /^\d+$/.test(last) ? Math.min(100, Math.max(1, Number(last))) : DEFAULT_QUALITY;
  const image = sharp(await readFile(path));
  const isJpeg = format === "jpeg" && !channel.includes("a");
  const body = await (isJpeg ? image.removeAlpha().jpeg({ quality }) : image.webp({ quality })).toBuffer();
  return { status: 200, headers: { "content-type": isJpeg ? "image/jpeg" : "image/webp", ...disposition(path) }, body };
}

async function oneChannel(path: string, channel: "rgb" | "a"): Promise<Reply> {
  const { data, info } = await decodeRgba(await readFile(path));
  const pixels = data.length / 4;
  const size = channel === "rgb" ? 3 : 4;
  const result = new Uint8Array(pixels * size);
  for (let i = 0; i < pixels; i++) {
    if (channel === "rgb") result.set(data.subarray(i * 4, i * 4 + 3), i * 3);
    else result[i * 4 + 3] = data[i * 4 + 3] as number;
  }
  return { status: 200, headers: { "content-type": "image/png", ...disposition(path) }, body: await encodePng(result, info.width, info.height, size, [], 6) };
}

interface Range {
  readonly start: number;
  readonly end: number;
}

/** One byte range; undefined means the whole file, "unsatisfiable" a range beyond it. Several ranges are answered whole. */
export function parseRange(header: string | undefined, size: number): Range | "unsatisfiable" | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? "");
  if (match === null || (match[1] === "" && match[2] === "")) return undefined;
  const [, from = "", to = ""] = match;
  if (from === "") return size === 0 || Number(to) === 0 ? "unsatisfiable" : { start: Math.max(0, size - Number(to)), end: size - 1 };
  if (Number(from) >= size) return "unsatisfiable";
  const end = to === "" ? size - 1 : Math.min(Number(to), size - 1);
  return end < Number(from) ? undefined : { start: Number(from), end };
}

async function plain(path: string, call: Call): Promise<Reply> {
  const info = await stat(path, { bigint: true });
  const size = Number(info.size);
  const type = mediaType(path);
  const headers: Record<string, string> = {
    "content-type": RISKY.has(type) ? "application/octet-stream" : type,
    etag: `"${info.mtimeNs.toString(16)}-${size.toString(16)}"`,
    "last-modified": info.mtime.toUTCString(),
    ...disposition(path),
  };
  const known = (call.headers["if-none-match"] ?? "").split(",").map((tag) => tag.trim().replace(/^W\//, ""));
  if (known.includes(headers["etag"] as string) || known.includes("*")) return { status: 304, headers };
  headers["accept-ranges"] = "bytes";
  const range = parseRange(call.headers.range, size);
  if (range === "unsatisfiable") return { status: 416, headers: { ...headers, "content-range": `bytes */${size}` } };
  const { start, end } = range ?? { start: 0, end: size - 1 };
  const file = await open(path);
  try {
    const body = Buffer.alloc(Math.max(0, end - start + 1));
    await file.read(body, 0, body.length, start);
    return range === undefined ? { status: 200, headers, body } : { status: 206, headers: { ...headers, "content-range": `bytes ${start}-${end}/${size}` }, body };
  } finally {
    await file.close();
  }
}

async function view(server: Server, call: Call): Promise<Reply> {
  const delay = server.control.state.view_delay_ms;
  if (delay > 0) await sleep(delay, undefined, { ref: false });
  const query = call.url.searchParams;
  const path = locate(server, query);
  if (typeof path === "number") return empty(path);
  if (!(await stat(path).then((info) => info.isFile(), () => false))) return empty(404);
  const wanted = query.get("preview");
  const channel = query.get("channel");
  if (wanted !== null) return preview(path, wanted, channel ?? "");
  return channel === "rgb" || channel === "a" ? oneChannel(path, channel) : plain(path, call);
}

export function viewRoutes(server: Server): Route[] {
  return [{ method: "GET", path: "/view", at: "both", handle: (call) => view(server, call) }];
}
