// A prompt's texts wherever they stand: in the job's row, or in the bucket when they were too large for one [CF8].
import { rawMembers } from "./catalog/object-info-text.ts";
import type { JobDetail } from "../../durable-objects/contract.ts";
import type { SeatContext } from "./context.ts";

export type PromptTexts = { prompt: string; extra_data: string };

/** The texts of one job; `{}` when the stored object is gone, which only a deletion by hand can cause. */
export async function storedTexts(seat: SeatContext, detail: JobDetail): Promise<PromptTexts> {
  if (detail.prompt_key === null) return { prompt: detail.prompt_json, extra_data: detail.extra_data_json };
  const object = await seat.files.get(detail.prompt_key);
  const members = object === null ? new Map<string, string>() : rawMembers(await object.text());
  return { prompt: members.get("prompt") ?? "{}", extra_data: members.get("extra_data") ?? "{}" };
}
