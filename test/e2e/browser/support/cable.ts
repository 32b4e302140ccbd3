// The network cable between a browser and the product: bytes pass through unread until it is pulled. Then every connection is dead and none is made.
import { connect, createServer, type Socket } from "node:net";

export type Cable = { origin: string; pull(): void; plug(): void; close(): Promise<void> };

/** Listens on a port of its own in front of `origin`. */
export async function layCable(origin: string): Promise<Cable> {
  const { hostname, port } = new URL(origin);
  const ends = new Set<Socket>();
  let pulled = false;
  const server = createServer((near) => {
    if (pulled) return void near.destroy();
    const far = connect(Number(port), hostname);
    for (const [end, other] of [[near, far], [far, near]] as const) {
      ends.add(end);
      end.on("error", () => undefined);
      end.once("close", () => {
        ends.delete(end);
        other.destroy();
      });
      end.pipe(other);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the cable has no port");
  const cut = (): void => {
    for (const end of ends) end.destroy();
  };
  return {
    origin: `http://127.0.0.1:${address.port}`,
    pull: () => {
      pulled = true;
      cut();
    },
    plug: () => {
      pulled = false;
    },
    close: async () => {
      cut();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
