// What a runner is given of a job [G12]: the graph as text, its input files as signed addresses, its limits. Invariant: small documents are made without
// waiting for anything, so that the work leaves in the turn that committed its claim; large ones go to the bucket and travel as an address.
import { createHmac } from "node:crypto";
import type { JobDocument } from "../gpu-adapter/contract.ts";
import { parseJson, stringifyJson } from "../gpu-adapter/json.ts";
import { jobDocumentKey } from "../r2/keys.ts";
import { fileUrl, signFile } from "../r2/signed.ts";
import type { AttemptRef, Refusal } from "./contract.ts";
import type { Engine } from "./engine.ts";
import { type JobFacts, runFacts } from "./job-store.ts";
import type { Job, Pool } from "./queue/index.ts";
import type { RunRelay } from "./run-relay.ts";
import type { Sql } from "./sql.ts";

/** Signed addresses outlive the longest run by this much (ms), so that a slow upload still finds its door open. */
export const URL_SLACK_MS = 600_000;

/**
 * A runner's limits end this much (ms) before the queue's own deadlines [Q57], so that its verdict, with ComfyUI's messages and the files made so far, is there
 * before the attempt is closed without it: 12 s for ComfyUI to stop when interrupted, 4 s for the last files (attempt.ts), the rest for the way. Of a limit
 * too short for that at most a quarter goes: then the runner is first if ComfyUI stops soon.
 */
const HEAD_START_MS = 20_000;

/** What a runner is told of a deadline of the queue (ms); answers seconds. */
function runnersShare(deadline: number): number {
  return (deadline - Math.min(HEAD_START_MS, deadline / 4)) / 1000;
}

export type DeskEnv = { SESSION_SECRET: string; FILES: R2Bucket };
type Rest = Omit<JobDocument, "prompt_json" | "extra_data_json">;
type Made = { ok: true; document: { job?: JobDocument; job_url?: string } } | Refusal;

export class JobDocuments {
  readonly #sql: Sql;
  readonly #engine: Engine;
  readonly #relay: RunRelay;
  readonly #env: DeskEnv;
  readonly #workshop: () => string;
  readonly #tags = new Map<string, string>();

  constructor(parts: { sql: Sql; engine: Engine; relay: RunRelay; env: DeskEnv; workshop: () => string }) {
    this.#sql = parts.sql;
    this.#engine = parts.engine;
    this.#relay = parts.relay;
    this.#env = parts.env;
    this.#workshop = parts.workshop;
  }

  /** The document of a claimed attempt; a promise only when the prompt is in the bucket. */
  make(ref: AttemptRef, pool: Pool | undefined, baseUrl: string): Made | Promise<Made> {
    const job = this.#engine.state.jobs.get(ref.job);
    const found = job === undefined ? null : runFacts(this.#sql, job.seq);
    if (!found || !job || !pool) return { ok: false, reason: "gone", message: "The job is gone." };
    const { facts, texts } = found;
    this.#relay.remember(ref.job, facts);
    const expires = this.#engine.now() + pool.execLimit[job.kind] + URL_SLACK_MS;
    const rest = this.#rest(ref, facts, job, pool, { baseUrl, expires });
    if (facts.prompt_key !== null) return this.#large(ref, facts.prompt_key, rest, { baseUrl, expires });
    if (texts === null) return { ok: false, reason: "gone", message: "The job's prompt is gone." };
    return { ok: true, document: { job: { prompt_json: texts.prompt, extra_data_json: texts.extra_data, ...rest } } };
  }

  #rest(ref: AttemptRef, facts: JobFacts, job: Job, pool: Pool, at: { baseUrl: string; expires: number }): Rest {
    return {
      prompt_id: ref.job,
      outputs_to_execute: facts.outputs_to_execute,
      partial: facts.partial,
      seat_tag: this.#tag(facts.seat),
      inputs: facts.inputs.map((input) => ({ name: input.name, url: fileUrl(at.baseUrl, signFile(this.#env.SESSION_SECRET, { op: "get", key: input.key, size: input.size, exp: at.expires })), sha256: input.sha256, size: input.size })),
      limits: { input_fetch_s: 300, start_s: runnersShare(pool.startAfterClaim), exec_s: runnersShare(pool.execLimit[job.kind]), idle_event_s: runnersShare(pool.silence), upload_s: 900, max_files: 1000, max_total_bytes: 20 * 1024 ** 3 },
      preview: { enabled: true, max_fps: 4 },
      trace_id: `${ref.job}.${ref.attempt}`,
    };
  }

  #tag(seat: string): string {
    const known = this.#tags.get(seat);
    if (known !== undefined) return known;
    const tag = createHmac("sha256", this.#env.SESSION_SECRET).update(`seat-tag|${this.#workshop()}|${seat}`).digest("hex").slice(0, 16);
    this.#tags.set(seat, tag);
    return tag;
  }

  async #large(ref: AttemptRef, promptKey: string, rest: Rest, at: { baseUrl: string; expires: number }): Promise<Made> {
    const object = await this.#env.FILES.get(promptKey);
    if (!object) return { ok: false, reason: "gone", message: "The job's prompt is gone from storage." };
    const large = parseJson(await object.text()) as { prompt: unknown; extra_data: unknown; run_prompt?: unknown };
    const key = jobDocumentKey(this.#workshop(), ref.job, ref.attempt);
    await this.#env.FILES.put(key, JSON.stringify({ prompt_json: stringifyJson(large.run_prompt ?? large.prompt), extra_data_json: stringifyJson(large.extra_data), ...rest }), { httpMetadata: { contentType: "application/json" } });
    return { ok: true, document: { job_url: fileUrl(at.baseUrl, signFile(this.#env.SESSION_SECRET, { op: "get", key, exp: at.expires })) } };
  }
}
