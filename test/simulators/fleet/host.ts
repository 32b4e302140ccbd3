// A provider's HTTP face on this machine, with faults on request: calls that never arrive, answers that never come back, statuses in place of answers.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";

export type Asked = { method: string; path: string; query: URLSearchParams; header: (name: string) => string | undefined; body: unknown };
export type Said = { status: number; headers?: Record<string, string>; body?: unknown };
/** `drop`: never arrives. `lose`: arrives and takes effect, the answer does not come back. Otherwise: this answer, without effect. */
export type Fault = { method?: string; path: RegExp; times: number; what: "drop" | "lose" | Said };
export type Call = { method: string; path: string; status: number | "dropped" | "lost"; header: (name: string) => string | undefined; body: unknown };

export class Host {
  readonly calls: Call[] = [];
  readonly #server: Server;
  readonly #answer: (asked: Asked) => Promise<Said>;
  #faults: Fault[] = [];
  #origin = "";

  constructor(answer: (asked: Asked) => Promise<Said>) {
    this.#answer = answer;
    this.#server = createServer((request, response) => void this.#serve(request, response).catch(() => response.destroy()));
  }

  async open(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    const address = this.#server.address();
    this.#origin = `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`;
    return this.#origin;
  }

  get origin(): string {
    return this.#origin;
  }

  fault(fault: Fault): void {
    this.#faults.push(fault);
  }

  fair(): void {
    this.#faults = [];
  }

  count(method: string, path: RegExp): number {
    return this.calls.filter((call) => call.method === method && path.test(call.path)).length;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", "http://host");
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString("utf8");
    const header = (name: string): string | undefined => {
      const value = request.headers[name.toLowerCase()];
      return typeof value === "string" ? value : undefined;
    };
    const asked: Asked = { method: request.method ?? "GET", path: url.pathname, query: url.searchParams, header, body: text === "" ? undefined : parse(text) };
    const note = (status: Call["status"]): void => void this.calls.push({ method: asked.method, path: asked.path, status, header, body: asked.body });
    const fault = this.#faults.find((candidate) => candidate.times > 0 && candidate.path.test(asked.path) && (candidate.method === undefined || candidate.method === asked.method));
    if (fault !== undefined) fault.times--;
    if (fault?.what === "drop") {
      note("dropped");
      return void request.socket.destroy();
    }
    const said = fault === undefined || fault.what === "lose" ? await this.#answer(asked) : fault.what;
    if (fault?.what === "lose") {
      note("lost");
      return void request.socket.destroy();
    }
    note(said.status);
    const body = said.body === undefined ? "" : typeof said.body === "string" ? said.body : JSON.stringify(said.body);
    response.writeHead(said.status, { ...(typeof said.body === "object" ? { "Content-Type": "application/json" } : {}), ...said.headers });
    response.end(said.status === 204 ? undefined : body);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
