// `npm test`: the static checks, then every test project, in one run. Arguments go to vitest: `npm test -- --project core`.
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { check } from "./check.ts";
import { runTool } from "./run.ts";
import { ROOT } from "./stack.ts";

const REPORT = join(ROOT, "dist/test-report.json");
const args = process.argv.slice(2);
const all = args.length === 0;
if (all && !process.env.CHROMIUM && !["/usr/bin/chromium", "/usr/bin/chromium-browser"].some(existsSync)) {
  process.stderr.write("\n✗ The browser tests need Chromium. Install Debian's (apt-get install chromium), or set CHROMIUM to its path.\n");
  process.exit(1);
}
const failed = all ? check() : [];
mkdirSync(join(ROOT, "dist"), { recursive: true });
rmSync(REPORT, { force: true });
if (runTool("vitest", ["run", "--reporter=default", "--reporter=json", `--outputFile.json=${REPORT}`, ...args]) !== 0) failed.push("vitest");
if (existsSync(REPORT)) {
  const report = JSON.parse(readFileSync(REPORT, "utf8")) as { numPassedTests: number; numFailedTests: number };
  process.stdout.write(`\n${report.numPassedTests} passed, ${report.numFailedTests} failed\n`);
  if (report.numPassedTests === 0) failed.push("vitest ran no test");
}
if (failed.length > 0) process.stderr.write(`\n✗ Failed: ${failed.join("; ")}\n`);
process.exit(failed.length > 0 ? 1 : 0);
