// Settings and the user record. Invariant: a page that keeps running is never answered 401 here (it would reload for ever); the edge decides that before us.
import { both, isRecord, readJson, seatRouter, segment } from "./context.ts";
import { crashed, done, json } from "./answers.ts";
import { MAX_SETTINGS_BYTES, settingsTooLarge } from "./settings-file.ts";

export const settingsRoutes = seatRouter();

settingsRoutes.on("GET", both("/settings"), async (c) => json(await c.env.seat.rpc.settings(c.env.seat.seat)));

settingsRoutes.on("POST", both("/settings"), async (c) => {
  const body = await readJson(c.req.raw, MAX_SETTINGS_BYTES);
  if (!body.ok) return body.fault === "too_large" ? settingsTooLarge() : crashed();
  if (!isRecord(body.value)) return crashed();
  await c.env.seat.rpc.putSettings(c.env.seat.seat, body.value);
  return done();
});

settingsRoutes.on("GET", both("/settings/:id"), async (c) => {
  const settings = await c.env.seat.rpc.settings(c.env.seat.seat);
  const id = segment(c, "id");
  return json(Object.hasOwn(settings, id) ? (settings[id] ?? null) : null);
});

settingsRoutes.on("POST", both("/settings/:id"), async (c) => {
  const body = await readJson(c.req.raw, MAX_SETTINGS_BYTES);
  if (!body.ok) return body.fault === "too_large" ? settingsTooLarge() : crashed();
  await c.env.seat.rpc.putSettings(c.env.seat.seat, Object.fromEntries([[segment(c, "id"), body.value]]));
  return done();
});

// A seat is one person's single-user ComfyUI: with this answer the page shows no user picker and sends an empty Comfy-User, which we ignore.
settingsRoutes.on("GET", both("/users"), () => json({ storage: "server", migrated: true }));

// Seats are handed out by the instructor; ComfyUI would write a name into a list that nothing reads in single-user mode.
settingsRoutes.on("POST", both("/users"), () => json({ error: "Seats are created by the instructor of the workshop, not from inside one." }, 400));
