// Files over one request's limit, in parts, and gone on with after a cut: POST opens (or finds again), PUT brings a part, GET tells what is there, POST
// complete gives the whole its name, DELETE gives up. Not ComfyUI's: it stands under /api/comfyume. Invariants: no part is ever held in memory; which parts
// are there is the workshop's word; what the file is called is decided once, as for any other upload.
import { z } from "zod";
import type { OpenUpload } from "../../durable-objects/contract.ts";
import { completeParts, digestOf, storePart } from "../../r2/ingest.ts";
import { inputKey } from "../../r2/keys.ts";
import { json, promptError } from "./answers.ts";
import { readJson, seatRouter, segment } from "./context.ts";
import type { SeatContext, SeatRequest } from "./context.ts";
import { typeByName } from "./media-types.ts";
import { targetOf } from "./upload-target.ts";

/** Bytes of a part: above R2's least (5 MiB) and little to send again after a cut; below every plan's limit of a request's body (100 MB). */
const LEAST_PART = 8 * 1024 * 1024;
const MOST_PART = 64 * 1024 * 1024;
/** Parts of a file that are still few; a larger file gets larger parts. */
const FEW_PARTS = 64;
/** Bytes of one file: its checksum is computed from the store in one request, which at some 500 MB/s of CPU has to end within 30 s of it. */
export const MAX_FILE_BYTES = 8 * 1024 ** 3;
const MAX_ASK_BYTES = 64 * 1024;

const ask = z.object({
  name: z.string().min(1).max(300),
  size: z.int().min(1),
  subfolder: z.string().max(500).default(""),
  type: z.enum(["input", "output", "temp"]).default("input"),
  sha256: z.string().toLowerCase().regex(/^[0-9a-f]{64}$/).nullish(),
  overwrite: z.boolean().default(false),
});

export const uploadsRoutes = seatRouter();
const HERE = "/api/comfyume/uploads";

uploadsRoutes.post(HERE, async (c) => {
  const seat = c.env.seat;
  const body = await readJson(c.req.raw, MAX_ASK_BYTES);
  const parsed = ask.safeParse(body.ok ? body.value : undefined);
  if (!parsed.success) return promptError(400, "bad_request", "This is no upload that could begin. Send JSON {name, size, subfolder?, type?, sha256?, overwrite?}; size in bytes, at least 1, sha256 as 64 hex digits. Nothing was stored.", parsed.error.issues[0]?.path.join(".") ?? "");
  const { name, size, subfolder, type, overwrite } = parsed.data;
  if (size > MAX_FILE_BYTES) return promptError(413, "payload_too_large", `The file has ${size} bytes, and one file may have ${MAX_FILE_BYTES} (8 GiB). Nothing was stored: cut it, or make it smaller, and upload the pieces.`, "", { limit: MAX_FILE_BYTES });
  const target = targetOf(new Map(Object.entries({ type, subfolder })), name);
  if (!target.ok || target.target.prefix !== "") return promptError(400, "bad_request", "The name or the folder cannot be used. Give a plain file name, its folder as subfolder, and nothing that leads out of the seat's own files. Nothing was stored.", "name");
  const asked = { type, subfolder: target.target.subfolder, filename: target.target.filename, overwrite, size, sha256: parsed.data.sha256 ?? null };
  const same = await seat.rpc.sameUpload(seat.seat, asked);
  if (same !== null) return json(described(same));
  return await open(seat, asked);
});

type Asked = Parameters<SeatContext["rpc"]["sameUpload"]>[1];

async function open(seat: SeatContext, asked: Asked): Promise<Response> {
  const key = inputKey(seat.workshop, seat.seat, crypto.randomUUID());
  const started = await seat.files.createMultipartUpload(key, { httpMetadata: { contentType: typeByName(asked.filename) } });
  const upload = `u_${crypto.randomUUID()}`;
  const answer = await seat.rpc.openUpload({ ...asked, seat: seat.seat, upload, part_bytes: partBytes(asked.size), key, r2_upload: started.uploadId });
  if (!answer.ok || answer.upload.upload !== upload) seat.waitUntil(started.abort());
  if (answer.ok) return json(described(answer.upload), answer.upload.upload === upload ? 201 : 200);
  return promptError(409, "too_many_uploads", answer.message, "", { limit: answer.limit, current: answer.current });
}

uploadsRoutes.get(`${HERE}/:upload`, async (c) => {
  const upload = await find(c);
  return upload === null ? over() : json(described(upload));
});

uploadsRoutes.put(`${HERE}/:upload/parts/:part`, async (c) => {
  const upload = await find(c);
  if (upload === null || upload.done !== null) return over();
  const part = Number(segment(c, "part"));
  const count = partsOf(upload);
  if (!Number.isInteger(part) || part < 1 || part > count) return promptError(400, "bad_request", `This upload has the parts 1 to ${count}. Nothing was stored.`, "part");
  const size = part === count ? upload.size - (count - 1) * upload.part_bytes : upload.part_bytes;
  if (c.req.header("content-length") === undefined) return promptError(411, "length_required", `Say the length of the part: Content-Length: ${size}. Nothing was stored.`);
  const stored = await storePart(c.env.seat.files, upload.key, c.req.raw, { upload_id: upload.r2_upload, number: part, size });
  if (!stored.ok && stored.reason === "length") return promptError(400, "wrong_length", `Part ${part} of this upload has ${size} bytes, and another number arrived. The part was not stored: send it again.`, "", { size });
  const counted = stored.ok && (await c.env.seat.rpc.addPart(c.env.seat.seat, upload.upload, { part, etag: stored.etag }));
  return counted ? json({ part }) : over();
});

uploadsRoutes.post(`${HERE}/:upload/complete`, async (c) => {
  const upload = await find(c);
  if (upload === null) return over();
  if (upload.done !== null) return json(nameOf(upload.done));
  const missing = missingOf(upload);
  if (missing.length > 0) return promptError(409, "parts_missing", `${missing.length} of ${partsOf(upload)} parts have not arrived. Send them, then complete again.`, "", { missing: missing.slice(0, 1000) });
  return await complete(c.env.seat, upload);
});

async function complete(seat: SeatContext, upload: OpenUpload): Promise<Response> {
  const outcome = await completeParts(seat.files, upload.key, upload.r2_upload, upload.present);
  if (outcome === "parts_unknown") {
    await seat.rpc.forgetParts(seat.seat, upload.upload);
    return promptError(409, "parts_missing", "The store does not have the parts as they were counted. Send them all again, then complete again.", "", { missing: missingOf({ ...upload, present: [] }).slice(0, 1000) });
  }
  const sha256 = outcome === "gone" ? null : await digestOf(seat.files, upload.key);
  if (sha256 === null || (upload.sha256 !== null && upload.sha256 !== sha256)) {
    await seat.rpc.dropUpload(seat.seat, upload.upload);
    return sha256 === null ? over() : promptError(422, "checksum", "What arrived is not the file that was announced: its sha256 differs, so it changed while it was sent. Nothing was kept: start the upload again.");
  }
  const answer = await seat.rpc.finishUpload(seat.seat, upload.upload, { sha256, content_type: typeByName(upload.filename) });
  return answer.ok ? json(nameOf(answer.file)) : over();
}

uploadsRoutes.delete(`${HERE}/:upload`, async (c) => ((await c.env.seat.rpc.dropUpload(c.env.seat.seat, segment(c, "upload"))) ? new Response(null, { status: 204 }) : over()));

/** Parts of 8 MiB up to 512 MiB, then twice as large for twice as much, up to 64 MiB. */
export function partBytes(size: number): number {
  let bytes = LEAST_PART;
  while (size > bytes * FEW_PARTS && bytes < MOST_PART) bytes *= 2;
  return bytes;
}

async function find(c: SeatRequest): Promise<OpenUpload | null> {
  return await c.env.seat.rpc.findUpload(c.env.seat.seat, segment(c, "upload"));
}

function over(): Response {
  return promptError(404, "no_such_upload", "There is no such unfinished upload: it was completed, given up, or not touched for 7 days. Start it again; nothing of it is kept.");
}

/** What a client needs to go on: parts count from 1, `present` are the stored ones. */
function described(upload: OpenUpload): Record<string, unknown> {
  return {
    upload_id: upload.upload, part_bytes: upload.part_bytes, parts: partsOf(upload), present: upload.present.map(({ part }) => part),
    name: upload.filename, subfolder: upload.subfolder, type: upload.type, size: upload.size, done: upload.done === null ? null : nameOf(upload.done),
  };
}

/** As ComfyUI's own uploads answer. */
function nameOf(file: { filename: string; subfolder: string; type: string }): Record<string, string> {
  return { name: file.filename, subfolder: file.subfolder, type: file.type };
}

function partsOf(upload: { size: number; part_bytes: number }): number {
  return Math.ceil(upload.size / upload.part_bytes);
}

function missingOf(upload: Pick<OpenUpload, "size" | "part_bytes" | "present">): number[] {
  const present = new Set(upload.present.map(({ part }) => part));
  return Array.from({ length: partsOf(upload) }, (_, index) => index + 1).filter((part) => !present.has(part));
}
