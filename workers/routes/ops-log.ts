// The event log for the operator [Q5]: lines of JSON from a base on, streamed page by page, as `npm run workshop -- replay` reads them.
// Invariant: never more than one page is held here, however long the log is; a log that breaks off has no last line of kind `end`.
import { Hono } from "hono";
import { z } from "zod";
import type { EdgeEnv } from "../app.ts";
import { opsError, refuse } from "../errors.ts";
import { log, logError } from "../log.ts";
import { openWorkshop } from "../workshop.ts";
import { inWorkshop } from "./ops-request.ts";

export const opsLog = new Hono<EdgeEnv>();
const query = z.object({ since: z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER).default(0) });

opsLog.get("/:workshop/log", (c) =>
  inWorkshop(c, async (workshop) => {
    const asked = query.safeParse(c.req.query());
    if (!asked.success) return opsError(400, "bad_request", "since: must be a revision, a whole number from 0.");
    const { since } = asked.data;
    const first = await openWorkshop(c.env, workshop).logPage(since, null);
    if (!first.ok) return refuse(first, "ops");
    log("ops_export_log", { workshop, since });
    return new Response(pages(c.env, workshop, since, first), { headers: { "content-type": "application/x-ndjson; charset=utf-8", "cache-control": "no-store" } });
  }),
);

type Page = { lines: string; next: string | null };

function pages(env: Env, workshop: string, since: number, first: Page): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let page: Page | null = first;
  let cursor: string | null = first.next;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        // A stub broken by one error stays broken: each page opens its own.
        const answer = page === null ? await openWorkshop(env, workshop).logPage(since, cursor) : { ok: true as const, ...page };
        page = null;
        if (!answer.ok) throw new Error(answer.message);
        controller.enqueue(encoder.encode(answer.lines));
        cursor = answer.next;
        if (cursor === null) controller.close();
      } catch (error) {
        logError("log_export_broken", error, { workshop });
        controller.error(error);
      }
    },
  });
}
