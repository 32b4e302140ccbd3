// What a seat can ask beside ComfyUI's own protocol: where its jobs stand, what was announced. The same JSON as the socket's `comfyume_*` messages.
import { both, seatRouter } from "./context.ts";
import { json, validated } from "./answers.ts";
import { ifNoneMatch } from "./queue.ts";

export const comfyumeRoutes = seatRouter();

comfyumeRoutes.on("GET", both("/comfyume/queue"), async (c) => {
  const { body, etag } = await c.env.seat.rpc.seatPlaces(c.env.seat.seat, ifNoneMatch(c));
  return validated(body, etag);
});

comfyumeRoutes.on("GET", both("/comfyume/notices"), async (c) => json({ notices: await c.env.seat.rpc.seatNotices(c.env.seat.seat) }, 200, { "cache-control": "no-store" }));
