// Brings the official ComfyUI frontend, unmodified and pinned, into dist/frontend/{version}/ (git-ignored). Plain JavaScript: it runs before anything is installed.
// Upgrading is one line: FRONTEND in wrangler.toml, then the sha256 this file asks for.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const PACKAGE = "comfyui-frontend-package";
/** The oldest frontend we promise to serve: it reads /queue and /history, newer ones read /jobs. */
const OLDER = "1.37.11";
/** sha256 of each wheel we have tested. */
const WHEELS = {
  "1.37.11": "6fed139ec942b05430559fa8e45b584029b3ed623899212ec6ffb5b09cdc042c",
  "1.58.1": "37912597537a731a8f421179618a736c24184c5bdbfa327f38b2fb7c291852d9",
};

/** The versions in use: `default` from wrangler.toml's FRONTEND, `older` for the browser suite. */
export function pinnedVersions(root) {
  const match = /^FRONTEND\s*=\s*"([^"]+)"/m.exec(readFileSync(join(root, "wrangler.toml"), "utf8"));
  if (!match) throw new Error('wrangler.toml has no FRONTEND = "x.y.z" under [vars]. Put the frontend version there, then try again.');
  return { default: match[1], older: OLDER };
}

/** First of python3 / python that can run pip, or null. */
function findPip() {
  for (const python of ["python3", "python"]) {
    const run = spawnSync(python, ["-m", "pip", "--version"], { encoding: "utf8" });
    if (!run.error && run.status === 0) return python;
  }
  return null;
}

/**
 * Makes dist/frontend/{version}/ hold that version's files; does nothing when it does already.
 * Throws an Error whose message says what happened and what to do: pip missing, download failed, wrong checksum.
 */
export function ensureFrontend(root, version, say) {
  const target = join(root, "dist", "frontend", version);
  if (existsSync(join(target, ".complete"))) return;
  const python = findPip();
  if (!python) throw new Error("python3 with pip was not found; it fetches the official ComfyUI frontend. Install it (Debian: apt-get install python3-pip), then run the same command again.");
  const cache = join(root, ".cache");
  mkdirSync(cache, { recursive: true });
  const work = mkdtempSync(join(cache, "frontend-"));
  try {
    say(`• Fetching the official ComfyUI frontend ${version} (about 30 MB) …`);
    const run = spawnSync(python, ["-m", "pip", "download", "--no-deps", "--quiet", "--disable-pip-version-check", "-d", work, `${PACKAGE}==${version}`], { encoding: "utf8" });
    if (run.status !== 0) throw new Error(`pip could not download ${PACKAGE} ${version}: ${lastLine(run.stderr)}\n  Check the network connection, then run the same command again.`);
    const wheel = readdirSync(work).find((name) => name.endsWith(".whl"));
    if (!wheel) throw new Error(`pip downloaded no wheel for ${PACKAGE} ${version}. Is that version published? FRONTEND in wrangler.toml names it.`);
    checkSum(join(work, wheel), version);
    const unpack = spawnSync(python, ["-m", "zipfile", "-e", join(work, wheel), join(work, "x")], { encoding: "utf8" });
    if (unpack.status !== 0) throw new Error(`The frontend's wheel could not be unpacked: ${lastLine(unpack.stderr)}. Is the disk full?`);
    rmSync(target, { recursive: true, force: true });
    mkdirSync(join(root, "dist", "frontend"), { recursive: true });
    moveFolder(join(work, "x", "comfyui_frontend_package", "static"), target);
    writeFileSync(join(target, ".complete"), `${version}\n`);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function moveFolder(from, to) {
  try {
    renameSync(from, to);
  } catch {
    cpSync(from, to, { recursive: true });
  }
}

function checkSum(file, version) {
  const found = createHash("sha256").update(readFileSync(file)).digest("hex");
  const wanted = WHEELS[version];
  if (!wanted) throw new Error(`Frontend ${version} has no checksum yet. If you trust this download, add "${version}": "${found}" to WHEELS in frontend-shim/stock/fetch.mjs.`);
  if (found !== wanted) throw new Error(`The downloaded frontend ${version} has sha256 ${found}, expected ${wanted}. It was not used; try again, and do not go on if it repeats.`);
}

function lastLine(text) {
  return (text ?? "").trim().split("\n").at(-1) ?? "no message";
}
