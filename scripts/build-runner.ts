// Bundles the runner into one file that Node 24 runs without anything installed: dist/runner.mjs. Prints its size and its time to start.
import { execFileSync } from "node:child_process";
import { readFileSync, renameSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
export const RUNNER_FILE = join(ROOT, "dist/runner.mjs");

/** Builds `dist/runner.mjs` and answers its path; throws with esbuild's message when the sources do not compile. */
export async function buildRunner({ quiet = false }: { quiet?: boolean } = {}): Promise<string> {
  const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { version: string };
  // Written beside and moved into place: a runner that starts meanwhile reads the old file or the new one, never half of it.
  const fresh = `${RUNNER_FILE}.${process.pid}.new`;
  await build({
    entryPoints: [join(ROOT, "gpu-adapter/runner/main.ts")],
    outfile: fresh,
    bundle: true,
    platform: "node",
    target: "node24",
    format: "esm",
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: "inline",
    define: { RUNNER_VERSION: JSON.stringify(version) },
    logLevel: quiet ? "error" : "warning",
  });
  renameSync(fresh, RUNNER_FILE);
  if (!quiet) {
    const startMs = [1, 2, 3].map(startUp).sort((a, b) => a - b)[1];
    process.stdout.write(`dist/runner.mjs ${(statSync(RUNNER_FILE).size / 1024).toFixed(0)} kB, starts in ${startMs} ms (median of 3, to its usage text)\n`);
  }
  return RUNNER_FILE;
}

function startUp(): number {
  const begun = performance.now();
  try {
    execFileSync(process.execPath, [RUNNER_FILE, "--help"], { stdio: "ignore" });
  } catch {
    // The usage text comes with exit code 64.
  }
  return Math.round(performance.now() - begun);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildRunner();
