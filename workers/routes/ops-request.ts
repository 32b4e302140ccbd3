// What every operator command passes first: a workshop that can exist, a body of the command's shape or one sentence that says what is wrong with it.
import type { Context } from "hono";
import type { z } from "zod";
import type { EdgeEnv } from "../app.ts";
import { readText } from "../body.ts";
import { opsError } from "../errors.ts";
import { isWorkshopName } from "../names.ts";

export type OpsRequest = Context<EdgeEnv>;

/** Bytes of a command. */
const MAX_BODY = 256 * 1024;

export async function inWorkshop(c: OpsRequest, serve: (workshop: string) => Promise<Response>): Promise<Response> {
  const workshop = c.req.param("workshop") ?? "";
  return isWorkshopName(workshop) ? await serve(workshop) : opsError(404, "no_such_workshop", "No workshop can have this name.");
}

/** The body by its schema, or the answer that names the field that is wrong. */
export async function parse<S extends z.ZodType>(c: OpsRequest, schema: S): Promise<z.infer<S> | Response> {
  const text = await readText(c.req.raw, MAX_BODY);
  if (text === null) return opsError(413, "payload_too_large", `A command takes ${MAX_BODY} bytes at most. Nothing was changed. Send it in parts.`);
  let value: unknown;
  try {
    value = text.trim() === "" ? {} : JSON.parse(text);
  } catch {
    return opsError(400, "bad_request", "The body is no JSON. Nothing was changed. Correct it and send it again.");
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  return opsError(400, "bad_request", `${wrong(parsed.error, "The body")} Nothing was changed. Correct the body and send it again.`);
}

/** The first thing that is wrong, with the name of its field; `whole` names what was looked at. */
export function wrong(error: z.ZodError, whole: string): string {
  const [issue] = error.issues;
  return `${issue?.path.join(".") || whole}: ${(issue?.message ?? "is wrong").replace(/\.$/, "")}.`;
}
