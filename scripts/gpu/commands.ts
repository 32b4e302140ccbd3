// The commands of `npm run gpu`: each one or two calls of the operator's door, and what to print of the answer.
import type { GpuView, MoneyView, PoolNoteView, PoolView, TestView } from "../../durable-objects/gpu-contract.ts";
import { CommandError, type Operator, UsageError } from "../workshop/operator.ts";
import { deploy } from "./deploy.ts";
import { poolBody, readGpuFile } from "./file.ts";

/** What is shown of a template's verdict (frontend-shim/comfy-api/templates/manifest.ts). */
type TemplateLine = { says: string; models: { folder: string; name: string; size: number | null; licence: string; optional?: true; on: string[] }[] };
export type Options = { [name: string]: string | boolean | undefined };
export type Call = { operator: () => Operator; workshop: string; args: string[]; options: Options; say: (line: string) => void };
/** Answers the exit code. */
export type Command = { usage: string; says: string; takes: readonly string[]; run: (call: Call) => Promise<number> };

/** Between two looks at a self-test (ms). */
const LOOK_MS = 1_000;

export const COMMANDS: { readonly [name: string]: Command } = {
  pools: { usage: "pools [--ask]", says: "the chain in order: state, machines, money; --ask asks the providers first", takes: ["ask"], run: pools },
  put: { usage: "put [--file gpu.toml]", says: "put the file's pools, slots and budget into its workshop", takes: ["file"], run: put },
  remove: { usage: "remove POOL", says: "take a pool out of the chain; what runs there may finish", takes: [], run: (call) => simple(call, "DELETE", "", () => `${pool(call)} is out of the chain.`) },
  warm: { usage: "warm POOL [--replicas 1] [--minutes 120]", says: "keep machines up", takes: ["replicas", "minutes"], run: warm },
  cool: { usage: "cool POOL", says: "keep none up any more", takes: [], run: (call) => simple(call, "POST", "/cool", (answer) => String(answer.says)) },
  test: { usage: "test POOL", says: "send the smallest job the whole way, and say what came of it", takes: [], run: test },
  budget: { usage: "budget [EUR|none]", says: "what was spent, what is left, how long it lasts; or a new budget", takes: [], run: budget },
  slots: { usage: "slots N", says: "how many jobs may run at once over the whole chain", takes: [], run: slots },
  control: { usage: "control POOL pause|resume|restart|purge", says: "the provider's own switches", takes: [], run: control },
  log: { usage: "log [POOL] [--lines 50]", says: "what happened to the pools, and why", takes: ["lines"], run: log },
  logs: { usage: "logs POOL [--lines 100]", says: "what the machines write, where the provider hands it out", takes: ["lines"], run: logs },
  templates: { usage: "templates", says: "which shipped workflow runs on which pool, and what is missing", takes: [], run: templates },
  key: { usage: "key POOL", says: "the key its image checks dispatches with (COMFYUME_DISPATCH_KEY)", takes: [], run: (call) => simple(call, "POST", "/dispatch-key", (answer) => String(answer.dispatch_key)) },
  deploy: { usage: "deploy verda|runpod [--file gpu.toml] [--apply]", says: "make the file's deployments at the provider; without --apply, say what would change", takes: ["file", "apply"], run: deploying },
};

async function pools({ operator, workshop, options, say }: Call): Promise<number> {
  const view = await operator().ask<GpuView>("GET", `/workshops/${workshop}/gpus${options.ask === true ? "?ask=1" : ""}`);
  if (asJson(options, view, say)) return 0;
  say(`${view.slots} slots over ${view.pools.length} pools. ${view.money.says}`);
  for (const one of view.pools) for (const line of poolLines(one)) say(line);
  return 0;
}

function poolLines(one: PoolView): string[] {
  const gate = one.draining ? "draining" : one.circuit.state === "closed" ? "open" : `${one.circuit.says ?? one.circuit.state}${one.circuit.until === null ? "" : ` (until ${time(one.circuit.until)})`}`;
  const unset = one.secrets.filter(({ set }) => !set).map(({ name }) => `secret ${name} is not set`);
  const machines = one.machines === null ? (one.silent ?? "not asked") : `${one.machines.up} up, ${one.machines.state}${one.machines.available === false ? ", none to be had" : ""}`;
  return [
    `\n${one.position + 1}. ${one.pool}  ${one.provider}${one.gpu === null ? "" : ` ${one.gpu}`}${one.spot ? " spot" : ""}  ${one.slots} slots, ${(one.rate / 1_000_000).toFixed(2)} EUR/h${one.groups === null ? "" : `, only for ${one.groups.join(", ")}`}`,
    `   jobs:     ${gate}; ${one.claimed} running, ${one.unclaimed} handed over`,
    `   machines: ${machines}; kept up: ${one.warm.wanted}${one.warm.why === "none" ? "" : ` (${one.warm.why}${one.warm.until === null ? "" : ` until ${time(one.warm.until)}`})`}${one.warm.fault === null ? "" : `; ${one.warm.fault}`}`,
    `   start:    ${one.startup.measured === 0 ? "not measured yet" : `${seconds(one.startup.p50)} usual, ${seconds(one.startup.p90)} at worst (${one.startup.measured} measured)`}`,
    `   catalog:  ${one.catalog === null ? "nothing reported yet: npm run gpu -- test" : `ComfyUI ${one.catalog.comfyui_version}, ${one.catalog.nodes} nodes, ${one.catalog.models} models`}`,
    ...one.runners.map((runner) => `   runner:   ${runner.gpu ?? "GPU not reported yet"}, ${runner.says} (connected since ${time(runner.last_seen)})`),
    ...unset.map((line) => `   !         ${line}: npx wrangler secret put ${line.split(" ")[1] ?? ""}`),
  ];
}

async function put({ operator, options, say }: Call): Promise<number> {
  const file = readGpuFile(fileName(options));
  const base = `/workshops/${file.workshop}`;
  for (const [position, one] of file.pool.entries()) {
    if (one.deployment !== undefined && one.endpoint === undefined) {
      say(`${one.id}: its address comes with its deployment (npm run gpu -- deploy ${one.provider === "runpod" ? "runpod" : "verda"} --apply); left out here.`);
      continue;
    }
    await operator().ask("PUT", `${base}/pools/${one.id}`, poolBody(one, position, undefined));
    say(`${one.id}: put as number ${position + 1} of the chain.`);
  }
  await operator().ask("PUT", `${base}/slots`, { slots: file.slots ?? file.pool[0]?.slots ?? 1 });
  if (file.budget_eur !== undefined) await operator().ask("PUT", `${base}/budget`, { eur: file.budget_eur });
  return 0;
}

async function templates({ operator, workshop, options, say }: Call): Promise<number> {
  const answer = await operator().ask<{ templates: TemplateLine[] }>("GET", `/workshops/${workshop}/templates`);
  if (asJson(options, answer, say)) return 0;
  for (const { says, models } of answer.templates) {
    say(says);
    for (const { folder, name, size, licence, optional, on } of models) {
      say(`  ${on.length > 0 ? "✓" : optional === true ? "○" : "✗"} ${folder}/${name}  ${size === null ? "size unknown" : `${(size / 1e9).toFixed(1)} GB`}, ${licence}${on.length > 0 ? `; on ${on.join(", ")}` : ""}`);
    }
  }
  return 0;
}

async function warm(call: Call): Promise<number> {
  const body = { ...(call.options.replicas === undefined ? {} : { replicas: whole(call.options, "replicas") }), ...(call.options.minutes === undefined ? {} : { minutes: whole(call.options, "minutes") }) };
  return await simple(call, "POST", "/warm", (answer) => String(answer.says), body);
}

async function test(call: Call): Promise<number> {
  const path = `/workshops/${call.workshop}/pools/${pool(call)}/test`;
  let view = await call.operator().ask<TestView>("POST", path, {});
  let said = "";
  while (view.verdict === "pending") {
    const line = view.says.replace(/\d+ s\b/g, "…");
    if (line !== said && call.options.json !== true) call.say(view.says);
    said = line;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    view = await call.operator().ask<TestView>("GET", path);
  }
  if (!asJson(call.options, view, call.say)) {
    call.say(view.says);
    if (view.advice !== null) call.say(view.advice);
  }
  return view.verdict === "works" ? 0 : 1;
}

async function budget({ operator, workshop, args, options, say }: Call): Promise<number> {
  const path = `/workshops/${workshop}/budget`;
  const [given] = args;
  const eur = given === undefined ? undefined : given === "none" ? null : Number(given);
  if (eur !== undefined && eur !== null && !(eur >= 0)) throw new UsageError(`"${given}" is no sum in EUR. Write: budget 50, or budget none`);
  const money = eur === undefined ? await operator().ask<MoneyView>("GET", path) : await operator().ask<MoneyView>("PUT", path, { eur });
  if (!asJson(options, money, say)) say(money.says);
  return 0;
}

async function slots({ operator, workshop, args, options, say }: Call): Promise<number> {
  const count = Number(args[0]);
  if (!Number.isInteger(count) || count < 0) throw new UsageError("How many? For example: slots 4");
  const answer = await operator().ask("PUT", `/workshops/${workshop}/slots`, { slots: count });
  if (!asJson(options, answer, say)) say(`${count} jobs may run at once. Fewer than before end nothing: running jobs finish.`);
  return 0;
}

async function control(call: Call): Promise<number> {
  const action = call.args[1];
  if (action === undefined) throw new UsageError("What is to be done? For example: control h200 pause");
  return await simple(call, "POST", "/control", (answer) => String(answer.says), { action });
}

async function log({ operator, workshop, args, options, say }: Call): Promise<number> {
  const query = new URLSearchParams({ lines: String(options.lines ?? 50), ...(args[0] === undefined ? {} : { pool: args[0] }) });
  const answer = await operator().ask<{ notes: PoolNoteView[] }>("GET", `/workshops/${workshop}/gpus/log?${query}`);
  if (asJson(options, answer, say)) return 0;
  for (const note of answer.notes.toReversed()) say(`${new Date(note.at).toISOString().slice(0, 19).replace("T", " ")}  ${note.kind === "info" ? " " : "!"} ${note.pool === "" ? "" : `${note.pool}: `}${note.line}`);
  return 0;
}

async function logs(call: Call): Promise<number> {
  const answer = await call.operator().ask<{ lines: { at: string; line: string }[] }>("GET", `/workshops/${call.workshop}/pools/${pool(call)}/logs?lines=${String(call.options.lines ?? 100)}`);
  if (asJson(call.options, answer, call.say)) return 0;
  for (const { at, line } of answer.lines) call.say(`${at}  ${line}`);
  return 0;
}

async function deploying({ operator, args, options, say }: Call): Promise<number> {
  const [provider] = args;
  if (provider !== "verda" && provider !== "runpod") throw new UsageError("Where? deploy verda, or deploy runpod. Modal's app is deployed with its own command (docs/gpu.md).");
  return await deploy({ file: readGpuFile(fileName(options)), provider, apply: options.apply === true, operator: operator(), say });
}

async function simple(call: Call, method: string, path: string, line: (answer: Record<string, unknown>) => string, body?: unknown): Promise<number> {
  const answer = await call.operator().ask<Record<string, unknown>>(method, `/workshops/${call.workshop}/pools/${pool(call)}${path}`, method === "DELETE" ? undefined : (body ?? {}));
  if (!asJson(call.options, answer, call.say)) call.say(line(answer));
  return 0;
}

function pool({ args }: Call): string {
  const [name] = args;
  if (name === undefined) throw new UsageError("Which pool? npm run gpu -- pools shows them.");
  if (!/^[a-z0-9][a-z0-9-]{0,59}$/.test(name)) throw new CommandError(`"${name}" cannot be a pool's name.`);
  return name;
}

function whole(options: Options, name: string): number {
  const value = Number(options[name]);
  if (!Number.isInteger(value)) throw new UsageError(`--${name} ${String(options[name])} is no whole number.`);
  return value;
}

function fileName(options: Options): string {
  return typeof options.file === "string" ? options.file : "gpu.toml";
}

function asJson(options: Options, answer: unknown, say: (line: string) => void): boolean {
  if (options.json === true) say(JSON.stringify(answer, null, 2));
  return options.json === true;
}

function seconds(ms: number): string {
  return ms < 120_000 ? `${Math.round(ms / 1000)} s` : `${Math.round(ms / 60_000)} min`;
}

function time(at: number): string {
  return `${new Date(at).toISOString().slice(0, 16).replace("T", " ")} UTC`;
}
