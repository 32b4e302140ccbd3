// Brings a job's input files to ComfyUI under their content names [G18]. What is there already is not fetched again; what arrives with another hash
// than promised is never shown to ComfyUI.
import { createHash, randomUUID } from "node:crypto";
import { createReadStream, createWriteStream, openAsBlob } from "node:fs";
import { mkdir, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { ReadableStream as WebStream } from "node:stream/web";
import type { ErrorCode, JobDocument } from "../contract.ts";
import { backoffMs, RETRY } from "./backoff.ts";
import type { Comfy } from "./comfy.ts";
import { type Log, sleep, words } from "./log.ts";
import { isSafeName } from "./output-files.ts";

export type InputFile = JobDocument["inputs"][number];

/** An input could not be had; `refresh` when a new signed URL may help. */
export class InputFailure extends Error {
  readonly code: Extract<ErrorCode, "input_fetch" | "input_missing">;
  constructor(code: "input_fetch" | "input_missing", message: string) {
    super(message);
    this.code = code;
  }
}

/** The signed URL is no longer good: a repeated claim gives a fresh one. */
export class ExpiredUrl extends Error {}

/** The one folder a content name may stand in: ComfyUI's 3-D loaders list their models from there and from nowhere else. */
const MODEL_FOLDER = "3d";
/** Tries per file before the job fails ([G] 6.9 `input_fetch`: three). */
const TRIES = 3;
const PARALLEL = 4;
/** Input files kept for the next job, bytes. */
const CACHE_BYTES = 5 * 1024 ** 3;

export class Inputs {
  readonly #comfy: Comfy;
  /** ComfyUI's input folder when it is on this disk. */
  readonly #inputDir: string | null;
  readonly #cacheDir: string;
  readonly #log: Log;
  /** Names this ComfyUI process has been given over HTTP. */
  readonly #given = new Set<string>();

  constructor(comfy: Comfy, inputDir: string | null, workDir: string, log: Log) {
    this.#comfy = comfy;
    this.#inputDir = inputDir;
    this.#cacheDir = inputDir ?? join(workDir, "inputs");
    this.#log = log;
  }

  /** ComfyUI began anew or said that a file is missing: believe nothing. */
  forget(): void {
    this.#given.clear();
  }

  /** Files that are not at ComfyUI yet, by what is known without asking it. */
  async missing(files: readonly InputFile[]): Promise<InputFile[]> {
    const checks = await Promise.all(files.map(async (file) => (this.#inputDir === null ? !this.#given.has(file.name) : !(await this.#cached(file)))));
    return files.filter((_, index) => checks[index] === true);
  }

  /** Fetches and places every file given; throws InputFailure, ExpiredUrl, ComfyError. */
  async place(files: readonly InputFile[], signal: AbortSignal): Promise<void> {
    await mkdir(this.#cacheDir, { recursive: true });
    const waiting = [...files];
    const worker = async (): Promise<void> => {
      for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) await this.#placeOne(file, signal);
    };
    await Promise.all(Array.from({ length: Math.min(PARALLEL, files.length) }, worker));
  }

  async #placeOne(file: InputFile, signal: AbortSignal): Promise<void> {
    const subfolder = file.name.startsWith(`${MODEL_FOLDER}/`) ? MODEL_FOLDER : "";
    const filename = subfolder === "" ? file.name : file.name.slice(subfolder.length + 1);
    if (!isSafeName(filename, "")) throw new InputFailure("input_missing", `The input name "${file.name}" is not a plain file name.`);
    const path = join(this.#cacheDir, subfolder, filename);
    if (subfolder !== "") await mkdir(join(this.#cacheDir, subfolder), { recursive: true });
    if (!(await this.#cached(file))) await this.#fetch(file, path, signal);
    if (this.#inputDir !== null) return;
    await this.#comfy.uploadInput(filename, await openAsBlob(path), subfolder);
    this.#given.add(file.name);
  }

  /** Keeps the cache of a runner without ComfyUI's folder within its bound, oldest files first; ComfyUI's own folder is not ours to tidy. */
  async tidy(maxBytes = CACHE_BYTES): Promise<void> {
    if (this.#inputDir !== null) return;
    const names = await readdir(this.#cacheDir).catch(() => []);
    const files = (await Promise.all(names.map(async (name) => ({ name, found: await stat(join(this.#cacheDir, name)).catch(() => null) })))).filter(({ found }) => found?.isFile() === true);
    files.sort((a, b) => (b.found?.mtimeMs ?? 0) - (a.found?.mtimeMs ?? 0));
    let total = 0;
    for (const { name, found } of files) {
      total += found?.size ?? 0;
      if (total > maxBytes) await rm(join(this.#cacheDir, name), { force: true });
    }
  }

  async #cached(file: InputFile): Promise<boolean> {
    // The name carries the hash and files appear by rename only, so the size is check enough.
    const found = await stat(join(this.#cacheDir, file.name)).catch(() => null);
    return found?.isFile() === true && found.size === file.size;
  }

  async #fetch(file: InputFile, path: string, signal: AbortSignal): Promise<void> {
    for (let failures = 0; ; failures++) {
      try {
        return await this.#fetchOnce(file, path, signal);
      } catch (error) {
        if (error instanceof InputFailure || error instanceof ExpiredUrl || signal.aborted) throw error;
        this.#log("input_retry", { name: file.name, try: failures + 1, error: words(error) });
        if (failures + 1 >= TRIES) throw new InputFailure("input_fetch", `The input "${file.name}" could not be fetched in ${TRIES} tries (${words(error)}).`);
        await sleep(backoffMs(RETRY, failures, Math.random()), signal);
      }
    }
  }

  async #fetchOnce(file: InputFile, path: string, signal: AbortSignal): Promise<void> {
    const answer = await fetch(file.url, { signal, redirect: "follow" });
    if (answer.status === 404) throw new InputFailure("input_missing", `The input "${file.name}" is no longer stored.`);
    if (answer.status === 400 || answer.status === 401 || answer.status === 403 || answer.status === 410) throw new ExpiredUrl(`The address of input "${file.name}" was refused with ${answer.status}.`);
    if (!answer.ok || answer.body === null) throw new Error(`answered ${answer.status}`);
    const part = join(this.#cacheDir, `.part-${randomUUID()}`);
    try {
      await pipeline(Readable.fromWeb(answer.body as WebStream), createWriteStream(part));
      const hash = createHash("sha256");
      for await (const chunk of createReadStream(part)) hash.update(chunk as Uint8Array);
      if (hash.digest("hex") !== file.sha256.toLowerCase()) throw new InputFailure("input_missing", `The input "${file.name}" arrived with other content than was uploaded.`);
      await rename(part, path);
    } finally {
      await rm(part, { force: true });
    }
  }
}
