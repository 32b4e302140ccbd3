// Uploads of one lease [G21]: addresses for the bytes, straight to R2 where the Worker can sign for it and else through the Worker, and the commit that
// makes them the seat's. Invariant: a file is committed only after the store was seen to hold exactly the announced bytes, size and sha256, under the
// lease's own key, whichever way they came.
import type { CommitFile } from "../../durable-objects/contract.ts";
import { type CommitRequest, commitRequest, MULTIPART_FROM_BYTES, uploadRequest, type UploadTarget } from "../../gpu-adapter/contract.ts";
import { digestOf } from "../../r2/ingest.ts";
import { leasePrefix, outputKey } from "../../r2/keys.ts";
import { presignPart, presignPut, type PresignStore } from "../../r2/presign.ts";
import { readUploads } from "../../r2/presign-settings.ts";
import { type FileClaims, fileUrl, signFile } from "../../r2/signed.ts";
import type { AttemptCaller } from "../auth/runner.ts";
import { json, refuse, runnerError } from "../errors.ts";
import { logError } from "../log.ts";
import { parse, runnerBase, type RunnerRequest } from "./runner.ts";

/** ms an upload address holds: a large film over a slow line. */
const UPLOAD_MS = 3600 * 1000;
/** Bytes of a part: below every plan's limit on a request's body (100 MB), and 10 000 of them are more than any file. */
const PART_BYTES = 64 * 1024 * 1024;
/** What an id of a lease may look like where it becomes part of a key. */
const LEASE = /^[A-Za-z0-9_-]{1,100}$/;

/** One file that may be stored now: its key, and its number within the lease. */
type Granted = { key: string; n: number; size: number; sha256: string; content_type: string };
/** How addresses are made: the two differ in who takes the bytes and in nothing that a runner has to know. */
type Addresses = { put(file: Granted): Promise<{ url: string; headers: Record<string, string> }>; part(file: Granted, part: { upload_id: string; number: number; size: number }): Promise<string> };

export async function grantUploads(c: RunnerRequest, caller: AttemptCaller): Promise<Response> {
  const body = await parse(c, uploadRequest);
  if (body instanceof Response) return body;
  const uploads = readUploads(c.env);
  if (uploads.to === "nowhere") {
    // 503, because a runner asks again until its time is over: settings that are being made one by one cost nobody a run.
    logError("misconfigured", uploads.fault);
    return runnerError(503, "misconfigured", uploads.fault);
  }
  const answer = await caller.door.grantUploads(caller.ref, body.lease_id, body.files);
  if (!answer.ok) return refuse(answer, "runner");
  const addresses = uploads.to === "r2" ? atR2(uploads.store) : atPlatform(c, caller);
  const prefix = leasePrefix({ workshop: caller.workshop, job: caller.ref.job, attempt: caller.ref.attempt, lease: body.lease_id });
  const targets: UploadTarget[] = [];
  for (const [index, file] of body.files.entries()) {
    const key = answer.keys[index];
    const n = key?.startsWith(prefix) ? Number.parseInt(key.slice(prefix.length), 10) : Number.NaN;
    if (key === undefined || Number.isNaN(n)) throw new Error("the workshop granted a key outside of the lease");
    targets.push(await target(c.env.FILES, addresses, { key, n, size: file.size, sha256: file.sha256, content_type: file.content_type || "application/octet-stream" }));
  }
  return json({ targets });
}

async function target(bucket: R2Bucket, addresses: Addresses, file: Granted): Promise<UploadTarget> {
  const { key, n, size } = file;
  if (size <= MULTIPART_FROM_BYTES) return { kind: "put", n, ...(await addresses.put(file)) };
  const { uploadId: upload_id } = await bucket.createMultipartUpload(key, { httpMetadata: { contentType: file.content_type } });
  const count = Math.ceil(size / PART_BYTES);
  const urls = await Promise.all(Array.from({ length: count }, (_, index) => addresses.part(file, { upload_id, number: index + 1, size: index === count - 1 ? size - index * PART_BYTES : PART_BYTES })));
  return { kind: "multipart", n, upload_id, part_bytes: PART_BYTES, urls };
}

function atPlatform(c: RunnerRequest, { workshop }: AttemptCaller): Addresses {
  const exp = Date.now() + UPLOAD_MS;
  const url = (claims: Omit<FileClaims, "op" | "exp">): string => fileUrl(runnerBase(c.req.url, workshop), signFile(c.env.SESSION_SECRET, { op: "put", exp, ...claims }));
  return {
    put: async ({ key, size, sha256, content_type }) => ({ url: url({ key, size, sha256, content_type }), headers: { "content-type": content_type } }),
    part: async ({ key }, { size, ...part }) => url({ key, size, part }),
  };
}

function atR2(store: PresignStore): Addresses {
  const term = { now: Date.now(), expires_s: UPLOAD_MS / 1000 };
  return {
    put: (file) => presignPut(store, file, term),
    part: ({ key }, part) => presignPart(store, { key, ...part }, term),
  };
}

export async function commitUploads(c: RunnerRequest, caller: AttemptCaller): Promise<Response> {
  const body = await parse(c, commitRequest);
  if (body instanceof Response) return body;
  if (!LEASE.test(body.lease_id)) return runnerError(409, "stale", "This lease was never given.");
  const files: CommitFile[] = [];
  for (const file of body.files) {
    if (file.n < 0) return runnerError(400, "bad_request", "files.n is the number of a granted target.");
    const key = outputKey({ workshop: caller.workshop, job: caller.ref.job, attempt: caller.ref.attempt, lease: body.lease_id, n: file.n, filename: file.filename });
    const fault = await checkStored(c.env.FILES, key, file);
    if (fault !== null) return runnerError(422, "bad_request", `${fault} Ask for fresh targets and send it again.${elsewhere(c.env)}`);
    const { n: _n, upload_id: _upload, parts: _parts, ...named } = file;
    files.push({ ...named, key });
  }
  const answer = await caller.door.commitFiles(caller.ref, body.lease_id, files);
  return answer.ok ? json({ files: answer.files }) : refuse(answer, "runner");
}

/** What the commit cannot see by itself: a bucket is written by its name and read by its binding, and the two are set in different places. */
function elsewhere(env: Env): string {
  const uploads = readUploads(env);
  return uploads.to === "r2" ? ` If it is so with every file, R2_BUCKET (${uploads.store.bucket}) at R2_ENDPOINT is not the bucket of the binding FILES.` : "";
}

/** Null when the store holds these bytes; else what is wrong, for the runner's log. */
async function checkStored(bucket: R2Bucket, key: string, file: CommitRequest["files"][number]): Promise<string | null> {
  if (file.upload_id !== undefined && file.parts !== undefined) await complete(bucket, key, file.upload_id, file.parts);
  const head = await bucket.head(key);
  if (head === null) return `File ${file.n} is not in the store.`;
  if (head.size !== file.size) return `File ${file.n} has ${head.size} bytes in the store, not ${file.size}.`;
  const known = head.checksums.toJSON().sha256;
  // R2 keeps no sha256 of what came in parts: then the bytes are read once, here, as a stream.
  const sha256 = known ?? (await digestOf(bucket, key));
  return sha256 === file.sha256.toLowerCase() ? null : `File ${file.n} has another sha256 in the store.`;
}

/** A repeated commit finds the upload completed; whether the object is right is checked after this either way [G28]. */
async function complete(bucket: R2Bucket, key: string, uploadId: string, parts: { part: number; etag: string }[]): Promise<void> {
  const sorted = parts.map(({ part, etag }) => ({ partNumber: part, etag: etag.replaceAll('"', "") })).sort((a, b) => a.partNumber - b.partNumber);
  try {
    await bucket.resumeMultipartUpload(key, uploadId).complete(sorted);
  } catch (error) {
    if ((await bucket.head(key)) === null) throw error;
  }
}
