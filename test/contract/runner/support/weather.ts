// The network between a runner and the platform, with weather on request: calls dropped before they arrive, answers lost on the way back, statuses
// instead of answers, upgrades refused, sockets cut. Everything else passes through unchanged, Host header included.
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import { connect, type Socket } from "node:net";
import type { Duplex } from "node:stream";

export type Fault = {
  method?: string;
  path: RegExp;
  /** How often; then the weather is fine again. */
  times: number;
  /** `drop`: never arrives. `lose`: arrives, the answer does not come back. A number: answered with this status, never arrives. */
  what: "drop" | "lose" | number;
  /** Said with a status, as JSON. */
  body?: unknown;
};
export type Passed = { method: string; path: string; status: number | "dropped" | "lost" | "upgraded" };

export class Weather {
  readonly passed: Passed[] = [];
  #target: URL;
  readonly #server: Server;
  readonly #sockets = new Set<Duplex>();
  #faults: Fault[] = [];
  #origin = "";

  constructor(target: string) {
    this.#target = new URL(target);
    this.#server = createServer((incoming, response) => this.#pass(incoming, response));
    this.#server.on("upgrade", (incoming: IncomingMessage, socket: Duplex, head: Buffer) => this.#upgrade(incoming, socket, head));
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

  /** Lets everything through to another server. */
  aim(target: string): void {
    this.#target = new URL(target);
  }

  fault(fault: Fault): void {
    this.#faults.push(fault);
  }

  clear(): void {
    this.#faults = [];
    this.passed.length = 0;
  }

  /** Cuts every open WebSocket, as a deploy does; answers how many there were. */
  cut(): number {
    const count = this.#sockets.size;
    for (const socket of this.#sockets) socket.destroy();
    return count;
  }

  count(path: RegExp, status?: Passed["status"]): number {
    return this.passed.filter((entry) => path.test(entry.path) && (status === undefined || entry.status === status)).length;
  }

  close(): void {
    this.cut();
    this.#server.close();
    this.#server.closeAllConnections();
  }

  #faultOf(incoming: IncomingMessage): Fault | null {
    const found = this.#faults.find((fault) => fault.times > 0 && fault.path.test(incoming.url ?? "") && (fault.method === undefined || fault.method === incoming.method));
    if (found === undefined) return null;
    found.times--;
    return found;
  }

  #note(incoming: IncomingMessage, status: Passed["status"]): void {
    this.passed.push({ method: incoming.method ?? "", path: incoming.url ?? "", status });
  }

  #pass(incoming: IncomingMessage, response: ServerResponse): void {
    const met = this.#faultOf(incoming);
    const fault = met?.what ?? null;
    if (fault === "drop") {
      this.#note(incoming, "dropped");
      return void incoming.socket.destroy();
    }
    if (typeof fault === "number") {
      this.#note(incoming, fault);
      incoming.resume();
      const [type, text] = met?.body === undefined ? ["text/plain", "weather"] : ["application/json", JSON.stringify(met.body)];
      incoming.once("end", () => response.writeHead(fault, { "Content-Type": type }).end(text));
      return;
    }
    const onward = request({ host: this.#target.hostname, port: this.#target.port, method: incoming.method, path: incoming.url, headers: incoming.headers }, (answer) => {
      if (fault === "lose") {
        answer.resume();
        answer.once("end", () => {
          this.#note(incoming, "lost");
          incoming.socket.destroy();
        });
        return;
      }
      this.#note(incoming, answer.statusCode ?? 0);
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    onward.once("error", () => response.destroy());
    incoming.pipe(onward);
  }

  #upgrade(incoming: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on("error", () => {});
    const fault = this.#faultOf(incoming)?.what ?? null;
    if (fault !== null) {
      this.#note(incoming, typeof fault === "number" ? fault : "dropped");
      if (typeof fault === "number") socket.end(`HTTP/1.1 ${fault} Weather\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
      else socket.destroy();
      return;
    }
    const onward: Socket = connect(Number(this.#target.port), this.#target.hostname, () => {
      const lines = incoming.rawHeaders.flatMap((value, index) => (index % 2 === 0 ? [`${value}: ${incoming.rawHeaders[index + 1] ?? ""}`] : []));
      onward.write(`${incoming.method} ${incoming.url} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`);
      onward.write(head);
      socket.pipe(onward).pipe(socket);
      this.#note(incoming, "upgraded");
    });
    this.#sockets.add(socket);
    const end = (): void => {
      this.#sockets.delete(socket);
      socket.destroy();
      onward.destroy();
    };
    onward.on("error", end);
    for (const side of [socket, onward]) side.on("close", end);
  }
}
