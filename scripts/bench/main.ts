// `npm run bench [-- SUITE [options]]`: figures as JSON lines {"suite","case","metric","value","unit"}, measured here and now; nothing is asserted.
// Remarks (what was skipped and why) go to standard error, so that the lines can be piped. A `value` is a number or a digest, never null.
import { faultOf } from "./fault.ts";
import { chosen, SUITES } from "./suites.ts";

export type Row = { suite: string; case: string; metric: string; value: number | string; unit: string };

function print(row: Row): void {
  if (typeof row.value === "number" && !Number.isFinite(row.value)) process.stderr.write(`  left out: ${row.suite} ${row.case} ${row.metric}, nothing was measured for it\n`);
  else process.stdout.write(`${JSON.stringify(row)}\n`);
}

/** The exit code. */
async function main(): Promise<number> {
  const [only, ...args] = process.argv.slice(2);
  const names = chosen(only);
  if (names === null) {
    process.stderr.write(`✗ There is no suite "${only}". Suites: ${Object.keys(SUITES).join(", ")}.\n`);
    return 1;
  }
  for (const name of names) {
    process.stderr.write(`• ${name}\n`);
    try {
      await (await SUITES[name]?.())?.run(args, print);
    } catch (error) {
      process.stderr.write(`✗ ${faultOf(error) ?? (error instanceof Error ? (error.stack ?? error.message) : String(error))}\n`);
      return 1;
    }
  }
  return 0;
}

// Sockets that a suite left open must not hold the run; what was written goes out first.
const code = await main();
process.stdout.write("", () => process.exit(code));
