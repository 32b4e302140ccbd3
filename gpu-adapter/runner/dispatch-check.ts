// May this dispatch be run here? Signature, time and address, before anything else happens: a leaked provider key alone opens nothing [G9]. Pure but for HMAC.
import { verifyDispatch } from "../canonical.ts";
import { type Dispatch, dispatch as dispatchSchema } from "../contract.ts";

export type Verdict = { ok: true; dispatch: Dispatch } | { ok: false; status: 400 | 401 | 403 | 410; message: string };
export type Gate = { key: string; allowedOrigins: readonly string[] };

/** Clocks of two machines may differ by this much (ms). */
export const CLOCK_SKEW_MS = 60_000;

/** `body` is the parsed JSON of the request; `now` in ms since the epoch. */
export async function checkDispatch(body: unknown, gate: Gate, now: number): Promise<Verdict> {
  const parsed = dispatchSchema.safeParse(body);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    return { ok: false, status: 400, message: `This is not a dispatch: ${issue?.path.join(".") ?? ""} ${issue?.message ?? ""}.` };
  }
  const dispatch = parsed.data;
  // The signature covers every field that was sent, known here or not, so it is checked on the body as it came.
  if (!(await verifyDispatch(body as { sig: string }, gate.key))) return { ok: false, status: 401, message: "The dispatch's signature does not hold. Is COMFYUME_DISPATCH_KEY the key of this pool?" };
  const origin = new URL(dispatch.callback.base_url).origin;
  if (!gate.allowedOrigins.includes(origin)) return { ok: false, status: 403, message: `The dispatch wants to call back ${origin}, which this runner does not serve. Allow it with --allow-origin.` };
  if (dispatch.claim_before + CLOCK_SKEW_MS < now) return { ok: false, status: 410, message: "The dispatch is too old to be claimed." };
  return { ok: true, dispatch };
}
