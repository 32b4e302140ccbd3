// One JSON object per line on standard output. Never a token, never a prompt: callers pass names, numbers and sentences only.

export type LogFields = Record<string, string | number | boolean | null | undefined>;
export type Log = (event: string, fields?: LogFields) => void;

/** A logger whose lines carry `base` too. */
export function logger(base: LogFields = {}, write: (line: string) => void = (line) => void process.stdout.write(line)): Log {
  return (event, fields = {}) => write(`${JSON.stringify({ ts: new Date().toISOString(), event, ...base, ...fields })}\n`);
}

/** The words of anything thrown, with the cause that fetch hides one level down; no stack. */
export function words(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? `: ${error.cause.message || ("code" in error.cause ? String(error.cause.code) : error.cause.name)}` : "";
  return `${error.message}${cause}`.slice(0, 500);
}

/** Resolves after `ms`, or at once when the signal fires. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", done);
  });
}
