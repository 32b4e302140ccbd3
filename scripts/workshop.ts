// `npm run workshop -- COMMAND`: the operator's command line. Talks to /ops/v1 of a running Worker; `replay` works without one.
import { parseArgs } from "node:util";
import { COMMANDS } from "./workshop/commands.ts";
import { CommandError, DEFAULT_URL, Operator, operatorToken, UsageError } from "./workshop/operator.ts";

const OPTIONS = {
  url: { type: "string" }, json: { type: "boolean" }, help: { type: "boolean", short: "h" }, title: { type: "string" }, seats: { type: "string" }, prefix: { type: "string" }, pool: { type: "string", multiple: true },
  add: { type: "string" }, names: { type: "string" }, provider: { type: "string" }, slots: { type: "string" }, settings: { type: "string" }, renew: { type: "boolean" }, since: { type: "string" }, out: { type: "string" }, quiet: { type: "boolean" },
} as const;
const COMMON = ["url", "json", "help"];

function usage(): string {
  const commands = Object.values(COMMANDS).map(({ usage: line, says }) => `  ${line}\n      ${says}`);
  return [
    "npm run workshop -- COMMAND", "", ...commands, "",
    `  --url ADDRESS   where the Worker is (else WORKSHOP_URL, else ${DEFAULT_URL})`,
    "  --json          the answer as JSON",
    "  The operator's token is read from OPERATOR_TOKEN, else from .dev.vars.", "",
  ].join("\n");
}

function read(): { values: Record<string, string | boolean | string[] | undefined>; positionals: string[] } {
  try {
    const { values, positionals } = parseArgs({ options: OPTIONS, allowPositionals: true });
    return { values: { ...values }, positionals };
  } catch (error) {
    throw new UsageError(`${error instanceof Error ? error.message : String(error)}\n\n${usage()}`);
  }
}

/** The exit code: 0 done, 1 refused or different, 2 not understood. */
async function main(): Promise<number> {
  const { values, positionals } = read();
  const [word, ...args] = positionals;
  if (values.help === true || word === undefined) {
    process.stdout.write(usage());
    return values.help === true ? 0 : 2;
  }
  const command = Object.hasOwn(COMMANDS, word) ? COMMANDS[word] : undefined;
  if (command === undefined) throw new UsageError(`There is no command "${word}".\n\n${usage()}`);
  const foreign = Object.keys(values).find((option) => !COMMON.includes(option) && !command.takes.includes(option));
  if (foreign !== undefined) throw new UsageError(`"${word}" takes no --${foreign}. It is used like this: ${command.usage}`);
  let operator: Operator | null = null;
  return await command.run({
    operator: () => (operator ??= new Operator(typeof values.url === "string" ? values.url : (process.env.WORKSHOP_URL ?? DEFAULT_URL), operatorToken())),
    args,
    options: values,
    say: (line) => void process.stdout.write(`${line}\n`),
  });
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`✗ ${error instanceof CommandError ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
