// What somebody who asked for a figure did wrong, in one sentence for them: what is wrong and what to do. Anything else that is thrown is a bug of the bench.

export class BenchFault extends Error {}

/** The one number a suite takes (rounds, entries, seats), or `fallback` without it. Throws BenchFault for anything else. */
export function howMany(args: readonly string[], what: string, fallback: number): number {
  const [text, ...rest] = args;
  if (rest.length > 0) throw new BenchFault(`The suite takes one number, its ${what}, and there is more: "${rest.join(" ")}". Leave that out.`);
  return text === undefined ? fallback : wholeNumber(text, `The number of ${what}`);
}

/** A suite without options was given none. Throws BenchFault. */
export function nothing(args: readonly string[]): void {
  if (args.length > 0) throw new BenchFault(`The suite takes no options, and there is "${args.join(" ")}". Leave that out.`);
}

/** A whole number as `npm run bench` is told them. `name` begins the sentence that refuses it. */
export function wholeNumber(text: string, name: string, from: 0 | 1 = 1, most = 1_000_000): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= from && value <= most)) throw new BenchFault(`${name} is "${text}"; give a whole number from ${from} to ${most}.`);
  return value;
}

/** The sentence about a fault of who asked, or null for a bug. `parseArgs` of Node says its own, followed by advice about positional arguments. */
export function faultOf(error: unknown): string | null {
  if (error instanceof BenchFault) return error.message;
  if (!(error instanceof Error) || !("code" in error) || !String(error.code).startsWith("ERR_PARSE_ARGS")) return null;
  const [said = ""] = error.message.split(/\. |\n/);
  return `${said.replace(/\.$/, "")}. Leave it out or write it as the suite's file in scripts/bench says.`;
}
