// The operator's commands, behind one bearer token: workshops, seats, passwords, pools, runner tokens. Each can be repeated; none loses anything.
// Answers carry passwords and tokens, so they are never cached, and the log names what was done and to whom, never what was handed out.
import { Hono } from "hono";
import { z } from "zod";
import { openDirectory } from "../../durable-objects/directory.ts";
import { readUploads } from "../../r2/presign-settings.ts";
import type { EdgeEnv } from "../app.ts";
import { may } from "../auth/may.ts";
import { isOperator } from "../auth/tokens.ts";
import { json, opsError, refuse } from "../errors.ts";
import { log } from "../log.ts";
import { INSTRUCTOR, isSeatName, isWorkshopName } from "../names.ts";
import { ensureSeats, firstCredentials, readPasswords, type SeatPassword, type SeatWish, seatNames, withInstructor } from "../provision.ts";
import { forgetIdentity, forgetListing, openWorkshop } from "../workshop.ts";
import { opsLog } from "./ops-log.ts";
import { opsGpus } from "./ops-gpus.ts";
import { opsPools, originOf, pool, putPools, toPool } from "./ops-pools.ts";
import { inWorkshop, parse } from "./ops-request.ts";

export const ops = new Hono<EdgeEnv>();

/** A room of people; more is another workshop. */
const MAX_SEATS = 500;

const workshopName = z.string().refine(isWorkshopName, "must be small letters, digits and -, starting with a letter, at most 40, and no reserved word");
const seatName = z.string().refine((name) => isSeatName(name) && name !== INSTRUCTOR, "must be small letters, digits, - and _, starting with a letter, at most 40, and no reserved word");
const prefix = z.string().regex(/^[a-z][a-z0-9_-]{0,30}$/, "must be small letters, digits, - and _, starting with a letter, at most 31");
const newWorkshop = z.object({ workshop: workshopName, title: z.string().min(1).max(200).optional(), seats: z.int().min(0).max(MAX_SEATS).default(20), seat_prefix: prefix.default("user"), pools: z.array(pool).max(20).default([]), slots: z.int().min(0).max(1000).optional(), limits: z.object({ seat_max: z.int().min(1).max(100_000), queue_max: z.int().min(1).max(100_000), seat_floor: z.int().min(0).max(1000) }).partial().optional() });
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
  const made = await openWorkshop(c.env, workshop).create({ workshop, title, seats: firstCredentials(c.env.SESSION_SECRET, workshop, wishes), pools: body.pools.map(toPool), origin: originOf(c), ...(body.slots === undefined ? {} : { slots: body.slots }), ...(body.limits === undefined ? {} : { limits: body.limits }) });
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
    return health.ok ? json({ health: health.health, catalogs: (await door.catalogs()).length, uploads: describeUploads(c.env) }) : refuse(health, "ops");
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

ops.route("/workshops/:workshop/pools", opsPools);
ops.route("/workshops/:workshop", opsGpus);
ops.route("/workshops", opsLog);

ops.all("*", () => opsError(404, "not_found", "There is no such operator command."));

/** The next free numbers of a prefix, after the highest there is. */
function nextNames(stem: string, count: number, seats: { seat: string }[]): string[] {
  const numbers = seats.flatMap(({ seat }) => (seat.startsWith(stem) && /^\d+$/.test(seat.slice(stem.length)) ? [Number(seat.slice(stem.length))] : []));
  return seatNames(stem, count, Math.max(0, ...numbers) + 1);
}

/** Where runners write their files, or why they cannot: seen before a run has spent its GPU time. */
function describeUploads(env: Env): { to: string; fault?: string } {
  const uploads = readUploads(env);
  return uploads.to === "nowhere" ? { to: uploads.to, fault: uploads.fault } : { to: uploads.to };
}
