// `npm test`: the static checks, then every test project, in one run. Arguments go to vitest: `npm test -- --project core`.
import { existsSync } from "node:fs";
import { check } from "./check.ts";
import { runTool } from "./run.ts";

const args = process.argv.slice(2);
const all = args.length === 0;
const failed = all ? check() : [];
if (all && !process.env.CHROMIUM && !["/usr/bin/chromium", "/usr/bin/chromium-browser"].some(existsSync)) {
  process.stderr.write("\n✗ The browser tests need Chromium. Install Debian's (apt-get install chromium), or set CHROMIUM to its path.\n");
  process.exit(1);
}
if (runTool("vitest", ["run", ...args]) !== 0) failed.push("vitest");
if (failed.length > 0) process.stderr.write(`\n✗ Failed: ${failed.join("; ")}\n`);
process.exit(failed.length > 0 ? 1 : 0);
