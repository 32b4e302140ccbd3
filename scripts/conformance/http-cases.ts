// Recorded requests over HTTP, played in order under names of this run.
import { readFileSync } from "node:fs";
import { differenceOf } from "../../test/conformance/differences.ts";
import { type BodyRule, type Essence, essenceOf, essenceOfRecorded, type Exchange, exchangesOf } from "../../test/conformance/exchanges.ts";
import { type Ask, comparablePrompt, isElsewhere, picture, replay, type Replayed, ruleOf } from "../../test/conformance/replay.ts";
import type { Case } from "./cases.ts";
import type { Server } from "./server.ts";

export const HTTP_SCENARIOS = ["http-userdata", "http-settings-users", "http-upload-view", "http-misc", "validation-errors", "dependency-cycle"];
/** The part of every name that the recorder made for its run. */
export const RECORDED_RUN = "896158";
/** What a server with a life of its own answers otherwise every time: its settings, its files, its nodes and models. */
const OWN_LIFE = /^\/(?:api\/)?(?:settings|v2\/userdata|queue|extensions|embeddings|models(?:\/\w+)?|experiment\/models(?:\/\w+)?|i18n|object_info(?:\/\w+)?|workflow_templates)$|^\/internal\/(?:files|folder_paths)/;

function askerOf({ base, headers: own }: Server): Ask {
  return async (method, path, { body, headers }) => await fetch(`${base}${path}`, { method, redirect: "manual", body: typeof body === "string" ? Buffer.from(body) : body, headers: { ...headers, ...own } });
}

/** Plays one recording; the picture its cases look at is put there first. */
export async function httpCases(server: Server, scenario: string, run: string): Promise<Case[]> {
  const ask = askerOf(server);
  if (scenario === "http-upload-view") {
    const form = new FormData();
    form.set("image", new File([await picture(200)], "example.png"));
    await ask("POST", "/upload/image", { body: form, headers: {} });
  }
  const text = readFileSync(new URL(`../../test/recordings/${scenario}.json`, import.meta.url), "utf8").replaceAll(RECORDED_RUN, run);
  const foreign = (exchange: Exchange): boolean => server.nodes !== "edge" && /"Edge[A-Z]/.test(JSON.stringify(exchange.requestBody ?? null));
  const replayed = await replay(ask, exchangesOf(scenario, text).filter((exchange) => !isElsewhere(exchange) && !foreign(exchange)));
  // Under the recorder's name again, so that two runs can be held against each other.
  return JSON.parse(JSON.stringify(replayed.map(caseOf)).replaceAll(run, RECORDED_RUN)) as Case[];
}

function caseOf({ exchange, answer }: Replayed, n: number): Case {
  const rule: BodyRule = OWN_LIFE.test(exchange.path) && exchange.method === "GET" && exchange.status === 200 ? "kind" : ruleOf(exchange);
  const recorded = essenceOfRecorded(exchange, rule);
  const said: Essence = answer === null ? { status: 0, type: null, disposition: null, range: null, allow: null, body: "no answer" } : essenceOf(exchange, answer, rule);
  // The id of a new user ends in a random one.
  if (exchange.path === "/api/users") for (const side of [recorded, said]) if (typeof side.body === "string") side.body = side.body.replace(/[0-9a-f]{8}-[-0-9a-f]{27}/, "{id}");
  if (isPrompt(exchange)) [recorded.body, said.body] = [comparable(recorded.body), comparable(said.body)];
  return { scenario: exchange.file, what: `${n + 1}. ${exchange.method} ${exchange.path} (${exchange.note})`, said, recorded, row: rowOf(exchange, said) };
}

/** Rows that stand for what is installed there, or for a route that this version of the server does not have yet. */
const INSTALLED = /^\/api\/view_metadata\/|^\/templates\/index\.json$|^\/extensions\/edge_test|^\/user\.css$|^\/api\/$/;
const LATER = /^\/api\/jobs/;

/** The row that explains why this server differs here, if it does what the row says. */
function rowOf(exchange: Exchange, said: Essence): string | null {
  const difference = differenceOf(exchange);
  if (difference !== undefined && difference.instead.status === said.status && (difference.instead.type ?? said.type) === said.type) return difference.id;
  if (INSTALLED.test(exchange.path)) return "own";
  return LATER.test(exchange.path) && (said.status === 404 || said.status === 405) ? "0.38" : null;
}

const isPrompt = ({ file }: Exchange): boolean => file === "validation-errors" || file === "dependency-cycle";
const comparable = (body: unknown): unknown => (typeof body === "object" && body !== null ? installed(comparablePrompt(body)) : body);

/** Which models there are, and a node's own words about its inputs, are the installation's. Outputs of a bad graph stand in a Python set: whether the second one
 *  is reached before the first complains differs from process to process. */
function installed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(installed);
  if (typeof value === "string") return value.replace(/ not in (?:\[.*\]|\(list of length \d+\))/g, " not in […]");
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([key]) => key !== "tooltip");
  return Object.fromEntries(entries.map(([key, member]) => [key, key === "input_config" && Array.isArray(member) && Array.isArray(member[0]) ? "a list of choices" : key === "dependent_outputs" ? "outputs" : installed(member)]));
}
