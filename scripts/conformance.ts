// `npm run conformance -- BASE_URL`: plays the recorded requests of a real ComfyUI against any server and says where it answers otherwise.
// For a seat: `npm run conformance -- http://localhost:8787/demo/user001 user001:PASSWORD`. Names are new in every run, so it can be repeated;
// what it leaves behind are a few small files named after the run.
import { readFileSync } from "node:fs";
import { differenceOf } from "../test/conformance/differences.ts";
import { essenceOf, essenceOfRecorded, exchangesOf } from "../test/conformance/exchanges.ts";
import type { BodyRule, Exchange } from "../test/conformance/exchanges.ts";
import { type Ask, comparablePrompt, isElsewhere, picture, replay, type Replayed, ruleOf } from "../test/conformance/replay.ts";

const FILES = ["http-userdata", "http-settings-users", "http-upload-view", "http-misc", "validation-errors"];
/** The part of every name that the recorder made for its run. */
const RECORDED_RUN = "896158";
/** What a server with a life of its own answers otherwise every time: its settings, its files, its nodes and models. */
const OWN_LIFE = /^\/(?:api\/)?(?:settings|v2\/userdata|queue|extensions|embeddings|models(?:\/\w+)?|experiment\/models(?:\/\w+)?|i18n|object_info(?:\/\w+)?|workflow_templates)$|^\/internal\/(?:files|folder_paths)/;

type Verdict = { exchange: Exchange; same: boolean; known: string | null; recorded: unknown; now: unknown };

/** One case held against the recording. */
function judge({ exchange, answer }: Replayed): Verdict {
  const rule: BodyRule = OWN_LIFE.test(exchange.path) && exchange.method === "GET" && exchange.status === 200 ? "kind" : ruleOf(exchange);
  if (answer === null) return { exchange, same: false, known: null, recorded: exchange.status, now: "no answer" };
  const recorded = essenceOfRecorded(exchange, rule);
  const now = essenceOf(exchange, answer, rule);
  if (exchange.file === "validation-errors") [recorded.body, now.body] = [comparablePrompt(recorded.body), comparablePrompt(now.body)];
  const same = JSON.stringify(sorted(recorded)) === JSON.stringify(sorted(now));
  return { exchange, same, known: same ? null : (differenceOf(exchange)?.id ?? null), recorded, now };
}

/** Keys in order, so that two servers may write them as they like. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, member]) => [key, sorted(member)]));
}

/** Asks the server at `base`; a body of text goes out without a type of its own, as recorded. */
function asker(base: string, credentials: string | undefined): Ask {
  const authorization: Record<string, string> = credentials === undefined ? {} : { authorization: `Basic ${Buffer.from(credentials).toString("base64")}` };
  return async (method, path, { body, headers }) => await fetch(`${base}${path}`, { method, redirect: "manual", body: typeof body === "string" ? Buffer.from(body) : body, headers: { ...headers, ...authorization } });
}

/** The cases of one recording, under names of this run. */
function cases(file: string, run: string): Exchange[] {
  const text = readFileSync(new URL(`../test/recordings/${file}.json`, import.meta.url), "utf8").replaceAll(RECORDED_RUN, run);
  return exchangesOf(file, text).filter((exchange) => !isElsewhere(exchange));
}

function report(file: string, verdicts: Verdict[]): number {
  const known = verdicts.filter((verdict) => verdict.known !== null);
  const unknown = verdicts.filter((verdict) => !verdict.same && verdict.known === null);
  console.log(`${file}: ${verdicts.length} cases, ${verdicts.filter((verdict) => verdict.same).length} as recorded, ${known.length} differ as docs/conformance.md says, ${unknown.length} differ otherwise`);
  for (const { exchange, known: id } of known) console.log(`  ${id?.padEnd(4)} ${exchange.method} ${exchange.path}`);
  for (const { exchange, recorded, now } of unknown) console.log(`  ✗    ${exchange.method} ${exchange.path} (${exchange.note})\n         recorded ${JSON.stringify(recorded).slice(0, 400)}\n         now      ${JSON.stringify(now).slice(0, 400)}`);
  return unknown.length;
}

async function main(base: string, credentials: string | undefined): Promise<number> {
  const ask = asker(base.replace(/\/+$/, ""), credentials);
  const hello = await ask("GET", "/api/users", { body: null, headers: {} }).catch((error: unknown) => (error instanceof Error ? error : new Error(String(error))));
  if (hello === null || hello instanceof Error || hello.status !== 200) {
    console.error(`✗ ${base} does not answer as ComfyUI does (${hello instanceof Error ? hello.message : `status ${hello?.status}`}). Give the address of a ComfyUI, or of a seat and its name:password.`);
    return 2;
  }
  const form = new FormData();
  form.set("image", new File([await picture(200)], "example.png"));
  await ask("POST", "/upload/image", { body: form, headers: {} });
  const run = String(100_000 + (Date.now() % 900_000));
  let otherwise = 0;
  for (const file of FILES) otherwise += report(file, (await replay(ask, cases(file, run))).map(judge));
  return otherwise === 0 ? 0 : 1;
}

const [base, credentials] = process.argv.slice(2);
if (base === undefined) {
  console.error("Usage: npm run conformance -- BASE_URL [NAME:PASSWORD]\nBASE_URL is a ComfyUI (http://127.0.0.1:8188) or a seat (http://localhost:8787/demo/user001).");
  process.exit(2);
}
process.exit(await main(base, credentials));
