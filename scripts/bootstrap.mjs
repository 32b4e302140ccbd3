// The one entry of every npm script. Plain JavaScript without dependencies, because on a fresh clone nothing is installed yet and the system's Node may be old:
// it installs what is missing (packages, the official frontend), then runs the asked script under the project's own Node 24.
import { spawn, spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const STAMP = join(ROOT, "node_modules", ".comfyume-lock");

/** Which script file each npm script runs, and what must be there first. */
const SCRIPTS = {
  start: { file: "scripts/start.ts", frontend: ["default"] },
  test: { file: "scripts/test.ts", frontend: ["default", "older"] },
  check: { file: "scripts/check.ts", frontend: ["default"] },
  bench: { file: "scripts/bench/main.ts", frontend: ["default"] },
  workshop: { file: "scripts/workshop.ts", frontend: [] },
  upload: { file: "scripts/upload.ts", frontend: [] },
  conformance: { file: "scripts/conformance.ts", frontend: [] },
  gpu: { file: "scripts/gpu.ts", frontend: [] },
  "build-runner": { file: "scripts/build-runner.ts", frontend: [] },
  deploy: { file: "scripts/deploy.ts", frontend: ["default"] },
};

function say(text) {
  process.stderr.write(`${text}\n`);
}

/** Ends with one sentence: what happened, what it means, what to do. */
function fail(text) {
  say(`\n✗ ${text}`);
  process.exit(1);
}

function installPackages() {
  const lock = createHash("sha256").update(readFileSync(join(ROOT, "package-lock.json"))).digest("hex");
  if (existsSync(STAMP) && readFileSync(STAMP, "utf8") === lock) return;
  say("• Installing packages (npm ci), about a minute the first time …");
  const npm = process.platform === "win32" ? "npm.cmd" : "npm";
  const run = spawnSync(npm, ["ci", "--no-audit", "--no-fund", "--loglevel=error"], { cwd: ROOT, stdio: ["ignore", "inherit", "inherit"] });
  if (run.error) fail("npm was not found. It comes with Node: install Node 18 or newer, then try again.");
  if (run.status !== 0) fail("npm ci failed (its message is above). Check the network connection and free disk space, then run the same command again; nothing is lost.");
  writeFileSync(STAMP, lock);
}

/** Local secrets, made once: every password and cookie of the local workshops hangs on them. */
function ensureSecrets() {
  const file = join(ROOT, ".dev.vars");
  if (existsSync(file)) return;
  writeFileSync(file, `SESSION_SECRET="${randomBytes(32).toString("base64url")}"\nOPERATOR_TOKEN="${randomBytes(24).toString("base64url")}"\n`, { mode: 0o600 });
  say("• Made local secrets (.dev.vars)");
}

async function main() {
  const [name = "start", ...args] = process.argv.slice(2);
  const script = SCRIPTS[name];
  if (!script) fail(`Unknown script "${name}". Known: ${Object.keys(SCRIPTS).join(", ")}.`);
  if (Number(process.versions.node.split(".")[0]) < 18) fail(`Node ${process.versions.node} is too old. Install Node 18 or newer.`);
  installPackages();
  ensureSecrets();
  mkdirSync(join(ROOT, "dist", "frontend"), { recursive: true });
  if (script.frontend.length > 0) {
    const { ensureFrontend, pinnedVersions } = await import("../frontend-shim/stock/fetch.mjs");
    const pins = pinnedVersions(ROOT);
    for (const which of script.frontend) {
      try {
        ensureFrontend(ROOT, pins[which], say);
      } catch (error) {
        fail(error instanceof Error ? error.message : String(error));
      }
    }
  }
  const bin = join(ROOT, "node_modules", ".bin");
  const child = spawn(join(bin, process.platform === "win32" ? "node.exe" : "node"), [join(ROOT, script.file), ...args], {
    cwd: ROOT,
    stdio: "inherit",
    env: { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH ?? ""}`, WRANGLER_SEND_METRICS: "false", CLOUDFLARE_CF_FETCH_ENABLED: "false" },
  });
  // A terminal sends Ctrl-C to the whole group; other signals are passed on. The script itself decides how to stop.
  for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  process.on("SIGINT", () => {
    if (!process.stdin.isTTY) child.kill("SIGINT");
  });
  child.on("exit", (code, signal) => process.exit(signal ? 1 : (code ?? 1)));
}

await main();
