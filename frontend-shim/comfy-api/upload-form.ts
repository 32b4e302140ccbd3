// The form of an upload, read while it arrives: small fields as texts, the file called `image` to wherever the caller wants its bytes.
// ComfyUI reads the whole form first and then asks for the fields, so their order does not matter here either.
import { boundaryOf, MultipartError, readParts } from "./multipart.ts";
import type { MultipartFault } from "./multipart.ts";
import { MAX_BODY_BYTES } from "./context.ts";

export type UploadForm<T> = { fields: Map<string, string>; /** null: no file of that name came */ file: { filename: string; stored: T } | null };
export type FormAnswer<T> = { ok: true; form: UploadForm<T> } | { ok: false; fault: MultipartFault };

const MAX_FIELD_BYTES = 64 * 1024;
const MAX_PARTS = 100;

/**
 * Reads a form; the first file field `image` goes through `keep`, other files are passed over. When the form breaks after a file was kept,
 * `drop` takes it away again.
 */
export async function readUpload<T>(request: Request, keep: (body: ReadableStream<Uint8Array>) => Promise<T>, drop: (stored: T) => void): Promise<FormAnswer<T>> {
  if (Number(request.headers.get("content-length") ?? 0) > MAX_BODY_BYTES) return { ok: false, fault: "too_large" };
  const boundary = boundaryOf(request.headers.get("content-type"));
  if (boundary === null || request.body === null) return { ok: false, fault: "malformed" };
  const form: UploadForm<T> = { fields: new Map(), file: null };
  let parts = 0;
  try {
    for await (const part of readParts(request.body as ReadableStream<Uint8Array>, boundary, MAX_BODY_BYTES)) {
      parts += 1;
      if (parts > MAX_PARTS) throw new MultipartError("malformed");
      if (part.filename === null) {
        const value = await readField(part.body);
        if (!form.fields.has(part.name)) form.fields.set(part.name, value);
      } else if (part.name === "image" && form.file === null) form.file = { filename: part.filename, stored: await keep(part.body) };
    }
    return { ok: true, form };
  } catch (error) {
    if (form.file !== null) drop(form.file.stored);
    if (error instanceof MultipartError) return { ok: false, fault: error.fault };
    throw error;
  }
}

async function readField(body: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of body) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > MAX_FIELD_BYTES) throw new MultipartError("malformed");
  }
  return text + decoder.decode();
}
