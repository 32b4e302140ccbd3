// How many machines a pool should keep up now, and when that changes: the operator's word first, then the booked sessions. Pure.
import type { Session } from "../../gpu-adapter/pool-settings.ts";

/** An operator's own word; ends by itself, so that a forgotten `warm` stops costing money. Times ms since the epoch. */
export type Order = { replicas: number; until: number };
export type Wish = { replicas: number; why: "order" | "session" | "none"; until: number | null };

/** `leadMs`: machines of a session begin to start this long before it, so that they are up when it begins. */
export function wishAt(sessions: readonly Session[], order: Order | null, leadMs: number, now: number): Wish {
  if (order !== null && now < order.until) return { replicas: order.replicas, why: "order", until: order.until };
  const running = sessions.filter(({ from, to }) => now >= from - leadMs && now < to);
  const largest = running.sort((a, b) => b.replicas - a.replicas || b.to - a.to)[0];
  return largest === undefined ? { replicas: 0, why: "none", until: null } : { replicas: largest.replicas, why: "session", until: largest.to };
}

/** The next moment after `now` at which `wishAt` may answer otherwise; null when there is none. */
export function nextChange(sessions: readonly Session[], order: Order | null, leadMs: number, now: number): number | null {
  const moments = [...sessions.flatMap(({ from, to }) => [from - leadMs, to]), ...(order === null ? [] : [order.until])].filter((at) => at > now);
  return moments.length === 0 ? null : Math.min(...moments);
}

/** `cool`: nothing is kept up any more; during a session until its end, otherwise the order simply goes. */
export function coolOrder(sessions: readonly Session[], leadMs: number, now: number): Order | null {
  const { why, until } = wishAt(sessions, null, leadMs, now);
  return why === "session" && until !== null ? { replicas: 0, until } : null;
}

/** Nearest-rank quantile of a list; null of an empty one. */
export function quantile(values: readonly number[], q: number): number | null {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? null;
}
