// The runners' door [G5]: every route of the contract, each body parsed by its schema, each caller held to the one pool or attempt of its token.
// Leases are judged in the workshop's object; here only who may knock.
import { type Context, Hono } from "hono";
import type { z } from "zod";
import { claimRequest, eventBatch, nextRequest, result } from "../../gpu-adapter/contract.ts";
import { parseJson } from "../../gpu-adapter/json.ts";
import { storeExact, storePart } from "../../r2/ingest.ts";
import { serveObject } from "../../r2/serve.ts";
import { verifyFile } from "../../r2/signed.ts";
import type { EdgeEnv } from "../app.ts";
import { asAttempt, asPool, asReporter, type AttemptCaller, type PoolCaller } from "../auth/runner.ts";
import { readText } from "../body.ts";
import { json, refuse, runnerError } from "../errors.ts";
import { isWorkshopName } from "../names.ts";
import { putWebFile, reportCatalog } from "./runner-catalog.ts";
import { commitUploads, grantUploads } from "./runner-uploads.ts";
import { socketRequest } from "./seat.ts";

export type RunnerRequest = Context<EdgeEnv>;
export const runner = new Hono<EdgeEnv>();

/** Bytes of a JSON body; the object's RPC takes 32 MiB, and a history with its outputs is the largest thing sent. */
const MAX_BODY = 24 * 1024 * 1024;

/** Where runners of a workshop call, as dispatches name it. */
export function runnerBase(url: string, workshop: string): string {
  return `${new URL(url).origin}/runner/v1/${workshop}`;
}

const ATTEMPT = "/:workshop/jobs/:job/attempts/:attempt";

runner.post(`${ATTEMPT}/claim`, (c) =>
  asAttempt(c, async ({ door, ref, workshop }) => {
    const body = await parse(c, claimRequest);
    if (body instanceof Response) return body;
    const answer = await door.claim(ref, body, runnerBase(c.req.url, workshop));
    return answer.ok ? json(answer.claim) : refuse(answer, "runner");
  }),
);

runner.get(`${ATTEMPT}/events`, (c) =>
  asAttempt(c, async ({ door, ref, workshop }) => {
    if (!isUpgrade(c.req.raw)) return runnerError(400, "bad_request", "This address takes a WebSocket, or POST with a batch of events.");
    return await door.fetch(socketRequest(c.req.raw, { kind: "attempt", job: ref.job, attempt: String(ref.attempt), origin: runnerBase(c.req.url, workshop) }));
  }),
);
runner.post(`${ATTEMPT}/events`, (c) => asAttempt(c, (caller) => postEvents(c, caller)));
runner.post(`${ATTEMPT}/uploads`, (c) => asAttempt(c, (caller) => grantUploads(c, caller)));
runner.post(`${ATTEMPT}/uploads/commit`, (c) => asAttempt(c, (caller) => commitUploads(c, caller)));
runner.post(`${ATTEMPT}/result`, (c) =>
  asAttempt(c, async ({ door, ref }) => {
    const body = await parse(c, result);
    if (body instanceof Response) return body;
    const answer = await door.result(ref, body);
    return answer.ok ? json({ status: answer.status }) : refuse(answer, "runner");
  }),
);

runner.get("/:workshop/pools/:pool/next", (c) =>
  asPool(c, async ({ door, workshop, pool }) => {
    if (!isUpgrade(c.req.raw)) return runnerError(400, "bad_request", "This address takes a WebSocket, or POST to ask for work.");
    return await door.fetch(socketRequest(c.req.raw, { kind: "runner", pool, origin: runnerBase(c.req.url, workshop) }));
  }),
);
runner.post("/:workshop/pools/:pool/next", (c) => asPool(c, (caller) => postNext(c, caller)));
runner.post("/:workshop/pools/:pool/catalog", (c) => asReporter(c, (caller) => reportCatalog(c, caller)));
runner.put("/:workshop/pools/:pool/catalog/:digest/web/*", (c) => asReporter(c, (caller) => putWebFile(c, caller.only)));

// HEAD comes here too. The token is the whole credential: it is handed out for one file and ends soon.
runner.get("/:workshop/files/:token", async (c) => {
  const claims = fileClaims(c, "get");
  if (claims instanceof Response) return claims;
  const served = await serveObject(c.env.FILES, claims.key, c.req.raw, { filename: claims.key.slice(claims.key.lastIndexOf("/") + 1), cache_control: "private, no-store" });
  return served ?? runnerError(404, "not_found", "The file is not in the store any more.");
});
runner.put("/:workshop/files/:token", async (c) => {
  const claims = fileClaims(c, "put");
  if (claims instanceof Response) return claims;
  if (claims.size === undefined) return runnerError(403, "forbidden", "This token does not say how large the file is.");
  if (claims.part !== undefined) {
    const part = await storePart(c.env.FILES, claims.key, c.req.raw, { ...claims.part, size: claims.size });
    if (part.ok) return new Response(null, { status: 200, headers: { etag: `"${part.etag}"` } });
    return part.reason === "length" ? wrongLength(claims.size) : runnerError(404, "not_found", "This upload was completed or given up. Ask for fresh targets.");
  }
  const stored = await storeExact(c.env.FILES, claims.key, c.req.raw, { size: claims.size, ...(claims.sha256 === undefined ? {} : { sha256: claims.sha256 }), ...(claims.content_type === undefined ? {} : { content_type: claims.content_type }) });
  if (stored.ok) return new Response(null, { status: 200 });
  switch (stored.reason) {
    case "exists":
      return runnerError(412, "exists", "This file is stored already; what is stored never changes. Go on with the commit.");
    case "length":
      return wrongLength(claims.size);
    case "checksum":
      return runnerError(422, "checksum", "The bytes that arrived do not have the announced sha256. Send the file again.");
  }
});

runner.all("*", () => runnerError(404, "not_found", "There is no such runner route. Routes are below /runner/v1/{workshop}/."));

async function postEvents(c: RunnerRequest, { door, ref }: AttemptCaller): Promise<Response> {
  const body = await parse(c, eventBatch);
  if (body instanceof Response) return body;
  let preview: { seq: number; frame: ArrayBuffer } | null = null;
  if (body.preview !== undefined) {
    const frame = fromBase64(body.preview.frame_base64);
    if (frame === null) return runnerError(400, "bad_request", "preview.frame_base64 is no base64.");
    preview = { seq: body.preview.seq, frame };
  }
  const answer = await door.events(ref, body.lease_id, body.events, preview);
  return answer.ok ? json({ ack: answer.ack, cancel: answer.cancel, lease_ttl_s: answer.lease_ttl_s }) : refuse(answer, "runner");
}

async function postNext(c: RunnerRequest, { door, workshop, pool }: PoolCaller): Promise<Response> {
  const body = await parse(c, nextRequest);
  if (body instanceof Response) return body;
  const answer = await door.next(pool, { ...body, base_url: runnerBase(c.req.url, workshop) });
  return answer.ok ? json({ ...(answer.work === null ? {} : { work: answer.work }), want_catalog: answer.want_catalog }) : refuse(answer, "runner");
}

/** The body by its schema, or the answer that says what is wrong with it: which field, never its value. */
export async function parse<S extends z.ZodType>(c: RunnerRequest, schema: S): Promise<z.infer<S> | Response> {
  const body = await readJson(c);
  return body instanceof Response ? body : check(schema, body.value);
}

export async function readJson(c: RunnerRequest): Promise<{ value: unknown; text: string } | Response> {
  const text = await readText(c.req.raw, MAX_BODY);
  if (text === null) return runnerError(413, "payload_too_large", `The body is over ${MAX_BODY} bytes.`);
  try {
    return { value: parseJson(text), text };
  } catch {
    return runnerError(400, "bad_request", "The body is no JSON.");
  }
}

export function check<S extends z.ZodType>(schema: S, value: unknown): z.infer<S> | Response {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  return runnerError(400, "bad_request", `The body does not follow the contract: ${issue?.path.join(".") || "(top)"}: ${issue?.message ?? "unknown"}.`);
}

function fileClaims(c: RunnerRequest, op: "get" | "put"): Exclude<ReturnType<typeof verifyFile>, { ok: false }>["claims"] | Response {
  if (!isWorkshopName(c.req.param("workshop") ?? "")) return runnerError(404, "not_found", "There is no such workshop.");
  const verdict = verifyFile(c.env.SESSION_SECRET, c.req.param("token") ?? "", Date.now());
  if (!verdict.ok) return runnerError(401, "unauthorized", verdict.reason === "expired" ? "This address has ended. Ask for a fresh one." : "This address was not made here.");
  return verdict.claims.op === op ? verdict.claims : runnerError(403, "forbidden", `This address is for ${verdict.claims.op === "get" ? "reading" : "writing"} only.`);
}

function wrongLength(size: number): Response {
  return runnerError(400, "bad_request", `The body does not have the announced length of ${size} bytes.`);
}

function isUpgrade(request: Request): boolean {
  return request.headers.get("upgrade")?.toLowerCase() === "websocket";
}

function fromBase64(text: string): ArrayBuffer | null {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0)).buffer;
  } catch {
    return null;
  }
}
