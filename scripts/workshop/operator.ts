// The operator's door from the command line: the address, the token, one request at a time. Every failure is a sentence with the way out.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../stack.ts";

/** A sentence for the person in front of the terminal; printed without a stack trace. */
export class CommandError extends Error {}
/** The command line was not understood. */
export class UsageError extends CommandError {}

export const DEFAULT_URL = "http://127.0.0.1:8787";

export class Operator {
  readonly url: string;
  readonly #token: string;

  constructor(url: string, token: string) {
    if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) throw new UsageError(`--url ${url} is no address. Give the start of the workshops' addresses, like https://workshops.example.org.`);
    this.url = url.replace(/\/+$/, "");
    this.#token = token;
  }

  /** The answer's JSON; a refusal is thrown in the server's own words. */
  async ask<T>(method: string, path: string, body?: unknown): Promise<T> {
    return (await (await this.open(method, path, body)).json()) as T;
  }

  /** The answer itself, for bodies that are read as they come. */
  async open(method: string, path: string, body?: unknown): Promise<Response> {
    let answer: Response;
    try {
      answer = await fetch(`${this.url}/ops/v1${path}`, { method, headers: { authorization: `Bearer ${this.#token}`, ...(body === undefined ? {} : { "content-type": "application/json" }) }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    } catch (error) {
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
      throw new CommandError(`Nobody answers at ${this.url} (${cause}). Start the Worker with npm start, or name another address with --url.`);
    }
    if (answer.ok) return answer;
    if (answer.status === 401) throw new CommandError(`${this.url} does not know this operator token. Set OPERATOR_TOKEN to the one it was deployed with (locally it stands in .dev.vars).`);
    const text = await answer.text();
    throw new CommandError(`${method} ${path}: ${sentenceOf(text) ?? `${answer.status} ${text.slice(0, 300)}`}`);
  }
}

function sentenceOf(text: string): string | null {
  try {
    return (JSON.parse(text) as { error?: { message?: string } }).error?.message ?? null;
  } catch {
    return null;
  }
}

/** OPERATOR_TOKEN of the environment, else of .dev.vars. */
export function operatorToken(): string {
  const given = process.env.OPERATOR_TOKEN;
  if (given) return given;
  const file = join(ROOT, ".dev.vars");
  const found = existsSync(file) ? /^OPERATOR_TOKEN\s*=\s*"?([^"\n]+)"?/m.exec(readFileSync(file, "utf8"))?.[1] : undefined;
  if (found) return found;
  throw new CommandError("There is no operator token. Set OPERATOR_TOKEN, or run npm start once: it makes one for this machine (.dev.vars).");
}
