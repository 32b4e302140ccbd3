// Where runners come for work: hand-over of a dispatch, the claim that alone yields the job document [G10], [G12], the lease behind every later word.
// Invariants: a dispatch's id and token are minted once and stored before they leave; whoever does not hold the current lease changes nothing [Q53].
import { createHash, createHmac } from "node:crypto";
import { canonicalJson } from "../gpu-adapter/canonical.ts";
import { type ClaimAnswer, type ClaimRequest, CONTRACT_VERSION, type Dispatch, type Work } from "../gpu-adapter/contract.ts";
import { signAttempt } from "../r2/signed.ts";
import type { Answer, AttemptRef, Refusal } from "./contract.ts";
import type { Engine } from "./engine.ts";
import { type DeskEnv, JobDocuments, URL_SLACK_MS } from "./job-document.ts";
import { attemptKey } from "./queue-store.ts";
import type { Attempt, CommandOf, Effect, Known, Pool } from "./queue/index.ts";
import { refused } from "./refusals.ts";
import type { RunRelay } from "./run-relay.ts";
import type { Run } from "./runner-protocol.ts";
import { integer, type Sql, text, textOrNull } from "./sql.ts";

type Dispatched = Pick<Effect & { type: "dispatch" }, "job" | "attempt" | "pool" | "claimBefore">;
/** A dispatch that was claimed for a runner in the transaction that made it. */
export type Granted = { lease: string; /** ms */ ttl: number; dispatchId: string };

export class RunnerDesk {
  readonly #sql: Sql;
  readonly #engine: Engine;
  readonly #relay: RunRelay;
  readonly #env: DeskEnv;
  readonly #workshop: () => string;
  readonly #run: Run;
  readonly #sharedKey: (pool: string) => string | undefined;
  readonly #documents: JobDocuments;
  readonly #keys = new Map<string, string>();

  constructor(parts: { sql: Sql; engine: Engine; relay: RunRelay; env: DeskEnv; workshop: () => string; run: Run; sharedKey: (pool: string) => string | undefined }) {
    this.#sql = parts.sql;
    this.#engine = parts.engine;
    this.#relay = parts.relay;
    this.#env = parts.env;
    this.#workshop = parts.workshop;
    this.#run = parts.run;
    this.#sharedKey = parts.sharedKey;
    this.#documents = new JobDocuments(parts);
  }

  /** The dispatch of an attempt; the same one again when asked again. `baseUrl` is `https://host/runner/v1/{workshop}`. */
  dispatch(effect: Dispatched, baseUrl: string, detach: boolean): Dispatch {
    return this.#signed(effect, this.dispatchId(effect), baseUrl, detach);
  }

  #signed(effect: Dispatched, dispatchId: string, baseUrl: string, detach: boolean): Dispatch {
    const pool = this.#engine.state.pools.get(effect.pool);
    const longest = pool ? Math.max(...Object.values(pool.execLimit)) : 3_600_000;
    const token = signAttempt(this.#env.SESSION_SECRET, { workshop: this.#workshop(), job: effect.job, attempt: effect.attempt, exp: effect.claimBefore + longest + URL_SLACK_MS });
    const rest = { v: CONTRACT_VERSION as 1, workshop: this.#workshop(), pool: effect.pool, job_id: effect.job, attempt: effect.attempt, dispatch_id: dispatchId, callback: { base_url: baseUrl, token }, claim_before: effect.claimBefore, detach };
    return { ...rest, sig: createHmac("sha256", this.key(effect.pool)).update(canonicalJson(rest)).digest("hex") };
  }

  /** The key the images of this pool check dispatches with [G8]; lower-case hex. */
  key(pool: string, shared = this.#sharedKey(pool)): string {
    const name = shared === undefined ? `own ${pool}` : `shared ${shared}`;
    const known = this.#keys.get(name);
    if (known !== undefined) return known;
    const key = shared === undefined ? dispatchKey(this.#env.SESSION_SECRET, this.#workshop(), pool) : sharedDispatchKey(this.#env.SESSION_SECRET, shared);
    this.#keys.set(name, key);
    return key;
  }

  /** Our own id of a hand-over, which a provider can be asked by. */
  dispatchId(ref: { job: string; attempt: number; pool: string }): string {
    const row = this.#sql.all("SELECT dispatch_id FROM attempts WHERE job = ? AND attempt = ?", ref.job, ref.attempt)[0];
    if (row) return text(row, "dispatch_id");
    const id = crypto.randomUUID();
    this.#sql.all("INSERT INTO attempts (job, attempt, pool, dispatch_id, token_hash) VALUES (?, ?, ?, ?, '')", ref.job, ref.attempt, ref.pool, id);
    return id;
  }

  /** The claim of a job that is not known to have ended. */
  claimCommand(ref: AttemptRef, request: ClaimRequest): CommandOf<"claim"> {
    return { type: "claim", job: ref.job, attempt: ref.attempt, runner: request.runner.id, lease: `l_${crypto.randomUUID()}`, coldMs: request.runner.cold_start_ms ?? 0 };
  }

  /** Inside the transaction that grants a lease: who has it, and the id of the dispatch, made now if it never left. */
  granted(ref: AttemptRef & { pool: string }, request: ClaimRequest, lease: string): string {
    this.#relay.begin(ref.job);
    const row = this.#sql.all(
      `INSERT INTO attempts (job, attempt, pool, dispatch_id, token_hash, lease, runner, catalog) VALUES (?, ?, ?, ?, '', ?, ?, ?)
       ON CONFLICT (job, attempt) DO UPDATE SET lease = excluded.lease, runner = excluded.runner, catalog = excluded.catalog RETURNING dispatch_id`,
      ref.job, ref.attempt, ref.pool, crypto.randomUUID(), lease, JSON.stringify(request.runner), request.catalog_digest ?? null,
    )[0];
    return row ? text(row, "dispatch_id") : "";
  }

  /** What the queue must know of a job that is no longer live. */
  ended(job: string): Known | undefined {
    return this.#engine.state.jobs.has(job) ? undefined : knownEnd(this.#sql, job);
  }

  /** Grants the lease, or says why not [Q52]. The same runner repeating itself gets the same answer. */
  async claim(ref: AttemptRef, request: ClaimRequest, baseUrl: string): Promise<Answer<{ claim: ClaimAnswer }>> {
    const known = this.ended(ref.job);
    const decision = this.#run<"claim">({ ...this.claimCommand(ref, request), ...(known ? { known } : {}) }, (made) => {
      if (made.ok && !made.result.repeated) this.granted({ ...ref, pool: this.#poolOf(ref)?.id ?? "" }, request, made.result.lease);
    });
    if (!decision.ok) return refused(decision);
    if (decision.result.cancel) return { ok: false, reason: "gone", message: "The job was cancelled." };
    return await this.#answer(ref, request, baseUrl, decision.result);
  }

  async #answer(ref: AttemptRef, request: ClaimRequest, baseUrl: string, { lease, ttl }: { lease: string; ttl: number }): Promise<Answer<{ claim: ClaimAnswer }>> {
    const pool = this.#poolOf(ref);
    const document = await this.#documents.make(ref, pool, baseUrl);
    if (!document.ok) return document;
    return { ok: true, claim: { lease_id: lease, lease_ttl_s: ttl / 1000, heartbeat_s: Math.max(1, (pool?.lease ?? 75_000) / 5000), want_catalog: !this.knowsCatalog(pool?.id ?? "", request.catalog_digest), ...document.document } };
  }

  /** A dispatch already claimed for the runner that asked for work [G] 6.12; null when the claim was refused. */
  async work(effect: Dispatched, request: ClaimRequest, baseUrl: string): Promise<Work | Refusal> {
    const claimed = await this.claim({ job: effect.job, attempt: effect.attempt }, request, baseUrl);
    return claimed.ok ? { dispatch: this.dispatch(effect, baseUrl, true), claim: claimed.claim } : claimed;
  }

  /** The same for a claim that was granted together with its dispatch. */
  async grantedWork(effect: Dispatched, request: ClaimRequest, baseUrl: string, granted: Granted): Promise<Work | Refusal> {
    const claimed = await this.#answer(effect, request, baseUrl, granted);
    return claimed.ok ? { dispatch: this.#signed(effect, granted.dispatchId, baseUrl, true), claim: claimed.claim } : claimed;
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
  holder(ref: AttemptRef, lease: string): { ok: true; attempt: Attempt } | Refusal {
    const attempt = this.#engine.state.attempts.get(attemptKey(ref.job, ref.attempt));
    return attempt?.lease?.id === lease ? { ok: true, attempt } : { ok: false, reason: "stale", message: "This lease is over: another attempt runs, or the job has ended. Drop the run." };
  }

  /** ms that a lease of this attempt holds without a sign of life [Q58]. */
  leaseMs(ref: AttemptRef): number {
    return this.#poolOf(ref)?.lease ?? 0;
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
}

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
