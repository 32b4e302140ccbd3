// `npm run conformance -- BASE_URL [OTHER_URL]`: plays what was recorded from a real ComfyUI against any server and says where it answers otherwise, or holds
// two servers against each other. Names are new in every run, so it can be repeated; what it leaves behind are a few small files.
import { againstEachOther, againstRecording, type Case, firstDifference, type Verdict } from "./conformance/cases.ts";
import { HTTP_SCENARIOS, httpCases } from "./conformance/http-cases.ts";
import { headersFor, type Options, readOptions } from "./conformance/options.ts";
import { RUN_SCENARIOS, runCases } from "./conformance/run-cases.ts";
import { openServer, type Server } from "./conformance/server.ts";

export type Report = { scenario: string; verdicts: Verdict[]; /** why it was not played */ leftOut: string | null };

const NO_NODES = "a server has none of the recorder's test nodes, nor others that take steps or fail on demand";
const KEEPS_NOTHING = "a server is a bare GPU, which keeps no settings and no files of a user's";
/** Scenarios of what a user keeps there. */
const KEPT = ["http-userdata", "http-settings-users"];

/** Plays one scenario on one server. */
async function play(server: Server, scenario: string, run: string): Promise<Case[] | null> {
  const recorded = RUN_SCENARIOS.find(({ name }) => name === scenario);
  return recorded === undefined ? await httpCases(server, scenario, run) : await runCases(server, recorded, Number(run));
}

/** Reports of all asked scenarios, one after the other as they are done. Throws a sentence when a server cannot be asked. */
export async function* conformance(options: Pick<Options, "bases" | "headers" | "only">): AsyncGenerator<Report> {
  const known = [...HTTP_SCENARIOS, ...RUN_SCENARIOS.map(({ name }) => name)];
  const strange = options.only.find((name) => !known.includes(name));
  if (strange !== undefined) throw new Error(`There is no scenario ${strange}. Known: ${known.join(", ")}.`);
  const servers = await Promise.all(options.bases.map((base, n) => openServer("AB"[n] ?? "", base, headersFor(base, options))));
  for (const scenario of options.only.length > 0 ? options.only : known) {
    if (KEPT.includes(scenario) && servers.some(({ keeps }) => !keeps)) {
      yield { scenario, verdicts: [], leftOut: KEEPS_NOTHING };
      continue;
    }
    const run = String(100_000 + (Date.now() % 900_000));
    const played: (Case[] | null)[] = [];
    // Each server gets pictures of its own: a seat may be on the very ComfyUI it is compared with, whose cache would know them.
    for (const [n, server] of servers.entries()) played.push(await play(server, scenario, String(Number(run) + n)));
    const [a, b] = played;
    if (a == null || (servers.length === 2 && b == null)) yield { scenario, verdicts: [], leftOut: NO_NODES };
    else yield { scenario, verdicts: b == null ? againstRecording(a) : againstEachOther(a, b), leftOut: null };
  }
}

function print({ scenario, verdicts, leftOut }: Report, sides: [string, string]): void {
  if (leftOut !== null) return console.log(`${scenario}: not played; ${leftOut}`);
  const of = (outcome: Verdict["outcome"]): Verdict[] => verdicts.filter((verdict) => verdict.outcome === outcome);
  console.log(`${scenario}: ${verdicts.length} cases, ${of("same").length} the same, ${of("known").length} differ as docs/conformance.md says, ${of("differs").length} differ otherwise`);
  for (const { row, what } of of("known")) console.log(`  ${(row ?? "").padEnd(4)} ${what}`);
  for (const { what, left, right } of of("differs")) {
    const at = firstDifference(left, right);
    const short = (value: unknown): string => (JSON.stringify(value) ?? "nothing").slice(0, 500);
    console.log(`  ✗    ${what}\n         at ${at?.path}\n         ${sides[0].padEnd(8)} ${short(at?.left)}\n         ${sides[1].padEnd(8)} ${short(at?.right)}`);
  }
}

/** What is the same needs no showing. */
function brief(report: Report): object {
  return { ...report, verdicts: report.verdicts.map(({ left, right, ...rest }) => (rest.outcome === "same" ? rest : { ...rest, left, right })) };
}

async function main(): Promise<number> {
  try {
    const options = readOptions(process.argv.slice(2));
    const reports: Report[] = [];
    for await (const report of conformance(options)) {
      reports.push(report);
      if (!options.json) print(report, options.bases.length === 2 ? ["A", "B"] : ["recorded", "now"]);
    }
    if (options.json) console.log(JSON.stringify(reports.map(brief), null, 2));
    return reports.some(({ verdicts }) => verdicts.some(({ outcome }) => outcome === "differs")) ? 1 : 0;
  } catch (error) {
    console.error(`✗ ${error instanceof Error ? error.message : String(error)}`);
    return 2;
  }
}

// Not exit(): a pipe takes its time, and what is not written yet would be lost.
if (import.meta.main) process.exitCode = await main();
