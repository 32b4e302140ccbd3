// Uploads: the picture of a loader, the paste, the mask editor's save. Bytes stream into the bucket under a key of their own; which name they get is the
// workshop's decision, in one step with looking for equal bytes. Invariant: an upload that is refused or not needed leaves no object behind.
import { both, seatRouter } from "./context.ts";
import type { SeatContext, SeatRequest } from "./context.ts";
import { bare, crashed, fileTooLarge, json, text } from "./answers.ts";
import { composeMask } from "./mask.ts";
import { typeByName } from "./media-types.ts";
import { MultipartError } from "./multipart.ts";
import { readUpload } from "./upload-form.ts";
import { targetOf } from "./upload-target.ts";
import type { Target } from "./upload-target.ts";
import { MAX_BODY_BYTES } from "./context.ts";
import { inputKey } from "../../r2/keys.ts";
import { ingest } from "../../r2/ingest.ts";

export const uploadRoutes = seatRouter();

type Stored = { key: string; size: number; sha256: string };

uploadRoutes.on("POST", both("/upload/image"), async (c) => {
  const seat = c.env.seat;
  const drop = (stored: Stored) => seat.waitUntil(seat.files.delete(stored.key));
  const answer = await readUpload(c.req.raw, (body) => store(seat, body), drop);
  if (!answer.ok) return answer.fault === "too_large" ? fileTooLarge(addressOf(c)) : malformed();
  const { fields, file } = answer.form;
  const decided = await decide(seat, targetOf(fields, file?.filename ?? null));
  if (decided instanceof Response || file === null) {
    if (file) drop(file.stored);
    return decided instanceof Response ? decided : bare(400);
  }
  return await keepAs(seat, decided, file.stored);
});

uploadRoutes.on("POST", both("/upload/mask"), async (c) => await uploadMask(c));

async function uploadMask(c: SeatRequest): Promise<Response> {
  const seat = c.env.seat;
  const answer = await readUpload(c.req.raw, (body) => new Response(body).bytes(), () => undefined);
  if (!answer.ok) return answer.fault === "too_large" ? fileTooLarge(addressOf(c)) : malformed();
  const { fields, file } = answer.form;
  const target = await decide(seat, targetOf(fields, file?.filename ?? null));
  if (target instanceof Response || file === null) return target instanceof Response ? target : bare(400);
  const composed = await composeMask(seat, file.stored, fields.get("original_ref"));
  if (composed.ok) return await keepAs(seat, target, await store(seat, new Response(composed.png).body));
  switch (composed.fault) {
    case "no_reference":
      return crashed();
    // As recorded: nothing is written, and the answer is the name it would have had.
    case "no_original":
      return named(target, target.filename);
    case "bad_reference":
      return bare(400);
    case "outside":
      return bare(403);
    case "refused":
      return text(composed.message, 400);
  }
}

/** A key per upload: equal names, equal bytes and two tabs at once can never meet in the bucket. */
async function store(seat: SeatContext, body: ReadableStream<Uint8Array> | null): Promise<Stored> {
  const key = inputKey(seat.workshop, seat.seat, crypto.randomUUID());
  const stored = await ingest(seat.files, key, body, { max_bytes: MAX_BODY_BYTES });
  if (!stored.ok) throw new MultipartError("too_large");
  return { key, size: stored.size, sha256: stored.sha256 };
}

async function decide(seat: SeatContext, answer: ReturnType<typeof targetOf>): Promise<Target | Response> {
  if (!answer.ok) return answer.fault === "crash" ? crashed() : bare(400);
  const { target } = answer;
  // A folder inside the file name is not made by ComfyUI: it must be there already.
  const mustExist = target.prefix !== "" && target.subfolder !== "";
  if (mustExist && (await seat.rpc.listFiles(seat.seat, target.type, target.subfolder)).length === 0) return crashed();
  return target;
}

/** Gives stored bytes their name. A replaced object stays in the bucket: a waiting job may still be going to read it. */
async function keepAs(seat: SeatContext, target: Target, stored: Stored): Promise<Response> {
  const { type, subfolder, filename, overwrite } = target;
  const answer = await seat.rpc.putInput({ seat: seat.seat, type, subfolder, filename, overwrite, ...stored, content_type: typeByName(filename) });
  if (!answer.ok || !answer.kept) seat.waitUntil(seat.files.delete(stored.key));
  return answer.ok ? named(target, answer.file.filename) : text(answer.message, 400);
}

/** The seat's own address, as a person would open it. */
function addressOf(c: SeatRequest): string {
  return `${new URL(c.req.url).origin}/${c.env.seat.workshop}/${c.env.seat.seat}/`;
}

function named(target: Target, filename: string): Response {
  return json({ name: `${target.prefix}${filename}`, subfolder: target.sentSubfolder, type: target.type });
}

function malformed(): Response {
  return text("The upload is not a complete multipart/form-data body. Nothing was stored; send it again.", 400);
}
