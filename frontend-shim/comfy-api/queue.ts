// The queue as one seat sees it: its own prompts only. Invariant: nothing here can touch another seat's job, because every call names the seat of the session.
import { both, isRecord, readJson, seatRouter } from "./context.ts";
import type { SeatRequest } from "./context.ts";
import { crashed, done, json, tooLarge } from "./answers.ts";
import { sendPages } from "./prompt-texts.ts";

export const queueRoutes = seatRouter();

queueRoutes.on("GET", both("/queue"), async (c) => {
  const { rpc, seat } = c.env.seat;
  return await sendPages(c.env.seat, await rpc.queuePage(seat, ifNoneMatch(c), null), (after) => rpc.queuePage(seat, null, after));
});

queueRoutes.on("POST", both("/queue"), async (c) => {
  const { rpc, seat } = c.env.seat;
  const body = await readJson(c.req.raw);
  if (!body.ok) return body.fault === "too_large" ? tooLarge() : crashed();
  if (typeof body.value !== "object" || body.value === null) return crashed();
  const order = readOrder(body.value);
  if (order.clear) await rpc.removeWaiting(seat, "all");
  if (order.ids.length > 0) await rpc.removeWaiting(seat, order.ids);
  return done();
});

queueRoutes.on("POST", both("/interrupt"), async (c) => {
  const { rpc, seat } = c.env.seat;
  const body = await readJson(c.req.raw);
  if (!body.ok && body.fault === "too_large") return tooLarge();
  // Malformed JSON counts as no body, which is "whatever of mine runs" (recorded); JSON that is no object is a crash there and here.
  const order = body.ok ? body.value : {};
  if (!isRecord(order)) return crashed();
  const job = order["prompt_id"];
  if (job) await (typeof job === "string" ? rpc.interrupt(seat, job) : Promise.resolve());
  else await rpc.interrupt(seat, null);
  return done();
});

// Accepted and without effect: the models on a shared GPU are everybody's, so no single seat may throw them out. The page only wants its 200.
queueRoutes.on("POST", both("/free"), async (c) => {
  const body = await readJson(c.req.raw);
  if (!body.ok) return body.fault === "too_large" ? tooLarge() : crashed();
  return isRecord(body.value) ? done() : crashed();
});

queueRoutes.on("GET", both("/prompt"), async (c) => json({ exec_info: { queue_remaining: await c.env.seat.rpc.queueRemaining(c.env.seat.seat) } }));

/** The validator of the client's copy; one that a proxy has weakened names the same body. */
export function ifNoneMatch(c: SeatRequest): string | null {
  return c.req.header("if-none-match")?.trim().replace(/^W\//, "") ?? null;
}

/** `{clear, delete}` of POST /queue and POST /history; ids that are no strings name nothing. */
export function readOrder(value: object): { clear: boolean; ids: string[] } {
  const order: Record<string, unknown> = isRecord(value) ? value : {};
  const ids = Array.isArray(order["delete"]) ? order["delete"].filter((id): id is string => typeof id === "string") : [];
  return { clear: Boolean(order["clear"]), ids };
}
