// The operator's commands, behind one bearer token: workshops, seats, passwords, pools, runner tokens. Each can be repeated; none loses anything.
// Answers carry passwords and tokens, so they are never cached, and the log names what was done and to whom, never what was handed out.
import { type Context, Hono } from "hono";
import { z } from "zod";
import type { PoolSetup, Refusal } from "../../durable-objects/contract.ts";
import { openDirectory } from "../../durable-objects/directory.ts";
import type { EdgeEnv } from "../app.ts";
import { may } from "../auth/may.ts";
import { isOperator, signPoolToken } from "../auth/tokens.ts";
import { readText } from "../body.ts";
import { json, opsError, refuse } from "../errors.ts";
import { log } from "../log.ts";
import { INSTRUCTOR, isSeatName, isWorkshopName } from "../names.ts";
import { ensureSeats, firstCredentials, readPasswords, type SeatPassword, type SeatWish, seatNames, withInstructor } from "../provision.ts";
import { forgetIdentity, forgetListing, openWorkshop } from "../workshop.ts";

export const ops = new Hono<EdgeEnv>();
type OpsRequest = Context<EdgeEnv>;

/** A room of people; more is another workshop. */
const MAX_SEATS = 500;
/** Bytes of a command. */
const MAX_BODY = 256 * 1024;

const workshopName = z.string().refine(isWorkshopName, "must be small letters, digits and -, starting with a letter, at most 40, and no reserved word");
const seatName = z.string().refine((name) => isSeatName(name) && name !== INSTRUCTOR, "must be small letters, digits, - and _, starting with a letter, at most 40, and no reserved word");
const prefix = z.string().regex(/^[a-z][a-z0-9_-]{0,30}$/, "must be small letters, digits, - and _, starting with a letter, at most 31");
const poolFields = {
  provider: z.enum(["pull", "local", "verda", "verda-batch", "runpod", "modal"]),
  max_in_flight: z.int().min(0).max(1000),
  lease_ms: z.int().min(1000).max(600_000).optional(),
  claim_ms: z.int().min(1000).max(3_600_000).optional(),
  rate: z.int().min(0).optional(),
  speed: z.number().min(1).max(10_000).optional(),
};
const poolName = z.string().regex(/^[a-z0-9][a-z0-9-]{0,59}$/, "must be small letters, digits and -, at most 60");
const pool = z.object({ id: poolName, ...poolFields });
const newWorkshop = z.object({ workshop: workshopName, title: z.string().min(1).max(200).optional(), seats: z.int().min(0).max(MAX_SEATS).default(20), seat_prefix: prefix.default("user"), pools: z.array(pool).max(20).default([]), limits: z.object({ seat_max: z.int().min(1).max(100_000), queue_max: z.int().min(1).max(100_000), seat_floor: z.int().min(0).max(1000) }).partial().optional() });
const moreSeats = z.union([z.object({ names: z.array(seatName).min(1).max(MAX_SEATS) }), z.object({ count: z.int().min(1).max(MAX_SEATS), prefix: prefix.default("user") })]);

ops.use(async (c, next) => {
  if (isOperator(c.req.raw, c.env.OPERATOR_TOKEN) && may("operator", "ops.command")) return await next();
  return opsError(401, "unauthorized", "Operator commands need Authorization: Bearer with the OPERATOR_TOKEN.", { "www-authenticate": 'Bearer realm="ComfyUMe operator"' });
});

ops.get("/workshops", async (c) => json({ workshops: (await openDirectory(c.env.DIRECTORY).list()).map(({ id, title, created }) => ({ workshop: id, title, created })) }));

/** Creates, or brings an existing one up to the asked seats and pools. Nothing that exists is removed or given a new password. */
ops.post("/workshops", async (c) => {
  const body = await parse(c, newWorkshop);
  if (body instanceof Response) return body;
  const { workshop } = body;
  const title = body.title ?? workshop;
  const wishes = withInstructor(seatNames(body.seat_prefix, body.seats));
  const made = await openWorkshop(c.env, workshop).create({ workshop, title, seats: firstCredentials(c.env.SESSION_SECRET, workshop, wishes), pools: body.pools.map(toPool), ...(body.limits === undefined ? {} : { limits: body.limits }) });
  if (!made.ok && made.reason !== "exists") return refuse(made, "ops");
  const created = made.ok && made.created;
  await openDirectory(c.env.DIRECTORY).enter(workshop, title, Date.now());
  forgetListing(workshop);
  for (const { seat } of wishes) forgetIdentity(workshop, seat);
  const seats = await ensureSeats(c.env, workshop, wishes);
  if (!seats.ok) return refuse(seats, "ops");
  if (!created) {
    const fault = await putPools(c, workshop, body.pools.map(toPool));
    if (fault !== null) return refuse(fault, "ops");
  }
  log("ops_create_workshop", { workshop, created, seats: body.seats, pools: body.pools.length });
  const [instructor, ...others] = seats.seats;
  return json({ workshop, title, created, instructor: { username: INSTRUCTOR, password: instructor?.password ?? "" }, seats: others }, created ? 201 : 200);
});

ops.get("/workshops/:workshop/health", (c) =>
  inWorkshop(c, async (workshop) => {
    const door = openWorkshop(c.env, workshop);
    const health = await door.health();
    return health.ok ? json({ health: health.health, catalogs: (await door.catalogs()).length }) : refuse(health, "ops");
  }),
);

ops.get("/workshops/:workshop/seats", (c) =>
  inWorkshop(c, async (workshop) => {
    const door = openWorkshop(c.env, workshop);
    const listed = await door.seatIds();
    if (!listed.ok) return refuse(listed, "ops");
    const passwords = await readPasswords(c.env, door, workshop, listed.seats);
    if (!Array.isArray(passwords)) return refuse(passwords, "ops");
    const known = new Map(passwords.map(({ seat, password }) => [seat, password]));
    log("ops_list_seats", { workshop });
    return json({ workshop, title: listed.title, seats: listed.seats.map(({ seat, role }) => ({ seat, role, password: known.get(seat) ?? null })) });
  }),
);

ops.post("/workshops/:workshop/seats", (c) =>
  inWorkshop(c, async (workshop) => {
    const body = await parse(c, moreSeats);
    if (body instanceof Response) return body;
    const listed = await openWorkshop(c.env, workshop).seatIds();
    if (!listed.ok) return refuse(listed, "ops");
    const names = "names" in body ? body.names : nextNames(body.prefix, body.count, listed.seats);
    if (listed.seats.length + names.length > MAX_SEATS + 1) return opsError(400, "bad_request", `A workshop has ${MAX_SEATS} seats at most.`);
    const seats = await ensureSeats(c.env, workshop, names.map((seat): SeatWish => ({ seat, role: "participant" })));
    if (!seats.ok) return refuse(seats, "ops");
    log("ops_add_seats", { workshop, added: seats.added.length });
    return json({ workshop, added: seats.added, seats: seats.seats });
  }),
);

/** A new password; every session of the seat ends within seconds. */
ops.post("/workshops/:workshop/seats/:seat/password", (c) =>
  inWorkshop(c, async (workshop) => {
    const seat = c.req.param("seat");
    if (!isSeatName(seat)) return opsError(404, "no_such_seat", "There is no such seat.");
    const listed = await openWorkshop(c.env, workshop).identity(seat);
    if (!listed.ok) return refuse(listed, "ops");
    const renewed = await ensureSeats(c.env, workshop, [{ seat, role: listed.identity.role }], true);
    if (!renewed.ok) return refuse(renewed, "ops");
    log("ops_reset_password", { workshop, seat });
    return json({ workshop, ...(renewed.seats[0] as SeatPassword) });
  }),
);

ops.put("/workshops/:workshop/pools/:pool", (c) =>
  inWorkshop(c, async (workshop) => {
    const body = await parse(c, z.object(poolFields));
    if (body instanceof Response) return body;
    const id = poolName.safeParse(c.req.param("pool"));
    if (!id.success) return opsError(400, "bad_request", `A pool's name ${id.error.issues[0]?.message ?? "is wrong"}.`);
    const fault = await putPools(c, workshop, [toPool({ id: id.data, ...body })]);
    if (fault !== null) return refuse(fault, "ops");
    log("ops_put_pool", { workshop, pool: id.data });
    return json({ workshop, pool: id.data });
  }),
);

/** The token runners of a pool dial in with. `{"renew": true}` ends all earlier ones within half a minute. */
ops.post("/workshops/:workshop/pools/:pool/token", (c) =>
  inWorkshop(c, async (workshop) => {
    const body = await parse(c, z.object({ renew: z.boolean().default(false) }));
    if (body instanceof Response) return body;
    const name = poolName.safeParse(c.req.param("pool"));
    if (!name.success) return opsError(404, "not_found", "There is no such pool.");
    const directory = openDirectory(c.env.DIRECTORY);
    const entry = await directory.find(workshop);
    if (entry === null) return opsError(404, "no_such_workshop", `There is no workshop ${workshop}. Create it first: POST /ops/v1/workshops.`);
    const version = body.renew ? ((await directory.renewToken(workshop, name.data)) ?? 1) : (entry.tokens[name.data] ?? 1);
    forgetListing(workshop);
    log("ops_pool_token", { workshop, pool: name.data, version });
    return json({ workshop, pool: name.data, version, token: signPoolToken(c.env.SESSION_SECRET, { workshop, pool: name.data, version }) });
  }),
);

ops.all("*", () => opsError(404, "not_found", "There is no such operator command."));

async function inWorkshop(c: OpsRequest, serve: (workshop: string) => Promise<Response>): Promise<Response> {
  const workshop = c.req.param("workshop") ?? "";
  return isWorkshopName(workshop) ? await serve(workshop) : opsError(404, "no_such_workshop", "No workshop can have this name.");
}

async function putPools(c: OpsRequest, workshop: string, pools: PoolSetup[]): Promise<Refusal | null> {
  for (const setup of pools) {
    const put = await openWorkshop(c.env, workshop).putPool(setup);
    if (!put.ok) return put;
  }
  return null;
}

function toPool({ id, provider, max_in_flight, lease_ms, claim_ms, rate, speed }: z.infer<typeof pool>): PoolSetup {
  return { id, provider, max_in_flight, ...(lease_ms === undefined ? {} : { lease_ms }), ...(claim_ms === undefined ? {} : { claim_ms }), ...(rate === undefined ? {} : { rate }), ...(speed === undefined ? {} : { speed }) };
}

/** The next free numbers of a prefix, after the highest there is. */
function nextNames(stem: string, count: number, seats: { seat: string }[]): string[] {
  const numbers = seats.flatMap(({ seat }) => (seat.startsWith(stem) && /^\d+$/.test(seat.slice(stem.length)) ? [Number(seat.slice(stem.length))] : []));
  return seatNames(stem, count, Math.max(0, ...numbers) + 1);
}

async function parse<S extends z.ZodType>(c: OpsRequest, schema: S): Promise<z.infer<S> | Response> {
  const text = await readText(c.req.raw, MAX_BODY);
  if (text === null) return opsError(413, "payload_too_large", `A command takes ${MAX_BODY} bytes at most.`);
  let value: unknown;
  try {
    value = text.trim() === "" ? {} : JSON.parse(text);
  } catch {
    return opsError(400, "bad_request", "The body is no JSON.");
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  return opsError(400, "bad_request", `${issue?.path.join(".") || "The body"}: ${issue?.message ?? "is wrong"}.`);
}
