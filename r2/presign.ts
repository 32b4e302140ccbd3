// Presigned addresses on R2's S3 endpoint [G21]: whoever holds one may write one key, once, with the announced type, length and bytes, until it ends.
// Invariant: everything the store can hold the sender to is a signed header, so a request that leaves one out or changes one has no valid signature.
import { AwsV4Signer } from "aws4fetch";
import { MIME } from "./http.ts";

/** Where presigned addresses lead, and the credential they are signed with, which itself never leaves the Worker. */
export type PresignStore = { /** S3 endpoint without a slash at its end */ endpoint: string; bucket: string; access_key_id: string; secret_access_key: string };
/** `now` in ms since the epoch; R2 takes 1 to 604 800 seconds. */
export type Term = { now: number; expires_s: number };
export type PresignedPut = { url: string; /** Exactly what was signed; the client's HTTP library may set the length itself. */ headers: Record<string, string> };

/** R2 has one region (developers.cloudflare.com/r2/api/s3/api). */
const REGION = "auto";

/** PutObject, if nothing stands under the key yet. `sha256` in hex; R2 compares it with what arrives and stores nothing else (400 BadDigest). */
export async function presignPut(store: PresignStore, file: { key: string; size: number; content_type: string; sha256: string }, term: Term): Promise<PresignedPut> {
  const headers = {
    "content-length": String(file.size),
    // A header that is no header would break the runner's request, and a type is what a runner says it is.
    "content-type": MIME.test(file.content_type.toLowerCase()) ? file.content_type : "application/octet-stream",
    "if-none-match": "*",
    "x-amz-checksum-sha256": base64OfHex(file.sha256),
  };
  return { url: await presign({ ...store, region: REGION }, { method: "PUT", url: objectUrl(store, file.key), headers }, term), headers };
}

/**
 * UploadPart of an upload that the binding began. Only its length is signed: R2 answers 501 to a part with a sha256, and its condition is the upload
 * itself, which is gone once it was completed. The whole file's sha256 is compared at the commit.
 */
export async function presignPart(store: PresignStore, part: { key: string; upload_id: string; number: number; size: number }, term: Term): Promise<string> {
  const url = new URL(objectUrl(store, part.key));
  url.searchParams.set("partNumber", String(part.number));
  url.searchParams.set("uploadId", part.upload_id);
  return await presign({ ...store, region: REGION }, { method: "PUT", url: url.href, headers: { "content-length": String(part.size) } }, term);
}

/** Signature version 4 in the query, over all headers given (docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html). */
export async function presign(by: { access_key_id: string; secret_access_key: string; region: string }, request: { method: string; url: string; headers?: Record<string, string> }, { now, expires_s }: Term): Promise<string> {
  const url = new URL(request.url);
  url.searchParams.set("X-Amz-Expires", String(expires_s));
  const signer = new AwsV4Signer({
    method: request.method,
    url: url.href,
    headers: request.headers ?? {},
    accessKeyId: by.access_key_id,
    secretAccessKey: by.secret_access_key,
    service: "s3",
    region: by.region,
    datetime: new Date(now).toISOString().replaceAll(/[:-]|\.\d{3}/g, ""),
    signQuery: true,
    // Without it the library leaves the type and the length out of the signature, which are half of what is promised here.
    allHeaders: true,
  });
  return (await signer.sign()).url.href;
}

/** Path style; keys are made by keys.ts, but a user's file name may be in one. */
function objectUrl({ endpoint, bucket }: PresignStore, key: string): string {
  return `${endpoint}/${bucket}/${key.split("/").map(encodeURIComponent).join("/")}`;
}

function base64OfHex(hex: string): string {
  return btoa((hex.match(/../g) ?? []).map((byte) => String.fromCharCode(Number.parseInt(byte, 16))).join(""));
}
