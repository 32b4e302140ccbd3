// `npm run check`: everything that can be known without running the product: types of each ring, lint, generated types up to date, a deploy that would work.
import { runTool } from "./run.ts";

const CHECKS: [string, string[]][] = [
  ["tsc", ["-p", "tsconfig.core.json"]],
  ["tsc", ["-p", "tsconfig.worker.json"]],
  ["tsc", ["-p", "tsconfig.workers-test.json"]],
  ["tsc", ["-p", "tsconfig.node.json"]],
  ["oxlint", ["--config", ".oxlintrc.json", "--deny-warnings"]],
  ["wrangler", ["types", "--check"]],
  ["wrangler", ["deploy", "--dry-run", "--outdir", "dist/worker"]],
];

/** Names of the checks that failed. */
export function check(): string[] {
  return CHECKS.filter(([tool, args]) => runTool(tool, args) !== 0).map(([tool, args]) => `${tool} ${args.join(" ")}`);
}

if (import.meta.main) {
  const failed = check();
  if (failed.length > 0) process.stderr.write(`\n✗ ${failed.length} of ${CHECKS.length} checks failed: ${failed.join("; ")}\n`);
  process.exit(failed.length > 0 ? 1 : 0);
}
