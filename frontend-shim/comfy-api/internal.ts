// ComfyUI's /internal routes, which exist only without /api: the seat's own log, its own files, and names of folders.
import { isRecord, readJson, seatRouter, segment } from "./context.ts";
import { crashed, done, json, tooLarge } from "./answers.ts";
import { currentCatalog } from "./catalog-source.ts";
import { modelFolders } from "./models.ts";

export const internalRoutes = seatRouter();

/** What the page lays its terminal panel out by; there is no terminal behind a seat's log. */
const TERMINAL = { cols: 120, rows: 40 };

internalRoutes.get("/internal/logs", async (c) => json((await logLines(c.env.seat)).map((line) => `${line.t} - ${line.m}`).join("")));

internalRoutes.get("/internal/logs/raw", async (c) => json({ entries: await logLines(c.env.seat), size: TERMINAL }));

// The log of a seat is read on opening the panel; nothing is pushed. A stock server would push every line of everybody's run.
internalRoutes.patch("/internal/logs/subscribe", async (c) => {
  const body = await readJson(c.req.raw);
  if (!body.ok) return body.fault === "too_large" ? tooLarge() : crashed();
  return isRecord(body.value) && "clientId" in body.value && "enabled" in body.value ? done() : crashed();
});

internalRoutes.get("/internal/files/:type", async (c) => {
  const type = segment(c, "type");
  if (type !== "input" && type !== "output" && type !== "temp") return json({ error: "Invalid directory type" }, 400);
  return json((await c.env.seat.rpc.listFiles(c.env.seat.seat, type, "")).map((file) => file.filename));
});

// Names, not paths: where a GPU keeps its models is no business of a seat, and each GPU may keep them elsewhere.
internalRoutes.get("/internal/folder_paths", async (c) => {
  const catalog = await currentCatalog(c.env.seat);
  return json(Object.fromEntries(modelFolders(catalog).map((folder) => [folder, [`models/${folder}`]])));
});

/** The seat's job log as ComfyUI's lines, each with its line end. */
async function logLines(seat: { rpc: { seatLog(seat: string): Promise<{ t: string; m: string }[]> }; seat: string }): Promise<{ t: string; m: string }[]> {
  return (await seat.rpc.seatLog(seat.seat)).map(({ t, m }) => ({ t, m: m.endsWith("\n") ? m : `${m}\n` }));
}
