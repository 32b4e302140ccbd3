// Pages that know our own messages. The stock frontend complains in the console about types it does not know (1.37 warns, 1.58 reports an error), so
// `comfyume_*` goes only to sockets that asked: by `comfyume: true` in their feature flags, or by a `comfyume_hello` at any later time.
import { type SeatSocket, send, type Sockets } from "./sockets.ts";

/** A hello is short; anything longer is not read. In characters. */
const HELLO_MOST = 200;

/** True when a page's message asks for our own messages. */
export function isHello(message: string): boolean {
  if (message.length > HELLO_MOST || !message.includes("comfyume")) return false;
  try {
    const { type, data } = JSON.parse(message) as { type?: unknown; data?: { comfyume?: unknown } };
    return type === "comfyume_hello" || (type === "feature_flags" && data?.comfyume === true);
  } catch {
    return false;
  }
}

export class Extras {
  readonly #sockets: Sockets;
  /** By seat; null after hibernation, until somebody is to be told something. */
  #asking: Map<string, Set<WebSocket>> | null = null;

  constructor(sockets: Sockets) {
    this.#sockets = sockets;
  }

  /** Remembers, across hibernation, that this page wants them. */
  add(socket: WebSocket, at: SeatSocket): void {
    this.#sockets.write(socket, { ...at, extras: true });
    this.#enter(this.#all(), socket, at.seat);
  }

  /** Seats that have such a page open. */
  seats(): string[] {
    return [...this.#all()].filter(([, sockets]) => sockets.size > 0).map(([seat]) => seat);
  }

  /** To every such page of a seat, or of all seats. One serialisation for all of them. */
  tell(seat: string | null, frame: string): void {
    const all = this.#all();
    for (const sockets of seat === null ? all.values() : [all.get(seat) ?? new Set<WebSocket>()]) {
      for (const socket of sockets) {
        if (socket.readyState === WebSocket.OPEN) send(socket, frame);
        else sockets.delete(socket);
      }
    }
  }

  #all(): Map<string, Set<WebSocket>> {
    if (this.#asking !== null) return this.#asking;
    const found = new Map<string, Set<WebSocket>>();
    for (const { socket, at } of this.#sockets.pages()) if (at.extras === true) this.#enter(found, socket, at.seat);
    this.#asking = found;
    return found;
  }

  #enter(all: Map<string, Set<WebSocket>>, socket: WebSocket, seat: string): void {
    const sockets = all.get(seat);
    if (sockets === undefined) all.set(seat, new Set([socket]));
    else sockets.add(socket);
  }
}
