// A workshop's own pages: who sits where, sign-in and sign-out, the instructor's dashboard. A cookie is set in one place only, after a right password.
import { type Context, Hono } from "hono";
import { dashboardPage } from "../../frontend-shim/dashboard/page.ts";
import { loginPage, lostPage, workshopPage } from "../../frontend-shim/join/pages.ts";
import type { EdgeEnv } from "../app.ts";
import { checkPassword, identify } from "../auth/identity.ts";
import { type Action, may } from "../auth/may.ts";
import { safeNext } from "../auth/next.ts";
import { newSession, setCookies, signSession } from "../auth/session.ts";
import { readText } from "../body.ts";
import { json, opsError, refuse } from "../errors.ts";
import { log } from "../log.ts";
import { INSTRUCTOR, isSeatName, isWorkshopName, splitPath } from "../names.ts";
import { exists, openWorkshop } from "../workshop.ts";
import { refuseCaller } from "./seat.ts";

export const workshop = new Hono<EdgeEnv>();

/** Bytes of a login form; the password has 26 characters. */
const MAX_FORM = 8 * 1024;

workshop.get("/:workshop", front);
workshop.get("/:workshop/", front);

async function front(c: Context<EdgeEnv>): Promise<Response> {
  const { first } = splitPath(c.req.path);
  if (!isWorkshopName(first) || !(await exists(c.env, first, Date.now()))) return strangeName(c, first);
  if (c.req.path === `/${first}`) return c.redirect(`/${first}/`, 308);
  const answer = await openWorkshop(c.env, first).seatIds();
  if (!answer.ok) return lostPage(`There is no workshop called “${first}”.`);
  return workshopPage(first, answer.title, answer.seats.filter(({ role }) => role === "participant").map(({ seat }) => seat));
}

/** `/user001/` alone is a seat of the default workshop, as it was before there were several. */
function strangeName(c: Context<EdgeEnv>, first: string): Response {
  if (isSeatName(first) && isWorkshopName(c.env.DEFAULT_WORKSHOP)) return c.redirect(`/${c.env.DEFAULT_WORKSHOP}/${first}/`, 302);
  return lostPage(`There is no workshop called “${first.slice(0, 60)}”. Check the address on your card.`);
}

workshop.get("/:workshop/login", async (c) => {
  const { first } = splitPath(c.req.path);
  if (!isWorkshopName(first) || !(await exists(c.env, first, Date.now()))) return lostPage("There is no such workshop. Check the address on your card.");
  return loginPage({ workshop: first, seat: (c.req.query("seat") ?? "").slice(0, 40), next: (c.req.query("next") ?? "").slice(0, 2000) });
});

workshop.post("/:workshop/login", async (c) => {
  const { first } = splitPath(c.req.path);
  const form = await readForm(c.req.raw);
  if (form === null) return opsError(400, "bad_request", "Send the fields seat and password, as a form or as JSON.");
  const seat = (form.seat ?? form.username ?? "").trim().toLowerCase();
  const now = Date.now();
  const checked = isWorkshopName(first) ? await checkPassword(c.req.raw, c.env, first, seat, form.password ?? "", now) : { kind: "wrong" as const };
  // A name that opened nothing may be a password typed into the wrong field: it is not logged.
  log("login", { workshop: first, seat: checked.kind === "right" ? seat : undefined, outcome: checked.kind });
  if (checked.kind === "wait") return loginFault(form, first, seat, 429, `Too many wrong passwords. Wait ${checked.seconds} seconds and try again.`, { "retry-after": String(checked.seconds) });
  if (checked.kind === "wrong") return loginFault(form, first, seat, 401, "Seat and password do not fit together. Look at your card again; the password has 26 small letters and digits.");
  const { role, version } = checked.identity;
  const session = newSession({ workshop: first, seat, role, version }, now);
  const home = role === "instructor" ? `/${first}/dashboard/` : `/${first}/${seat}/`;
  const next = safeNext(form.next, [`/${first}/${seat}/`, ...(role === "instructor" ? [`/${first}/dashboard/`] : [])]) ?? home;
  const answer = form.json ? json({ ok: true, workshop: first, seat, role, next }) : new Response(null, { status: 303, headers: { location: next, "cache-control": "no-store" } });
  for (const cookie of setCookies(session, signSession(c.env.SESSION_SECRET, session), isHttps(c.req.raw))) answer.headers.append("set-cookie", cookie);
  return answer;
});

/** Signing out forgets the browser's copy; a new password for the seat ends every copy there is. */
workshop.post("/:workshop/logout", async (c) => {
  const { first } = splitPath(c.req.path);
  const form = await readForm(c.req.raw);
  const seat = (form?.seat ?? c.req.query("seat") ?? "").trim();
  if (!isWorkshopName(first) || !isSeatName(seat)) return opsError(400, "bad_request", "Say which seat to sign out: the field seat.");
  const role = seat === INSTRUCTOR ? "instructor" : "participant";
  const answer = form?.json === true ? json({ ok: true }) : new Response(null, { status: 303, headers: { location: `/${first}/`, "cache-control": "no-store" } });
  const session = newSession({ workshop: first, seat, role, version: 0 }, Date.now());
  for (const cookie of setCookies(session, "", isHttps(c.req.raw))) answer.headers.append("set-cookie", cookie);
  return answer;
});

workshop.get("/:workshop/dashboard", (c) => c.redirect(`${c.req.path}/`, 308));
workshop.get("/:workshop/dashboard/", (c) => asInstructor(c, "dashboard.read", async (name) => dashboardPage(name)));
workshop.get("/:workshop/dashboard/api/state", (c) =>
  asInstructor(c, "dashboard.read", async (name) => {
    const door = openWorkshop(c.env, name);
    const [health, seats] = await Promise.all([door.health(), door.seatIds()]);
    if (!health.ok) return refuse(health, "ops");
    if (!seats.ok) return refuse(seats, "ops");
    return json({ health: health.health, title: seats.title, seats: seats.seats });
  }),
);
workshop.get("/:workshop/dashboard/api/seats/:name/jobs", (c) =>
  asInstructor(c, "dashboard.read", async (name) => {
    const seat = c.req.param("name");
    if (!isSeatName(seat)) return opsError(404, "no_such_seat", "There is no such seat.");
    const answer = await openWorkshop(c.env, name).jobs(seat, { states: null, workflow_id: null, sort_by: "created_at", descending: true, limit: 25, offset: 0 }, null);
    const rows = (answer.rows ?? []).map(({ job, number, state, created, started, ended }) => ({ job, number, state, created, started, ended }));
    return json({ seat, total: answer.total, jobs: rows });
  }),
);

/** Serves who may do this here; `by` is the seat that asks. */
export async function asInstructor(c: Context<EdgeEnv>, action: Action, serve: (workshop: string, by: string) => Promise<Response>): Promise<Response> {
  const { first } = splitPath(c.req.path);
  if (!isWorkshopName(first)) return opsError(404, "no_such_workshop", "No workshop can have this name. Check the address.");
  const caller = await identify(c.req.raw, c.env, first, INSTRUCTOR, Date.now());
  return caller.kind === "seat" && may(caller.role, action) ? await serve(first, caller.seat) : refuseCaller(c.req.raw, caller, first, INSTRUCTOR, opsError);
}

type Form = { json: boolean; seat?: string; username?: string; password?: string; next?: string };

async function readForm(request: Request): Promise<Form | null> {
  const type = request.headers.get("content-type") ?? "";
  const text = await readText(request, MAX_FORM);
  if (text === null) return null;
  if (!type.includes("json")) return { json: false, ...fields(Object.fromEntries(new URLSearchParams(text))) };
  try {
    return { json: true, ...fields(JSON.parse(text) as unknown) };
  } catch {
    return null;
  }
}

function fields(value: unknown): Omit<Form, "json"> {
  const record = typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  const pick = (name: "seat" | "username" | "password" | "next"): Record<string, string> => (typeof record[name] === "string" ? { [name]: record[name] } : {});
  return { ...pick("seat"), ...pick("username"), ...pick("password"), ...pick("next") };
}

function loginFault(form: Form, name: string, seat: string, status: number, fault: string, headers: Record<string, string> = {}): Response {
  if (form.json) return opsError(status, status === 429 ? "too_many_tries" : "wrong_password", fault, headers);
  return loginPage({ workshop: name, seat: seat.slice(0, 40), next: form.next ?? "", fault, status, headers });
}

function isHttps(request: Request): boolean {
  return new URL(request.url).protocol === "https:";
}
