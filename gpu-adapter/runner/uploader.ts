// Stores the files of one attempt [G21]. Invariants: a file is named to nobody before its commit was answered; commits follow the order in which the
// nodes ended, so that a seat's counters do too [G22]; a failing storage is asked again with fresh targets until the limit, and never runs a node again.
import { basename } from "node:path";
import type { CommitRequest, FileName, ProducedFile, UploadFile } from "../contract.ts";
import { Allowance, type StoreLimits, UploadFailure } from "./allowance.ts";
import { backoffMs, RECONNECT, RETRY } from "./backoff.ts";
import type { Comfy } from "./comfy.ts";
import { type Content, readContent, TooLarge } from "./content.ts";
import type { ComfyFolders } from "./disk.ts";
import type { FileMemory } from "./file-memory.ts";
import { type Log, sleep, words } from "./log.ts";
import { findFiles, type FoundFile, localKey } from "./output-files.ts";
import { OwnFiles } from "./own-files.ts";
import { type AttemptRoutes, Refused } from "./platform.ts";
import { type Part, putFile } from "./put.ts";

export type UploadLimits = StoreLimits & { upload_s: number };
export type UploaderDeps = {
  comfy: Comfy;
  folders: ComfyFolders;
  memory: FileMemory;
  routes: AttemptRoutes;
  lease: string;
  seatTag: string;
  limits: UploadLimits;
  spoolDir: string;
  log: Log;
  signal: AbortSignal;
};

type Stored = ProducedFile & { sha256: string };
type Pending = { file: FoundFile; nodeId: string; content: Content };
type Put = { n: number; upload_id?: string; parts?: Part[] };

/** Uploads in flight at a time, over all nodes. */
const PARALLEL = 4;
/** Answers of a commit that may be lost before everything goes up anew. */
const COMMIT_TRIES = 5;
/** Files per request (the contract's bound). */
const BATCH = 100;

export class Uploader {
  readonly #deps: UploaderDeps;
  /** Committed in this attempt, or known from an earlier one, by local name. */
  readonly #known = new Map<string, Stored>();
  /** Named by a node, but not at ComfyUI any more: a cached node's temporary file, say. */
  readonly gone = new Set<string>();
  #commits: Promise<void> = Promise.resolve();
  #active = 0;
  readonly #waiting: (() => void)[] = [];
  readonly #allowance: Allowance;
  readonly #own: OwnFiles;

  constructor(deps: UploaderDeps) {
    this.#deps = deps;
    this.#allowance = new Allowance(deps.limits);
    this.#own = new OwnFiles(deps);
  }

  /** The run began at this time of ComfyUI's clock (ms); from then on ComfyUI writes for nobody else. */
  started(serverMs: number): void {
    this.#own.started(serverMs);
  }

  /** Everything this attempt may name, for the result. */
  files(): ProducedFile[] {
    return [...this.#known.values()].map(({ sha256: _hash, ...file }) => file);
  }

  /** Files of this attempt that were committed, for emptying afterwards. */
  locals(): FileName[] {
    return [...this.#known.values()];
  }

  /**
   * Stores every file that a node's output names and answers with their ids, in order. `cached`: ComfyUI took the node from its cache, so a name
   * this seat has seen before is that earlier file [G23]. Throws UploadFailure, or Refused when the lease is gone.
   */
  store(nodeId: string, output: unknown, cached: boolean): Promise<ProducedFile[]> {
    const work = this.#storeFound(nodeId, output, cached, this.#commits);
    this.#commits = Promise.allSettled([work]).then(() => undefined);
    return work;
  }

  /** Names that were never announced by an event (only history has them). */
  unknown(output: unknown): boolean {
    return findFiles(output).some((file) => !this.#known.has(localKey(file)) && !this.gone.has(localKey(file)));
  }

  /** Keys of the files that these outputs name and nobody can fetch: gone, or never stored because the run was stopped or storing failed. */
  unfetchable(outputs: unknown): ReadonlySet<string> {
    return new Set(findFiles(outputs).map(localKey).filter((key) => !this.#known.has(key)));
  }

  async #storeFound(nodeId: string, output: unknown, cached: boolean, previous: Promise<void>): Promise<ProducedFile[]> {
    const found = [...findFiles(output), ...(cached ? [] : await this.#own.candidates(output, (file) => this.#known.has(localKey(file))))];
    const pending: Pending[] = [];
    try {
      for (const file of found) {
        if (cached && this.#recall(file)) continue;
        if (!cached && this.#deps.memory.knows(file) && !(await this.#own.wrote(file))) {
          // A node named a file that this run did not write: the seat's own earlier one, or nobody's business.
          if (!this.#recall(file)) this.#miss(file, nodeId);
          continue;
        }
        const content = await this.#limited(() => this.#read(file, nodeId));
        if (content === null) this.#miss(file, nodeId);
        else if (this.#known.get(localKey(file))?.sha256 === content.sha256) await content.dispose();
        else {
          pending.push({ file, nodeId, content });
          this.#allowance.take(nodeId, content.size);
        }
      }
      for (let at = 0; at < pending.length; at += BATCH) await this.#transfer(pending.slice(at, at + BATCH), previous);
    } finally {
      await Promise.all(pending.map(({ content }) => content.dispose()));
    }
    return found.flatMap((file) => {
      const stored = this.#known.get(localKey(file));
      if (stored === undefined) return [];
      const { sha256: _hash, ...named } = stored;
      return [named];
    });
  }

  #miss(file: FoundFile, nodeId: string): void {
    this.gone.add(localKey(file));
    this.#deps.log("file_gone", { node: nodeId, type: file.type });
  }

  #recall(file: FoundFile): boolean {
    if (this.#known.has(localKey(file))) return true;
    const id = this.#deps.memory.recall(this.#deps.seatTag, file);
    if (id === null) return false;
    this.#known.set(localKey(file), { type: file.type, subfolder: file.subfolder, filename: file.filename, file_id: id, sha256: "" });
    return true;
  }

  async #read(file: FoundFile, nodeId: string): Promise<Content | null> {
    const maxBytes = this.#allowance.left(nodeId);
    const signal = AbortSignal.any([this.#deps.signal, AbortSignal.timeout(Math.ceil(this.#deps.limits.upload_s * 1000))]);
    for (let failures = 0; ; failures++) {
      try {
        return await readContent(file, { ...this.#deps, signal, maxBytes });
      } catch (error) {
        if (error instanceof TooLarge) throw this.#allowance.tooLarge(nodeId);
        if (failures >= 2 || signal.aborted) throw new UploadFailure(`ComfyUI did not hand out "${basename(file.filename)}" (${words(error)}).`);
        await sleep(backoffMs(RECONNECT, failures, Math.random()), signal);
      }
    }
  }

  /** Targets, bytes, commit; from the beginning with fresh targets whenever a step fails, until `upload_s` is over. */
  async #transfer(batch: Pending[], previous: Promise<void>): Promise<void> {
    const deadline = Date.now() + this.#deps.limits.upload_s * 1000;
    for (let failures = 0; ; failures++) {
      try {
        const puts = await this.#put(batch);
        await previous;
        return await this.#commit(batch, puts);
      } catch (error) {
        if (error instanceof Refused && error.final) throw error;
        if (error instanceof Refused) throw new UploadFailure(`The platform refused the files: ${error.message}`);
        if (this.#deps.signal.aborted) throw new UploadFailure("The upload was given up.");
        const wait = backoffMs(RECONNECT, failures, Math.random());
        this.#deps.log("upload_retry", { files: batch.length, try: failures + 1, error: words(error) });
        if (Date.now() + wait > deadline) throw new UploadFailure(`The files could not be stored within ${this.#deps.limits.upload_s} s (${words(error)}).`);
        await sleep(wait, this.#deps.signal);
      }
    }
  }

  async #put(batch: Pending[]): Promise<Put[]> {
    const { targets } = await this.#deps.routes.uploads(this.#deps.lease, batch.map(uploadOf));
    if (targets.length !== batch.length) throw new Error(`the platform gave ${targets.length} targets for ${batch.length} files`);
    return Promise.all(
      batch.map(({ content }, index) =>
        this.#limited(async () => {
          const target = targets[index];
          if (target === undefined) throw new Error("a target is missing");
          return { n: target.n, ...(await putFile(target, content.body, content.contentType, this.#deps.signal)) };
        }),
      ),
    );
  }

  async #commit(batch: Pending[], puts: Put[]): Promise<void> {
    const files = batch.flatMap((pending, index) => {
      const put = puts[index];
      return put === undefined ? [] : [{ ...uploadOf(pending), ...put }];
    });
    const answer = await this.#askCommit({ lease_id: this.#deps.lease, files });
    if (answer.files.length !== batch.length) throw new Error(`the platform committed ${answer.files.length} of ${batch.length} files`);
    for (const [index, { file, content }] of batch.entries()) {
      const named = answer.files[index];
      if (named === undefined) continue;
      const local = { type: file.type, subfolder: file.subfolder, filename: file.filename };
      this.#known.set(localKey(file), { ...local, file_id: named.file_id, sha256: content.sha256 });
      this.#deps.memory.remember(this.#deps.seatTag, local, named.file_id);
    }
  }

  /** A lost answer is asked for again with the same body (committing is idempotent [G28]); a refused file goes up anew with a fresh target. */
  async #askCommit(request: CommitRequest): Promise<{ files: { file_id: string }[] }> {
    for (let failures = 0; ; failures++) {
      try {
        return await this.#deps.routes.commit(request);
      } catch (error) {
        if (error instanceof Refused && (error.final || error.status === 401 || error.status === 403)) throw error;
        if (error instanceof Refused || failures >= COMMIT_TRIES || this.#deps.signal.aborted) throw new Error(`the commit failed: ${words(error)}`, { cause: error });
        await sleep(backoffMs(RETRY, failures, Math.random()), this.#deps.signal);
      }
    }
  }

  async #limited<T>(work: () => Promise<T>): Promise<T> {
    while (this.#active >= PARALLEL) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#active++;
    try {
      return await work();
    } finally {
      this.#active--;
      this.#waiting.shift()?.();
    }
  }
}

function uploadOf({ file, nodeId, content }: Pending): UploadFile {
  return { type: file.type, subfolder: file.subfolder, filename: file.filename, node_id: nodeId, key: file.key.slice(0, 100), content_type: content.contentType, size: content.size, sha256: content.sha256 };
}
