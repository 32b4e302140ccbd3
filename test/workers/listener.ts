// A page at a workshop's socket, for tests: what it heard, and waiting for what it will hear.
import { call } from "./edge/edge.ts";

export type Heard = { type: string; data?: Record<string, unknown>; [member: string]: unknown };

export class Listener {
  readonly heard: Heard[] = [];
  readonly socket: WebSocket;
  #waiting: (() => void)[] = [];

  constructor(socket: WebSocket) {
    this.socket = socket;
    socket.addEventListener("message", ({ data }) => {
      if (typeof data === "string") this.heard.push(JSON.parse(data) as Heard);
      for (const wake of this.#waiting.splice(0)) wake();
    });
    socket.accept();
  }

  /** The first message that fits, heard already or to come. */
  async until(fits: (message: Heard) => boolean): Promise<Heard> {
    for (;;) {
      const found = this.heard.find(fits);
      if (found) return found;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** Forgets what was heard, to wait for something new. */
  forget(): void {
    this.heard.length = 0;
  }

  say(message: object): void {
    this.socket.send(JSON.stringify(message));
  }

  close(): void {
    this.socket.close(1000);
  }
}

export async function listen(path: string, headers: Record<string, string>): Promise<Listener> {
  const answer = await call(path, { headers: { upgrade: "websocket", ...headers } });
  if (!answer.webSocket) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return new Listener(answer.webSocket);
}
