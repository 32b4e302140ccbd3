// Sends one file in parts to a seat, and goes on where an earlier try stopped. Invariants: a part is read from the disk as it is sent, never held whole;
// what has arrived is the server's word, not ours; an error that time may heal is tried again, one that it will not ends with what to do.
import { createHash } from "node:crypto";
import { createReadStream, openAsBlob } from "node:fs";
import { stat } from "node:fs/promises";
import { basename } from "node:path";

/** A sentence for the person in front of the terminal. */
export class UploadError extends Error {}

export type Seat = { /** address without a trailing slash */ url: string; /** value of Authorization, if any */ authorization: string | null };
export type Options = { subfolder: string; overwrite: boolean; type: string; /** parts on their way at once */ parallel: number };
/** Bytes that count so far; `again` bytes were there from an earlier try. */
export type Progress = { stage: "reading" | "sending" | "checking"; done: number; size: number; again: number };
export type Stored = { name: string; subfolder: string; type: string };

type Opened = { upload_id: string; part_bytes: number; parts: number; present: number[]; size: number };

/** Tries of one call, with pauses that double from half a second up to half a minute: some two minutes of a dead line. */
const TRIES = 9;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;
/** ms for an answer; `complete` reads the whole file once on the other side. */
const CALL_MS = 60_000;
const PART_MS = 15 * 60_000;
const COMPLETE_MS = 10 * 60_000;
/** Times that an upload which the server has given up meanwhile is begun again. */
const BEGINNINGS = 3;

/** Answers the name the file got. Throws UploadError with the way out. */
export async function sendFile(seat: Seat, path: string, options: Options, tell: (progress: Progress) => void): Promise<Stored> {
  const info = await stat(path).catch(() => null);
  if (info === null || !info.isFile()) throw new UploadError(`${path} is not a file. Check the name; nothing was sent.`);
  if (info.size === 0) throw new UploadError(`${path} is empty. Nothing was sent.`);
  const size = info.size;
  const sha256 = await digest(path, (done) => tell({ stage: "reading", done, size, again: 0 }));
  const asked = { name: basename(path), size, sha256, subfolder: options.subfolder, type: options.type, overwrite: options.overwrite };
  for (let beginning = 1; ; beginning++) {
    const opened = (await (await call(seat, "POST", "", { json: asked, timeoutMs: CALL_MS })).json()) as Opened;
    const stored = await sendParts(seat, path, opened, options, tell);
    if (stored !== "over") return stored;
    if (beginning === BEGINNINGS) throw new UploadError(`The server gave the upload of ${path} up ${BEGINNINGS} times. Run the same command again; if it stays so, tell the instructor.`);
  }
}

async function sendParts(seat: Seat, path: string, opened: Opened, options: Options, tell: (progress: Progress) => void): Promise<Stored | "over"> {
  const { upload_id: id, part_bytes, parts, size } = opened;
  const file = await openAsBlob(path);
  const bytesOf = (part: number): number => (part === parts ? size - (parts - 1) * part_bytes : part_bytes);
  const again = opened.present.reduce((sum, part) => sum + bytesOf(part), 0);
  let done = again;
  let missing = Array.from({ length: parts }, (_, index) => index + 1).filter((part) => !opened.present.includes(part));
  for (;;) {
    tell({ stage: "sending", done, size, again });
    const over = await each(missing, options.parallel, async (part) => {
      const body = file.slice((part - 1) * part_bytes, (part - 1) * part_bytes + bytesOf(part));
      const answer = await call(seat, "PUT", `/${id}/parts/${part}`, { body, timeoutMs: PART_MS, mayBeOver: true });
      if (answer.status === 404) return true;
      done = Math.min(size, done + bytesOf(part));
      tell({ stage: "sending", done, size, again });
      return false;
    });
    if (over) return "over";
    tell({ stage: "checking", done: size, size, again });
    const answer = await call(seat, "POST", `/${id}/complete`, { timeoutMs: COMPLETE_MS, mayBeOver: true });
    if (answer.status === 404) return "over";
    const said = (await answer.json()) as Stored & { error?: { extra_info?: { missing?: number[] } } };
    if (answer.status === 200) return { name: said.name, subfolder: said.subfolder, type: said.type };
    missing = said.error?.extra_info?.missing ?? [];
    done = size - missing.reduce((sum, part) => sum + bytesOf(part), 0);
  }
}

/** Does `work` for every item, some at once; stops at the first that answers true, and answers whether one did. */
async function each<T>(items: T[], atOnce: number, work: (item: T) => Promise<boolean>): Promise<boolean> {
  const left = items.slice();
  let stop = false;
  const lane = async (): Promise<void> => {
    for (let item = left.shift(); item !== undefined && !stop; item = left.shift()) {
      try {
        if (await work(item)) stop = true;
      } catch (error) {
        stop = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, lane));
  return stop;
}

type Call = { json?: unknown; body?: Blob; timeoutMs: number; /** 404 and 409 are answers, not failures */ mayBeOver?: boolean };

async function call(seat: Seat, method: string, path: string, { json, body, timeoutMs, mayBeOver = false }: Call): Promise<Response> {
  let last = "";
  for (let attempt = 1; attempt <= TRIES; attempt++) {
    let pause = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (attempt - 1)) * (0.5 + Math.random());
    try {
      const answer = await fetch(`${seat.url}/api/comfyume/uploads${path}`, {
        method,
        redirect: "manual",
        headers: { ...(seat.authorization === null ? {} : { Authorization: seat.authorization }), ...(json === undefined ? {} : { "Content-Type": "application/json" }) },
        body: json === undefined ? body : JSON.stringify(json),
        signal: AbortSignal.timeout(timeoutMs),
      });
      if (answer.ok || (mayBeOver && (answer.status === 404 || answer.status === 409))) return answer;
      last = await complaintOf(answer);
      if (!passes(answer.status, method)) throw new UploadError(last);
      pause = Math.max(pause, Number(answer.headers.get("retry-after") ?? 0) * 1000);
    } catch (error) {
      if (error instanceof UploadError) throw error;
      last = `No answer from ${seat.url}: ${causeOf(error)}.`;
    }
    if (attempt < TRIES) await new Promise((resolve) => setTimeout(resolve, pause));
  }
  throw new UploadError(`${last} Tried ${TRIES} times. What has arrived is kept for 7 days: run the same command again, and it goes on from there.`);
}

/** Whether time may heal it. 400 to a part is one that broke on the way. */
function passes(status: number, method: string): boolean {
  return (status === 400 && method === "PUT") || status === 408 || status === 425 || status === 429 || status >= 500;
}

async function complaintOf(answer: Response): Promise<string> {
  const text = await answer.text();
  if (answer.status === 401 || answer.status === 302) return "The seat asks who you are. Give its name and password: --user NAME, and --password or the variable COMFYUME_PASSWORD.";
  try {
    const message = (JSON.parse(text) as { error?: { message?: unknown } }).error?.message;
    if (typeof message === "string") return message;
  } catch {
    // said below
  }
  return `The server answered ${answer.status} where an upload was expected. Give the address of a seat, as it stands in the browser: http://host/workshop/seat/`;
}

function causeOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Error ? cause.message || cause.name : String(cause);
}

async function digest(path: string, tell: (done: number) => void): Promise<string> {
  const hash = createHash("sha256");
  let done = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) {
    hash.update(chunk as Buffer);
    done += (chunk as Buffer).byteLength;
    tell(done);
  }
  return hash.digest("hex");
}
