// The platform's side of the contract over HTTP: one method per route of [G5]. A refusal (409, 410) is an answer, not a failure; what is lost on the
// way is tried again by the caller's rule, because every call is idempotent by lease and seq, or by file [G28].
import type { z } from "zod";
import { catalogAnswer, claimAnswer, commitAnswer, eventBatchAnswer, jobDocument, nextAnswer, refusal, resultAnswer, uploadAnswer } from "../contract.ts";
import type { CatalogReport, ClaimAnswer, ClaimRequest, CommitRequest, JobDocument, RunnerEvent, RunnerInfo, RunnerRefusal, RunResult, UploadFile } from "../contract.ts";
import { stringifyJson } from "../json.ts";

/** The platform said no. 409: the lease is not the current one; 410: the job is cancelled; 401, 403: this runner is not configured for it. */
export class Refused extends Error {
  readonly status: number;
  readonly reason: RunnerRefusal["reason"] | null;
  constructor(status: number, reason: RunnerRefusal["reason"] | null, message: string) {
    super(message);
    this.status = status;
    this.reason = reason;
  }
  /** This attempt is over for us, whatever we do. */
  get final(): boolean {
    return this.status === 409 || this.status === 410;
  }
}

/** No usable answer: network, time-out, 5xx, or a shape we do not know. Worth another try. */
export class Unanswered extends Error {}

const CALL_MS = 30_000;

type Call = { method: string; url: string; token: string; body?: BodyInit; contentType?: string; timeoutMs?: number };

async function call<S extends z.ZodType>(schema: S, { method, url, token, body, contentType = "application/json", timeoutMs = CALL_MS }: Call): Promise<z.infer<S>> {
  let answer: Response;
  let text: string;
  try {
    const headers = { Authorization: `Bearer ${token}`, ...(body === undefined ? {} : { "Content-Type": contentType }) };
    answer = await fetch(url, { method, headers, body, redirect: "error", signal: AbortSignal.timeout(timeoutMs) });
    text = await answer.text();
  } catch (error) {
    throw new Unanswered(`${method} ${new URL(url).pathname}: no answer`, { cause: error });
  }
  const value = parseJson(text);
  if (answer.ok) {
    const parsed = schema.safeParse(value);
    if (parsed.success) return parsed.data;
    throw new Unanswered(`${method} ${new URL(url).pathname}: an answer of unknown shape (${parsed.error.issues[0]?.path.join(".") ?? ""})`);
  }
  if (answer.status >= 500 || answer.status === 429 || answer.status === 408) throw new Unanswered(`${method} ${new URL(url).pathname}: ${answer.status}${wordsOf(value)}`);
  const said = refusal.safeParse(value);
  throw new Refused(answer.status, said.success ? said.data.reason : null, said.success ? said.data.message : `${answer.status} ${text.slice(0, 300)}`);
}

/** A platform that is not set up says what to set: that sentence has to reach the log of whoever can do it. */
function wordsOf(value: unknown): string {
  const said = refusal.pick({ message: true }).safeParse(value);
  return said.success ? ` ${said.data.message.slice(0, 500)}` : "";
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Routes of one attempt. `base` is `https://host/runner/v1/{workshop}`, `token` the attempt's own. */
export class AttemptRoutes {
  readonly #prefix: string;
  readonly #token: string;

  constructor(base: string, token: string, job: string, attempt: number) {
    this.#prefix = `${base.replace(/\/+$/, "")}/jobs/${encodeURIComponent(job)}/attempts/${attempt}`;
    this.#token = token;
  }

  get eventsSocket(): { url: string; token: string } {
    return { url: `${this.#prefix.replace(/^http/, "ws")}/events`, token: this.#token };
  }

  claim(request: ClaimRequest): Promise<ClaimAnswer> {
    return this.#post(claimAnswer, "claim", request);
  }

  document(url: string): Promise<JobDocument> {
    return call(jobDocument, { method: "GET", url, token: this.#token });
  }

  events(lease: string, events: RunnerEvent[], preview?: { seq: number; frame_base64: string }): Promise<z.infer<typeof eventBatchAnswer>> {
    return this.#post(eventBatchAnswer, "events", { lease_id: lease, events, ...(preview === undefined ? {} : { preview }) });
  }

  uploads(lease: string, files: UploadFile[]): Promise<z.infer<typeof uploadAnswer>> {
    return this.#post(uploadAnswer, "uploads", { lease_id: lease, files });
  }

  commit(request: CommitRequest): Promise<z.infer<typeof commitAnswer>> {
    return this.#post(commitAnswer, "uploads/commit", request);
  }

  result(result: RunResult): Promise<z.infer<typeof resultAnswer>> {
    return this.#post(resultAnswer, "result", result);
  }

  #post<S extends z.ZodType>(schema: S, path: string, body: object): Promise<z.infer<S>> {
    return call(schema, { method: "POST", url: `${this.#prefix}/${path}`, token: this.#token, body: stringifyJson(body) });
  }
}

/** Routes of one pool, with the pool's token. */
export class PoolRoutes {
  readonly #prefix: string;
  readonly #token: string;

  constructor(base: string, pool: string, token: string) {
    this.#prefix = `${base.replace(/\/+$/, "")}/pools/${encodeURIComponent(pool)}`;
    this.#token = token;
  }

  get nextSocket(): { url: string; token: string } {
    return { url: `${this.#prefix.replace(/^http/, "ws")}/next`, token: this.#token };
  }

  next(runner: RunnerInfo, digest: string | undefined, waitMs: number): Promise<z.infer<typeof nextAnswer>> {
    const body = JSON.stringify({ runner, catalog_digest: digest, wait_ms: waitMs });
    return call(nextAnswer, { method: "POST", url: `${this.#prefix}/next`, token: this.#token, body, timeoutMs: waitMs + CALL_MS });
  }

  /** `objectInfo` is sent as it is written, whatever parsing made of it. */
  catalog({ object_info: _parsed, ...rest }: CatalogReport, objectInfo: string): Promise<z.infer<typeof catalogAnswer>> {
    const body = `{"object_info": ${objectInfo}, ${stringifyJson(rest).slice(1)}`;
    return call(catalogAnswer, { method: "POST", url: `${this.#prefix}/catalog`, token: this.#token, body, timeoutMs: 120_000 });
  }

  /** One web file of a custom node; `path` as in the report. Throws Refused or Unanswered. */
  async webFile(digest: string, path: string, content: Uint8Array<ArrayBuffer>, contentType: string): Promise<void> {
    const escaped = path.split("/").map(encodeURIComponent).join("/");
    const url = `${this.#prefix}/catalog/${encodeURIComponent(digest)}/web/${escaped}`;
    const answer = await fetch(url, { method: "PUT", headers: { Authorization: `Bearer ${this.#token}`, "Content-Type": contentType }, body: content, signal: AbortSignal.timeout(120_000) }).catch((error: unknown) => {
      throw new Unanswered(`PUT of web file ${path}: no answer`, { cause: error });
    });
    const text = await answer.text();
    if (!answer.ok) throw new Refused(answer.status, null, `PUT of web file ${path}: ${answer.status} ${text.slice(0, 200)}`);
  }
}
