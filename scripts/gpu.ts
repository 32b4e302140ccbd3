// `npm run gpu -- COMMAND`: the GPUs of a workshop from the command line, over the operator's door of a running Worker.
import { parseArgs } from "node:util";
import { COMMANDS } from "./gpu/commands.ts";
import { CommandError, DEFAULT_URL, Operator, operatorToken, UsageError } from "./workshop/operator.ts";

const OPTIONS = {
  url: { type: "string" }, workshop: { type: "string", short: "w" }, json: { type: "boolean" }, help: { type: "boolean", short: "h" },
  ask: { type: "boolean" }, file: { type: "string" }, apply: { type: "boolean" }, replicas: { type: "string" }, minutes: { type: "string" }, lines: { type: "string" },
} as const;
const COMMON = ["url", "workshop", "json", "help"];

function usage(): string {
  const commands = Object.values(COMMANDS).map(({ usage: line, says }) => `  ${line}\n      ${says}`);
  return [
    "npm run gpu -- COMMAND", "", ...commands, "",
    "  -w, --workshop NAME   which workshop (else WORKSHOP, else demo; put and deploy read it from the file)",
    `  --url ADDRESS         where the Worker is (else WORKSHOP_URL, else ${DEFAULT_URL})`,
    "  --json                the answer as JSON",
    "  The operator's token is read from OPERATOR_TOKEN, else from .dev.vars.", "",
  ].join("\n");
}

/** The exit code: 0 done, 1 refused or broken, 2 not understood. */
async function main(): Promise<number> {
  let parsed: ReturnType<typeof parseArgs<{ options: typeof OPTIONS; allowPositionals: true }>>;
  try {
    parsed = parseArgs({ options: OPTIONS, allowPositionals: true });
  } catch (error) {
    throw new UsageError(`${error instanceof Error ? error.message : String(error)}\n\n${usage()}`);
  }
  const values: Record<string, string | boolean | undefined> = { ...parsed.values };
  const [word, ...args] = parsed.positionals;
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
    workshop: typeof values.workshop === "string" ? values.workshop : (process.env.WORKSHOP ?? "demo"),
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
