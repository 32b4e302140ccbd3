// Runs a command of the project's own toolchain in the foreground; the one way scripts start other programs and wait for them.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { ROOT } from "./stack.ts";

/** Exit code of `node_modules/.bin/{tool} args`; output goes to the terminal. */
export function runTool(tool: string, args: string[], env: Record<string, string> = {}): number {
  const started = performance.now();
  process.stderr.write(`\n▸ ${tool} ${args.join(" ")}\n`);
  const run = spawnSync(join(ROOT, "node_modules/.bin", tool), args, { cwd: ROOT, stdio: "inherit", env: { ...process.env, WRANGLER_SEND_METRICS: "false", ...env } });
  if (run.error) process.stderr.write(`${run.error.message}\n`);
  process.stderr.write(`  ${run.status === 0 ? "ok" : "FAILED"} after ${((performance.now() - started) / 1000).toFixed(1)} s\n`);
  return run.status ?? 1;
}
