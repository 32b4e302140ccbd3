// A prompt's texts wherever they stand: in the job's row, or in the bucket when they were too large for one [CF8]. The object's queue and history bodies
// come in pages with holes for those; they go out as one body, each hole filled as it is reached, so that one page and one prompt are all that is held.
import { rawMembers } from "../../gpu-adapter/json.ts";
import type { JobDetail, Piece, PromptPage } from "../../durable-objects/contract.ts";
import type { SeatContext } from "./context.ts";
import { validated } from "./answers.ts";

export type PromptTexts = { prompt: string; extra_data: string };

/** The texts of one job; `{}` when the stored object is gone, which only a deletion by hand can cause. */
export async function storedTexts(seat: SeatContext, detail: JobDetail): Promise<PromptTexts> {
  return detail.prompt_key === null ? { prompt: detail.prompt_json, extra_data: detail.extra_data_json } : await textsAt(seat, detail.prompt_key);
}

async function textsAt(seat: SeatContext, key: string): Promise<PromptTexts> {
  const object = await seat.files.get(key);
  const members = object === null ? new Map<string, string>() : rawMembers(await object.text());
  return { prompt: members.get("prompt") ?? "{}", extra_data: members.get("extra_data") ?? "{}" };
}

/** A piece as text. */
async function filled(seat: SeatContext, piece: Piece): Promise<string> {
  if (typeof piece === "string") return piece;
  const { prompt, extra_data: extra } = await textsAt(seat, piece.prompt_key);
  const head = extra.slice(0, extra.lastIndexOf("}")).trimEnd();
  return `${prompt}, ${head}${head.endsWith("{") ? "" : ", "}"create_time": ${piece.created}}`;
}

export async function joined(seat: SeatContext, pieces: Piece[]): Promise<string> {
  const texts: string[] = [];
  for (const piece of pieces) texts.push(await filled(seat, piece));
  return texts.join("");
}

/** The answer for a body in pages: whole when it is one page of texts, which it nearly always is; else sent while it is fetched. */
export async function sendPages(seat: SeatContext, first: PromptPage, more: (after: string) => Promise<PromptPage>): Promise<Response> {
  const { etag, pieces, next } = first;
  if (pieces === null) return validated(null, etag);
  const [only] = pieces;
  if (next === null && pieces.length === 1 && typeof only === "string") return validated(only, etag);
  return validated(streamed(seat, pieces, next, more), etag);
}

function streamed(seat: SeatContext, pieces: Piece[], next: string | null, more: (after: string) => Promise<PromptPage>): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let waiting = pieces.slice();
  let after = next;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        if (waiting.length === 0 && after !== null) {
          const page = await more(after);
          waiting = page.pieces?.slice() ?? [];
          after = page.next;
        }
        const piece = waiting.shift();
        if (piece !== undefined) controller.enqueue(encoder.encode(await filled(seat, piece)));
        if (waiting.length === 0 && after === null) controller.close();
      },
    },
    { highWaterMark: 0 },
  );
}
