// What `npm run conformance -- …` was asked.
import { parseArgs } from "node:util";

export const USAGE = `Usage: npm run conformance -- BASE_URL [OTHER_URL] [--user SEAT --password PASSWORD | --cookie COOKIE] [--only NAME] [--json]

Plays what was recorded from a real ComfyUI 0.3.64 against BASE_URL and prints what differs. With OTHER_URL the two servers are held against each other.
BASE_URL is a ComfyUI (http://127.0.0.1:8188) or a seat (http://localhost:8787/demo/user001). Credentials belong to the seat: to addresses with a path.
  --only NAME   one scenario, e.g. run-success; may be repeated
  --json        verdicts as JSON on standard output
Exit code: 0 all as expected, 1 something differs, 2 it could not be asked.`;

export type Options = { bases: [string] | [string, string]; headers: Record<string, string>; only: string[]; json: boolean };

/** Throws a sentence for what cannot be understood. */
export function readOptions(args: string[]): Options {
  const { values, positionals } = parseArgs({ args, allowPositionals: true, options: { user: { type: "string" }, password: { type: "string" }, cookie: { type: "string" }, only: { type: "string", multiple: true }, json: { type: "boolean", default: false } } });
  const [first, second, ...more] = positionals;
  if (first === undefined || more.length > 0) throw new Error(USAGE);
  for (const base of positionals) if (!URL.canParse(base) || !/^https?:/.test(base)) throw new Error(`"${base}" is no address. Write it with http:// or https://.`);
  if ((values.user === undefined) !== (values.password === undefined)) throw new Error("--user and --password go together.");
  const basic: Record<string, string> = values.user === undefined ? {} : { authorization: `Basic ${Buffer.from(`${values.user}:${values.password}`).toString("base64")}` };
  return { bases: second === undefined ? [first] : [first, second], headers: { ...basic, ...(values.cookie === undefined ? {} : { cookie: values.cookie }) }, only: values.only ?? [], json: values.json };
}

/** A bare ComfyUI knows no credentials, and should not be sent a seat's. */
export function headersFor(base: string, { headers }: Pick<Options, "headers">): Record<string, string> {
  return new URL(base).pathname === "/" ? {} : headers;
}
