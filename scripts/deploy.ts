// `npm run deploy`: the static checks, then `wrangler deploy`. Arguments go to wrangler: `npm run deploy -- --env staging`.
import { check } from "./check.ts";
import { runTool } from "./run.ts";

const failed = check();
if (failed.length > 0) {
  process.stderr.write(`\n✗ Not deployed: ${failed.join("; ")} failed. Nothing was changed.\n`);
  process.exit(1);
}
process.exit(runTool("wrangler", ["deploy", ...process.argv.slice(2)]));
