// Puts one file's bytes at the address the platform gave for it [G21]: one PUT, or parts in order. Knows nothing of leases and names.
import type { UploadTarget } from "../contract.ts";
import { backoffMs, RETRY } from "./backoff.ts";
import { sleep } from "./log.ts";

export type Part = { part: number; etag: string };
/** The address is used up or refused: ask for a fresh one. */
export class TargetRefused extends Error {}

/** Tries per PUT before a fresh target is asked for. */
const TRIES = 3;
/** Slowest link still waited for, bytes per ms (about 256 kB/s), on top of a minute. */
const SLOWEST_BYTES_PER_MS = 256;

async function put(url: string, body: Blob, headers: Headers, signal: AbortSignal): Promise<Response> {
  for (let failures = 0; ; failures++) {
    let why: string;
    try {
      const timeout = AbortSignal.timeout(60_000 + Math.ceil(body.size / SLOWEST_BYTES_PER_MS));
      const answer = await fetch(url, { method: "PUT", headers, body, signal: AbortSignal.any([signal, timeout]) });
      const text = await answer.text();
      // 412: the key exists, and only this lease could have written it: our earlier PUT arrived, its answer did not.
      if (answer.ok || answer.status === 412) return answer;
      why = `${answer.status}${codeOf(text)}`;
      if (answer.status < 500 && answer.status !== 429 && answer.status !== 408) throw new TargetRefused(`The storage refused the file with ${why}.`);
    } catch (error) {
      if (error instanceof TargetRefused || signal.aborted) throw error;
      why = error instanceof Error ? error.message : String(error);
    }
    if (failures + 1 >= TRIES) throw new TargetRefused(`The storage did not take the file (${why}).`);
    await sleep(backoffMs(RETRY, failures, Math.random()), signal);
  }
}

/** S3's word for what is wrong (`ExpiredRequest`, `InvalidAccessKeyId`, …): an operator can act on it, on a bare 403 not. Nothing else of the answer is kept. */
function codeOf(text: string): string {
  const code = /<Code>([A-Za-z]{1,60})<\/Code>/.exec(text)?.[1];
  return code === undefined ? "" : ` ${code}`;
}

/** Signed headers exactly once each; the length is the body's own and set by fetch. */
function headersOf(signed: Record<string, string>, contentType: string): Headers {
  const headers = new Headers(signed);
  headers.delete("Content-Length");
  headers.delete("Host");
  if (!headers.has("Content-Type")) headers.set("Content-Type", contentType);
  return headers;
}

/** Uploads `body`; for a multipart target the ETags in order of the parts. Throws TargetRefused. */
export async function putFile(target: UploadTarget, body: Blob, contentType: string, signal: AbortSignal): Promise<{ upload_id?: string; parts?: Part[] }> {
  if (target.kind === "put") {
    await put(target.url, body, headersOf(target.headers, contentType), signal);
    return {};
  }
  const parts: Part[] = [];
  for (const [index, url] of target.urls.entries()) {
    const slice = body.slice(index * target.part_bytes, Math.min(body.size, (index + 1) * target.part_bytes));
    const answer = await put(url, slice, new Headers(), signal);
    const etag = answer.headers.get("ETag");
    if (etag === null) throw new TargetRefused(`Part ${index + 1} was answered without an ETag.`);
    parts.push({ part: index + 1, etag });
  }
  return { upload_id: target.upload_id, parts };
}
