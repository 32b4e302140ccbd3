// `npm run bench [-- SUITE [options]]`: figures as JSON lines {"suite","case","metric","value","unit"}, measured here and now; nothing is asserted.
// Remarks (what was skipped and why) go to standard error, so that the lines can be piped.

export type Row = { suite: string; case: string; metric: string; value: number | string; unit: string };
type Suite = { run(args: string[], print: (row: Row) => void): Promise<void> };

const SUITES: Record<string, () => Promise<Suite>> = {
  queue: () => import("./queue.ts"),
  submit: () => import("./submit.ts"),
  drain: () => import("./drain.ts"),
  fanout: () => import("./fanout.ts"),
  growth: () => import("./growth.ts"),
  history: () => import("./history.ts"),
  run: () => import("./run.ts"),
  runner: () => import("./runner.ts"),
  chaos: () => import("./chaos.ts"),
  pages: () => import("./pages.ts"),
  idle: () => import("./idle.ts"),
};

const [only, ...args] = process.argv.slice(2);
if (only !== undefined && !SUITES[only]) {
  process.stderr.write(`✗ There is no suite "${only}". Suites: ${Object.keys(SUITES).join(", ")}.\n`);
  process.exit(1);
}
for (const [name, load] of Object.entries(SUITES)) {
  if (only !== undefined && name !== only) continue;
  process.stderr.write(`• ${name}\n`);
  await (await load()).run(args, (row) => process.stdout.write(`${JSON.stringify(row)}\n`));
}
process.exit(0);
