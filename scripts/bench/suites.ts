// The suites of `npm run bench`, in the order in which a run without a name goes through them. Pure but for loading.
import type { Print } from "./driver.ts";

export type Suite = { run(args: string[], print: Print): Promise<void> };

export const SUITES: { readonly [name: string]: () => Promise<Suite> } = {
  queue: () => import("./queue.ts"),
  submit: () => import("./submit.ts"),
  drain: () => import("./drain.ts"),
  peers: () => import("./peers.ts"),
  fanout: () => import("./fanout.ts"),
  growth: () => import("./growth.ts"),
  history: () => import("./history.ts"),
  run: () => import("./run.ts"),
  runner: () => import("./runner.ts"),
  chaos: () => import("./chaos.ts"),
  pages: () => import("./pages.ts"),
  idle: () => import("./idle.ts"),
};

/** Made of other suites: a run of all of them has its figures already. */
const COMBINED: readonly string[] = ["peers"];

/** Names of what to run: the one that was asked for, or everything once. Null when there is no such suite. */
export function chosen(only: string | undefined): string[] | null {
  if (only === undefined) return Object.keys(SUITES).filter((name) => !COMBINED.includes(name));
  return Object.hasOwn(SUITES, only) ? [only] : null;
}
