// R2's S3 endpoint as far as presigned uploads go: a real server that checks every signature itself, holds senders to the headers they signed, and can
// misbehave on demand ([G34], [G35]). What it accepts it writes into the very bucket the Worker is bound to, through wrangler's local S3 endpoint.
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { judgePresigned, type Keys, signHeaders, splitTarget, type Wire } from "./sigv4.ts";

export type Fault = {
  /** Of path and query. */
  path: RegExp;
  /** How often; then the store is well again. */
  times: number;
  /** A number: answered with this status, nothing is stored. `lose`: stored, the answer does not come back. `slow`: read with a pause after every piece. `late`: the store's clock is a day ahead. */
  what: number | "lose" | "slow" | "late";
};
export type Served = { method: string; key: string; part: number | null; status: number | "lost"; code: string | null; signed: string[]; bytes: number };

const DAY_MS = 24 * 3600 * 1000;
/** ms between two pieces of a slow upload. */
const PAUSE_MS = 25;

export class R2 {
  readonly served: Served[] = [];
  /** What `If-None-Match: *` means to this store. */
  conditions: "honoured" | "ignored" = "honoured";
  readonly #keys: Keys;
  readonly #bucket: string;
  readonly #server: Server;
  #faults: Fault[] = [];
  #bucketUrl = "";

  constructor(bucket: string, keys: Keys) {
    this.#bucket = bucket;
    this.#keys = keys;
    this.#server = createServer((incoming, response) => {
      this.#answer(incoming, response).catch((error: unknown) => response.destroy(error instanceof Error ? error : new Error(String(error))));
    });
  }

  /** Starts on a free port of this machine's own address; answers with the endpoint. */
  async open(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    const address = this.#server.address();
    return `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`;
  }

  /** Where objects are kept: the local S3 endpoint of the Worker's development server, with the same credentials. */
  keepAt(s3Url: string): void {
    this.#bucketUrl = `${s3Url}/${this.#bucket}`;
  }

  fault(fault: Fault): void {
    this.#faults.push(fault);
  }

  clear(): void {
    this.#faults = [];
    this.served.length = 0;
    this.conditions = "honoured";
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #answer(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const target = incoming.url ?? "/";
    const fault = this.#faultOf(target);
    const { path, query } = splitTarget(target);
    const given = new Map(query);
    const part = given.has("uploadId") ? Number(given.get("partNumber")) : null;
    const key = path.slice(this.#bucket.length + 2);
    const served: Served = { method: incoming.method ?? "", key, part, status: 0, code: null, signed: [], bytes: 0 };
    this.served.push(served);
    const say = (status: number, code: string): void => {
      Object.assign(served, { status, code });
      // S3 closes on a body it did not read; reading it to its end lets every client see the answer.
      incoming.resume();
      response.writeHead(status, { "Content-Type": "application/xml" }).end(`<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code></Error>`);
    };
    if (typeof fault === "number") return say(fault, fault === 429 ? "TooManyRequests" : "ServiceUnavailable");
    const headers = incoming.rawHeaders.flatMap((name, index): [string, string][] => (index % 2 === 0 ? [[name, incoming.rawHeaders[index + 1] ?? ""]] : []));
    const wire: Wire = { method: served.method, target, headers };
    const judged = judgePresigned(wire, this.#keys, Date.now() + (fault === "late" ? DAY_MS : 0));
    if (!judged.ok) return say(judged.status, judged.code);
    served.signed = judged.signed;
    if (!path.startsWith(`/${this.#bucket}/`) || key === "") return say(404, "NoSuchBucket");
    if (served.method !== "PUT") return say(501, "NotImplemented");
    if (incoming.headers["content-length"] === undefined) return say(411, "MissingContentLength");
    const body = await read(incoming, fault === "slow" ? PAUSE_MS : 0);
    served.bytes = body.byteLength;
    const wrong = part === null ? wrongSum(incoming.headers["x-amz-checksum-sha256"], body) : incoming.headers["x-amz-checksum-sha256"] === undefined ? null : ([501, "NotImplemented"] as const);
    if (wrong !== null) return say(...wrong);
    const kept = await this.#keep(incoming, target, part, body);
    const text = await kept.text();
    const code = /<Code>([^<]*)</.exec(text)?.[1] ?? null;
    Object.assign(served, { status: fault === "lose" ? "lost" : kept.status, code });
    if (fault === "lose") return void incoming.socket.destroy();
    const etag = kept.headers.get("etag");
    response.writeHead(kept.status, { ...(etag === null ? {} : { ETag: etag }), ...(text === "" ? {} : { "Content-Type": "application/xml" }) }).end(text);
  }

  /** Signed anew for the server behind, which checks signatures as well. */
  async #keep(incoming: IncomingMessage, target: string, part: number | null, body: Buffer): Promise<Response> {
    const { path, query } = splitTarget(target);
    const url = new URL(`${this.#bucketUrl}${path.slice(this.#bucket.length + 1).split("/").map(encodeURIComponent).join("/")}`);
    if (part !== null) for (const [name, value] of query) if (!name.startsWith("X-Amz-")) url.searchParams.set(name, value);
    const type = incoming.headers["content-type"];
    const headers = { ...(part === null && type !== undefined ? { "content-type": type } : {}), ...(part === null && this.conditions === "honoured" && incoming.headers["if-none-match"] !== undefined ? { "if-none-match": incoming.headers["if-none-match"] } : {}) };
    return await fetch(url, { method: "PUT", headers: signHeaders({ method: "PUT", url: url.href, headers }, this.#keys, { now: Date.now() }), body: new Uint8Array(body) });
  }

  #faultOf(target: string): Fault["what"] | null {
    const found = this.#faults.find((fault) => fault.times > 0 && fault.path.test(target));
    if (found === undefined) return null;
    found.times--;
    return found.what;
  }
}

async function read(incoming: IncomingMessage, pauseMs: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of incoming) {
    pieces.push(piece as Buffer);
    if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
  return Buffer.concat(pieces);
}

/** R2 compares what arrived with the sum that came along, and stores nothing else. */
function wrongSum(announced: string | string[] | undefined, body: Buffer): readonly [number, string] | null {
  return announced === undefined || announced === createHash("sha256").update(body).digest("base64") ? null : [400, "BadDigest"];
}
