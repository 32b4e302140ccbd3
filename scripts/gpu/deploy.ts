// `deploy verda|runpod`: brings the deployments of gpu.toml about at the provider, and puts the pools into the workshop. Without --apply it only says what
// it would do.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../stack.ts";
import { CommandError, type Operator } from "../workshop/operator.ts";
import { changeLines } from "./changes.ts";
import { type GpuFile, type GpuPool, poolBody } from "./file.ts";
import type { Plan, Planner, Wish } from "./plan.ts";
import { runpodPlanner } from "./runpod-deployment.ts";
import { verdaPlanner } from "./verda-deployment.ts";

type Deploying = { file: GpuFile; provider: "verda" | "runpod"; apply: boolean; operator: Operator; say: (line: string) => void };

/** Answers the exit code: 0 when all is as wanted (or was made so). */
export async function deploy({ file, provider, apply, operator, say }: Deploying): Promise<number> {
  const pools = file.pool.filter((pool) => pool.deployment !== undefined && (pool.provider === provider || (provider === "verda" && pool.provider === "verda-batch")));
  if (pools.length === 0) throw new CommandError(`No pool of ${provider} in this file has a [pool.deployment]. docs/gpu.md shows one.`);
  for (const pool of pools) {
    const wish: Wish = { pool, file, name: pool.deployment?.name ?? `${file.workshop}-${pool.id}`, origin: file.origin ?? operator.url };
    const plan = await plannerFor(pool)(wish);
    tell(wish, plan, apply, say);
    if (!apply) continue;
    const endpoint = plan.what === "same" && plan.endpoint !== null ? plan.endpoint : await plan.apply(() => keyOf(operator, file.workshop, pool));
    await operator.ask("PUT", `/workshops/${file.workshop}/pools/${pool.id}`, poolBody(pool, file.pool.indexOf(pool), endpoint));
    say(`  The pool ${pool.id} of ${file.workshop} hands its jobs to ${endpoint}. Test it: npm run gpu -- test ${pool.id}`);
  }
  if (!apply) say("\nNothing was changed. Do it with --apply.");
  return 0;
}

function tell({ pool, name }: Wish, plan: Plan, apply: boolean, say: (line: string) => void): void {
  const verb = plan.what === "same" ? "is as wanted" : plan.what === "create" ? (apply ? "is created" : "would be created") : apply ? "is changed" : "would be changed";
  say(`${pool.provider} deployment ${name} ${verb}${plan.what === "same" ? "" : ":"}`);
  for (const line of changeLines(plan.changes)) say(line);
  for (const note of plan.notes) say(`  ! ${note}`);
}

function plannerFor(pool: GpuPool): Planner {
  const name = pool.control_secret ?? pool.secret;
  const value = name === undefined ? undefined : secretValue(name);
  if (name === undefined || value === undefined) throw new CommandError(`Pool ${pool.id}: its ${name ?? "control_secret"} is needed here too, to speak with the provider. Set the environment variable ${name ?? "GPU_…"} (or put it into .dev.vars).`);
  return pool.provider === "runpod" ? runpodPlanner(value, pool.control_url) : verdaPlanner(value, pool.control_url);
}

/** From the environment, else from .dev.vars. */
function secretValue(name: string): string | undefined {
  const given = process.env[name];
  if (given !== undefined && given !== "") return given;
  const file = join(ROOT, ".dev.vars");
  return existsSync(file) ? new RegExp(`^${name}\\s*=\\s*"?([^"\\n]+)"?`, "m").exec(readFileSync(file, "utf8"))?.[1] : undefined;
}

async function keyOf(operator: Operator, workshop: string, pool: GpuPool): Promise<string> {
  const body = pool.shared_key === undefined ? {} : { shared_key: pool.shared_key };
  return (await operator.ask<{ dispatch_key: string }>("POST", `/workshops/${workshop}/pools/${pool.id}/dispatch-key`, body)).dispatch_key;
}
