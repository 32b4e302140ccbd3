// `userdata`: the seat's workflows, subgraphs and small files, with ComfyUI's answers. The name is one raw path segment: `%2F` in it is data.
// Deliberately not as recorded: files and folders the page asks for at every start answer as empty instead of 404, which a browser logs as an error.
import { MAX_BODY_BYTES, both, isTrue, seatRouter } from "./context.ts";
import type { SeatContext, SeatRequest } from "./context.ts";
import { bare, crashed, json, text, tooLarge } from "./answers.ts";
import { currentCatalog } from "./catalog-source.ts";
import { typeByName } from "./media-types.ts";
import { STARTER_PATH, starterWorkflow } from "./starter.ts";
import { decodeName, isListed, normalisePath } from "./userdata-paths.ts";
import { deleteFile, findFile, isFolder, keyOf, listFiles, moveFile, writeFile, writeText } from "./userdata-store.ts";
import type { UserFile, Written } from "./userdata-store.ts";
import { postSettingsFile, readSettingsFile, SETTINGS_FILE } from "./settings-file.ts";
import { serveObject } from "../../r2/serve.ts";

export const userdataRoutes = seatRouter();

/** What the page asks for at every start, with the content it takes for "nothing yet". */
const EMPTY_FILES: { readonly [path: string]: { body: string; type: string } } = {
  "user.css": { body: "", type: "text/css" },
  "comfy.templates.json": { body: "[]", type: "application/json" },
  "workflows/.index.json": { body: '{"favorites":[]}', type: "application/json" },
};
/** Folders every seat has, full or empty. */
const STANDING_FOLDERS = new Set(["workflows", "subgraphs"]);
const BAD_NAME = 'Invalid filename. Please avoid special characters like :\\/*?"<>|';

userdataRoutes.on("GET", both("/userdata"), async (c) => {
  const dir = c.req.query("dir");
  if (!dir) return text("Directory not provided", 400);
  const folder = normalisePath(dir);
  if (folder === null) return text("Invalid directory", 403);
  const seat = c.env.seat;
  if (folder === "workflows") await putStarter(seat);
  const deep = isTrue(c.req.query("recurse"));
  const below = folder === "" ? 0 : folder.length + 1;
  const found = await listFiles(seat, folder, deep);
  if (found.length === 0 && !(await exists(seat, folder))) return text("Directory not found", 404);
  const files = found.map((file) => ({ ...file, path: file.path.slice(below) })).filter((file) => isListed(file.path));
  if (isTrue(c.req.query("full_info"))) return json(files.map(await fileInfo(seat)));
  return json(isTrue(c.req.query("split")) ? files.map((file) => [file.path, ...file.path.split("/")]) : files.map((file) => file.path));
});

userdataRoutes.on("GET", both("/userdata/:file"), async (c) => {
  const path = normalisePath(nameOf(c, "file"));
  if (path === null) return bare(403);
  const seat = c.env.seat;
  if (path === SETTINGS_FILE) return await readSettingsFile(seat);
  const key = path === "" ? null : keyOf(seat, path);
  // The seat's own style sheet must reach its page as one; everything else goes out with the headers of a stranger's file.
  const served = key === null ? null : path === "user.css" ? await styleSheet(seat.files, key) : await serveObject(seat.files, key, c.req.raw, { filename: path, content_type: typeByName(path) });
  if (served !== null) return served;
  const empty = Object.hasOwn(EMPTY_FILES, path) ? EMPTY_FILES[path] : undefined;
  if (empty) return new Response(empty.body, { headers: { "content-type": empty.type, "cache-control": "no-cache" } });
  if (await isFolder(seat, path)) return new Response(null, { status: 403, headers: { "content-type": "application/octet-stream" } });
  return bare(404);
});

userdataRoutes.on("POST", both("/userdata/:file"), async (c) => {
  const path = normalisePath(nameOf(c, "file"));
  if (path === null) return bare(403);
  if (path === SETTINGS_FILE) return await postSettingsFile(c);
  if (path === "" || (await isFolder(c.env.seat, path))) return bare(400, BAD_NAME);
  return await answer(c, await writeFile(c.env.seat, path, c.req.raw, overwrites(c)));
});

userdataRoutes.on("DELETE", both("/userdata/:file"), async (c) => {
  const path = normalisePath(nameOf(c, "file"));
  if (path === null) return bare(403);
  const seat = c.env.seat;
  if ((await findFile(seat, path)) === null) return path === SETTINGS_FILE || !(await isFolder(seat, path)) ? bare(404) : crashed();
  await deleteFile(seat, path);
  return bare(204);
});

userdataRoutes.on("POST", both("/userdata/:file/move/:dest"), async (c) => {
  const [from, to] = [normalisePath(nameOf(c, "file")), normalisePath(nameOf(c, "dest"))];
  if (from === null || to === null) return bare(403);
  const seat = c.env.seat;
  if (from === SETTINGS_FILE || to === SETTINGS_FILE) return text(`${SETTINGS_FILE} holds the settings and cannot be moved or replaced this way. Nothing was changed; use the settings dialog.`, 400);
  if (to === "" || (await isFolder(seat, to))) return bare(400, BAD_NAME);
  const moved = await moveFile(seat, from, to, overwrites(c));
  if (moved !== null) return await answer(c, moved);
  return (await isFolder(seat, from)) ? text("Only files can be moved, not folders. Nothing was changed; move the files one by one.", 400) : bare(404);
});

async function answer(c: SeatRequest, written: Written): Promise<Response> {
  if (written.ok) return json(isTrue(c.req.query("full_info")) ? (await fileInfo(c.env.seat))(written.file) : written.file.path);
  if (written.reason === "exists") return text("File already exists", 409);
  return written.reason === "too_large" ? tooLarge(MAX_BODY_BYTES) : bare(400, BAD_NAME);
}

/** Anything but the word "false" overwrites, and so does saying nothing. */
function overwrites(c: SeatRequest): boolean {
  return c.req.query("overwrite") !== "false";
}

/** Times in the unit of the ComfyUI the seat speaks for: float seconds up to 0.3, whole ms in 0.38; the newest when none has reported. */
async function fileInfo(seat: SeatContext): Promise<(file: UserFile) => unknown> {
  const seconds = (await currentCatalog(seat))?.vocabulary === "0.3.64";
  const time = (ms: number) => (seconds ? ms / 1000 : Math.round(ms));
  return ({ path, size, modified, created }) => ({ path, size, modified: time(modified), created: time(created) });
}

/** The listing of something that is no file and holds none is 404; a file lists as empty, as the real server's glob does. */
async function exists(seat: SeatContext, folder: string): Promise<boolean> {
  return folder === "" || STANDING_FOLDERS.has(folder) || (await isFolder(seat, folder)) || (await findFile(seat, folder)) !== null;
}

async function styleSheet(files: R2Bucket, key: string): Promise<Response | null> {
  const object = await files.get(key);
  return object && new Response(object.body, { headers: { "content-type": "text/css", "cache-control": "no-cache", "x-content-type-options": "nosniff", etag: object.httpEtag } });
}

/** Put once per seat, never over a file, never back after it was deleted: the object remembers that it was done. */
async function putStarter(seat: SeatContext): Promise<void> {
  if (await seat.rpc.once(seat.seat, "starter")) await writeText(seat, STARTER_PATH, JSON.stringify(starterWorkflow(await currentCatalog(seat))), false);
}

/** A name segment of the raw path, decoded as ComfyUI decodes it. */
function nameOf(c: SeatRequest, name: "file" | "dest"): string {
  const parts = c.env.path.split("/");
  const first = parts.indexOf("userdata") + 1;
  return decodeName(parts[name === "file" ? first : first + 2] ?? "");
}
