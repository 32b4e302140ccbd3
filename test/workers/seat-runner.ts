// A runner in a few lines, at the workshop's own door: takes a job, stores files as the edge would have let it, ends it.
import { env } from "cloudflare:workers";
import type { WorkshopRpc } from "../../durable-objects/contract.ts";
import type { FileName, RunResult, UploadFile, Work } from "../../gpu-adapter/contract.ts";

const RUNNER = { id: "runner-1", version: "1", mode: "pull" as const };

export type Job = {
  work: Work;
  ref: { job: string; attempt: number };
  /** Stores a file under a granted key; `commit` false leaves it there as a lost attempt would. Answers the key. */
  store(file: Partial<UploadFile> & { filename: string }, commit?: boolean): Promise<string>;
  log(line: string): Promise<void>;
  start(): Promise<void>;
  end(status?: RunResult["status"]): Promise<void>;
};

/** Takes the next job of the pool `gpu`. */
export async function takeJob(rpc: WorkshopRpc): Promise<Job> {
  const answer = await rpc.next("gpu", { runner: RUNNER, wait_ms: 5000, base_url: "http://seat.test/runner/v1/w" });
  if (!answer.ok || answer.work === null) throw new Error("no work");
  const { work } = answer;
  const ref = { job: work.dispatch.job_id, attempt: work.dispatch.attempt };
  const lease = work.claim.lease_id;
  const files: (FileName & { file_id: string })[] = [];
  let seq = 0;
  const say = async (event: object): Promise<void> => {
    seq += 1;
    const heard = await rpc.events(ref, lease, [{ seq, ts: seq, ...event } as Parameters<WorkshopRpc["events"]>[2][number]], null);
    if (!heard.ok) throw new Error(heard.message);
  };
  return {
    work,
    ref,
    store: async (file, commit = true) => {
      const bytes = new TextEncoder().encode(`${file.filename} of ${ref.job}`);
      const sha256 = [...new Uint8Array(await crypto.subtle.digest("SHA-256", bytes))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
      const whole: UploadFile = { type: "output", subfolder: "", node_id: "2", key: "images", content_type: "image/png", size: bytes.byteLength, sha256, ...file };
      const grant = await rpc.grantUploads(ref, lease, [whole]);
      if (!grant.ok) throw new Error(grant.message);
      const key = grant.keys[0] ?? "";
      await env.FILES.put(key, bytes);
      if (!commit) return key;
      const committed = await rpc.commitFiles(ref, lease, [{ ...whole, key }]);
      if (!committed.ok) throw new Error(committed.message);
      files.push(...committed.files.map((named) => ({ ...named, filename: file.filename })));
      return key;
    },
    log: (line) => say({ type: "log", line }),
    start: () => say({ type: "started" }),
    end: async (status = "succeeded") => {
      const images = files.map(({ file_id: _id, ...name }) => name);
      const ended = await rpc.result(ref, {
        lease_id: lease, status, files, comfy_outputs: images.length > 0 ? { 2: { images } } : {}, comfy_messages: [["execution_start", { prompt_id: ref.job, timestamp: 1 }], ["execution_success", { prompt_id: ref.job, timestamp: 2 }]], comfy_meta: {}, timings: {}, runner: RUNNER,
      });
      if (!ended.ok) throw new Error(ended.message);
    },
  };
}
