// Command line of the sandbox GPU:
//   node gpu-adapter/sandbox/main.ts --port 8188 --dir <folder> [--step-ms 40 | --instant]
// Prints one JSON line {"event":"sandbox_ready","url":...} when it listens; SIGINT and SIGTERM end it cleanly.

import { parseArgs } from "node:util";
import { DEFAULT_STEP_MS, startSandbox } from "./sandbox.ts";

/** Exit status of the `crash` switch. */
const CRASH_STATUS = 70;
const USAGE = "usage: main.ts --dir <folder> [--port 8188] [--step-ms 40 | --instant]";

function fail(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(2);
}

function readOptions() {
  try {
    const { values } = parseArgs({ options: { port: { type: "string", default: "8188" }, dir: { type: "string" }, "step-ms": { type: "string", default: String(DEFAULT_STEP_MS) }, instant: { type: "boolean", default: false } } });
    const port = Number(values.port);
    const stepMs = values.instant ? 0 : Number(values["step-ms"]);
    if (values.dir === undefined) return fail(`--dir is missing: name the folder for pictures and models. ${USAGE}`);
    if (!Number.isInteger(port) || port < 0 || port > 65535) return fail(`--port ${values.port} is no port: use 0 to 65535. ${USAGE}`);
    if (!(stepMs >= 0)) return fail(`--step-ms ${values["step-ms"]} is no number of milliseconds. ${USAGE}`);
    return { port, stepMs, dir: values.dir };
  } catch (error) {
    return fail(`${(error as Error).message}. ${USAGE}`);
  }
}

const options = readOptions();
try {
  const sandbox = await startSandbox({ ...options, onCrash: () => process.exit(CRASH_STATUS) });
  process.stdout.write(`${JSON.stringify({ event: "sandbox_ready", url: sandbox.url, port: sandbox.port, dir: options.dir })}\n`);
  const stop = (): void => void sandbox.close().then(() => process.exit(0));
  process.once("SIGINT", stop);
  process.once("SIGTERM", stop);
} catch (error) {
  const { code, message } = error as NodeJS.ErrnoException;
  fail(code === "EADDRINUSE" ? `Port ${options.port} is taken by another program: stop that one, or choose another with --port.` : `The sandbox could not start: ${message}`);
}
