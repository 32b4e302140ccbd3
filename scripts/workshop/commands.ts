// The commands of `npm run workshop`: each one or two calls of the operator's door, and what to print of the answer.
import { createWriteStream, readFileSync } from "node:fs";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { CommandError, type Operator, UsageError } from "./operator.ts";
import { dispatchLine, logLines, replayLog, verdictLines } from "./replay.ts";

export type Options = { [name: string]: string | boolean | string[] | undefined };
export type Call = { operator: () => Operator; args: string[]; options: Options; say: (line: string) => void };
/** Answers the exit code. */
export type Command = { usage: string; says: string; takes: readonly string[]; run: (call: Call) => Promise<number> };

type Seat = { seat: string; role?: string; password: string | null };
type Health = { health: { revision: number; mode: string; switches: string; jobs: { waiting: number; live: number; ended: number }; runners: { id: string; pool: string; says: string; gpu: string | null }[]; seats: number; sockets: number } };

export const COMMANDS: { readonly [name: string]: Command } = {
  list: { usage: "list", says: "all workshops", takes: [], run: list },
  create: { usage: "create NAME [--title TEXT] [--seats 20] [--prefix user] [--pool ID:PROVIDER:SLOTS …]", says: "create a workshop, or bring one up to these seats and pools; prints the passwords", takes: ["title", "seats", "prefix", "pool"], run: create },
  seats: { usage: "seats NAME [--add 5 [--prefix user] | --names ada,bob]", says: "seats with their passwords; with --add or --names, more of them", takes: ["add", "prefix", "names"], run: seats },
  password: { usage: "password NAME SEAT", says: "a new password for a seat; its sessions end", takes: [], run: renewPassword },
  pools: { usage: "pools NAME POOL --provider PROVIDER --slots N [--settings FILE.json]", says: "set up a pool of GPUs or change it", takes: ["provider", "slots", "settings"], run: pools },
  token: { usage: "token NAME POOL [--renew]", says: "the token runners of a pool dial in with; --renew ends the earlier ones", takes: ["renew"], run: token },
  health: { usage: "health NAME", says: "queue, runners and pages as they are", takes: [], run: health },
  log: { usage: "log NAME [--since REVISION] [--out FILE]", says: "the event log as lines of JSON", takes: ["since", "out"], run: log },
  replay: { usage: "replay FILE | NAME | - [--quiet]", says: "run a log through the queue again: its dispatches, and whether it ends as the workshop did", takes: ["quiet"], run: replay },
};

async function list({ operator, options, say }: Call): Promise<number> {
  const answer = await operator().ask<{ workshops: { workshop: string; title: string; created: number }[] }>("GET", "/workshops");
  if (asJson(options, answer, say)) return 0;
  if (answer.workshops.length === 0) say("No workshop yet. Make one: npm run workshop -- create NAME");
  for (const { workshop, title, created } of answer.workshops) say(`${workshop.padEnd(24)} ${new Date(created).toISOString().slice(0, 10)}  ${title}`);
  return 0;
}

async function create({ operator, args, options, say }: Call): Promise<number> {
  const workshop = name(args, 0, "create NAME");
  const answer = await operator().ask<{ created: boolean; instructor: { username: string; password: string }; seats: Seat[] }>("POST", "/workshops", {
    workshop,
    ...(typeof options.title === "string" ? { title: options.title } : {}),
    ...(options.seats === undefined ? {} : { seats: whole(options, "seats") }),
    ...(typeof options.prefix === "string" ? { seat_prefix: options.prefix } : {}),
    ...(Array.isArray(options.pool) ? { pools: options.pool.map(poolOf) } : {}),
  });
  if (asJson(options, answer, say)) return 0;
  say(answer.created ? `Created ${workshop}: ${operator().url}/${workshop}/` : `${workshop} was there already: ${operator().url}/${workshop}/`);
  say(`${"instructor".padEnd(16)} ${answer.instructor.password}  ${operator().url}/${workshop}/dashboard/`);
  for (const seat of answer.seats) say(`${seat.seat.padEnd(16)} ${seat.password}`);
  return 0;
}

async function seats({ operator, args, options, say }: Call): Promise<number> {
  const workshop = name(args, 0, "seats NAME");
  const path = `/workshops/${workshop}/seats`;
  const wish = typeof options.names === "string" ? { names: options.names.split(",").map((one) => one.trim()) } : options.add === undefined ? null : { count: whole(options, "add"), ...(typeof options.prefix === "string" ? { prefix: options.prefix } : {}) };
  const answer = wish === null ? await operator().ask<{ seats: Seat[] }>("GET", path) : await operator().ask<{ seats: Seat[] }>("POST", path, wish);
  if (asJson(options, answer, say)) return 0;
  for (const { seat, role, password } of answer.seats) say(`${seat.padEnd(16)} ${password ?? "(made with another secret; renew it with: password)"}${role === "instructor" ? "  instructor" : ""}`);
  return 0;
}

async function renewPassword({ operator, args, options, say }: Call): Promise<number> {
  const [workshop, seat] = [name(args, 0, "password NAME SEAT"), name(args, 1, "password NAME SEAT")];
  const answer = await operator().ask<Seat>("POST", `/workshops/${workshop}/seats/${seat}/password`, {});
  if (asJson(options, answer, say)) return 0;
  say(`${answer.seat.padEnd(16)} ${answer.password}`);
  return 0;
}

async function pools({ operator, args, options, say }: Call): Promise<number> {
  const [workshop, pool] = [name(args, 0, "pools NAME POOL"), name(args, 1, "pools NAME POOL")];
  if (typeof options.provider !== "string" || options.slots === undefined) throw new UsageError("A pool needs --provider and --slots, for example: pools demo gpu --provider pull --slots 2");
  const settings = typeof options.settings === "string" ? settingsOf(options.settings) : {};
  const answer = await operator().ask<{ pool: string }>("PUT", `/workshops/${workshop}/pools/${pool}`, { ...settings, provider: options.provider, max_in_flight: whole(options, "slots") });
  if (asJson(options, answer, say)) return 0;
  say(`The pool ${answer.pool} of ${workshop} is set up. Its runners dial in with: npm run workshop -- token ${workshop} ${answer.pool}`);
  return 0;
}

async function token({ operator, args, options, say }: Call): Promise<number> {
  const [workshop, pool] = [name(args, 0, "token NAME POOL"), name(args, 1, "token NAME POOL")];
  const answer = await operator().ask<{ token: string }>("POST", `/workshops/${workshop}/pools/${pool}/token`, { renew: options.renew === true });
  if (!asJson(options, answer, say)) say(answer.token);
  return 0;
}

async function health({ operator, args, options, say }: Call): Promise<number> {
  const answer = await operator().ask<Health>("GET", `/workshops/${name(args, 0, "health NAME")}/health`);
  if (asJson(options, answer, say)) return 0;
  const { jobs, runners, mode, switches, revision, seats: count, sockets } = answer.health;
  say(`${switches}, order ${mode}, revision ${revision}`);
  say(`${jobs.waiting} waiting, ${jobs.live} under way, ${jobs.ended} ended; ${count} seats, ${sockets} pages open`);
  if (runners.length === 0) say("No runner is connected; prompts wait until one is.");
  for (const { id, pool, says, gpu } of runners) say(`${id.padEnd(28)} ${pool.padEnd(12)} ${says}  ${gpu ?? ""}`);
  return 0;
}

async function log({ operator, args, options, say }: Call): Promise<number> {
  const since = options.since === undefined ? "" : `?since=${whole(options, "since")}`;
  const answer = await operator().open("GET", `/workshops/${name(args, 0, "log NAME")}/log${since}`);
  if (answer.body === null) throw new CommandError("The answer had no body. Try again.");
  const from = Readable.fromWeb(answer.body as Parameters<typeof Readable.fromWeb>[0]);
  const file = typeof options.out === "string" ? options.out : null;
  const to = file === null ? process.stdout : createWriteStream(file);
  try {
    await pipeline(from, to, { end: file !== null });
  } catch (error) {
    throw new CommandError(`The log broke off (${error instanceof Error ? error.message : String(error)}). Nothing is lost; export it again.`);
  }
  if (file !== null) say(`Wrote ${file}. Look into it with: npm run workshop -- replay ${file}`);
  return 0;
}

async function replay({ operator, args, options, say }: Call): Promise<number> {
  const source = name(args, 0, "replay FILE");
  const verdict = await replayLog(logLines(source, operator), (dispatch) => {
    if (options.quiet !== true && options.json !== true) say(dispatchLine(dispatch));
  });
  if (!asJson(options, verdict, say)) for (const line of verdictLines(verdict)) say(line);
  return verdict.same ? 0 : 1;
}

function asJson(options: Options, value: unknown, say: (line: string) => void): boolean {
  if (options.json === true) say(JSON.stringify(value, null, 2));
  return options.json === true;
}

function name(args: string[], index: number, usage: string): string {
  const found = args[index];
  if (found === undefined || found === "") throw new UsageError(`Something is missing: ${usage}`);
  return found;
}

function whole(options: Options, option: string): number {
  const value = Number(options[option]);
  if (options[option] === "" || !Number.isInteger(value) || value < 0) throw new UsageError(`--${option} ${String(options[option])} is no whole number.`);
  return value;
}

/** `gpu:pull:2` */
function poolOf(text: string): { id: string; provider: string; max_in_flight: number } {
  const [id = "", provider = "", slots = ""] = text.split(":");
  if (id === "" || provider === "" || !/^\d+$/.test(slots)) throw new UsageError(`--pool ${text} is not understood. Write ID:PROVIDER:SLOTS, for example gpu:pull:2.`);
  return { id, provider, max_in_flight: Number(slots) };
}

function settingsOf(file: string): object {
  try {
    const value = JSON.parse(readFileSync(file, "utf8")) as unknown;
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  } catch (error) {
    throw new CommandError(`${file} cannot be read as JSON (${error instanceof Error ? error.message : String(error)}).`);
  }
  throw new CommandError(`${file} holds no JSON object.`);
}
