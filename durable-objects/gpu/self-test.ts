// "Does this pool work?": the smallest job, sent through the queue, the provider, a machine, the upload and back, pinned to its pool by a capability key
// of its own. Invariant: the test is an ordinary job in every respect but that it belongs to nobody's seat.
import type { Answer, Submit } from "../contract.ts";
import type { TestView } from "../gpu-contract.ts";
import { insertJob } from "../job-store.ts";
import { attemptKey } from "../queue-store.ts";
import type { Command, QueueEvent } from "../queue/index.ts";
import { refused } from "../refusals.ts";
import type { Shell } from "../shell.ts";
import { integer, integerOrNull, text } from "../sql.ts";
import { submitCommand } from "../submit-command.ts";
import { isBroken, type TestFacts, verdictOf } from "./verdict.ts";

/** No seat can have this name. */
const SEAT = "_test";
const GRAPH = {
  "1": { class_type: "EmptyImage", inputs: { width: 64, height: 64, batch_size: 1, color: 0x336699 } },
  "2": { class_type: "SaveImage", inputs: { images: ["1", 0], filename_prefix: "pool-test" } },
};
/** A test goes first, but not for ever (ms). */
const FIRST_MS = 10 * 60_000;

/** What is remembered of a pool's test; moments of its last try, so that the verdict can tell them when the try is over. */
type Kept = { job: string; begun: number; handed: number | null; claimed: number | null; started: number | null; last: { code: string; message: string } | null };

export class SelfTest {
  readonly #shell: Shell;

  constructor(shell: Shell) {
    this.#shell = shell;
  }

  begin(pool: string): Answer<{ test: TestView }> {
    const running = this.#kept(pool);
    if (running !== null && this.#shell.engine.state.jobs.has(running.job)) return { ok: true, test: this.view(pool, running) };
    const now = this.#shell.engine.now();
    const job = crypto.randomUUID();
    const submit = this.#submit(job, pool);
    const command: Command & { type: "submit" } = { ...submitCommand(submit, true, null, undefined), requires: ["n:EmptyImage", "n:SaveImage", `p:${pool}`] };
    const decision = this.#shell.run<"submit">(command, (made) => {
      const core = this.#shell.engine.state.jobs.get(job);
      if (!made.ok || core === undefined) return;
      insertJob(this.#shell.sql, { submit, core, number: core.seq, now });
      made.changes.jobs.delete(job);
    });
    if (!decision.ok) return refused(decision);
    this.#shell.setMeta(`test:${pool}`, JSON.stringify({ job, begun: now, handed: null, claimed: null, started: null, last: null } satisfies Kept));
    this.#shell.run<"bump">({ type: "bump", job, forMs: FIRST_MS, by: "self-test" });
    return this.look(pool);
  }

  look(pool: string): Answer<{ test: TestView }> {
    const kept = this.#kept(pool);
    if (kept === null) return { ok: false, reason: "not_found", message: `Pool ${pool} was never tested. Begin: npm run gpu -- test ${pool}.` };
    const test = this.view(pool, kept);
    // What waiting does not heal need not be waited for.
    const last = this.#shell.engine.state.jobs.get(kept.job)?.last ?? null;
    if (test.verdict === "broken" && last !== null && isBroken(last.code)) this.#shell.run<"cancel">({ type: "cancel", job: kept.job, seat: null, by: "self-test" });
    return { ok: true, test };
  }

  /** The pool is gone, and a job that is pinned to it would wait for ever. */
  drop(pool: string): void {
    const kept = this.#kept(pool);
    if (kept !== null && this.#shell.engine.state.jobs.has(kept.job)) this.#shell.run<"cancel">({ type: "cancel", job: kept.job, seat: null, by: "self-test" });
  }

  /** Remembers how a try of a test ended. */
  heard(event: QueueEvent): void {
    if (event.type !== "attempt_closed" || event.record.seat !== SEAT) return;
    const { pool, job, dispatchedAt, claimedAt, startedAt } = event.record;
    const kept = this.#kept(pool);
    if (kept?.job !== job) return;
    const last = event.reason === null ? null : { code: event.reason.code, message: event.reason.message };
    this.#shell.setMeta(`test:${pool}`, JSON.stringify({ ...kept, handed: dispatchedAt, claimed: claimedAt, started: startedAt, last } satisfies Kept));
  }

  view(pool: string, kept: Kept): TestView {
    const { job, begun } = kept;
    const facts = this.#facts(pool, kept);
    return { pool, job, begun, ended: facts.ended, ...verdictOf(facts, this.#shell.engine.now()) };
  }

  #facts(pool: string, { job, begun, ...kept }: Kept): TestFacts {
    const { state } = this.#shell.engine;
    const live = state.jobs.get(job);
    const attempt = live === undefined ? undefined : state.attempts.get(attemptKey(job, live.attempts));
    const there = state.pools.get(pool);
    const setup = this.#shell.poolSetup(pool);
    const row = this.#shell.sql.all("SELECT state, ended, error FROM jobs WHERE job = ?", job)[0];
    const ended = row === undefined ? null : integerOrNull(row, "ended");
    const runner = this.#shell.sql.all("SELECT runner FROM attempts WHERE job = ? AND runner IS NOT NULL ORDER BY attempt DESC LIMIT 1", job)[0];
    return {
      pool,
      provider: setup?.provider ?? "the provider",
      secret: setup?.secret ?? null,
      state: live?.state ?? (row === undefined ? "waiting" : (text(row, "state") as TestFacts["state"])),
      begun,
      handed: attempt?.dispatchedAt ?? kept.handed,
      claimed: attempt === undefined ? kept.claimed : attempt.claimedAt,
      started: attempt === undefined ? kept.started : attempt.startedAt,
      ended,
      runner: runner === undefined ? null : (JSON.parse(text(runner, "runner")) as TestFacts["runner"]),
      files: integer(this.#shell.sql.all("SELECT count(*) AS n FROM files WHERE job = ?", job)[0] ?? {}, "n"),
      last: live?.last ?? kept.last,
      restsUntil: there === undefined || there.circuit.failures === 0 ? null : there.circuit.openUntil,
      draining: there?.draining ?? false,
    };
  }

  #kept(pool: string): Kept | null {
    const value = this.#shell.meta(`test:${pool}`);
    return value === null ? null : (JSON.parse(value) as Kept);
  }

  #submit(job: string, pool: string): Submit {
    return {
      seat: SEAT, job, minted: true, body_hash: "", bytes: 0, client_id: null, front: false, background: false,
      prompt_json: JSON.stringify(GRAPH), extra_data_json: JSON.stringify({ pool_test: pool }), outputs_to_execute: ["2"], partial: false, inputs: [],
      model_signature: "", timing_signature: "pool-test", output_kind: "image", requires: { nodes: ["EmptyImage", "SaveImage"], models: [] }, workflow_id: null,
    };
  }
}
