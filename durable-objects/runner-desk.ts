// Where runners come for work: hand-over of a dispatch, the claim that alone yields the job document [G10], [G12], the lease behind every later word.
// Invariants: a dispatch's id and token are minted once and stored before they leave; whoever does not hold the current lease changes nothing [Q53].
import { createHash, createHmac } from "node:crypto";
import { canonicalJson } from "../gpu-adapter/canonical.ts";
import { type ClaimAnswer, type ClaimRequest, CONTRACT_VERSION, type Dispatch, type JobDocument, type Work } from "../gpu-adapter/contract.ts";
import { parseJson, stringifyJson } from "../gpu-adapter/json.ts";
import { jobDocumentKey } from "../r2/keys.ts";
import { fileUrl, signAttempt, signFile } from "../r2/signed.ts";
import type { Answer, AttemptRef, Refusal } from "./contract.ts";
import type { Engine } from "./engine.ts";
import { type JobFacts, jobFacts, promptTexts } from "./job-store.ts";
import { attemptKey } from "./queue-store.ts";
import type { Attempt, Effect, Known, Pool } from "./queue/index.ts";
import { refused } from "./refusals.ts";
import type { RunRelay } from "./run-relay.ts";
import type { Run } from "./runner-protocol.ts";
import { integer, type Sql, text, textOrNull } from "./sql.ts";

/** A job document over this many bytes is fetched from a signed address instead of travelling in the claim's answer [G12]. */
const DOCUMENT_MOST = 1024 * 1024;
/** Signed addresses outlive the longest run by this much (ms), so that a slow upload still finds its door open. */
const URL_SLACK_MS = 600_000;

export type DeskEnv = { SESSION_SECRET: string; FILES: R2Bucket };
type AttemptRow = { dispatch_id: string; token_hash: string; lease: string | null; files: number };

export class RunnerDesk {
  readonly #sql: Sql;
  readonly #engine: Engine;
  readonly #relay: RunRelay;
  readonly #env: DeskEnv;
  readonly #workshop: () => string;
  readonly #run: Run;
  readonly #sharedKey: (pool: string) => string | undefined;

  constructor(parts: { sql: Sql; engine: Engine; relay: RunRelay; env: DeskEnv; workshop: () => string; run: Run; sharedKey: (pool: string) => string | undefined }) {
    this.#sql = parts.sql;
    this.#engine = parts.engine;
    this.#relay = parts.relay;
    this.#env = parts.env;
    this.#workshop = parts.workshop;
    this.#run = parts.run;
    this.#sharedKey = parts.sharedKey;
  }

  /** The dispatch of an attempt; the same one again when asked again. `baseUrl` is `https://host/runner/v1/{workshop}`. */
  dispatch(effect: Pick<Effect & { type: "dispatch" }, "job" | "attempt" | "pool" | "claimBefore">, baseUrl: string, detach: boolean): Dispatch {
    const pool = this.#engine.state.pools.get(effect.pool);
    const longest = pool ? Math.max(...Object.values(pool.execLimit)) : 3_600_000;
    const row = this.#attemptRow(effect) ?? this.#mint(effect);
    const token = signAttempt(this.#env.SESSION_SECRET, { workshop: this.#workshop(), job: effect.job, attempt: effect.attempt, exp: effect.claimBefore + longest + URL_SLACK_MS });
    const rest = { v: CONTRACT_VERSION as 1, workshop: this.#workshop(), pool: effect.pool, job_id: effect.job, attempt: effect.attempt, dispatch_id: row.dispatch_id, callback: { base_url: baseUrl, token }, claim_before: effect.claimBefore, detach };
    return { ...rest, sig: createHmac("sha256", this.key(effect.pool)).update(canonicalJson(rest)).digest("hex") };
  }

  /** The key the images of this pool check dispatches with [G8]; lower-case hex. */
  key(pool: string): string {
    const shared = this.#sharedKey(pool);
    return shared === undefined ? dispatchKey(this.#env.SESSION_SECRET, this.#workshop(), pool) : sharedDispatchKey(this.#env.SESSION_SECRET, shared);
  }

  /** Our own id of a hand-over, which a provider can be asked by. */
  dispatchId(ref: { job: string; attempt: number; pool: string }): string {
    return (this.#attemptRow(ref) ?? this.#mint(ref)).dispatch_id;
  }

  #mint(effect: { job: string; attempt: number; pool: string }): AttemptRow {
    const row: AttemptRow = { dispatch_id: crypto.randomUUID(), token_hash: "", lease: null, files: 0 };
    this.#sql.all("INSERT INTO attempts (job, attempt, pool, dispatch_id, token_hash) VALUES (?, ?, ?, ?, ?)", effect.job, effect.attempt, effect.pool, row.dispatch_id, row.token_hash);
    return row;
  }

  #attemptRow(ref: AttemptRef): AttemptRow | null {
    const row = this.#sql.all("SELECT dispatch_id, token_hash, lease, files FROM attempts WHERE job = ? AND attempt = ?", ref.job, ref.attempt)[0];
    return row ? { dispatch_id: text(row, "dispatch_id"), token_hash: text(row, "token_hash"), lease: textOrNull(row, "lease"), files: integer(row, "files") } : null;
  }

  /** Grants the lease, or says why not [Q52]. The same runner repeating itself gets the same answer. */
  async claim(ref: AttemptRef, request: ClaimRequest, baseUrl: string): Promise<Answer<{ claim: ClaimAnswer }>> {
    const decision = this.#run<"claim">(
      { type: "claim", job: ref.job, attempt: ref.attempt, runner: request.runner.id, lease: `l_${crypto.randomUUID()}`, coldMs: request.runner.cold_start_ms ?? 0, known: knownEnd(this.#sql, ref.job) },
      (made) => {
        if (!made.ok || made.result.repeated) return;
        this.#relay.begin(ref.job);
        this.#sql.all("UPDATE attempts SET lease = ?, runner = ?, catalog = ? WHERE job = ? AND attempt = ?", made.result.lease, JSON.stringify(request.runner), request.catalog_digest ?? null, ref.job, ref.attempt);
      },
    );
    if (!decision.ok) return refused(decision);
    if (decision.result.cancel) return { ok: false, reason: "gone", message: "The job was cancelled." };
    const document = await this.#document(ref, baseUrl);
    if (!document.ok) return document;
    const pool = this.#poolOf(ref);
    const ttl = decision.result.ttl / 1000;
    const answer: ClaimAnswer = { lease_id: decision.result.lease, lease_ttl_s: ttl, heartbeat_s: Math.max(1, (pool?.lease ?? 75_000) / 5000), want_catalog: !this.knowsCatalog(pool?.id ?? "", request.catalog_digest), ...document.document };
    return { ok: true, claim: answer };
  }

  /** A dispatch already claimed for the runner that asked for work [G] 6.12; null when the claim was refused. */
  async work(effect: { job: string; attempt: number; pool: string; claimBefore: number }, request: ClaimRequest, baseUrl: string): Promise<Work | Refusal> {
    const dispatch = this.dispatch(effect, baseUrl, true);
    const claimed = await this.claim({ job: effect.job, attempt: effect.attempt }, request, baseUrl);
    return claimed.ok ? { dispatch, claim: claimed.claim } : claimed;
  }

  knowsCatalog(pool: string, digest: string | undefined): boolean {
    if (digest === undefined) return true;
    return this.#sql.all("SELECT 1 AS yes FROM catalogs WHERE pool = ? AND digest = ?", pool, digest).length > 0;
  }

  /** The catalog that the holder of this attempt announced at its claim; null once the attempt is over. */
  expectedCatalog(ref: AttemptRef): { pool: string; digest: string } | null {
    const attempt = this.#engine.state.attempts.get(attemptKey(ref.job, ref.attempt));
    const row = this.#sql.all("SELECT catalog FROM attempts WHERE job = ? AND attempt = ?", ref.job, ref.attempt)[0];
    const digest = row ? textOrNull(row, "catalog") : null;
    return attempt === undefined || attempt.lease === null || digest === null ? null : { pool: attempt.pool, digest };
  }

  /** The attempt whose current lease this is, or the refusal that fences everything else off [Q53]. */
  holder(ref: AttemptRef, lease: string): { ok: true; attempt: Attempt; facts: JobFacts } | Refusal {
    const attempt = this.#engine.state.attempts.get(attemptKey(ref.job, ref.attempt));
    const facts = jobFacts(this.#sql, ref.job);
    if (attempt?.lease?.id !== lease || !facts) return { ok: false, reason: "stale", message: "This lease is over: another attempt runs, or the job has ended. Drop the run." };
    return { ok: true, attempt, facts };
  }

  /** Numbers for new files of an attempt, counted on so that no key of a lease is ever used twice. */
  takeFileNumbers(ref: AttemptRef, count: number): number {
    const row = this.#sql.all("UPDATE attempts SET files = files + ? WHERE job = ? AND attempt = ? RETURNING files", count, ref.job, ref.attempt)[0];
    return row ? integer(row, "files") - count : 0;
  }

  #poolOf(ref: AttemptRef): Pool | undefined {
    const attempt = this.#engine.state.attempts.get(attemptKey(ref.job, ref.attempt));
    return attempt && this.#engine.state.pools.get(attempt.pool);
  }

  async #document(ref: AttemptRef, baseUrl: string): Promise<{ ok: true; document: { job?: JobDocument; job_url?: string } } | Refusal> {
    const facts = jobFacts(this.#sql, ref.job);
    const job = this.#engine.state.jobs.get(ref.job);
    const pool = this.#poolOf(ref);
    if (!facts || !job || !pool) return { ok: false, reason: "gone", message: "The job is gone." };
    const expires = this.#engine.now() + pool.execLimit[job.kind] + URL_SLACK_MS;
    const rest: Omit<JobDocument, "prompt_json" | "extra_data_json"> = {
      prompt_id: ref.job,
      outputs_to_execute: facts.outputs_to_execute,
      partial: facts.partial,
      seat_tag: createHmac("sha256", this.#env.SESSION_SECRET).update(`seat-tag|${this.#workshop()}|${facts.seat}`).digest("hex").slice(0, 16),
      inputs: facts.inputs.map((input) => ({ name: input.name, url: fileUrl(baseUrl, signFile(this.#env.SESSION_SECRET, { op: "get", key: input.key, size: input.size, exp: expires })), sha256: input.sha256, size: input.size })),
      limits: { input_fetch_s: 300, start_s: pool.startAfterClaim / 1000, exec_s: pool.execLimit[job.kind] / 1000, idle_event_s: pool.silence / 1000, upload_s: 900, max_files: 1000, max_total_bytes: 20 * 1024 ** 3 },
      preview: { enabled: true, max_fps: 4 },
      trace_id: `${ref.job}.${ref.attempt}`,
    };
    if (facts.prompt_key === null) {
      const texts = promptTexts(this.#sql, ref.job);
      if (!texts) return { ok: false, reason: "gone", message: "The job's prompt is gone." };
      return { ok: true, document: { job: { prompt_json: texts.run_prompt ?? texts.prompt, extra_data_json: texts.extra_data, ...rest } } };
    }
    return await this.#largeDocument(ref, facts.prompt_key, rest, expires, baseUrl);
  }

  async #largeDocument(ref: AttemptRef, promptKey: string, rest: object, expires: number, baseUrl: string): Promise<{ ok: true; document: { job_url: string } } | Refusal> {
    const object = await this.#env.FILES.get(promptKey);
    if (!object) return { ok: false, reason: "gone", message: "The job's prompt is gone from storage." };
    const large = parseJson(await object.text()) as { prompt: unknown; extra_data: unknown; run_prompt?: unknown };
    const key = jobDocumentKey(this.#workshop(), ref.job, ref.attempt);
    await this.#env.FILES.put(key, JSON.stringify({ prompt_json: stringifyJson(large.run_prompt ?? large.prompt), extra_data_json: stringifyJson(large.extra_data), ...rest }), { httpMetadata: { contentType: "application/json" } });
    return { ok: true, document: { job_url: fileUrl(baseUrl, signFile(this.#env.SESSION_SECRET, { op: "get", key, exp: expires })) } };
  }
}

export { DOCUMENT_MOST };

/** The key that an image of this pool shares with the platform, lower-case hex: what `sig` of a dispatch is made with [G8]. */
export function dispatchKey(secret: string, workshop: string, pool: string): string {
  return createHmac("sha256", secret).update(`dispatch-key|${workshop}|${pool}`).digest("hex");
}

/** The same for pools of several workshops that one deployment serves. */
function sharedDispatchKey(secret: string, name: string): string {
  return createHmac("sha256", secret).update(`dispatch-key-shared|${name}`).digest("hex");
}

/** What the queue must know of a job that has ended, when it is asked about it. */
export function knownEnd(sql: Sql, job: string): Known | undefined {
  const row = sql.all("SELECT seat, seq, state, idempotency_key, body_hash, result_hash, end_lease FROM jobs WHERE job = ? AND ended IS NOT NULL", job)[0];
  if (!row) return undefined;
  return { id: job, seat: text(row, "seat"), seq: integer(row, "seq"), state: text(row, "state") as "succeeded", reason: null, key: textOrNull(row, "idempotency_key"), hash: text(row, "body_hash"), lease: textOrNull(row, "end_lease"), digest: textOrNull(row, "result_hash") };
}

export function resultDigest(parts: unknown): string {
  return createHash("sha256").update(canonicalJson(parts)).digest("hex");
}
