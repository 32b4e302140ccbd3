// Exchanges recorded from a real ComfyUI, as the runner's tests need them.
import { readFileSync } from "node:fs";
import { join } from "node:path";

export type Recorded = { dir: string; text?: string; method?: string; path?: string; status?: number; response_json?: unknown; json?: { type: string; data: Record<string, unknown> }; binary?: { header_hex: string; len: number } };

export function recording(name: string): Recorded[] {
  return (JSON.parse(readFileSync(join(import.meta.dirname, "../../recordings", `${name}.json`), "utf8")) as { events: Recorded[] }).events;
}

/** The events between the note with this text and the next note. */
export function after(events: Recorded[], note: string): Recorded[] {
  const from = events.findIndex((event) => event.dir === "note" && event.text === note);
  if (from < 0) throw new Error(`no note "${note}"`);
  const to = events.findIndex((event, index) => index > from && event.dir === "note");
  return events.slice(from + 1, to < 0 ? undefined : to);
}

export function historyOf(events: Recorded[]): { outputs: Record<string, unknown>; status: { status_str: string; messages: [string, Record<string, unknown>][] } } {
  const body = events.find((event) => event.path?.includes("/history/"))?.response_json as Record<string, never>;
  const [entry] = Object.values(body);
  if (entry === undefined) throw new Error("no history in this part");
  return entry;
}
