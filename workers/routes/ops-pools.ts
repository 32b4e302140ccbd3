// The operator's commands about pools of GPUs: set up, keys and tokens of their machines. Mounted below /ops/v1/workshops/{workshop}/pools, behind the
// operator's token. Answers with keys in them are never logged.
import { Hono } from "hono";
import { z } from "zod";
import type { PoolSetup, Refusal } from "../../durable-objects/contract.ts";
import { openDirectory } from "../../durable-objects/directory.ts";
import { poolSettings, providerName, settingsFault } from "../../gpu-adapter/pool-settings.ts";
import type { EdgeEnv } from "../app.ts";
import { signPoolToken } from "../auth/tokens.ts";
import { json, opsError, refuse } from "../errors.ts";
import { log } from "../log.ts";
import { forgetListing, openWorkshop } from "../workshop.ts";
import { inWorkshop, type OpsRequest, parse } from "./ops-request.ts";

const poolFields = {
  provider: providerName,
  max_in_flight: z.int().min(0).max(1000),
  lease_ms: z.int().min(1000).max(600_000).optional(),
  claim_ms: z.int().min(1000).max(3_600_000).optional(),
  rate: z.int().min(0).optional(),
  speed: z.int().min(1).max(10_000).optional(),
  ...poolSettings,
};
const poolName = z.string().regex(/^[a-z0-9][a-z0-9-]{0,59}$/, "must be small letters, digits and -, at most 60");
const poolBody = z.object(poolFields).superRefine(checkSettings);
/** A pool in a list, with its name. */
export const pool = z.object({ id: poolName, ...poolFields }).superRefine(checkSettings);

export const opsPools = new Hono<EdgeEnv>();

opsPools.put("/:pool", (c) =>
  inPool(c, async (workshop, id) => {
    const body = await parse(c, poolBody);
    if (body instanceof Response) return body;
    const fault = await putPools(c, workshop, [toPool({ id, ...body })]);
    if (fault !== null) return refuse(fault, "ops");
    log("ops_put_pool", { workshop, pool: id, provider: body.provider });
    return json({ workshop, pool: id });
  }),
);

/** The token runners of a pool dial in with. `{"renew": true}` ends all earlier ones within half a minute. */
opsPools.post("/:pool/token", (c) =>
  inPool(c, async (workshop, name) => {
    const body = await parse(c, z.object({ renew: z.boolean().default(false) }));
    if (body instanceof Response) return body;
    const directory = openDirectory(c.env.DIRECTORY);
    const entry = await directory.find(workshop);
    if (entry === null) return opsError(404, "no_such_workshop", `There is no workshop ${workshop}. Create it first: POST /ops/v1/workshops.`);
    const version = body.renew ? ((await directory.renewToken(workshop, name)) ?? 1) : (entry.tokens[name] ?? 1);
    forgetListing(workshop);
    log("ops_pool_token", { workshop, pool: name, version });
    return json({ workshop, pool: name, version, token: signPoolToken(c.env.SESSION_SECRET, { workshop, pool: name, version }) });
  }),
);

/** The key that the pool's machines check dispatches with: COMFYUME_DISPATCH_KEY of the image [G8]. */
opsPools.post("/:pool/dispatch-key", (c) =>
  inPool(c, async (workshop, id) => {
    const body = await parse(c, z.object({ shared_key: poolSettings.shared_key }));
    if (body instanceof Response) return body;
    const answer = await openWorkshop(c.env, workshop).poolKey(id, body.shared_key);
    if (!answer.ok) return refuse(answer, "ops");
    log("ops_dispatch_key", { workshop, pool: id });
    return json({ workshop, pool: id, dispatch_key: answer.key });
  }),
);

export async function inPool(c: OpsRequest, serve: (workshop: string, pool: string) => Promise<Response>): Promise<Response> {
  return await inWorkshop(c, async (workshop) => {
    const name = poolName.safeParse(c.req.param("pool"));
    return name.success ? await serve(workshop, name.data) : opsError(400, "bad_request", `A pool's name ${name.error.issues[0]?.message ?? "is wrong"}.`);
  });
}

/** Puts pools in order; the address the operator used is where their machines will call back. */
export async function putPools(c: OpsRequest, workshop: string, pools: PoolSetup[]): Promise<Refusal | null> {
  for (const setup of pools) {
    const put = await openWorkshop(c.env, workshop).putPool(setup, originOf(c));
    if (!put.ok) return put;
  }
  return null;
}

export function originOf(c: OpsRequest): string {
  return new URL(c.req.url).origin;
}

/** As stored: without members that were not given. */
export function toPool(body: z.infer<typeof pool>): PoolSetup {
  return Object.fromEntries(Object.entries(body).filter(([, value]) => value !== undefined)) as PoolSetup;
}

function checkSettings(value: z.infer<z.ZodObject<typeof poolFields>>, context: z.RefinementCtx): void {
  const fault = settingsFault(value);
  if (fault !== null) context.addIssue({ code: "custom", message: fault });
}
