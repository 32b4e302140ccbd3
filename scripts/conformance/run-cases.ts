// Recorded runs: requests and sockets in one order, previews and steps included. What is compared of a socket is the order of the messages that say what a run
// does; of progress and previews only which kinds there were, because how many is a matter of timing (and of a seat's four a second, docs/conformance.md).
import { FileNames, normal, streams, type Told } from "../../test/conformance/sandbox-compare.ts";
import { type Exchange, type Frame, recording, type RecordedEvent, Replay, type Replayed } from "../../test/conformance/sandbox-replay.ts";
import type { Case } from "./cases.ts";
import { type Server, translator } from "./server.ts";

type Scenario = { name: string; /** only on a server with a node that takes its time */ slow?: true; /** the note from which on the recording is left out */ until?: string };

/** `until`: what follows needs nodes nobody else has, or shows a fault of that version (two sockets of one client). */
export const RUN_SCENARIOS: Scenario[] = [
  { name: "run-success" }, { name: "run-cached" }, { name: "run-legacy-preview" }, { name: "partial-execution" },
  { name: "run-error", slow: true, until: "blocked with message" },
  { name: "run-interrupt", slow: true }, { name: "queue-delete", slow: true },
  { name: "reconnect", slow: true, until: "a third socket" },
  { name: "ws-handshake" },
];

const LANES = /^(?:progress|progress_state|status|binary \d+)$/;
/** Counted apart: status may overtake everything, progress and previews may be fewer. */
const isMilestone = (frame: Frame): boolean => frame.json !== undefined && !LANES.test(frame.json.type);
/** Lists of whatever ran before on that server, and routes of later versions. */
const isOfOwnLife = ({ method, path = "" }: RecordedEvent): boolean => method === "GET" && /^\/api\/(?:jobs|history\?max_items=\d|history$)/.test(path);

/** What only a run that takes its time can show. */
const NEEDS_TIME = /^\/(?:api\/)?(?:queue|prompt)$/;

/** Null when this server has no node to play it with. */
export async function runCases(server: Server, { name, slow, until }: Scenario, salt: number): Promise<Case[] | null> {
  if (slow === true && server.nodes === null) return null;
  const { events: all, chosen } = withFreshIds(asSent(name, recording(name)));
  const end = until === undefined ? -1 : all.findIndex((event) => event.dir === "note" && event.text?.startsWith(until) === true);
  const steps = server.nodes !== null;
  const replay = new Replay(server.base, { headers: server.headers, translate: translator(server, salt), counts: isMilestone, kinds: steps });
  const wanted = (event: RecordedEvent): boolean => !isOfOwnLife(event) && (steps || event.method !== "GET" || !NEEDS_TIME.test(event.path ?? ""));
  const played = await replay.play(end < 0 ? all : all.slice(0, end), wanted);
  const cases = [...answers(name, played), ...sockets(name, played, steps)].map((one) => ({ ...one, row: rowOf(one, played) }));
  return JSON.parse([...chosen].reduce((text, [recorded, fresh]) => text.replaceAll(fresh, recorded), JSON.stringify(cases))) as Case[];
}

/** Ids that the recorder chose are new in every run: a server that remembers a prompt must not take this for its repeat. */
function withFreshIds(events: RecordedEvent[]): { events: RecordedEvent[]; chosen: Map<string, string> } {
  const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
  const sent = events.flatMap(({ clientId, request_body: body }) => [clientId, ...(typeof body === "object" && body !== null ? Object.values(body as object) : [])]);
  const chosen = new Map(sent.filter((value): value is string => typeof value === "string" && UUID.test(value)).map((id) => [id, crypto.randomUUID() as string]));
  // The recorder had run few prompts when it asked for a place before all others; here the counter may be anywhere.
  const before = JSON.stringify(events).replaceAll("-100.5", "-1000000000.5");
  const text = [...chosen].reduce((all, [recorded, fresh]) => all.replaceAll(recorded, fresh), before);
  return { events: JSON.parse(text) as RecordedEvent[], chosen };
}

/** The rows of docs/conformance.md about runs; each only where the server does just what the row says. */
function rowOf({ scenario, what, said, recorded }: Omit<Case, "row">, { exchanges }: Replayed): string | null {
  const status = (value: unknown): unknown => (value as { status?: unknown }).status;
  if (scenario === "partial-execution") {
    if (what.startsWith("7.")) return status(said) === 400 ? "R2" : null;
    return exchanges[4]?.status === 409 && /^(?:5\.|6\.|socket)/.test(what) ? "R1" : null;
  }
  if (scenario === "ws-handshake" && what.startsWith("1.")) return status(said) === 400 ? "R4" : null;
  if (scenario === "run-error" && what.endsWith("messages")) return JSON.stringify(once(said as Grouped)) === JSON.stringify(once(recorded as Grouped)) ? "R5" : null;
  if (scenario === "reconnect" && what.endsWith("messages")) return JSON.stringify(withoutHealing(said as Grouped)) === JSON.stringify(recorded) ? "R3" : null;
  return null;
}

/** The recorder wrote down all three requests of run-cached as the last one was: the first two still said "rec/edge". */
function asSent(name: string, events: RecordedEvent[]): RecordedEvent[] {
  if (name !== "run-cached") return events;
  const third = events.findIndex((event) => event.text?.startsWith("third run") === true);
  return events.map((event, at) => (at < third && event.method === "POST" ? { ...event, request_body: JSON.parse(JSON.stringify(event.request_body).replace("rec/changed", "rec/edge")) as unknown } : event));
}

type Unexplained = Omit<Case, "row">;

function answers(scenario: string, { exchanges }: Replayed): Unexplained[] {
  const names = { theirs: new FileNames(), ours: new FileNames() };
  const numbers = { theirs: ranks(exchanges.map(({ recorded }) => recorded.response_json)), ours: ranks(exchanges.map(bodyOf)) };
  return exchanges.map((exchange, n) => {
    const { recorded, status, headers, note } = exchange;
    return {
      scenario,
      what: `${n + 1}. ${recorded.method} ${(recorded.path ?? "").replace(/[0-9a-f]{8}-[-0-9a-f]{27}/, "{id}")} (${note})`,
      said: { status, type: headers.get("content-type"), body: comparable(bodyOf(exchange), names.ours, numbers.ours) },
      recorded: { status: recorded.status, type: recorded.response_headers?.["content-type"] ?? null, body: comparable(recorded.response_json ?? recorded.response_text, names.theirs, numbers.theirs) },
    };
  });
}

function bodyOf({ headers, body, recorded }: Exchange): unknown {
  if (recorded.response_json !== undefined && headers.get("content-type")?.startsWith("application/json") === true) return JSON.parse(body.toString()) as unknown;
  return recorded.response_text === undefined ? undefined : body.toString();
}

function comparable(body: unknown, names: FileNames, numbers: Map<number, string>): unknown {
  return body === undefined ? null : normal(withRanks(body, numbers), names);
}

/** Numbers of prompts count up from wherever a server was: only which is before which is compared. */
function ranks(bodies: unknown[]): Map<number, string> {
  const given = bodies.flatMap((body) => (typeof body === "object" && body !== null && "number" in body && typeof body.number === "number" ? [body.number] : []));
  return new Map([...new Set(given)].sort((a, b) => a - b).map((number, rank) => [number, `number ${rank + 1}`]));
}

function withRanks(value: unknown, numbers: Map<number, string>): unknown {
  if (Array.isArray(value)) {
    const [number, id] = value;
    const isItem = value.length === 5 && typeof number === "number" && typeof id === "string";
    // Outputs to execute stand in a Python set: any order.
    return value.map((member, at) => (isItem && at === 0 ? (numbers.get(number) ?? "a number") : isItem && at === 4 ? [...(member as string[])].sort() : withRanks(member, numbers)));
  }
  if (typeof value !== "object" || value === null) return value;
  // `create_time` came with 0.38.
  return Object.fromEntries(Object.entries(value).filter(([key]) => key !== "create_time").map(([key, member]) => [key, ranked(key, member, numbers)]));
}

/** A node that stands for one of the recorder's is as good as it. */
function ranked(key: string, member: unknown, numbers: Map<number, string>): unknown {
  if (key === "number" && typeof member === "number") return numbers.get(member) ?? "a number";
  if (key === "class_type" && typeof member === "string" && /^(?:EdgeSteps|SandboxSleep|ImageInvert)$/.test(member)) return "as sent";
  return withRanks(member, numbers);
}

function sockets(scenario: string, { recorded, received }: Replayed, steps: boolean): Unexplained[] {
  return [...recorded].flatMap(([socket, frames]) => {
    const [theirs, ours] = [streams(frames).run, streams(received.get(socket) ?? []).run];
    return [
      { scenario, what: `socket ${socket}: messages`, said: grouped(ours), recorded: grouped(theirs) },
      ...(steps ? [{ scenario, what: `socket ${socket}: kinds of progress and previews`, said: kinds(ours), recorded: kinds(theirs) }] : []),
    ];
  });
}

/** What was said of runs as wholes, in order, and of each node of a run, in order. Which of two outputs goes first is up to a Python set. */
type Grouped = { runs: Told[]; nodes: Record<string, Told[]> };

function grouped(told: Told[]): Grouped {
  const groups: Grouped = { runs: [], nodes: {} };
  for (const one of told.filter(({ type }) => !LANES.test(type))) {
    const { node, prompt_id: run } = one.data as { node?: string | null; prompt_id?: string };
    const plain = JSON.parse(JSON.stringify(one).replaceAll(/(\.\w+)\/\d+"/g, '$1"')) as Told;
    if (typeof node === "string") (groups.nodes[`${run ?? ""} ${node}`] ??= []).push(plain);
    else groups.runs.push(plain);
  }
  return { runs: groups.runs, nodes: Object.fromEntries(Object.entries(groups.nodes).sort(([a], [b]) => (a < b ? -1 : 1))) };
}

/** Without what a seat repeats to a page that comes back in the middle of a run: how it began, and the node that executes. */
function withoutHealing({ runs, nodes }: Grouped): Grouped {
  const start = runs.findIndex(({ type }) => type === "execution_start");
  const now = (nodes[" 2"]?.[0]?.data as { node?: string } | undefined)?.node;
  const kept = Object.entries(nodes).map(([key, told]) => [key, key.endsWith(` ${now}`) && key !== ` ${now}` ? told.slice(1) : told] as const).filter(([, told]) => told.length > 0);
  return { runs: runs.filter((_, at) => at !== start), nodes: Object.fromEntries(kept) };
}

/** Each message of a run once: a run that was tried again says the same twice. */
function once({ runs, nodes }: Grouped): Grouped {
  const distinct = (told: Told[]): Told[] => [...new Map(told.map((one) => [JSON.stringify(one), one])).values()];
  return { runs: distinct(runs), nodes: Object.fromEntries(Object.entries(nodes).map(([key, told]) => [key, distinct(told)])) };
}

const kinds = (told: Told[]): string[] => [...new Set(told.filter(({ type }) => LANES.test(type)).map(({ type }) => type))].sort();
