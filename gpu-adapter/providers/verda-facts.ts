// What Verda's answers say, read leniently: lists of states are open ([G] 1.8), numbers may be texts, new members appear any day. Pure.
import type { Price } from "../port.ts";
import { member, textMember } from "./http.ts";

/** Replica states in which a machine is up and billed. */
const UP = new Set(["running", "healthy", "busy"]);

export function stateOf(json: unknown): string {
  return (textMember(json, "status") ?? "unknown").toLowerCase();
}

/** `{list: [{status}]}`, or the bare list. */
export function replicasOf(json: unknown): { byState: Record<string, number>; up: number } {
  const list = Array.isArray(json) ? json : member(json, "list");
  const byState: Record<string, number> = {};
  let up = 0;
  for (const replica of Array.isArray(list) ? (list as unknown[]) : []) {
    const state = stateOf(replica);
    byState[state] = (byState[state] ?? 0) + 1;
    if (UP.has(state)) up++;
  }
  return { byState, up };
}

/** Price per running replica and hour of the GPU whose model or name this is; null when the list has none. */
export function priceOf(json: unknown, gpu: string, spot: boolean): (Price & { outcome: "known" }) | null {
  if (!Array.isArray(json)) return null;
  const wanted = gpu.toLowerCase();
  const found = (json as unknown[]).find((entry) => [textMember(entry, "model"), textMember(entry, "name"), textMember(entry, "instance_type"), textMember(entry, "id")].some((name) => name?.toLowerCase() === wanted));
  const price = Number(member(found, spot ? "serverless_spot_price" : "serverless_price"));
  if (found === undefined || !Number.isFinite(price)) return null;
  return { outcome: "known", microPerHour: Math.ceil(price * 1_000_000), currency: (textMember(found, "currency") ?? "usd").toUpperCase(), source: "Verda's public price list" };
}
