// What ran, in ComfyUI's own history shape. The bodies are made in the workshop's object and travel on unchanged; here only the query is read.
import { both, readJson, seatRouter, segment } from "./context.ts";
import { crashed, done, jsonText, tooLarge } from "./answers.ts";
import { joined, sendPages } from "./prompt-texts.ts";
import { ifNoneMatch, readOrder } from "./queue.ts";

export const historyRoutes = seatRouter();

historyRoutes.on("GET", both("/history"), async (c) => {
  const { rpc, seat } = c.env.seat;
  const maxItems = readInteger(c.req.query("max_items"));
  const offset = readInteger(c.req.query("offset"));
  if (maxItems === "malformed" || offset === "malformed") return crashed();
  const query = { max_items: maxItems === null ? null : Math.max(0, maxItems), offset: offset === null || offset < 0 ? null : offset };
  return await sendPages(c.env.seat, await rpc.historyPage(seat, query, ifNoneMatch(c), null), (after) => rpc.historyPage(seat, query, null, after));
});

historyRoutes.on("GET", both("/history/:job"), async (c) => {
  return jsonText(await joined(c.env.seat, await c.env.seat.rpc.historyEntry(c.env.seat.seat, segment(c, "job"))));
});

historyRoutes.on("POST", both("/history"), async (c) => {
  const { rpc, seat } = c.env.seat;
  const body = await readJson(c.req.raw);
  if (!body.ok) return body.fault === "too_large" ? tooLarge() : crashed();
  if (typeof body.value !== "object" || body.value === null) return crashed();
  const order = readOrder(body.value);
  if (order.clear) await rpc.deleteHistory(seat, "all");
  if (order.ids.length > 0) await rpc.deleteHistory(seat, order.ids);
  return done();
});

/** A whole number as Python's `int()` reads one; the real server crashes on anything else. */
export function readInteger(value: string | undefined): number | null | "malformed" {
  if (value === undefined) return null;
  if (!/^\s*[+-]?\d+\s*$/.test(value)) return "malformed";
  return Math.max(-Number.MAX_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, Number(value)));
}
