// `npm run upload -- URL FILE...`: large files into a seat's input folder, in parts, with progress; stopped or cut, the same command goes on.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ROOT, type WorkshopFile } from "./stack.ts";
import { type Progress, type Seat, sendFile, type Stored, UploadError } from "./upload/send.ts";

const USAGE = `Usage: npm run upload -- URL FILE... [options]

  URL                the seat's address, as in the browser: http://localhost:8787/demo/user001/
  --user NAME        the seat's name (left out: as in the address)
  --password WORD    its password (or the variable COMFYUME_PASSWORD; for a workshop started here it is known)
  --subfolder PATH   folder below the seat's input folder
  --overwrite        replace a file of the same name instead of numbering the new one
  --type TYPE        input (default), output or temp
  --parallel N       parts sent at once, 1 to 8 (default 3)

Files of any size up to 8 GiB. Run the same command again after a cut: it goes on where it stopped.`;

type Arguments = { seat: Seat; files: string[]; options: Parameters<typeof sendFile>[2] };

function readArguments(argv: string[]): Arguments {
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: { user: { type: "string" }, password: { type: "string" }, subfolder: { type: "string", default: "" }, overwrite: { type: "boolean", default: false }, type: { type: "string", default: "input" }, parallel: { type: "string", default: "3" }, help: { type: "boolean", short: "h" } },
  });
  const [address, ...files] = positionals;
  if (values.help || address === undefined || files.length === 0) throw new UploadError(USAGE);
  if (!URL.canParse(address) || !/^https?:$/.test(new URL(address).protocol)) throw new UploadError(`${address} is no address. Give the seat's, as it stands in the browser: http://localhost:8787/demo/user001/`);
  const parallel = Number(values.parallel);
  if (!Number.isInteger(parallel) || parallel < 1 || parallel > 8) throw new UploadError(`--parallel ${values.parallel} is not a whole number from 1 to 8.`);
  if (!["input", "output", "temp"].includes(values.type)) throw new UploadError(`--type ${values.type} is none of input, output, temp.`);
  return { seat: seatOf(new URL(address), values.user, values.password ?? process.env.COMFYUME_PASSWORD), files, options: { subfolder: values.subfolder, overwrite: values.overwrite, type: values.type, parallel } };
}

function seatOf(address: URL, user: string | undefined, password: string | undefined): Seat {
  const url = `${address.origin}${address.pathname.replace(/\/+$/, "")}`;
  const name = user ?? (address.username === "" ? url.slice(url.lastIndexOf("/") + 1) : decodeURIComponent(address.username));
  const word = password ?? (address.password === "" ? localPassword(url, name) : decodeURIComponent(address.password));
  return { url, authorization: word === undefined ? null : `Basic ${Buffer.from(`${name}:${word}`).toString("base64")}` };
}

/** `npm start` writes the seats of its workshops down beside the project. */
function localPassword(url: string, name: string): string | undefined {
  const folder = join(ROOT, ".workshop");
  if (!existsSync(folder)) return undefined;
  const workshops = readdirSync(folder).filter((file) => file.endsWith(".json")).map((file) => JSON.parse(readFileSync(join(folder, file), "utf8")) as Partial<WorkshopFile>);
  const path = (address: string): string => new URL(address).pathname.replace(/\/+$/, "");
  return workshops.flatMap(({ seats = [] }) => seats).find((seat) => seat.username === name && path(seat.url) === path(url) && isLocal(url))?.password;
}

function isLocal(url: string): boolean {
  return ["localhost", "127.0.0.1", "[::1]"].includes(new URL(url).hostname);
}

/** One line that is written over in a terminal; a line per tenth elsewhere. */
function reporter(path: string): (progress: Progress) => void {
  const began = Date.now();
  let last = "";
  return ({ stage, done, size, again }) => {
    const percent = Math.floor((done / size) * 100);
    const key = process.stderr.isTTY ? `${stage}${percent}` : `${stage}${Math.floor(percent / 10)}`;
    if (key === last) return;
    const first = !last.startsWith(stage);
    last = key;
    const seconds = (Date.now() - began) / 1000;
    const rate = seconds > 1 && done > again ? ` ${Math.round((done - again) / seconds / 1e6)} MB/s` : "";
    const words = { reading: `reading ${percent} %`, sending: `${first && again > 0 ? `${Math.round((again / size) * 100)} % are there already; going on. ` : ""}${percent} % of ${Math.round(size / 1e6)} MB${rate}`, checking: "checking what arrived" }[stage];
    process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${path}: ${words}` : `${path}: ${words}\n`);
  };
}

/** As loaders of ComfyUI name it. */
function nameInComfy({ name, subfolder, type }: Stored): string {
  return `${subfolder === "" ? "" : `${subfolder}/`}${name}${type === "input" ? "" : ` [${type}]`}`;
}

try {
  const { seat, files, options } = readArguments(process.argv.slice(2));
  process.once("SIGINT", () => {
    process.stderr.write("\nStopped. What has arrived is kept for 7 days: run the same command again, and it goes on from there.\n");
    process.exit(130);
  });
  for (const path of files) {
    const stored = await sendFile(seat, path, options, reporter(path));
    if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
    process.stdout.write(`${nameInComfy(stored)}\n`);
  }
} catch (error) {
  const usage = error instanceof UploadError && error.message === USAGE;
  const bad = error instanceof TypeError && (error as NodeJS.ErrnoException).code?.startsWith("ERR_PARSE_ARGS") === true;
  process.stderr.write(usage ? `${USAGE}\n` : `\n✗ ${error instanceof Error ? (error instanceof UploadError || bad ? error.message : (error.stack ?? error.message)) : String(error)}\n`);
  process.exit(1);
}
