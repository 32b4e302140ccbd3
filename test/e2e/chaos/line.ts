// The line between runners and the Worker, with hands on it: every WebSocket frame and every HTTP call has a name, and whoever asked for that name decides
// what becomes of it: passed on, passed twice, held up, never passed. Order within one direction of one connection is kept, as TCP would.
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import { buffer } from "node:stream/consumers";
import type { Duplex } from "node:stream";
import { type RawData, WebSocket, WebSocketServer } from "ws";

/** Passes the message on; may be called never, once or more often. */
export type Pass = () => Promise<void>;
export type Hand = (pass: Pass) => Promise<void> | void;
type Wish = { name: string; left: number; hand: Hand };

export const drop: Hand = () => undefined;
export const twice: Hand = async (pass) => {
  await pass();
  await pass();
};
export const late = (ms: number): Hand => async (pass) => {
  await new Promise((resolve) => setTimeout(resolve, ms));
  await pass();
};

type Answered = { status: number; headers: IncomingMessage["headers"]; body: Buffer };

export class Line {
  /** Names of everything that came by, newest last. */
  readonly seen: string[] = [];
  /** Every name that ever came by. */
  readonly met = new Set<string>();
  readonly #target: URL;
  readonly #server: Server;
  readonly #sockets = new WebSocketServer({ noServer: true });
  readonly #open = new Set<WebSocket>();
  #wishes: Wish[] = [];

  constructor(target: string) {
    this.#target = new URL(target);
    this.#server = createServer((incoming, response) => void this.#call(incoming, response).catch(() => incoming.socket.destroy()));
    this.#server.on("upgrade", (incoming: IncomingMessage, socket: Duplex, head: Buffer) => this.#upgrade(incoming, socket, head));
  }

  /** Answers the address runners dial instead of the Worker's. */
  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    const address = this.#server.address();
    return `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`;
  }

  /**
   * The next `times` messages of this name go through `hand`. Names: `up hello`, `up next`, `up event started`, `up event executed` …, `up result`,
   * `down welcome`, `down work`, `down ack`, `down result_ack` …; `call uploads`, `call put`, `call commit`, `call result` …, and `answer …` of each.
   */
  on(name: string, hand: Hand, times = 1): void {
    this.#wishes.push({ name, left: times, hand });
  }

  /** Names that were asked for and have not come by as often as that. */
  get waitedFor(): string[] {
    return this.#wishes.filter(({ left }) => left > 0).map(({ name }) => name);
  }

  clear(): void {
    this.#wishes = [];
    this.seen.length = 0;
  }

  /** Cuts every WebSocket in the middle, as a lost line does. */
  cut(): void {
    for (const socket of this.#open) socket.terminate();
  }

  close(): void {
    this.cut();
    this.#sockets.close();
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #meet(name: string, pass: Pass): Promise<void> {
    this.seen.push(name);
    this.met.add(name);
    const wish = this.#wishes.find((candidate) => candidate.left > 0 && candidate.name === name);
    if (wish === undefined) return await pass();
    wish.left--;
    await wish.hand(pass);
  }

  async #call(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await buffer(incoming);
    const name = callName(incoming);
    let answered: Answered | null = null;
    await this.#meet(`call ${name}`, async () => {
      answered = await this.#forward(incoming, body);
    });
    // Assigned inside the closure, which the compiler does not follow.
    const answer = answered as Answered | null;
    let given = false;
    if (answer !== null) {
      await this.#meet(`answer ${name}`, async () => {
        if (!given) response.writeHead(answer.status, answer.headers).end(answer.body);
        given = true;
      });
    }
    if (!given) incoming.socket.destroy();
  }

  #forward(incoming: IncomingMessage, body: Buffer): Promise<Answered> {
    return new Promise((resolve, reject) => {
      const onward = request({ host: this.#target.hostname, port: this.#target.port, method: incoming.method, path: incoming.url, headers: { ...incoming.headers, connection: "close" } }, (answer) => {
        const { "transfer-encoding": _chunked, connection: _connection, ...headers } = answer.headers;
        const whole = async (): Promise<Answered> => {
          const bytes = await buffer(answer);
          return { status: answer.statusCode ?? 502, headers: { ...headers, "content-length": String(bytes.length) }, body: bytes };
        };
        resolve(whole());
      });
      onward.on("error", reject);
      onward.end(body);
    });
  }

  #upgrade(incoming: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on("error", () => undefined);
    const onward = new WebSocket(`ws://${this.#target.host}${incoming.url}`, { headers: { authorization: incoming.headers.authorization ?? "", host: incoming.headers.host ?? "" } });
    onward.on("error", () => socket.destroy());
    onward.on("unexpected-response", () => socket.destroy());
    const early: [RawData, boolean][] = [];
    const keep = (data: RawData, binary: boolean): void => void early.push([data, binary]);
    onward.on("message", keep);
    onward.once("open", () => {
      this.#sockets.handleUpgrade(incoming, socket, head, (inward) => {
        onward.off("message", keep);
        this.#join("up", inward, onward, []);
        this.#join("down", onward, inward, early);
      });
    });
  }

  #join(way: "up" | "down", from: WebSocket, to: WebSocket, early: [RawData, boolean][]): void {
    this.#open.add(from);
    let tail = Promise.resolve();
    const take = (data: RawData, binary: boolean): void => {
      const pass: Pass = async () => {
        if (to.readyState === WebSocket.OPEN) to.send(data, { binary });
      };
      tail = tail.then(() => this.#meet(`${way} ${binary ? "preview" : frameName(data)}`, pass)).catch(() => undefined);
    };
    for (const [data, binary] of early) take(data, binary);
    from.on("message", take);
    from.on("error", () => undefined);
    from.on("close", () => {
      this.#open.delete(from);
      to.terminate();
    });
  }
}

function frameName(data: RawData): string {
  const frame = JSON.parse((data as Buffer).toString()) as { type: string; event?: { type: string; message?: { type: string } } };
  return frame.event === undefined ? frame.type : `event ${frame.event.message?.type ?? frame.event.type}`;
}

function callName({ method, url = "" }: IncomingMessage): string {
  const path = url.split("?")[0] ?? "";
  if (path.includes("/files/")) return method === "PUT" ? "put" : "get";
  return path.split("/").at(-1) ?? path;
}
