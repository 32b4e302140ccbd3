// The comparisons in one run: submit, drain and hands of the product, and BullMQ on a real Redis beside each of them. Rows of suites `submit` and `drain`
// are the product's, rows of suite `peers` its peers' and the ratios. Without redis-server there is nothing to compare with.
import type { Print } from "./driver.ts";
import { howMany } from "./fault.ts";
import * as drain from "./drain.ts";
import { hasRedis } from "./peer-bullmq.ts";
import * as submit from "./submit.ts";

/** `npm run bench -- peers [ROUNDS]`. */
export async function run(args: string[], print: Print): Promise<void> {
  howMany(args, "rounds", 1);
  if (!hasRedis()) return;
  await submit.run(args, print);
  await drain.run(args, print);
}
