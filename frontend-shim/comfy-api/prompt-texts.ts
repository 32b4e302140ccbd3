// A prompt's texts wherever they stand: in the job's row, or in the bucket when they were too large for one [CF8]. The object's queue and history bodies
// have `{}` in the place of a large one, which no accepted prompt can be, so the place to fill is told by that alone.
import { isObject, parseJson, stringifyJson } from "./catalog/json.ts";
import { rawMembers } from "./catalog/object-info-text.ts";
import type { Json } from "./catalog/types.ts";
import type { JobDetail } from "../../durable-objects/contract.ts";
import type { SeatContext } from "./context.ts";

export type PromptTexts = { prompt: string; extra_data: string };

/** How a queue item of a large prompt reads in a body of the object: `[n, "id", {}, {"create_time": …`. */
const HOLE = '", {}, {"create_time"';
/** Characters of large prompts that one answer takes in; further ones stay empty and are to be had one by one. */
const MAX_FILLED = 16 * 1024 * 1024;

/** The texts of one job; `{}` when the stored object is gone, which only a deletion by hand can cause. */
export async function storedTexts(seat: SeatContext, detail: JobDetail): Promise<PromptTexts> {
  if (detail.prompt_key === null) return { prompt: detail.prompt_json, extra_data: detail.extra_data_json };
  const object = await seat.files.get(detail.prompt_key);
  const members = object === null ? new Map<string, string>() : rawMembers(await object.text());
  return { prompt: members.get("prompt") ?? "{}", extra_data: members.get("extra_data") ?? "{}" };
}

/** A queue or history body with its large prompts in place; any other body as it is. */
export async function withLargePrompts(seat: SeatContext, body: string): Promise<string> {
  if (!body.includes(HOLE)) return body;
  let filled = 0;
  const fill = async (item: readonly Json[]): Promise<readonly Json[]> => {
    const [number, job, prompt, extra, ...rest] = item;
    if (typeof job !== "string" || !isObject(prompt) || Object.keys(prompt).length > 0 || filled > MAX_FILLED) return item;
    const detail = await seat.rpc.jobDetail(seat.seat, job);
    if (detail === null || detail.prompt_key === null) return item;
    const texts = await storedTexts(seat, detail);
    filled += texts.prompt.length + texts.extra_data.length;
    const stored = parseJson(texts.extra_data);
    return [number ?? 0, job, parseJson(texts.prompt), { ...(isObject(stored) ? stored : {}), ...(isObject(extra) ? extra : {}) }, ...rest];
  };
  return stringifyJson(await mapItems(parseJson(body), fill));
}

/** Applies `fill` to every queue item, one after the other: of a queue's two lists, or of each history entry. */
async function mapItems(body: Json, fill: (item: readonly Json[]) => Promise<readonly Json[]>): Promise<Json> {
  if (!isObject(body)) return body;
  const mapped: { [key: string]: Json } = {};
  for (const [key, value] of Object.entries(body)) {
    if (Array.isArray(value)) {
      const items: Json[] = [];
      for (const item of value as readonly Json[]) items.push(Array.isArray(item) ? await fill(item as readonly Json[]) : item);
      mapped[key] = items;
    } else if (isObject(value) && Array.isArray(value["prompt"])) mapped[key] = { ...value, prompt: await fill(value["prompt"] as readonly Json[]) };
    else mapped[key] = value;
  }
  return mapped;
}
