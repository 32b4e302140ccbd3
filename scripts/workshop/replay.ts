// `replay`: an exported log through the pure core again [Q5][I11], read line by line; says whether it decides and ends as the object did.
import { createReadStream, existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { z } from "zod";
import { type Dispatch, type LogLine, Replay, type Replayed } from "../../durable-objects/log-replay.ts";
import { CommandError, type Operator } from "./operator.ts";

export type Verdict = { replayed: Replayed; end: { revision: number; digest: string; stored: string } | null; dispatches: number; same: boolean };

/** Lines of a file, of the standard input ("-"), or of a workshop's log as it is now. */
export function logLines(source: string, operator: () => Operator): AsyncIterable<string> {
  if (source === "-") return createInterface({ input: process.stdin });
  if (existsSync(source)) return createInterface({ input: createReadStream(source) });
  if (!/^[a-z][a-z0-9-]{0,39}$/.test(source)) throw new CommandError(`There is no file ${source}. Export a log first: npm run workshop -- log NAME --out FILE.`);
  return remote(operator(), source);
}

async function* remote(operator: Operator, workshop: string): AsyncIterable<string> {
  const answer = await operator.open("GET", `/workshops/${workshop}/log`);
  if (answer.body) yield* createInterface({ input: Readable.fromWeb(answer.body as Parameters<typeof Readable.fromWeb>[0]) });
}

/** `seen` hears of every dispatch. Throws CommandError for what is no log. */
export async function replayLog(lines: AsyncIterable<string>, seen: (dispatch: Dispatch) => void): Promise<Verdict> {
  let dispatches = 0;
  const replay = new Replay((dispatch) => {
    dispatches += 1;
    seen(dispatch);
  });
  let end: Verdict["end"] = null;
  let number = 0;
  for await (const text of lines) {
    number += 1;
    if (text.trim() === "") continue;
    const line = parsed(text, number);
    replayable(`Line ${number}`, () => replay.take(line));
    if (line.kind === "end") end = line;
  }
  if (number === 0) throw new CommandError("The log is empty.");
  const replayed = replayable("The log", () => replay.result());
  const same = end !== null && replayed.differs === null && replayed.gaps.length === 0 && end.digest === replayed.digest && end.stored === replayed.digest && end.revision === replayed.revision;
  return { replayed, end, dispatches, same };
}

const AGAIN = "Export it with npm run workshop -- log NAME --out FILE.";
const moment = z.int().min(0);
const typed = z.looseObject({ type: z.string().min(1) });
/** Commands know their own fields; what every one has is its kind, and a batch its commands. */
const command = z.union([z.looseObject({ type: z.literal("batch"), commands: z.array(typed) }), z.looseObject({ type: z.string().min(1).refine((type) => type !== "batch", "a batch has commands") })]);

/** Each kind of line: what it must be, and how it looks in words. */
const LINES: { readonly [kind in LogLine["kind"]]: { schema: z.ZodType; looks: string } } = {
  head: { schema: z.looseObject({ v: z.literal(1), workshop: z.string(), base: moment.nullable(), since: moment }), looks: '{"kind":"head","v":1,"workshop":NAME,"base":REVISION or null,"since":REVISION}' },
  row: { schema: z.looseObject({ of: z.enum(["workshop", "params", "job", "attempt", "seat", "pool", "slot", "runner", "estimate"]), value: z.looseObject({}) }), looks: '{"kind":"row","of":"workshop", "params", "job", "attempt", "seat", "pool", "slot", "runner" or "estimate","value":{…}}' },
  entry: { schema: z.looseObject({ revision: moment, at: z.int(), command, events: z.array(typed) }), looks: '{"kind":"entry","revision":REVISION,"at":MS,"command":{"type":…},"events":[{"type":…}, …]}' },
  end: { schema: z.looseObject({ revision: moment, digest: z.string(), stored: z.string() }), looks: '{"kind":"end","revision":REVISION,"digest":DIGEST,"stored":DIGEST}' },
};

/** What the queue cannot run is the log's fault: its records come from a file. */
function replayable<T>(what: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw new CommandError(`${what} cannot be replayed (${(error instanceof Error ? error.message : String(error)).replace(/\.$/, "")}). ${AGAIN}`);
  }
}

function parsed(text: string, number: number): LogLine {
  let value: unknown = null;
  try {
    value = JSON.parse(text);
  } catch {
    // said below
  }
  const kind = typeof value === "object" && value !== null && "kind" in value && typeof value.kind === "string" && Object.hasOwn(LINES, value.kind) ? (value.kind as LogLine["kind"]) : null;
  if (kind === null) throw new CommandError(`Line ${number} is no line of a workshop's log. ${AGAIN}`);
  const { schema, looks } = LINES[kind];
  const checked = schema.safeParse(value);
  if (!checked.success) throw new CommandError(`Line ${number} is no ${kind} of a workshop's log: ${checked.error.issues[0]?.path.join(".") || "it"} is wrong. It should be ${looks}. ${AGAIN}`);
  const line = value as LogLine;
  if (number === 1 && line.kind !== "head") throw new CommandError("The log does not begin with its head; it was cut off at the beginning. Export it again.");
  return line;
}

export function dispatchLine({ revision, at, slot, seat, job, attempt, why }: Dispatch): string {
  return `${String(revision).padStart(7)}  ${new Date(at).toISOString()}  ${slot.padEnd(10)} ${seat.padEnd(12)} ${job.slice(-12)}#${attempt}  ${why}`;
}

export function verdictLines({ replayed, end, dispatches, same }: Verdict): string[] {
  const against = (digest: string): string => `${digest}  ${digest === replayed.digest ? "equal" : "DIFFERENT"}`;
  const faults = [
    ...(replayed.differs === null ? [] : [`Entry ${replayed.differs.revision} decided differently:`, `  log     ${replayed.differs.logged.slice(0, 500)}`, `  replay  ${replayed.differs.replayed.slice(0, 500)}`]),
    ...(replayed.gaps.length === 0 ? [] : [`${replayed.gaps.length} entries are missing, the first is ${replayed.gaps[0]}. Export the log again.`]),
    ...(end === null ? ["The log has no last line: it was cut off while it was exported. Export it again."] : []),
    ...(end !== null && end.revision !== replayed.revision ? [`The log ends at revision ${end.revision}, the entries at ${replayed.revision}.`] : []),
  ];
  return [
    `${replayed.entries} entries, ${dispatches} dispatches, up to revision ${replayed.revision}`,
    `digest of the replay        ${replayed.digest}`,
    ...(end === null ? [] : [`digest of the object        ${against(end.digest)}`, `digest of its rows          ${against(end.stored)}`]),
    ...faults,
    same ? "The replay is the workshop, bit for bit." : "The replay is NOT what the workshop did.",
  ];
}
