// Reads multipart/form-data as it arrives (RFC 7578, RFC 2046 5.1): a part's bytes pass through, at most one chunk and a boundary are held.
// Invariant: the bytes of the whole body are counted here, so that a limit holds whatever `Content-Length` said.

export type Part = { name: string; /** null for a plain field */ filename: string | null; body: ReadableStream<Uint8Array> };
export type MultipartFault = "too_large" | "malformed";

export class MultipartError extends Error {
  readonly fault: MultipartFault;
  constructor(fault: MultipartFault) {
    super(`multipart body ${fault}`);
    this.fault = fault;
  }
}

/** Bytes of a part's header lines; file names are the only long thing in them. */
const MAX_HEADER_BYTES = 16 * 1024;
const CRLF = Uint8Array.of(13, 10);
const encoder = new TextEncoder();

/** The boundary of a content type, null when it is no form. */
export function boundaryOf(contentType: string | null): string | null {
  if (!/^multipart\/form-data\s*;/i.test(contentType ?? "")) return null;
  const match = /;\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))/i.exec(contentType ?? "");
  return match?.[1] ?? match?.[2] ?? null;
}

/** Yields the parts in order; each body must be read to its end (or cancelled) before the next is asked for. Throws MultipartError. */
export async function* readParts(body: ReadableStream<Uint8Array>, boundary: string, maxBytes: number): AsyncGenerator<Part> {
  const source = new ByteSource(body, maxBytes);
  try {
    // The first delimiter has no line before it when there is no preamble.
    source.prepend(CRLF);
    const delimiter = encoder.encode(`\r\n--${boundary}`);
    await drain(source, delimiter);
    while (await opensPart(source)) {
      const part = readHeaders(await headerBytes(source));
      let finished = false;
      const stream = new ReadableStream<Uint8Array>({
        async pull(controller) {
          const chunk = await source.until(delimiter);
          if (chunk !== null) return controller.enqueue(chunk);
          finished = true;
          controller.close();
        },
      }, { highWaterMark: 0 });
      if (part !== null) yield { ...part, body: stream };
      if (!finished) await drain(source, delimiter);
    }
  } finally {
    await source.cancel();
  }
}

async function drain(source: ByteSource, delimiter: Uint8Array): Promise<void> {
  while ((await source.until(delimiter)) !== null);
}

/** After a delimiter: `--` ends the form, anything up to the end of the line is padding. */
async function opensPart(source: ByteSource): Promise<boolean> {
  const line = await collect(source, CRLF, true);
  if (line[0] === 45 && line[1] === 45) return false;
  if (source.ended && line.byteLength === 0) throw new MultipartError("malformed");
  return true;
}

async function headerBytes(source: ByteSource): Promise<Uint8Array> {
  // A part without headers starts with the empty line at once.
  source.prepend(CRLF);
  return await collect(source, encoder.encode("\r\n\r\n"), false);
}

/** Everything before `end`, of limited length; when the body ends without it, what there is (`mayEnd`) or an error. */
async function collect(source: ByteSource, end: Uint8Array, mayEnd: boolean): Promise<Uint8Array> {
  let bytes: Uint8Array = new Uint8Array(0);
  try {
    for (let chunk = await source.until(end); chunk !== null; chunk = await source.until(end)) {
      bytes = joined(bytes, chunk);
      if (bytes.byteLength > MAX_HEADER_BYTES) throw new MultipartError("malformed");
    }
    return bytes;
  } catch (error) {
    // The closing `--` of many clients has no line end after it.
    if (mayEnd && source.ended) return joined(bytes, source.rest());
    throw error;
  }
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const both = new Uint8Array(first.byteLength + second.byteLength);
  both.set(first);
  both.set(second, first.byteLength);
  return both;
}

/** Name and file name of `Content-Disposition`; null for a part that is no form field. */
function readHeaders(bytes: Uint8Array): Omit<Part, "body"> | null {
  const lines = new TextDecoder().decode(bytes).split("\r\n");
  const disposition = lines.find((line) => /^content-disposition\s*:/i.test(line)) ?? "";
  const name = parameter(disposition, "name");
  return name === null ? null : { name, filename: extended(disposition) ?? parameter(disposition, "filename") };
}

/** A quoted or bare parameter; browsers write a quote as `%22` (WHATWG HTML, multipart form data), others with a backslash. */
function parameter(header: string, name: string): string | null {
  const match = new RegExp(`;\\s*${name}=(?:"((?:[^"\\\\]|\\\\.)*)"|([^\\s;]+))`, "i").exec(header);
  if (match === null) return null;
  return (match[1] ?? match[2] ?? "").replaceAll(/\\(["\\])/g, "$1").replaceAll(/%22/gi, '"').replaceAll(/%0D%0A|%0D|%0A/gi, " ");
}

/** `filename*=UTF-8''…` (RFC 5987), as Python's clients write names outside ASCII. */
function extended(header: string): string | null {
  const match = /;\s*filename\*=utf-8'[^']*'([^\s;]+)/i.exec(header);
  if (match === null) return null;
  try {
    return decodeURIComponent(match[1] ?? "");
  } catch {
    return null;
  }
}

/** A stream of bytes that can be read up to a mark. */
class ByteSource {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #max: number;
  #buffer: Uint8Array = new Uint8Array(0);
  #read = 0;
  ended = false;

  constructor(body: ReadableStream<Uint8Array>, max: number) {
    this.#reader = body.getReader();
    this.#max = max;
  }

  prepend(bytes: Uint8Array): void {
    this.#buffer = joined(bytes, this.#buffer);
  }

  /** The next bytes before `mark`; null once the mark is reached, which is then taken away. Throws when the body ends without it. */
  async until(mark: Uint8Array): Promise<Uint8Array | null> {
    for (;;) {
      const at = find(this.#buffer, mark);
      if (at === 0) {
        this.#buffer = this.#buffer.subarray(mark.byteLength);
        return null;
      }
      // Bytes that cannot be the beginning of the mark may go on.
      const safe = at > 0 ? at : this.#buffer.byteLength - mark.byteLength + 1;
      if (safe > 0) {
        const chunk = this.#buffer.slice(0, safe);
        this.#buffer = this.#buffer.subarray(safe);
        return chunk;
      }
      if (this.ended) throw new MultipartError("malformed");
      await this.#more();
    }
  }

  /** What has been read and not given out. */
  rest(): Uint8Array {
    return this.#buffer;
  }

  async cancel(): Promise<void> {
    await this.#reader.cancel().catch(() => undefined);
  }

  async #more(): Promise<void> {
    const { value, done } = await this.#reader.read();
    if (done) {
      this.ended = true;
      return;
    }
    this.#read += value.byteLength;
    if (this.#read > this.#max) throw new MultipartError("too_large");
    this.#buffer = joined(this.#buffer, value);
  }
}

/** Where `mark` begins in `bytes`, or -1. */
function find(bytes: Uint8Array, mark: Uint8Array): number {
  const first = mark[0] ?? 0;
  for (let at = bytes.indexOf(first); at >= 0 && at + mark.byteLength <= bytes.byteLength; at = bytes.indexOf(first, at + 1)) {
    if (mark.every((byte, index) => bytes[at + index] === byte)) return at;
  }
  return -1;
}
