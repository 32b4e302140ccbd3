// On a real server the settings are a file among the user data; here they are rows of the workshop's object, shown under that file's name.
// Invariant: there is one truth of the settings; the file can be read and added to, never moved, deleted or replaced by something else.
import { isRecord, readJson } from "./context.ts";
import type { SeatContext, SeatRequest } from "./context.ts";
import { json, text } from "./answers.ts";

export const SETTINGS_FILE = "comfy.settings.json";
/** Bytes of one settings body. Settings live in rows of the object; the stock frontend's whole set is some kB. */
export const MAX_SETTINGS_BYTES = 1024 * 1024;

export async function readSettingsFile(seat: SeatContext): Promise<Response> {
  return new Response(fileText(await seat.rpc.settings(seat.seat)), { headers: { "content-type": "application/json", "cache-control": "no-cache", "x-content-type-options": "nosniff" } });
}

export async function postSettingsFile(c: SeatRequest): Promise<Response> {
  const body = await readJson(c.req.raw, MAX_SETTINGS_BYTES);
  if (!body.ok && body.fault === "too_large") return settingsTooLarge();
  if (!body.ok || !isRecord(body.value)) return text(`${SETTINGS_FILE} must be a JSON object of settings by name. Nothing was changed.`, 400);
  await c.env.seat.rpc.putSettings(c.env.seat.seat, body.value);
  return json(SETTINGS_FILE);
}

/** The file's entry in a listing, once there is a setting. Its time of change is not kept, so none is told. */
export async function settingsEntry(seat: SeatContext): Promise<{ name: string; path: string; type: "file"; size: number }[]> {
  const settings = await seat.rpc.settings(seat.seat);
  if (Object.keys(settings).length === 0) return [];
  return [{ name: SETTINGS_FILE, path: SETTINGS_FILE, type: "file", size: new TextEncoder().encode(fileText(settings)).byteLength }];
}

export function settingsTooLarge(): Response {
  return text(`Settings may have ${MAX_SETTINGS_BYTES} bytes in one request. Nothing was changed.`, 413);
}

/** Four spaces, as ComfyUI writes it. */
function fileText(settings: Record<string, unknown>): string {
  return JSON.stringify(settings, null, 4);
}
