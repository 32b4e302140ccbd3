// A class for the instructor's tests: a workshop with seats and one pool, prompts submitted for seats, a runner on plain HTTP, and the instructor's calls.
import { env } from "cloudflare:workers";
import type { Submit } from "../../durable-objects/contract.ts";
import type { AuditRow, Done, JobPage, JobStory, Overview } from "../../durable-objects/instructor-contract.ts";
import { nextAnswer, type Work } from "../../gpu-adapter/contract.ts";
import { openWorkshop } from "../../workers/workshop.ts";
import { basic, call, post, workshop, type Workshop } from "./edge/edge.ts";

export type Refused = { error: { reason: string; message: string; details?: Record<string, unknown> } };
type Answered<T> = { status: number; body: T };
let jobs = 0;

export class Room {
  readonly shop: Workshop;
  readonly #instructor: Record<string, string>;

  constructor(shop: Workshop) {
    this.shop = shop;
    this.#instructor = basic("instructor", shop.instructor);
  }

  get name(): string {
    return this.shop.name;
  }

  /** A job of a seat; the id comes back. Its timing signature is its own unless named, so it counts as 10 s. */
  async submit(seat: string, wish: Partial<Submit> = {}): Promise<string> {
    jobs += 1;
    const job = crypto.randomUUID();
    const prompt_json = JSON.stringify({ 1: { class_type: "SaveImage", inputs: {} } });
    const answer = await openWorkshop(env, this.name).submit({
      seat, job, minted: true, body_hash: String(jobs).padStart(64, "0"), bytes: prompt_json.length, client_id: null, front: false, background: false, prompt_json, extra_data_json: "{}",
      outputs_to_execute: ["1"], partial: false, inputs: [], model_signature: "m", timing_signature: `t${jobs}`, output_kind: "image", requires: { nodes: [], models: [] }, workflow_id: null, ...wish,
    });
    if (!answer.ok) throw new Error(answer.message);
    return answer.job;
  }

  /** The pool's runner asks for work; null when there is none. */
  async next(id = "runner-1"): Promise<Work | null> {
    const answer = await post(`/runner/v1/${this.name}/pools/gpu/next`, { runner: runner(id), wait_ms: 200 }, { authorization: `Bearer ${this.shop.poolToken}` });
    return nextAnswer.parse(await answer.json()).work ?? null;
  }

  async tell(work: Work, what: string, body: object): Promise<Response> {
    return await post(`/runner/v1/${this.name}/jobs/${work.dispatch.job_id}/attempts/${work.dispatch.attempt}/${what}`, { lease_id: work.claim.lease_id, ...body }, { authorization: `Bearer ${work.dispatch.callback.token}` });
  }

  async started(work: Work): Promise<void> {
    await this.tell(work, "events", { events: [{ seq: 1, ts: 1, type: "started" }] });
  }

  async finish(work: Work, status = "succeeded"): Promise<number> {
    const answer = await this.tell(work, "result", { status, files: [], comfy_outputs: {}, comfy_messages: [], comfy_meta: {}, timings: { exec_ms: 4000 }, runner: runner("runner-1"), ...(status === "failed" ? { error: { code: "node_error", message: "no such sampler" } } : {}) });
    await answer.body?.cancel();
    return answer.status;
  }

  async ask<T>(method: string, path: string, body?: object, headers: Record<string, string> = this.#instructor): Promise<Answered<T>> {
    const answer = await call(`/${this.name}/dashboard/api/v1${path}`, { method, headers: { "content-type": "application/json", ...headers }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    return { status: answer.status, body: (await answer.json()) as T };
  }

  /** An act that must succeed. */
  async act(method: string, path: string, body: object = {}): Promise<Done> {
    const { status, body: done } = await this.ask<Done>(method, path, body);
    if (status !== 200) throw new Error(`${method} ${path}: ${status} ${JSON.stringify(done)}`);
    return done;
  }

  async refusal(method: string, path: string, body: object = {}): Promise<Answered<Refused>> {
    return await this.ask<Refused>(method, path, body);
  }

  async undo(done: Done): Promise<Done> {
    if (done.undo === null) throw new Error(`no undo: ${done.final}`);
    return await this.act("POST", `/undo/${done.undo.id}`);
  }

  async overview(): Promise<Overview> {
    return (await this.ask<{ overview: Overview }>("GET", "/state")).body.overview;
  }

  async jobs(query = ""): Promise<JobPage> {
    return (await this.ask<JobPage>("GET", `/jobs${query}`)).body;
  }

  async story(job: string): Promise<JobStory> {
    return (await this.ask<JobStory>("GET", `/jobs/${job}`)).body;
  }

  async audit(query = ""): Promise<AuditRow[]> {
    return (await this.ask<{ rows: AuditRow[] }>("GET", `/audit${query}`)).body.rows;
  }

  /** Ids of waiting jobs in the order the forecast runs them. */
  async line(): Promise<string[]> {
    return (await this.overview()).jobs.shown.filter((job) => job.state === "waiting").map(({ job }) => job);
  }
}

export function runner(id: string): { id: string; version: string; mode: "pull"; gpu_name: string; comfyui_version: string } {
  return { id, version: "1", mode: "pull", gpu_name: "Test GPU", comfyui_version: "0.3.64" };
}

export async function openRoom(name: string, seats = 2): Promise<Room> {
  return new Room(await workshop(name, seats));
}
