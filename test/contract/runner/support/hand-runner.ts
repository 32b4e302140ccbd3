// A runner in the test's own hands: takes a job, asks for targets, and then does with them what no real runner would.
import { createHash } from "node:crypto";
import { type CommitRequest, nextAnswer, uploadAnswer, type UploadFile, type UploadTarget, type Work } from "../../../../gpu-adapter/contract.ts";
import { colourGraph } from "../../../e2e/support/seat-client.ts";
import type { BoxRoom } from "./box-room.ts";

const runner = { id: "by-hand", version: "1", mode: "pull" as const };

export function fileOf(bytes: Uint8Array, changes: Partial<UploadFile> = {}): UploadFile {
  return { type: "output", subfolder: "", filename: "by-hand_00001_.png", node_id: "2", key: "images", content_type: "image/png", size: bytes.byteLength, sha256: createHash("sha256").update(bytes).digest("hex"), ...changes };
}

export class HandRunner {
  readonly job: string;
  readonly #box: BoxRoom;
  readonly #work: Work;

  private constructor(box: BoxRoom, job: string, work: Work) {
    this.#box = box;
    this.job = job;
    this.#work = work;
  }

  /** Submits a job for the seat and takes it. */
  static async take(box: BoxRoom, seat: number): Promise<HandRunner> {
    const job = await box.room.client(seat).submit(colourGraph(Math.floor(Math.random() * 0xffffff)));
    const answer = await fetch(`${box.room.origin}/runner/v1/demo/pools/local/next`, { method: "POST", headers: { Authorization: `Bearer ${box.token}` }, body: JSON.stringify({ runner, wait_ms: 20_000 }) });
    const { work } = nextAnswer.parse(await answer.json());
    if (work?.dispatch.job_id !== job) throw new Error("another job, or none, was handed out");
    return new HandRunner(box, job, work);
  }

  get lease(): string {
    return this.#work.claim.lease_id;
  }

  async targets(files: UploadFile[]): Promise<UploadTarget[]> {
    const answer = await this.ask("uploads", { files });
    if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
    return uploadAnswer.parse(await answer.json()).targets;
  }

  /** The target of a file that goes up in one piece. */
  async target(file: UploadFile): Promise<Extract<UploadTarget, { kind: "put" }>> {
    const [target] = await this.targets([file]);
    if (target?.kind !== "put") throw new Error("this file does not go up in one piece");
    return target;
  }

  async commit(files: CommitRequest["files"]): Promise<Response> {
    return await this.ask("uploads/commit", { files });
  }

  /** Ends the run, so that the next can be taken. */
  async finish(): Promise<void> {
    const answer = await this.ask("result", { status: "succeeded", files: [], comfy_outputs: {}, comfy_messages: [], comfy_meta: {}, timings: {}, runner });
    if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
  }

  async ask(path: string, body: object): Promise<Response> {
    const { dispatch } = this.#work;
    return await fetch(`${this.#box.room.origin}/runner/v1/demo/jobs/${dispatch.job_id}/attempts/${dispatch.attempt}/${path}`, { method: "POST", headers: { Authorization: `Bearer ${dispatch.callback.token}` }, body: JSON.stringify({ lease_id: this.lease, ...body }) });
  }
}

/** A PUT as any HTTP client sends it: the length is the body's own. */
export async function put(url: string, headers: Record<string, string>, body: Uint8Array): Promise<{ status: number; code: string | null; etag: string }> {
  const { "content-length": _length, ...rest } = headers;
  const answer = await fetch(url, { method: "PUT", headers: rest, body: new Uint8Array(body) });
  return { status: answer.status, code: /<Code>([^<]*)</.exec(await answer.text())?.[1] ?? null, etag: answer.headers.get("ETag") ?? "" };
}
