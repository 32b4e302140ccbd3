// ComfyUI's /internal routes, which exist only without /api: the seat's own log, its own files, and names of folders.
import { LOG_TERMINAL } from "../../durable-objects/contract.ts";
import { isRecord, readJson, seatRouter, segment } from "./context.ts";
import { crashed, done, json, tooLarge } from "./answers.ts";
import { currentCatalog } from "./catalog-source.ts";
import { modelFolders } from "./models.ts";

export const internalRoutes = seatRouter();

internalRoutes.get("/internal/logs", async (c) => json((await c.env.seat.rpc.seatLog(c.env.seat.seat)).map((line) => `${line.t} - ${line.m}`).join("")));

internalRoutes.get("/internal/logs/raw", async (c) => json({ entries: await c.env.seat.rpc.seatLog(c.env.seat.seat), size: LOG_TERMINAL }));

// The seat's own lines, as they come, to the sockets of that client id; a stock server would push every line of everybody's run.
internalRoutes.patch("/internal/logs/subscribe", async (c) => {
  const body = await readJson(c.req.raw);
  if (!body.ok) return body.fault === "too_large" ? tooLarge() : crashed();
  if (!isRecord(body.value) || !("clientId" in body.value) || !("enabled" in body.value)) return crashed();
  const { clientId, enabled } = body.value;
  if (typeof clientId === "string" && clientId !== "") await c.env.seat.rpc.subscribeLog(c.env.seat.seat, clientId.slice(0, 200), Boolean(enabled));
  return done();
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
