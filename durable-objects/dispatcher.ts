// Carries committed dispatches to providers and asks after them [G26]..[G29]: what a provider says comes back as a command of the queue. Invariants: the row
// is written before a call leaves and after its answer came; at most six calls are under way at once (a Worker's own limit of connections); nothing here
// waits longer than a call's timeout, and nothing a provider says ends a job well except a runner's result whose proof holds [G25].
import { resultHmac } from "../gpu-adapter/canonical.ts";
import type { ErrorCode, HeldAnswer } from "../gpu-adapter/contract.ts";
import type { GpuProvider, RunRef, RunStatus } from "../gpu-adapter/port.ts";
import type { AttemptRef } from "./contract.ts";
import type { Engine } from "./engine.ts";
import { type Handover, Handovers } from "./handovers.ts";
import { Lane } from "./lane.ts";
import type { PoolProviders } from "./pool-providers.ts";
import { attemptKey } from "./queue-store.ts";
import type { Attempt, Effect } from "./queue/index.ts";
import type { RunnerDesk } from "./runner-desk.ts";
import type { Run, RunnerProtocol } from "./runner-protocol.ts";
import type { Sql } from "./sql.ts";

/** Outbound connections that may wait for their answer at once in one invocation (Cloudflare: six). */
const AT_ONCE = 6;
/** First question after an unclaimed hand-over (ms), growing by half to twice that [G26]; the Worker's variable PROVIDER_POLL_MS changes it. */
export const POLL_MS = 15_000;
/** The same dispatch is handed over this often at most; after that the claim's deadline decides. */
const SENDS_MOST = 3;
/** A stored body that is no runner's answer is asked for once more after this long (ms): it may be on its way. */
const UNREADABLE_MS = 5_000;

type HandOver = Effect & { type: "dispatch" | "hand_over_again" };

export type DispatcherParts = {
  sql: Sql;
  engine: Engine;
  desk: RunnerDesk;
  protocol: RunnerProtocol;
  providers: PoolProviders;
  run: Run;
  /** `https://host/runner/v1/{workshop}`, or null while nobody has said where this server is. */
  baseUrl: () => string | null;
  detached: (pool: string) => boolean;
  pollMs: number;
  keep: (work: Promise<void>) => void;
  complain: (event: string, error: unknown) => void;
  rearm: () => void;
};

export class Dispatcher {
  readonly #parts: DispatcherParts;
  readonly #rows: Handovers;
  readonly #lane: Lane;
  /** Attempts with a call under way in this process. */
  readonly #busy = new Set<string>();

  constructor(parts: DispatcherParts) {
    this.#parts = parts;
    this.#rows = new Handovers(parts.sql);
    this.#lane = new Lane(AT_ONCE);
  }

  /** Hands a committed dispatch over. A row left `sending` by a process that died means a lost answer: that is said instead. */
  handOver(effect: HandOver): void {
    const key = attemptKey(effect.job, effect.attempt);
    if (this.#rows.get(effect)?.state === "sending") return this.#later(key, () => this.#lost(effect));
    this.#rows.sending(effect, effect.pool, this.#now());
    this.#later(key, () => this.#send(effect));
  }

  async #send(effect: HandOver): Promise<void> {
    const attempt = this.#attempt(effect);
    const provider = this.#parts.providers.open(effect.pool);
    const baseUrl = this.#parts.baseUrl();
    if (attempt === undefined) return this.#rows.forget(effect);
    if (attempt.lease !== null) return this.#rows.handed(effect, null, this.#now() + this.#parts.pollMs);
    if (provider === null) return this.#refused(effect, "provider_config", `Pool ${effect.pool} has no endpoint. Set it: npm run gpu -- pools put.`);
    if (baseUrl === null) return this.#refused(effect, "provider_config", "This server does not know its own address. Put the pool again through the address runners can reach.");
    const dispatch = this.#parts.desk.dispatch(effect, baseUrl, this.#parts.detached(effect.pool));
    const said = await provider.submit(dispatch);
    switch (said.outcome) {
      case "accepted":
        this.#parts.run<"handed_over">({ type: "handed_over", job: effect.job, attempt: effect.attempt, answer: "submitted", ref: said.ref }, () => this.#rows.handed(effect, said.ref, this.#now() + this.#parts.pollMs));
        return;
      case "rejected":
        return this.#refused(effect, said.code, said.message, said.retryAfterMs);
      case "unknown":
        this.#parts.complain("hand_over_unknown", `${effect.pool}: ${said.message}`);
        return this.#lost(effect);
    }
  }

  #refused(ref: AttemptRef, code: ErrorCode, message: string, retryAfter?: number): void {
    this.#rows.forget(ref);
    this.#parts.run<"handed_over">({ type: "handed_over", job: ref.job, attempt: ref.attempt, answer: "refused", code, message, ...(retryAfter === undefined ? {} : { retryAfter }) });
  }

  /** The answer to a hand-over is lost: the queue asks by our own id first [G27]. */
  #lost(ref: AttemptRef): void {
    this.#rows.handed(ref, null, this.#now() + this.#parts.pollMs);
    this.#parts.run<"handed_over">({ type: "handed_over", job: ref.job, attempt: ref.attempt, answer: "unknown" });
  }

  /** Asks the provider by our own dispatch id whether it has the run. */
  askStatus(ref: AttemptRef & { pool: string }): void {
    this.#later(attemptKey(ref.job, ref.attempt), async () => {
      const row = this.#rows.get(ref);
      const attempt = this.#attempt(ref);
      if (attempt === undefined || attempt.lease !== null) return;
      const said = await this.#status(ref, row?.ref ?? null, ref.pool);
      await this.#apply(ref, row, said, true);
    });
  }

  /** Takes an unclaimed run back where that exists; nothing to report. */
  takeBack(effect: Effect & { type: "provider_cancel" }): void {
    const row = this.#rows.get(effect);
    if (row === null) return;
    this.#rows.forget(effect);
    this.#cancel(effect, effect.pool, effect.ref ?? row.ref);
  }

  /** The runner's own word ended the attempt: nothing is left to ask or to take back. */
  settled(ref: AttemptRef): void {
    if (this.#attempt(ref) === undefined) this.#rows.forget(ref);
  }

  /** What is due now: runs nobody claimed, leases nobody renews, rows of attempts that are over. */
  tick(): void {
    const now = this.#now();
    for (const row of this.#rows.all()) {
      const key = attemptKey(row.job, row.attempt);
      if (this.#busy.has(key)) continue;
      const attempt = this.#parts.engine.state.attempts.get(key);
      if (attempt === undefined) this.#over(row);
      else if (row.state === "handed" && this.#dueAt(row, attempt) <= now) this.#later(key, () => this.#poll(row));
    }
  }

  /** Earliest moment (ms since the epoch) at which `tick` has something to do; null without any. */
  nextWake(): number | null {
    let least = Infinity;
    for (const row of this.#rows.all()) {
      const attempt = this.#parts.engine.state.attempts.get(attemptKey(row.job, row.attempt));
      if (this.#busy.has(attemptKey(row.job, row.attempt)) || row.state !== "handed") continue;
      least = Math.min(least, attempt === undefined ? this.#now() + 1000 : this.#dueAt(row, attempt));
    }
    return least === Infinity ? null : least;
  }

  /** An unclaimed run by its schedule; a claimed one when half its lease is over unrenewed: its result may stand at the provider [G25]. */
  #dueAt(row: Handover, attempt: Attempt): number {
    if (attempt.lease === null) return row.nextPoll;
    const lease = this.#parts.engine.state.pools.get(attempt.pool)?.lease ?? 0;
    return Math.max(row.nextPoll, attempt.lease.expiresAt - Math.floor(lease / 2));
  }

  /** The attempt ended and its runner never said so: what the provider still holds of it is stopped where that exists [G29]. */
  #over(row: Handover): void {
    this.#rows.forget(row);
    if (row.state === "handed") this.#cancel(row, row.pool, row.ref);
  }

  #cancel(ref: AttemptRef, pool: string, provider: string | null): void {
    this.#later(`cancel:${attemptKey(ref.job, ref.attempt)}`, async () => {
      await this.#provider(pool)?.cancel(this.#runRef(ref, pool, provider));
    });
  }

  async #poll(row: Handover): Promise<void> {
    const said = await this.#status(row, row.ref, row.pool);
    await this.#apply(row, row, said, false);
  }

  async #status(ref: AttemptRef, provider: string | null, pool: string): Promise<RunStatus> {
    return (await this.#provider(pool)?.status(this.#runRef(ref, pool, provider))) ?? { status: "unknown", message: "the pool is gone" };
  }

  /** What the provider said, as the queue's command. `asked`: the queue wants an answer even when there is none. */
  async #apply(ref: AttemptRef, row: Handover | null, said: RunStatus, asked: boolean): Promise<void> {
    const attempt = this.#attempt(ref);
    this.#rows.polled(ref, this.#now() + pollAfter(this.#parts.pollMs, row?.polls ?? 0, said), said.status === "done" && said.answer === null);
    if (attempt === undefined) return;
    if (said.status === "done" && said.answer !== null) return await this.#answered(ref, attempt, said.answer);
    if (attempt.lease !== null) return;
    switch (said.status) {
      case "queued":
      case "delivered":
        if (asked || attempt.state === "unknown") this.#report(ref, "known");
        return;
      case "absent":
        if (asked || (row?.sends ?? 0) < SENDS_MOST) this.#report(ref, "absent");
        return;
      case "failed":
        return this.#report(ref, "failed", said.code);
      case "done":
        if ((row?.unreadable ?? 0) > 0) this.#report(ref, "failed", "provider_unknown");
        else if (asked) this.#report(ref, "known");
        return;
      case "unknown":
        if (asked) this.#report(ref, "unknown");
        return;
    }
  }

  #report(ref: AttemptRef, status: "known" | "absent" | "failed" | "unknown", code?: ErrorCode): void {
    if (status === "failed") this.#rows.forget(ref);
    this.#parts.run<"provider_status">({ type: "provider_status", job: ref.job, attempt: ref.attempt, status, ...(code === undefined ? {} : { code }) });
  }

  /** A runner's answer that the provider stored: its result counts when the proof holds, its refusal tells why nobody claimed. */
  async #answered(ref: AttemptRef, attempt: Attempt, answer: HeldAnswer): Promise<void> {
    const { result } = answer;
    if (answer.job_id !== ref.job || answer.attempt !== ref.attempt) return;
    if (result === undefined) {
      const code = attempt.lease === null ? unclaimedCode(answer) : null;
      if (code !== null) this.#report(ref, "failed", code);
      return;
    }
    const baseUrl = this.#parts.baseUrl();
    if (baseUrl === null) return;
    const { token } = this.#parts.desk.dispatch({ ...ref, pool: attempt.pool, claimBefore: attempt.claimBefore }, baseUrl, false).callback;
    const proof = await resultHmac(token, result.lease_id, result.status, ref.job, ref.attempt);
    if (result.hmac !== proof) return this.#parts.complain("stored_result_unproven", `${ref.job}#${ref.attempt}`);
    const taken = this.#parts.protocol.result(ref, result);
    if (taken.ok) this.#rows.forget(ref);
  }

  #provider(pool: string): GpuProvider | null {
    return this.#parts.providers.open(pool);
  }

  #runRef(ref: AttemptRef, pool: string, provider: string | null): RunRef {
    return { dispatchId: this.#parts.desk.dispatchId({ ...ref, pool }), ref: provider };
  }

  #attempt(ref: AttemptRef): Attempt | undefined {
    return this.#parts.engine.state.attempts.get(attemptKey(ref.job, ref.attempt));
  }

  #now(): number {
    return this.#parts.engine.now();
  }

  /** Does `work` when a connection is free; one piece per key at a time, a second one waits behind it. */
  #later(key: string, work: () => Promise<void> | void): void {
    this.#busy.add(key);
    const done = this.#lane.enter(key, async () => {
      try {
        await work();
      } catch (error) {
        this.#rows.reload();
        this.#parts.complain("dispatcher_failed", error);
      } finally {
        if (!this.#lane.waiting(key)) this.#busy.delete(key);
        this.#parts.rearm();
      }
    });
    this.#parts.keep(done);
  }
}

/** 15 s, 22.5 s, 30 s, 30 s …; a body that could not be read is asked for again sooner. */
function pollAfter(first: number, polls: number, said: RunStatus): number {
  if (said.status === "done" && said.answer === null) return Math.min(first, UNREADABLE_MS);
  return Math.round(first * Math.min(2, 1.5 ** polls));
}

/** Why a runner answered without having claimed [G10]; null when that is no loss (somebody else has it, or the job is over). */
function unclaimedCode(answer: HeldAnswer): ErrorCode | null {
  const reason = answer.reason ?? "";
  if (/^(duplicate|superseded|finished|stale|gone)\b/.test(reason) || answer.outcome === "cancelled") return null;
  if (reason.startsWith("quarantined")) return "provider_capacity";
  if (/^(401|403)\b/.test(reason)) return "provider_config";
  return "claim_timeout";
}
