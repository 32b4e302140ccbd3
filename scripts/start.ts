// `npm start`: one workshop on this machine, ready to click. Options by environment: PORT, WORKSHOP, SEATS, RUNNERS, COMFYUI_URL.
import { join } from "node:path";
import { ROOT, type Stack, StackError, startStack, type WorkshopFile } from "./stack.ts";

function wholeNumber(name: string, fallback: number, least: number, most: number): number {
  const text = process.env[name];
  if (text === undefined || text === "") return fallback;
  const value = Number(text);
  if (!Number.isInteger(value) || value < least || value > most) throw new StackError(`${name}=${text} is not a whole number from ${least} to ${most}.`);
  return value;
}

function workshopName(): string {
  const name = process.env.WORKSHOP ?? "demo";
  if (!/^[a-z][a-z0-9-]{0,39}$/.test(name)) throw new StackError(`WORKSHOP=${name} cannot be used in an address. Use small letters, digits and "-", starting with a letter.`);
  return name;
}

function table(access: WorkshopFile, sandbox: boolean): string {
  const width = Math.max(...access.seats.map((seat) => seat.url.length), access.instructor.url.length);
  const row = (name: string, url: string, password: string): string => `  ${name.padEnd(12)} ${url.padEnd(width)}  ${password}`;
  return [
    "",
    `  Workshop "${access.workshop}" is running${sandbox ? " on the sandbox GPU (a CPU painter; set COMFYUI_URL to use a real ComfyUI)" : ""}.`,
    "",
    row("seat", "address", "password"),
    row("instructor", access.instructor.url, access.instructor.password),
    ...access.seats.map((seat) => row(seat.id, seat.url, seat.password)),
    "",
    `  Open a seat, sign in, open the starter workflow (Workflows, key W) and press Run. Ctrl-C stops everything; the work stays.`,
    `  The same list as JSON: .workshop/${access.workshop}.json`,
    "",
  ].join("\n");
}

async function main(): Promise<void> {
  let stack: Stack | undefined;
  let stopping = false;
  const starting = new AbortController();
  const stop = async (code: number): Promise<void> => {
    if (stopping) return;
    stopping = true;
    process.stderr.write("\n• Stopping …\n");
    // While it is still starting, whoever starts it cleans up: see below.
    starting.abort();
    if (!stack) return;
    await stack.stop();
    process.exit(code);
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => void stop(0));
  const began = performance.now();
  const comfyuiUrl = process.env.COMFYUI_URL || undefined;
  stack = await startStack({
    port: wholeNumber("PORT", 8787, 1, 65535),
    workshop: workshopName(),
    seats: wholeNumber("SEATS", 20, 1, 200),
    runners: wholeNumber("RUNNERS", 1, 1, 16),
    comfyuiUrl,
    stateDir: join(ROOT, ".wrangler/state"),
    workshopDir: join(ROOT, ".workshop"),
    say: (line) => process.stderr.write(`${line}\n`),
    signal: starting.signal,
  }).catch((error: unknown) => {
    if (stopping) process.exit(0);
    throw error;
  });
  if (stopping) {
    await stack.stop();
    process.exit(0);
  }
  process.stdout.write(table(stack.access, comfyuiUrl === undefined));
  process.stderr.write(`• Ready after ${((performance.now() - began) / 1000).toFixed(1)} s\n`);
  for (const [name, child] of stack.children) {
    child.once("exit", (code) => {
      if (stopping) return;
      process.stderr.write(`\n✗ ${name} stopped unexpectedly (exit ${code}). Everything is stopped; start again with npm start, the work is kept. VERBOSE=1 npm start shows what each part says.\n`);
      void stop(1);
    });
  }
}

try {
  await main();
} catch (error) {
  process.stderr.write(`\n✗ ${error instanceof StackError ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exit(1);
}
